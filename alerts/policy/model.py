"""The nouns of the policy: what was heard, routes and receivers, the rules' durations, what to do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from schemas.types import Instant, Level, Millis, Unit, VoiceName

__all__ = [
    "LOUDNESS",
    "SEVERITY",
    "AlertRules",
    "Change",
    "Children",
    "Decide",
    "Effect",
    "Heard",
    "Intend",
    "Judged",
    "Moment",
    "Receiver",
    "Record",
    "Route",
    "Tick",
    "Timing",
    "VoiceFacts",
    "builtin_routes",
]

LOUDNESS: dict[VoiceName, int] = {
    VoiceName.ALARM: 3,
    VoiceName.CONCERN: 2,
    VoiceName.CURIOSITY: 1,
    VoiceName.CELEBRATION: 0,
}
SEVERITY: dict[VoiceName, Literal["critical", "warning", "info"]] = {
    VoiceName.ALARM: "critical",
    VoiceName.CONCERN: "warning",
    VoiceName.CURIOSITY: "info",
    VoiceName.CELEBRATION: "info",
}
"""Severity comes from the voice; omega never changes it."""

_SECOND = 1_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE


@dataclass(frozen=True, slots=True)
class Moment:
    """Scores at one pane's end."""

    window_end: Instant
    pain: Unit
    chaos: Unit
    trust: Unit


@dataclass(frozen=True, slots=True)
class Children:
    """How many children are over each threshold."""

    pain: int
    chaos: int
    distrust: int


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """What the policy and people need of a voice record; names as in ``VoiceExcerpt``."""

    id: str
    delta: str
    subject: str
    level: Level
    voice: VoiceName
    seam_id: str
    dimension: int
    omega: Unit
    lambda_: str
    pain: Unit
    chaos: Unit
    trust: Unit
    threshold: Unit
    window_end: Instant
    since: Instant
    episode_id: str
    reason: str | None = None
    recent: tuple[Moment, ...] = ()
    children: int | None = None
    children_over: Children | None = None
    worst_child: str | None = None
    experiment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """A voice record of the routing log."""

    voice: VoiceFacts


@dataclass(frozen=True, slots=True)
class Tick:
    """A second of the routing log."""


Record: TypeAlias = Heard | Tick


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody who is told, as the policy sees it."""

    name: str
    kind: Literal["slack", "pagerduty", "console"]
    destination: str
    """Key of the intents: one owner per destination."""

    @property
    def takes_notes(self) -> bool:
        """Whether repeats, notices and new numbers reach it. A trigger on an open PagerDuty key does not page."""
        return self.kind != "pagerduty"


@dataclass(frozen=True, slots=True)
class Route:
    """Which voices go to whom, and how they are put together."""

    name: str
    voices: tuple[VoiceName, ...]
    receivers: tuple[Receiver, ...]
    group_by: tuple[Literal["seam_id"], ...] = ("seam_id",)
    joins: bool = True
    """Whether alerts of other subjects may join later than ``AlertRules.join_window_ms`` after the opening."""


def builtin_routes(receivers: tuple[Receiver, ...]) -> tuple[Route, ...]:
    """The routes that need no routing file: Alarms page, everything is talked about.

    Source: alerts.md 5, the tree of `iskra init`. A page ends with its Alarm even when a Concern goes on.
    """
    pagers = tuple(receiver for receiver in receivers if receiver.kind == "pagerduty")
    talkers = tuple(receiver for receiver in receivers if receiver.kind != "pagerduty")
    told = (VoiceName.ALARM, VoiceName.CONCERN, VoiceName.CURIOSITY)
    routes = (
        Route(name="page", voices=(VoiceName.ALARM,), receivers=pagers, joins=False),
        Route(name="talk", voices=told, receivers=talkers),
    )
    return tuple(route for route in routes if route.receivers)


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast a voice speaks to people."""

    group_wait_ms: Millis
    group_interval_ms: Millis
    repeat_ms: Millis | None


