"""The voice record: what a subject says, itself readable as a ∆DΩΛ event."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .scores import Contributor, Over
from .types import Instant, Level, VoiceName

__all__ = ["ClearReason", "Moment", "Thresholds", "VoiceDelta", "VoiceMetadata", "VoiceRecord"]

VoiceDelta = Literal["voice_raised", "voice_changed", "voice_cleared", "voice_celebrated", "voice_held"]
ClearReason = Literal["recovered", "faded", "revised", "forgotten"]


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class VoiceMetadata(_Open):
    """The scores that speak, under the names of an event's own claims."""

    voice_pain: float
    voice_chaos: float
    voice_trust: float
    seam_id: str
    """Seam concerned: a connection's loudest seam, a seam itself, ``ecosystem`` above."""


class Moment(_Open):
    """Scores at one pane's end, for the chart."""

    window_end: Instant
    pain: float
    chaos: float
    trust: float


class Thresholds(_Open):
    """The raise and clear levels that applied."""

    alarm_pain_above: float
    alarm_clear_pain: float
    concern_trust_below: float
    concern_clear_trust: float
    curiosity_chaos_above: float
    curiosity_clear_chaos: float
    celebration_trust_above: float


class VoiceRecord(_Open):
    """A record of ``iskra.voices.v1``; key = subject."""

    schema_version: str = "1.0"
    id: str
    delta: VoiceDelta
    dimension: int = Field(ge=1, le=10)
    omega: float = Field(ge=0, le=1)
    lambda_: str = Field(alias="lambda")
    fractal_metadata: VoiceMetadata
    subject: str
    level: Level
    voice: VoiceName
    window_start: Instant
    window_end: Instant
    since: Instant
    """Pane end at which this voice began to hold."""
    revision: int = Field(ge=0)
    episode_id: str
    previous_episode_id: str | None = None
    """Of the voice that spoke before, on ``voice_changed``."""
    previous_voice: VoiceName | None = None
    reason: ClearReason | None = None
    """On ``voice_cleared``."""
    thresholds: Thresholds
    recent: list[Moment] = Field(max_length=20)
    children: int | None = None
    children_over: Over | None = None
    worst_child: str | None = None
    contributors: list[Contributor] = Field(max_length=5)
    also_held: list[VoiceName] = Field(default_factory=list)
    experiment_id: str | None = None
