"""Trust, earned reliability: the expected value of a Beta reputation that forgets (semantics.md 3.5)."""

from __future__ import annotations

from schemas.types import Unit

from .evidence import PICO
from .panes import Pane
from .rules import ScoreRules

__all__ = ["certainty_of", "failure_of", "success_of", "trust_of"]


def success_of(pane: Pane, rules: ScoreRules) -> float:
    """The success mass of one pane: min(1, Σ Ω·share)."""
    return min(rules.success_cap, pane.success_mass / PICO)


def failure_of(pane: Pane, rules: ScoreRules) -> float:
    """The failure mass of one pane: min(4, 2·Σ Ω·share); failures count twice."""
    return min(rules.failure_cap, rules.failure_weight * pane.failure_mass / PICO)


def trust_of(success: float, failure: float, rules: ScoreRules) -> Unit:
    """(r + ½·W) / (r + f + W).

    Source: semantics.md 3.5; r .9, f 0 gives .591837. From a fresh state no single event crosses .3 or .7.
    """
    weight = rules.prior_weight
    return (success + rules.base_rate * weight) / (success + failure + weight)


def certainty_of(success: float, failure: float, rules: ScoreRules) -> Unit:
    """The Ω of trust: 1 − u with u = W / (r + f + W)."""
    return 1.0 - rules.prior_weight / (success + failure + rules.prior_weight)
