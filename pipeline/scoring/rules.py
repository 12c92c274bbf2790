"""Every number of the scoring rules, with its unit, as frozen values.

Nothing else in this package holds a number of its own. Settings fill these values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from schemas.types import Level, Millis, Unit

__all__ = ["Claims", "Emit", "LatencyRules", "ScoreRules", "VoiceRules"]

Claims: TypeAlias = Literal["honour", "ignore"]
"""Whether an event's own ``voice_pain``, ``voice_chaos``, ``voice_trust`` count."""

Emit: TypeAlias = Literal["changed", "all", "voices"]
"""Which score records of connections are published."""


def _divided(length: Millis, divisor: float) -> Millis:
    return max(1, round(length / divisor))


@dataclass(frozen=True, slots=True)
class VoiceRules:
    """When a voice begins to hold, when it ceases, how long it waits (semantics.md 5)."""

    alarm_pain_above: Unit = 0.7
    alarm_clear_pain: Unit = 0.5
    """Connections: the Alarm ceases at or below."""
    level_alarm_clear_pain: Unit = 0.6
    """Seams and the ecosystem: the Alarm ceases at or below."""
    concern_trust_below: Unit = 0.3
    concern_clear_trust: Unit = 0.45
    curiosity_chaos_above: Unit = 0.5
    curiosity_clear_chaos: Unit = 0.3
    celebration_trust_above: Unit = 0.7
    celebration_share: Unit = 0.95
    """Share of the children of a level that must be well for its Celebration."""
    concern_panes: int = 2
    """Pane ends in a row before the Concern holds."""
    curiosity_panes: int = 2
    curiosity_doubtful_panes: int = 3
    """The same when the Ω of chaos is below ``curiosity_doubt_omega``."""
    curiosity_doubt_omega: Unit = 0.5
    celebration_panes: int = 2
    alarm_wait: Millis = 60_000
    """From the end of one Alarm to the next, unless a voice of lower priority speaks."""
    concern_wait: Millis = 240_000
    curiosity_wait: Millis = 180_000
    celebration_wait: Millis = 300_000
    """From the last word of an Alarm or Concern (and of the last Celebration) to a Celebration."""
    celebration_requires_recovery: bool = True
    """False: every stretch of trust over the threshold is celebrated, once per ``celebration_wait``."""
    recent_panes: int = 20
    """How many panes of scores a voice record carries."""

    def clear_pain(self, level: Level) -> Unit:
        """The pain at or below which an Alarm of this level ceases."""
        return self.alarm_clear_pain if level is Level.CONNECTION else self.level_alarm_clear_pain

    def scaled(self, divisor: float) -> VoiceRules:
        """The same rules on a clock that runs ``divisor`` times as fast."""
        return replace(
            self,
            alarm_wait=_divided(self.alarm_wait, divisor),
            concern_wait=_divided(self.concern_wait, divisor),
            curiosity_wait=_divided(self.curiosity_wait, divisor),
            celebration_wait=_divided(self.celebration_wait, divisor),
        )


@dataclass(frozen=True, slots=True)
class LatencyRules:
    """What the latency of a heartbeat says (semantics.md 3.1). Milliseconds of the network, not of the pane clock."""

    painless_ms: float = 500.0
    """Up to here a heartbeat does no harm."""
    slow_ms: float = 1_000.0
    frozen_ms: float = 4_000.0
    painless_severity: Unit = 0.05
    """Severity just above ``painless_ms``; from here linear to ``slow_severity``."""
    slow_severity: Unit = 0.30
    frozen_severity: Unit = 0.50
    """From ``frozen_ms`` on."""
    prompt_ms: float = 185.0
    """Up to here a full success, up to ``painless_ms`` half a one."""
    half_success: Unit = 0.5
    quarter_failure: Unit = 0.25
    """Up to ``slow_ms``."""
    half_failure: Unit = 0.5


