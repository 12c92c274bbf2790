"""Randomness as an argument: what the machines need of a random number generator."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Rng"]


class Rng(Protocol):
    """``random.Random`` fits."""

    def random(self) -> float:
        """The next number in [0, 1)."""
