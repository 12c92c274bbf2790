"""Every topic: what it is called, what is on it, how it is kept. The one place where topics are known.

Names are logical: on a cluster the prefix stands before them (``iskra.events.v1``). Creating and comparing is done by
``iskra topics``, from the values here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from .rejects import MAX_RECORD_BYTES
from .types import Millis

__all__ = [
    "ALERTS",
    "ALL",
    "CONTROL",
    "EVENTS",
    "EVENTS_LATE",
    "EVENTS_REJECTED",
    "INTENTS",
    "META",
    "NOTIFICATIONS",
    "NOTIFICATIONS_DEAD",
    "PARTIALS",
    "ROUTING",
    "SCORES",
    "STATE_DISPATCHER",
    "STATE_INTAKE",
    "STATE_ROLLUP",
    "STATE_ROUTER",
    "STATE_SCORER",
    "VOICES",
    "Cleanup",
    "TimestampType",
    "Topic",
    "by_name",
    "planned",
]

EVENTS: Final = "events.v1"
EVENTS_REJECTED: Final = "events.rejected.v1"
EVENTS_LATE: Final = "events.late.v1"
SCORES: Final = "scores.v1"
VOICES: Final = "voices.v1"
PARTIALS: Final = "partials.v1"
ROUTING: Final = "routing.v1"
ALERTS: Final = "alerts.v1"
INTENTS: Final = "intents.v1"
NOTIFICATIONS: Final = "notifications.v1"
NOTIFICATIONS_DEAD: Final = "notifications.dead.v1"
CONTROL: Final = "control.v1"
META: Final = "meta.v1"
STATE_SCORER: Final = "state.scorer.v1"
STATE_ROLLUP: Final = "state.rollup.v1"
STATE_INTAKE: Final = "state.intake.v1"
STATE_ROUTER: Final = "state.router.v1"
STATE_DISPATCHER: Final = "state.dispatcher.v1"

Cleanup: TypeAlias = Literal["delete", "compact", "compact,delete"]
TimestampType: TypeAlias = Literal["CreateTime", "LogAppendTime"]

_DAY: Final[Millis] = 86_400_000
_COMPACTION_LAG: Final[Millis] = 60_000
"""A worker that was stopped and comes back must find the records it is about to be fenced over."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic and its defaults."""

    name: str
    key: str
    """What the key of a record is, in words."""
    record: str
    """What a record is: the model that describes it, or words."""
    partitions: int
    retention_ms: Millis | None = None
    """None: kept for as long as its key lives."""
    cleanup: Cleanup = "delete"
    timestamp_type: TimestampType = "CreateTime"
    max_message_bytes: int | None = None
    """None: the broker's default."""
    min_compaction_lag_ms: Millis | None = None
    source: str | None = None
    """Of a state topic: the topic whose partitions it follows one to one."""

    def config(self) -> dict[str, str]:
        """The topic's settings as Kafka names them; what is not here is the broker's default."""
        settings = {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": self.timestamp_type,
            "retention.ms": self.retention_ms,
            "max.message.bytes": self.max_message_bytes,
            "min.compaction.lag.ms": self.min_compaction_lag_ms,
        }
        return {name: str(setting) for name, setting in settings.items() if setting is not None}


def _state(name: str, source: str, partitions: int) -> Topic:
    return Topic(
        name,
        key="key of the processor's state, or !meta",
        record="state of one key; the position and the counters under !meta",
        partitions=partitions,
        cleanup="compact",
        min_compaction_lag_ms=_COMPACTION_LAG,
        source=source,
    )


ALL: Final[tuple[Topic, ...]] = (
    Topic(EVENTS, "connection id", "ConnectionEvent", 12, 3 * _DAY, timestamp_type="LogAppendTime"),
    Topic(EVENTS_REJECTED, "as it came", "the value as it came", 12, 14 * _DAY, max_message_bytes=MAX_RECORD_BYTES),
    Topic(EVENTS_LATE, "as it came", "the value as it came", 12, 7 * _DAY, max_message_bytes=MAX_RECORD_BYTES),
    Topic(SCORES, "subject", "ScoreRecord", 12, 7 * _DAY),
    Topic(VOICES, "subject", "VoiceRecord", 12, 30 * _DAY),
    Topic(PARTIALS, "name of the parent, or progress", "PartialRecord or ProgressRecord", 12, _DAY),
    Topic(ROUTING, "subject, or tick", "RoutingRecord", 1, 30 * _DAY, timestamp_type="LogAppendTime"),
    Topic(ALERTS, "subject", "DecisionRecord", 6, 30 * _DAY),
    Topic(INTENTS, "destination", "IntentRecord", 6, 30 * _DAY),
    Topic(NOTIFICATIONS, "notification id", "LedgerRecord", 6, 90 * _DAY, cleanup="compact,delete"),
    Topic(NOTIFICATIONS_DEAD, "notification id", "DeadRecord", 6, 30 * _DAY),
    Topic(CONTROL, "what is controlled", "silences, acknowledgements, activations", 1, cleanup="compact"),
    Topic(META, "worker", "the pipeline's events about itself", 1, 30 * _DAY),
    _state(STATE_SCORER, EVENTS, 12),
    _state(STATE_ROLLUP, PARTIALS, 12),
    _state(STATE_INTAKE, VOICES, 12),
    _state(STATE_ROUTER, ROUTING, 1),
    _state(STATE_DISPATCHER, INTENTS, 6),
)
"""In the order in which an event travels, then the states."""

_BY_NAME: Final = {topic.name: topic for topic in ALL}


def by_name(name: str) -> Topic:
    """The topic of this logical name. Raises KeyError for a name that no topic has."""
    return _BY_NAME[name]


def planned(partitions: int | None) -> tuple[Topic, ...]:
    """All topics, those with more than one partition by default with this number of them; None leaves the defaults."""
    if partitions is None:
        return ALL
    return tuple(replace(topic, partitions=partitions) if topic.partitions > 1 else topic for topic in ALL)