@dataclass(frozen=True, slots=True)
class ScoreRules:
    """How events become scores (semantics.md 3, 4). Lengths of time in milliseconds."""

    pane: Millis = 30_000
    pain_panes: int = 4
    chaos_panes: int = 10
    trust_half_life_panes: int = 6

    noise_floor: Unit = 0.35
    """A severity below counts as none; only what is derived from latency is exempt."""
    severity_clip: Unit = 0.999
    dimension_weight: float = 0.5
    """How much the largest D strengthens harm: the exponent is 1 + weight·(D − 1)/9."""
    harms_kept: int = 3
    """Per pane and delta only the largest count."""
    heartbeat_harms_kept: int = 1
    success_claim: Unit = 0.7
    """A claimed ``voice_trust`` at or above is a success."""
    failure_claim: Unit = 0.3
    """At or below a failure."""
    anomaly_claim: Unit = 0.5
    """A claimed ``voice_chaos`` above adds an anomaly."""
    variety_weight: float = 0.2
    flap_weight: float = 0.1
    prior_weight: float = 4.0
    base_rate: Unit = 0.5
    success_cap: float = 1.0
    """Largest success mass of one pane."""
    failure_cap: float = 4.0
    failure_weight: float = 2.0
    latency: LatencyRules = field(default_factory=LatencyRules)
    claims: Claims = "honour"

    out_of_orderness: Millis = 2_000
    """How far the watermark stays behind the highest event time accepted."""
    grace: Millis = 10_000
    """From a pane's end on the watermark to its last revision."""
    late_horizon: Millis = 300_000
    """An event in order for its own connection is accepted up to this far behind the watermark."""
    idle_timeout: Millis = 10_000
    """A partition without records for so long lets the clock move its watermark."""
    hole: Millis = 90_000
    """A longer gap between append times starts a hold."""
    hold: Millis = 90_000
    """How long, in append time, a hold lasts at most."""
    dedup_horizon: Millis = 3_600_000

    silence_after: Millis = 90_000
    forget_closed_after: Millis = 300_000
    forget_after: Millis = 3_600_000
    touch: Millis = 900_000
    """How long an event that is not neutral keeps its connection a child of the seam."""

    alarm_share: Unit = 0.05
    """A level alarms when this share of its children hurts fully."""
    early_share_pain: Unit = 0.5
    """A connection's pain on a seam crossing this (or the Alarm's threshold) sends the seam's partial at once."""
    coalesce: Millis = 100
    """At most one early partial per seam in this time."""
    revise_every: Millis = 1_000
    """Revised partials of closed panes are sent at most so often, in append time."""
    min_children: int = 1
    seam_weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of a seam in the ecosystem; 1 where not named."""

    emit: Emit = "changed"
    changed_by: Unit = 0.01
    """A score that moved so far since the last record published makes a new record."""
    contributors: int = 5

    max_seams: int = 64
    max_connections: int = 1_000_000
    max_ids: int = 4_096
    """Explicit event ids remembered per connection."""
    max_unknown_fields: int = 64
    max_unknown_deltas: int = 256

    voices: VoiceRules = field(default_factory=VoiceRules)

    @property
    def power(self) -> float:
        """The exponent p of the power mean.

        Source: semantics.md 4; ln(.05)/ln(.7) = 8.40.
        """
        return math.log(self.alarm_share) / math.log(self.voices.alarm_pain_above)

    @property
    def decay(self) -> float:
        """What one pane leaves of trust's masses: 2^(−1/6)."""
        return float(2.0 ** (-1.0 / self.trust_half_life_panes))

    def scaled(self, divisor: float) -> ScoreRules:
        """The same rules on the demo's clock, which runs ``divisor`` times as fast (operations.md 2).

        Durations of meaning are divided; latencies of the network are not; the tolerances of the transport get the
        demo's own values.
        """
        return replace(
            self,
            pane=_divided(self.pane, divisor),
            late_horizon=_divided(self.late_horizon, divisor),
            hole=_divided(self.hole, divisor),
            hold=_divided(self.hold, divisor),
            silence_after=_divided(self.silence_after, divisor),
            forget_closed_after=_divided(self.forget_closed_after, divisor),
            forget_after=_divided(self.forget_after, divisor),
            touch=_divided(self.touch, divisor),
            out_of_orderness=500,
            grace=3_000,
            idle_timeout=2_000,
            revise_every=500,
            voices=self.voices.scaled(divisor),
        )
