"""The life of an alert: one (subject, voice), from raise to resolve. Grouping and telling are not its business.

Source: alerts.md 4, the table of states.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.types import Instant, Level, Unit, VoiceName

from .model import AlertRules, Change, VoiceFacts

__all__ = [
    "Alert",
    "AlertState",
    "alert_key",
    "change",
    "cleared",
    "held",
    "is_repeat",
    "raised",
    "subject_of",
    "ticked",
]

_IDS_KEPT = 8


class AlertState(StrEnum):
    """Where an alert stands. ``none`` is the absence of an alert."""

    FIRING = "firing"
    STALE = "stale"
    FLAPPING = "flapping"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One voice of one subject."""

    subject: str
    voice: VoiceName
    level: Level
    state: AlertState
    since: Instant
    """Pane end at which the voice began to hold, in this life of the alert."""
    raised_at: Instant
    """Router's clock at the raise that began this life."""
    facts: VoiceFacts
    """The newest record."""
    heard_tick: int
    """Ticks that had gone by at the newest record."""
    holding: bool = True
    """Of a flapping alert: whether its voice holds right now."""
    ended_at: Instant | None = None
    raises: tuple[Instant, ...] = ()
    peak_pain: Unit = 0.0
    ids: tuple[str, ...] = ()
    muted_by: str | None = None
    """The subject whose Alarm mutes it."""
    unmuted_at: Instant | None = None
    """When it was last set free."""

    @property
    def open(self) -> bool:
        """Whether something is wrong, as far as anybody knows."""
        return self.state is not AlertState.RESOLVED


def alert_key(voice: VoiceName, subject: str) -> str:
    """The name of an alert in state and groups."""
    return f"{voice.value}|{subject}"


def subject_of(key: str) -> str:
    """The subject in an alert's key."""
    return key.partition("|")[2]


def is_repeat(before: Alert | None, facts: VoiceFacts) -> bool:
    """Whether this very record was heard already."""
    return before is not None and facts.id in before.ids


def change(before: Alert | None, after: Alert, cause: str) -> Change | None:
    """The transition between two states, None if there is none."""
    was = "none" if before is None else before.state.value
    return None if was == after.state.value else Change(after.subject, after.voice, was, after.state.value, cause)


def raised(before: Alert | None, facts: VoiceFacts, now: Instant, ticks: int, rules: AlertRules) -> Alert:
    """The alert after a raise: firing, or flapping with the raise that is one too many."""
    earlier = () if before is None else before.raises
    raises = (*(at for at in earlier if now - at < rules.flap_window_ms), now)[-rules.flap_raises :]
    ids = () if before is None else before.ids
    fresh = Alert(
        subject=facts.subject,
        voice=facts.voice,
        level=facts.level,
        state=AlertState.FIRING,
        since=facts.since,
        raised_at=now,
        facts=facts,
        heard_tick=ticks,
        raises=raises,
        peak_pain=facts.pain,
        ids=(*ids, facts.id)[-_IDS_KEPT:],
    )
    if before is None:
        return fresh
    if before.state is AlertState.RESOLVED:
        return replace(fresh, state=AlertState.FLAPPING) if len(raises) >= rules.flap_raises else fresh
    goes_on = AlertState.FLAPPING if before.state is AlertState.FLAPPING else AlertState.FIRING
    return replace(
        fresh,
        state=goes_on,
        since=before.since,
        raised_at=before.raised_at,
        peak_pain=max(before.peak_pain, facts.pain),
        muted_by=before.muted_by,
        unmuted_at=before.unmuted_at,
    )


def held(before: Alert, facts: VoiceFacts, ticks: int) -> Alert:
    """The alert after a sign of life of its voice: newer numbers, no longer stale."""
    state = AlertState.FIRING if before.state is AlertState.STALE else before.state
    return replace(
        before,
        state=state,
        facts=facts,
        heard_tick=ticks,
        holding=True,
        peak_pain=max(before.peak_pain, facts.pain),
        ids=(*before.ids, facts.id)[-_IDS_KEPT:],
    )


def cleared(before: Alert, facts: VoiceFacts, now: Instant, ticks: int) -> Alert:
    """The alert after its voice ceased. A level's clear by forgetting is no recovery: a person closes that."""
    after = replace(before, facts=facts, heard_tick=ticks, holding=False, ids=(*before.ids, facts.id)[-_IDS_KEPT:])
    if facts.reason == "forgotten" and before.level is not Level.CONNECTION:
        return replace(after, state=AlertState.STALE)
    if before.state is AlertState.FLAPPING:
        return after
    return replace(after, state=AlertState.RESOLVED, ended_at=now)


def ticked(before: Alert, now: Instant, ticks: int, rules: AlertRules) -> tuple[Alert | None, str]:
    """The alert after time went by, and why it changed; None when it can be forgotten.

    Silence is counted in ticks, never as a difference of clocks: a clock that jumps makes nothing stale.
    """
    if before.state is AlertState.RESOLVED:
        over = before.ended_at is not None and now - before.ended_at > rules.keep_resolved_ms
        return (None if over else before), ""
    if before.state is AlertState.FLAPPING and not before.holding:
        if now - before.raises[-1] >= rules.flap_window_ms:
            return replace(before, state=AlertState.RESOLVED, ended_at=now), "quiet"
        return before, ""
    if before.state is AlertState.STALE or before.level is Level.CONNECTION:
        return before, ""
    if ticks - before.heard_tick >= rules.stale_after_ticks:
        return replace(before, state=AlertState.STALE), "silence"
    return before, ""
