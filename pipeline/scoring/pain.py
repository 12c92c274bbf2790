"""Pain, acute harm: the chance that at least one of the recent harms hurts (noisy-OR, semantics.md 3.3)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from schemas.types import Unit

from .evidence import mass_of
from .panes import Grain, Pane
from .rules import ScoreRules

__all__ = ["counting_harms", "pain_of", "pain_omega"]


def counting_harms(panes: Iterable[Pane], rules: ScoreRules) -> list[Grain]:
    """The harms that count: per pane and kind the largest few."""
    kept = rules.harms_kept
    return [grain for pane in panes if pane.harms for grains in pane.harms.values() for grain in grains[:kept]]


def pain_of(harms: Iterable[Grain]) -> Unit:
    """1 − Π (1 − h).

    Source: semantics.md 3.3; two harms of .36 each give .590400.
    """
    return -math.expm1(-math.fsum(mass_of(grain.weight) for grain in harms))


def pain_omega(harms: Iterable[Grain]) -> Unit:
    """Mean Ω of the harms, weighted by harm; 1 without any."""
    listed = list(harms)
    total = math.fsum(grain.weight for grain in listed)
    return math.fsum(grain.weight * grain.omega for grain in listed) / total if total > 0.0 else 1.0
