"""msgspec twins of the hot records: the same fields in the same order as the pydantic models, quick to write and read.

The models in ``scores``, ``voices`` and ``partials`` are the contract; here is only how the pipeline itself encodes
and decodes them. Optional fields are left out of the JSON while they are None. Bytes are made by ``codec`` alone.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from .types import Instant, Level, VoiceName
from .voices import ClearReason, VoiceDelta

__all__ = [
    "ContributorWire",
    "CountsWire",
    "GoneWire",
    "MomentWire",
    "OmegasWire",
    "OverWire",
    "PartialContributorWire",
    "PartialWire",
    "PowerTermsWire",
    "ProgressWire",
    "ScoreWire",
    "ThresholdsWire",
    "VoiceMetadataWire",
    "VoiceWire",
    "WorstChildWire",
]

_Unit: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
_Count: TypeAlias = Annotated[int, Meta(ge=0)]
_Dimension: TypeAlias = Annotated[int, Meta(ge=1, le=10)]
_LinkState: TypeAlias = Literal["up", "degraded", "down", "closed", "unknown"]


def _version() -> str:
    """A factory and no plain default: what equals a plain default would be left out of the JSON."""
    return "1.0"


def _none_held() -> tuple[VoiceName, ...]:
    """As above: an empty list is written."""
    return ()


class OmegasWire(Struct, frozen=True, gc=False):
    """Twin of ``scores.Omegas``."""

    pain: _Unit
    chaos: _Unit
    trust: _Unit


class CountsWire(Struct, frozen=True, gc=False):
    """Twin of ``scores.Counts``."""

    events: _Count
    successes: _Count
    failures: _Count
    anomalies: _Count


class ContributorWire(Struct, frozen=True, gc=False):
    """Twin of ``scores.Contributor``."""

    event_id: str
    delta: str
    share: _Unit
    partition: int
    offset: int


class OverWire(Struct, frozen=True, gc=False):
    """Twin of ``scores.Over``."""

    pain: _Count
    chaos: _Count
    distrust: _Count


_Contributors: TypeAlias = Annotated[tuple[ContributorWire, ...], Meta(max_length=5)]


class ScoreWire(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Twin of ``scores.ScoreRecord``."""

    schema_version: str = field(default_factory=_version)
    id: str
    subject: str
    level: Level
    window_start: Instant
    window_end: Instant
    revision: _Count
    pain: _Unit
    chaos: _Unit
    trust: _Unit
    omega: OmegasWire
    dimension: _Dimension
    counts: CountsWire
    link_state: _LinkState | None = None
    contributors: _Contributors
    entropy: Annotated[float, Meta(ge=0)]
    children: int | None = None
    children_over: OverWire | None = None
    worst_child: str | None = None
    experiment_id: str | None = None


class VoiceMetadataWire(Struct, frozen=True, gc=False):
    """Twin of ``voices.VoiceMetadata``."""

    voice_pain: float
    voice_chaos: float
    voice_trust: float
    seam_id: str


class MomentWire(Struct, frozen=True, gc=False):
    """Twin of ``voices.Moment``."""

    window_end: Instant
    pain: float
    chaos: float
    trust: float


class ThresholdsWire(Struct, frozen=True, gc=False):
    """Twin of ``voices.Thresholds``."""

    alarm_pain_above: float
    alarm_clear_pain: float
    concern_trust_below: float
    concern_clear_trust: float
    curiosity_chaos_above: float
    curiosity_clear_chaos: float
    celebration_trust_above: float


class VoiceWire(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Twin of ``voices.VoiceRecord``."""

    schema_version: str = field(default_factory=_version)
    id: str
    delta: VoiceDelta
    dimension: _Dimension
    omega: _Unit
    lambda_: str = field(name="lambda")
    fractal_metadata: VoiceMetadataWire
    subject: str
    level: Level
    voice: VoiceName
    window_start: Instant
    window_end: Instant
    since: Instant
    revision: _Count
    episode_id: str
    previous_episode_id: str | None = None
    previous_voice: VoiceName | None = None
    reason: ClearReason | None = None
    thresholds: ThresholdsWire
    recent: Annotated[tuple[MomentWire, ...], Meta(max_length=20)]
    children: int | None = None
    children_over: OverWire | None = None
    worst_child: str | None = None
    contributors: _Contributors
    also_held: tuple[VoiceName, ...] = field(default_factory=_none_held)
    experiment_id: str | None = None


class PowerTermsWire(Struct, frozen=True, gc=False):
    """Twin of ``partials.PowerTerms``."""

    sum: float = 0.0
    omega_sum: float = 0.0


class PartialContributorWire(Struct, frozen=True, gc=False):
    """Twin of ``partials.PartialContributor``."""

    event_id: str
    delta: str
    partition: int
    offset: int
    mass: float
    omega: float
    time: Instant
    dimension: int


class WorstChildWire(Struct, frozen=True, gc=False):
    """Twin of ``partials.WorstChild``."""

    subject: str
    pain: float
    trust: float


class GoneWire(Struct, frozen=True, gc=False):
    """Twin of ``partials.Gone``."""

    forgotten: int = 0
    recovered: int = 0


_NOBODY_GONE = GoneWire()


class PartialWire(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind", tag="partial"):
    """Twin of ``partials.PartialRecord``. ``kind`` is the tag: ask with isinstance. Defaults are not written."""

    schema_version: str = field(default_factory=_version)
    id: str
    parent: str
    level: Level
    source: int
    window_start: Instant
    window_end: Instant
    revision: int
    early: bool = False
    children: int
    weight: float
    pain: PowerTermsWire
    chaos: PowerTermsWire
    distrust: PowerTermsWire
    over_pain: int = 0
    over_chaos: int = 0
    over_distrust: int = 0
    healthy: int = 0
    worst: WorstChildWire | None = None
    dimension: int = 1
    events: int = 0
    successes: int = 0
    failures: int = 0
    anomalies: int = 0
    contributors: tuple[PartialContributorWire, ...] = ()
    mass: float = 0.0
    anomaly_mass: float = 0.0
    deltas: dict[str, int] = field(default_factory=dict)
    last_success: Instant | None = None
    last_harm: Instant | None = None
    last_anomaly: Instant | None = None
    last_failure: Instant | None = None
    gone_pain: GoneWire = _NOBODY_GONE
    gone_chaos: GoneWire = _NOBODY_GONE
    gone_distrust: GoneWire = _NOBODY_GONE
    live: int | None = None


class ProgressWire(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind", tag="progress"):
    """Twin of ``partials.ProgressRecord``. ``kind`` is the tag: ask with isinstance. Defaults are not written."""

    schema_version: str = field(default_factory=_version)
    id: str
    level: Level
    source: int
    window_end: Instant
    watermark: Instant
    held: bool = False
    live: dict[str, int] = field(default_factory=dict)
