"""The intent record: one thing to tell one destination, with every fact needed to say it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .scores import Over
from .types import Instant, Level, Millis, VoiceName
from .voices import Moment

__all__ = ["Action", "IntentRecord", "ReceiverKind", "Severity", "VoiceExcerpt", "parse_intent"]

Action = Literal["open", "update", "note", "resolve", "good", "odd"]
ReceiverKind = Literal["slack", "pagerduty", "console"]
Severity = Literal["critical", "warning", "info"]


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class VoiceExcerpt(_Open):
    """What of a voice record people are shown."""

    id: str
    delta: str
    subject: str
    level: Level
    voice: VoiceName
    seam_id: str
    dimension: int
    omega: float
    lambda_: str
    pain: float
    chaos: float
    trust: float
    threshold: float
    """The raise level of the voice that speaks: pain above, trust below, chaos above."""
    window_end: Instant
    since: Instant
    episode_id: str
    reason: str | None = None
    recent: list[Moment] = Field(default_factory=list, max_length=20)
    children: int | None = None
    children_over: Over | None = None
    worst_child: str | None = None


class IntentRecord(_Open):
    """A record of ``iskra.intents.v1``; key = destination. Holds no secret."""

    schema_version: str = "1.0"
    notification_id: str
    destination: str
    """``slack:<workspace>/<channel>``, ``pagerduty:<key alias>``, ``console:<name>``."""
    kind: ReceiverKind
    action: Action
    why: str
    """The reason of ``why_notify``."""
    route: str
    group_episode: str
    dedup_key: str
    sequence: int = Field(ge=1)
    """Rises per group episode and receiver."""
    severity: Severity
    """From the voice, never from omega."""
    created: Instant
    """The router's clock: append time of the record that was decided on."""
    voice: VoiceExcerpt
    """Of the loudest alert; of a resolve, the last that ended."""
    told_voice: VoiceName | None = None
    """What this receiver was last told."""
    since: Instant
    """When the trouble began: the earliest ``since`` of the group."""
    duration: Millis | None = None
    """Of a resolve and a celebration: how long it lasted."""
    peak_pain: float
    firing: int = Field(ge=0)
    """Alerts of the group that fire now."""
    muted: int = Field(ge=0)
    """Alerts of the group that fire and are held back."""
    subjects: list[str] = Field(default_factory=list, max_length=10)
    """Of the alerts that fire, the first ten by name."""
    flapping: bool = False
    stale: bool = False


def parse_intent(value: bytes | None) -> IntentRecord | None:
    """The record, or None for bytes that are none (counted, never raised)."""
    try:
        return IntentRecord.model_validate_json(value or b"")
    except ValidationError:
        return None
