"""Which alerts are one problem: groups, their one life (the group episode), and the keys receivers know them by.

Source: alerts.md 4, the table of keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from schemas.types import Instant, Millis, Unit, VoiceName

from .alerts import Alert, alert_key, subject_of
from .model import AlertRules, Route
from .notifying import Told

__all__ = [
    "Group",
    "Line",
    "dedup_key",
    "group_episode",
    "group_key",
    "notification_id",
    "placed",
]


@dataclass(frozen=True, slots=True)
class Line:
    """What one receiver knows of one group."""

    receiver: str
    sequence: int = 0
    told: Told | None = None
    key_voice: VoiceName | None = None
    """Voice at the opening towards this receiver: part of its dedup key."""
    gate: str = ""
    """The gate that was last recorded, so that a hold is one decision."""


@dataclass(frozen=True, slots=True)
class Group:
    """One life of a group: from its first firing alert until all are resolved."""

    id: str
    route: str
    key: str
    opened_at: Instant
    since: Instant
    members: tuple[str, ...]
    """Keys of alerts, in order of joining."""
    lines: tuple[Line, ...]
    peak_pain: Unit = 0.0
    ended_at: Instant | None = None
    duration: Millis | None = None
    celebrated: bool = False


def group_key(route: Route, seam_id: str) -> str:
    """Route name and values of ``group_by``; never the matchers, or editing one would orphan an open incident."""
    return "\x1f".join((route.name, *(seam_id for _ in route.group_by)))


def group_episode(key: str, episode_id: str, life: int = 0) -> str:
    """The id of one life of a group: 32 hex digits.

    ``life`` is 0 unless the same episode opens the group again while its ended life is still remembered: a resolved
    dedup key must not be opened a second time.
    """
    parts = (key, episode_id) if life == 0 else (key, episode_id, str(life))
    return sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def dedup_key(episode: str, voice: VoiceName) -> str:
    """What PagerDuty knows the incident by: ``iskra:`` and 64 hex digits."""
    return "iskra:" + sha256(f"{episode}\x1f{voice.value}".encode()).hexdigest()


def notification_id(episode: str, receiver: str, sequence: int, action: str) -> str:
    """The id of one intent: 64 hex digits."""
    return sha256("\x1f".join((episode, receiver, str(sequence), action)).encode()).hexdigest()


def placed(groups: Mapping[str, Group], alert: Alert, route: Route, now: Instant, rules: AlertRules) -> Group:
    """The group that this firing alert belongs to on this route: the one it is in, one it joins, or a new one."""
    key = group_key(route, alert.facts.seam_id)
    name = alert_key(alert.voice, alert.subject)
    alive = [group for group in groups.values() if group.route == route.name and group.ended_at is None]
    alive.sort(key=lambda group: (group.opened_at, group.id))
    for group in alive:
        if name in group.members:
            return replace(group, peak_pain=max(group.peak_pain, alert.facts.pain))
    for group in reversed(alive):
        if group.key == key and _joins(group, alert, route, now, rules):
            return replace(
                group,
                members=(*group.members, name),
                since=min(group.since, alert.since),
                peak_pain=max(group.peak_pain, alert.facts.pain),
            )
    life = 0
    while (episode := group_episode(key, alert.facts.episode_id, life)) in groups:
        life += 1
    return Group(
        id=episode,
        route=route.name,
        key=key,
        opened_at=now,
        since=alert.since,
        members=(name,),
        lines=tuple(Line(receiver.name) for receiver in route.receivers),
        peak_pain=alert.facts.pain,
    )


def _joins(group: Group, alert: Alert, route: Route, now: Instant, rules: AlertRules) -> bool:
    """Whether a new alert is the problem that the group is about, or a new one."""
    if route.joins or now <= group.opened_at + rules.join_window_ms:
        return True
    return alert.subject in _subjects(group.members)


def _subjects(members: Iterable[str]) -> set[str]:
    return {subject_of(member) for member in members}
