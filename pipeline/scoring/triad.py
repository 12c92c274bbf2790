"""The three scores of one subject with the Ω of each."""

from __future__ import annotations

from typing import NamedTuple

from schemas.types import Unit

__all__ = ["Child", "Scores"]


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
        pain, chaos, trust = self[:3]
        # Rounding costs as much as the score, and most connections are well.
        return round(pain, 6) if pain else 0.0, round(chaos, 6) if chaos else 0.0, round(trust, 6)


class Child(NamedTuple):
    """A subject as a child of the level above: its scores, with what is asked of them more than once."""

    scores: Scores
    rounded: tuple[Unit, Unit, Unit]
    over: tuple[bool, bool, bool]
    """Whether the rounded scores raise an Alarm, a Curiosity, a Concern: pain, chaos, distrust."""
