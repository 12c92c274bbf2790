"""One operator for every level: the power mean, as sums that merge.

M_p(x) = (Σ w·x^p / Σ w)^(1/p). It is monotone in x, lies between mean and maximum and does not care how the children
are spread over workers, because Σ w·x^p, Σ w·x^p·Ω and Σ w add up.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.types import Unit

__all__ = ["EMPTY", "PowerSum", "add", "certainty", "mean", "merge"]


class PowerSum(NamedTuple):
    """The mergeable terms of one power mean."""

    weight: float
    """Σ w."""
    sum: float
    """Σ w·x^p."""
    omega_sum: float
    """Σ w·x^p·Ω."""


EMPTY = PowerSum(0.0, 0.0, 0.0)


def add(total: PowerSum, x: Unit, omega: Unit, *, p: float, weight: float = 1.0) -> PowerSum:
    """The terms with one child more."""
    term = weight * x**p
    return PowerSum(total.weight + weight, total.sum + term, total.omega_sum + term * omega)


def merge(a: PowerSum, b: PowerSum) -> PowerSum:
    """The terms of both shares together."""
    return PowerSum(a.weight + b.weight, a.sum + b.sum, a.omega_sum + b.omega_sum)


def mean(total: PowerSum, p: float) -> Unit:
    """The power mean of the children; 0 without children.

    Source: semantics.md 4: 1 % of the links down gives .58, 10 % gives .76.
    """
    if total.weight <= 0.0 or total.sum <= 0.0:
        return 0.0
    return float(min(1.0, (total.sum / total.weight) ** (1.0 / p)))


def certainty(total: PowerSum) -> Unit:
    """The Ω of a level's score: Σ w·x^p·Ω / Σ w·x^p; 1 where nothing hurts."""
    if total.sum <= 0.0:
        return 1.0
    return min(1.0, total.omega_sum / total.sum)