@dataclass(frozen=True, slots=True)
class AlertRules:
    """Every duration of the policy. Vendor limits stand with the buckets and notifiers: no clock changes those."""

    levels: tuple[Level, ...] = (Level.SEAM, Level.ECOSYSTEM, Level.PIPELINE)
    """What may reach people at all."""
    alarm: Timing = Timing(0, _MINUTE, 4 * _HOUR)
    concern: Timing = Timing(30 * _SECOND, 5 * _MINUTE, 12 * _HOUR)
    curiosity: Timing = Timing(15 * _MINUTE, 15 * _MINUTE, None)
    connection_wait_ms: Millis = 10 * _SECOND
    """A connection waits at least this long: its seam may be about to speak."""
    ecosystem_wait_ms: Millis = 3 * _SECOND
    """The ecosystem waits at least this long: the seam that mutes it travels by another partition. Work, not
    meaning: not divided on the demo clock."""
    join_window_ms: Millis = _MINUTE
    stale_after_ticks: int = 120
    flap_raises: int = 4
    flap_window_ms: Millis = 30 * _MINUTE
    keep_resolved_ms: Millis = 60 * _MINUTE
    """So that a Celebration finds its message."""

    def timing(self, voice: VoiceName) -> Timing:
        """The timing of a voice that holds."""
        if voice is VoiceName.ALARM:
            return self.alarm
        return self.concern if voice is VoiceName.CONCERN else self.curiosity

    def scaled(self, divisor: int) -> AlertRules:
        """The same rules on a clock that many times faster, as the demo's.

        Units: ticks stay ticks, one a second, so fewer of them make an alert stale (at least 10).
        """

        def faster(timing: Timing) -> Timing:
            repeat = None if timing.repeat_ms is None else timing.repeat_ms // divisor
            return Timing(timing.group_wait_ms // divisor, timing.group_interval_ms // divisor, repeat)

        return replace(
            self,
            alarm=faster(self.alarm),
            concern=faster(self.concern),
            curiosity=faster(self.curiosity),
            connection_wait_ms=self.connection_wait_ms // divisor,
            join_window_ms=self.join_window_ms // divisor,
            stale_after_ticks=max(10, self.stale_after_ticks // divisor),
            flap_window_ms=self.flap_window_ms // divisor,
            keep_resolved_ms=max(_MINUTE, self.keep_resolved_ms // divisor),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One alert from one state to the next; names as in ``schemas.decisions.Transition``."""

    subject: str
    voice: VoiceName
    before: str
    after: str
    cause: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided for one receiver; names as in ``schemas.decisions.Verdict``."""

    route: str
    receiver: str
    group_episode: str
    why_notify: str
    gate: str | None = None
    notification_ids: tuple[str, ...] = ()
    flips_at: Instant | None = None
    flips_when: str | None = None


@dataclass(frozen=True, slots=True)
class Decide:
    """Effect: a decision to record."""

    subject: str
    level: Level
    voice: VoiceName
    trigger: str
    gate: str | None = None
    transitions: tuple[Change, ...] = ()
    verdicts: tuple[Judged, ...] = ()
    episode_id: str | None = None
    experiment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Intend:
    """Effect: something to tell; names as in ``schemas.intents.IntentRecord``."""

    notification_id: str
    destination: str
    kind: Literal["slack", "pagerduty", "console"]
    action: Literal["open", "update", "note", "resolve", "good", "odd"]
    why: str
    route: str
    group_episode: str
    dedup_key: str
    sequence: int
    severity: Literal["critical", "warning", "info"]
    created: Instant
    voice: VoiceFacts
    told_voice: VoiceName | None
    since: Instant
    duration: Millis | None
    peak_pain: Unit
    firing: int
    muted: int
    subjects: tuple[str, ...] = field(default=())
    flapping: bool = False
    stale: bool = False


Effect: TypeAlias = Decide | Intend
