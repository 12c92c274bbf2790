"""How long to wait before the next attempt."""

from __future__ import annotations

from schemas.types import Millis

from .dice import Rng
from .options import BackoffOptions

__all__ = ["around", "between", "wait", "width"]


def width(tries: int, options: BackoffOptions, *, collective: bool, loopback: bool) -> Millis:
    """The width of the wait after ``tries`` waits of this outage: a step of the series, the last one for ever."""
    series = options.collective_ms if collective else options.single_ms
    step = series[min(tries, len(series) - 1)]
    return min(step, options.loopback_cap_ms) if loopback and not collective else step


def wait(floor_ms: Millis, width_ms: Millis, rng: Rng) -> Millis:
    """Floor + U(0, width). The floor is added: ``max(floor, …)`` would let many links clump on the floor.

    Shape: the floor is the least wait, or what the server asked for.
    """
    return floor_ms + round(rng.random() * width_ms)


def between(least_ms: Millis, most_ms: Millis, rng: Rng) -> Millis:
    """U(least, most)."""
    return least_ms + round(rng.random() * (most_ms - least_ms))


def around(middle_ms: Millis, spread: float, rng: Rng) -> Millis:
    """The middle, give or take a share of it."""
    return round(middle_ms * (1 + spread * (2 * rng.random() - 1)))
