"""Whether to speak to one receiver about one group: one table, whose answer is a named reason or a named gate.

Source: alerts.md 2, 4, 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.types import Instant, Millis, VoiceName

from .model import LOUDNESS, Timing

__all__ = ["SILENT", "Gate", "Reason", "Told", "Verdict", "View", "why_notify"]


class Reason(StrEnum):
    """Why people are told."""

    FIRST = "first"
    NEW_ALERTS = "new_alerts"
    ESCALATED = "escalated"
    CHANGED = "changed"
    SOME_RESOLVED = "some_resolved"
    ALL_RESOLVED = "all_resolved"
    REPEAT = "repeat"
    FLAPPING = "flapping"
    FLAP_ENDED = "flap_ended"
    STALE = "stale"
    STALE_ENDED = "stale_ended"
    INHIBITOR_GONE = "inhibitor_gone"
    CELEBRATED = "celebrated"
    NONE = "none"


class Gate(StrEnum):
    """Why people are not told."""

    EXPERIMENT = "experiment"
    LEVEL = "level"
    NO_ROUTE = "no_route"
    REPEATED = "repeated"
    NO_RAISE = "no_raise"
    INHIBITED = "inhibited"
    GROUP_WAIT = "group_wait"
    GROUP_INTERVAL = "group_interval"
    TOO_SHORT = "too_short"
    NOTHING_NEW = "nothing_new"
    FLAPPING = "flapping"
    NEVER_TOLD = "never_told"
    NO_ENDED_EPISODE = "no_ended_episode"
    ALREADY_CELEBRATED = "already_celebrated"
    NOT_THIS_KIND = "not_this_kind"


@dataclass(frozen=True, slots=True)
class Told:
    """What a receiver was last told about a group."""

    voice: VoiceName
    firing: tuple[str, ...]
    """Keys of the alerts that fired, sorted."""
    at: Instant
    """Last message of any kind."""
    loud_at: Instant
    """Last message that people notice: repeats count from here."""
    flapping: bool
    stale: bool
    numbers: str
    """Id of the record whose numbers were shown."""


@dataclass(frozen=True, slots=True)
class View:
    """A group as it is now, for one receiver."""

    opened_at: Instant
    wait_ms: Millis
    """From the opening to the first word."""
    was_muted: bool
    """Whether a mute kept the group silent so far."""
    firing: tuple[str, ...]
    """Keys of the open alerts that are not muted, sorted."""
    open: int
    """Open alerts, muted ones included."""
    voice: VoiceName | None
    """The loudest of those that fire."""
    flapping: bool
    stale: bool
    numbers: str
    takes_notes: bool
    muted_by: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer."""

    reason: Reason
    gate: Gate | None = None
    flips_at: Instant | None = None
    flips_when: str | None = None


SILENT = Verdict(Reason.NONE, Gate.NOTHING_NEW)


def why_notify(told: Told | None, view: View, timing: Timing, now: Instant) -> Verdict:
    """Why the receiver is told now, or what holds it back.

    A resolve is never held: it goes to everybody who was told.
    """
    if told is None:
        return _first(view, now)
    if view.open == 0:
        return Verdict(Reason.FLAP_ENDED if told.flapping else Reason.ALL_RESOLVED)
    if not view.firing or view.voice is None:
        return Verdict(Reason.NONE, Gate.INHIBITED, flips_when=_unmuted_when(view))
    if LOUDNESS[view.voice] > LOUDNESS[told.voice]:
        return Verdict(Reason.ESCALATED)
    if view.takes_notes and (notice := _notice(told, view)) is not None:
        return Verdict(notice)
    if view.voice is not told.voice:
        return Verdict(Reason.CHANGED)
    reason = _newer(told, view)
    due = told.at + timing.group_interval_ms
    if reason is not None and now >= due:
        return Verdict(reason)
    if view.takes_notes and timing.repeat_ms is not None and now >= told.loud_at + timing.repeat_ms:
        return Verdict(Reason.REPEAT)
    if reason is not None:
        return Verdict(Reason.NONE, Gate.GROUP_INTERVAL, flips_at=due)
    flips_at = told.loud_at + timing.repeat_ms if view.takes_notes and timing.repeat_ms is not None else None
    return Verdict(Reason.NONE, Gate.NOTHING_NEW, flips_at=flips_at)


def _unmuted_when(view: View) -> str:
    return f"{view.muted_by} clears" if view.muted_by else "the pause after a mute is over"


def _first(view: View, now: Instant) -> Verdict:
    """To a receiver that knows nothing yet."""
    if view.open == 0:
        return Verdict(Reason.NONE, Gate.TOO_SHORT)
    if not view.firing:
        return Verdict(Reason.NONE, Gate.INHIBITED, flips_when=_unmuted_when(view))
    due = view.opened_at + view.wait_ms
    if now < due:
        return Verdict(Reason.NONE, Gate.GROUP_WAIT, flips_at=due)
    if view.flapping:
        return Verdict(Reason.FLAPPING)
    return Verdict(Reason.INHIBITOR_GONE if view.was_muted else Reason.FIRST)


def _notice(told: Told, view: View) -> Reason | None:
    """What people should notice although nothing became louder."""
    if view.flapping and not told.flapping:
        return Reason.FLAPPING
    if view.stale and not told.stale:
        return Reason.STALE
    if told.stale and not view.stale:
        return Reason.STALE_ENDED
    if told.flapping and not view.flapping:
        return Reason.FLAP_ENDED
    return None


def _newer(told: Told, view: View) -> Reason | None:
    """What an edit would show, at most once per interval."""
    if any(key not in told.firing for key in view.firing):
        return Reason.NEW_ALERTS
    if view.firing != told.firing:
        return Reason.SOME_RESOLVED
    if view.takes_notes and view.numbers != told.numbers:
        return Reason.CHANGED
    return None
