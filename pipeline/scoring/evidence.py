"""What one event weighs: harm, outcome, anomaly, and the link state it proves (semantics.md 3.1, 3.3).

A claim in the event wins over the registry. Masses of Ω are kept as integers of 10⁻¹² so that sums are exact and the
same in any order. Where an event counts (pane, seam, connection) is not decided here.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

from schemas.hot import HotEvent
from schemas.registry import DeltaRow, LinkState, Outcome
from schemas.types import Unit

from .rules import LatencyRules, ScoreRules

__all__ = [
    "PICO",
    "SILENT",
    "UNKNOWN",
    "Link",
    "Weight",
    "harm_of",
    "latency_outcome",
    "latency_severity",
    "mass_of",
    "telling_latency",
    "weigh",
]

SILENT = "agent_silent"
"""The delta that the scorer makes itself, and that is no speech of the connection."""

UNKNOWN = "unknown"
"""The kind of all deltas outside the registry."""

PICO = 1e12
"""Parts of an Ω-mass of 1."""


class Link(IntEnum):
    """A proved link state, in a form that state records hold."""

    UP = 0
    DEGRADED = 1
    DOWN = 2
    CLOSED = 3


_LINKS = {
    LinkState.UP: Link.UP,
    LinkState.DEGRADED: Link.DEGRADED,
    LinkState.DOWN: Link.DOWN,
    LinkState.CLOSED: Link.CLOSED,
}


class Weight(NamedTuple):
    """What an event of this kind, with these claims, is worth. Events of equal content share one."""

    kind: str
    """Delta, or ``unknown``: for caps and for V."""
    harm: Unit
    success: int
    """Ω·share of a success, in 10⁻¹²."""
    failure: int
    """Ω·share of a failure, in 10⁻¹²."""
    succeeded: bool
    failed: bool
    anomaly: bool
    omega: int
    """Ω in 10⁻¹²."""
    link: Link | None
    """The link state it proves; a closed link was closed on purpose."""
    beat: bool
    """A heartbeat of a known kind: of its harms only the largest counts."""
    neutral: bool
    """Outcome neutral, severity 0 and no anomaly: it does not touch its seam."""
    real: bool
    """False for ``agent_silent``."""


def harm_of(severity: Unit, omega: Unit, dimension: int, rules: ScoreRules) -> Unit:
    """How much one event hurts.

    Source: semantics.md 3.3; s .7, Ω 1, D 1 gives .700000, D 2 gives .719410, D 10 gives .835683.
    """
    exponent = 1.0 + rules.dimension_weight * (dimension - 1) / 9.0
    clipped = min(severity, rules.severity_clip)
    return float(omega * (1.0 - (1.0 - clipped) ** exponent))


def latency_severity(latency_ms: float, rules: LatencyRules) -> Unit:
    """The severity of a heartbeat that took so long: 0 up to 500 ms, .30 at 1 s, .50 from 4 s on."""
    if latency_ms <= rules.painless_ms:
        return 0.0
    if latency_ms <= rules.slow_ms:
        done = (latency_ms - rules.painless_ms) / (rules.slow_ms - rules.painless_ms)
        return rules.painless_severity + (rules.slow_severity - rules.painless_severity) * done
    if latency_ms <= rules.frozen_ms:
        done = (latency_ms - rules.slow_ms) / (rules.frozen_ms - rules.slow_ms)
        return rules.slow_severity + (rules.frozen_severity - rules.slow_severity) * done
    return rules.frozen_severity


def latency_outcome(latency_ms: float, rules: LatencyRules) -> tuple[Outcome, Unit]:
    """What the latency of a heartbeat says about reliability, and how much of a success or failure it is."""
    if latency_ms <= rules.prompt_ms:
        return Outcome.SUCCESS, 1.0
    if latency_ms <= rules.painless_ms:
        return Outcome.SUCCESS, rules.half_success
    if latency_ms <= rules.slow_ms:
        return Outcome.FAILURE, rules.quarter_failure
    return Outcome.FAILURE, rules.half_failure


def telling_latency(latency_ms: float, rules: LatencyRules) -> float:
    """A latency that weighs the same, one for many: up to 185 ms, up to 500 ms and from 4 s on all are alike."""
    if latency_ms <= rules.prompt_ms:
        return 0.0
    if latency_ms <= rules.painless_ms:
        return rules.painless_ms
    return min(latency_ms, rules.frozen_ms)


def weigh(event: HotEvent, row: DeltaRow | None, rules: ScoreRules) -> Weight:
    """What this event is evidence of. ``row`` is the registry's, None for an unknown delta."""
    honour = rules.claims == "honour"
    beat = row is not None and row.outcome is Outcome.LATENCY
    severity = _severity(event, row, rules, honour=honour)
    outcome, share, failed_plainly = _outcome(event, row, rules, honour=honour)
    chaotic = honour and event.voice_chaos is not None and event.voice_chaos > rules.anomaly_claim
    anomaly = failed_plainly or chaotic
    mass = round(event.omega * share * PICO)
    return Weight(
        kind=UNKNOWN if row is None else event.delta,
        harm=harm_of(severity, event.omega, event.dimension, rules) if severity > 0.0 else 0.0,
        success=mass if outcome is Outcome.SUCCESS else 0,
        failure=mass if outcome is Outcome.FAILURE else 0,
        succeeded=outcome is Outcome.SUCCESS,
        failed=outcome is Outcome.FAILURE,
        anomaly=anomaly,
        omega=round(event.omega * PICO),
        link=None if row is None or row.state is None else _LINKS[row.state],
        beat=beat,
        neutral=outcome is Outcome.NEUTRAL and severity == 0.0 and not anomaly,
        real=event.delta != SILENT,
    )


def mass_of(harm: Unit) -> float:
    """−ln(1 − h): the form in which harms add up."""
    return -math.log1p(-harm)


def _severity(event: HotEvent, row: DeltaRow | None, rules: ScoreRules, *, honour: bool) -> Unit:
    if honour and event.voice_pain is not None:
        return event.voice_pain if event.voice_pain >= rules.noise_floor else 0.0
    if row is None:
        return 0.0
    if row.outcome is Outcome.LATENCY:
        # The noise floor spares what latency says: it is measured, not a background value.
        return 0.0 if event.latency_ms is None else latency_severity(event.latency_ms, rules.latency)
    return row.severity if row.severity >= rules.noise_floor else 0.0


def _outcome(event: HotEvent, row: DeltaRow | None, rules: ScoreRules, *, honour: bool) -> tuple[Outcome, Unit, bool]:
    """Outcome, how much of it, and whether it is a failure that is also an anomaly."""
    if honour and event.voice_trust is not None:
        if event.voice_trust >= rules.success_claim:
            return Outcome.SUCCESS, 1.0, False
        if event.voice_trust <= rules.failure_claim:
            return Outcome.FAILURE, 1.0, True
        return Outcome.NEUTRAL, 1.0, False
    if row is None:
        return Outcome.NEUTRAL, 1.0, False
    if row.outcome is Outcome.LATENCY:
        if event.latency_ms is None:
            return Outcome.SUCCESS, 1.0, False
        outcome, share = latency_outcome(event.latency_ms, rules.latency)
        return outcome, share, False
    return row.outcome, 1.0, row.outcome is Outcome.FAILURE
