"""The three scores of one subject with the Ω of each."""

from __future__ import annotations

from typing import NamedTuple

from schemas.types import Unit

__all__ = ["Scores"]


class Scores(NamedTuple):
    """Not rounded."""

    pain: Unit
    chaos: Unit
    trust: Unit
    pain_omega: Unit
    chaos_omega: Unit
    trust_omega: Unit

    def rounded(self) -> tuple[Unit, Unit, Unit]:
        """Pain, chaos and trust as they are compared and published."""
        return round(self.pain, 6), round(self.chaos, 6), round(self.trust, 6)
