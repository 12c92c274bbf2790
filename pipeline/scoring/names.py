"""Names that senders choose, bounded: seams get places, unknown deltas and fields are counted up to a cap."""

from __future__ import annotations

from collections.abc import Iterable

from .evidence import UNKNOWN
from .rules import ScoreRules

__all__ = ["OTHER_SEAM", "BoundedNames", "SeamPlaces"]

OTHER_SEAM = "other"
"""Where the surplus goes."""


class SeamPlaces:
    """Which seams are told apart: those of the registry and the configured ones always, others by first come."""

    def __init__(self, named: Iterable[str], rules: ScoreRules) -> None:
        """``named``: the seams of the registry."""
        self._named = {*named, *rules.seam_weights} - {OTHER_SEAM}
        self._most = rules.max_seams
        self.taken: list[str] = []
        """Seams that came, in order. Part of the state."""
        self.surplus = 0
        """Events that were counted under ``other``."""

    def place(self, seam: str) -> str:
        """The seam under which an event counts."""
        if seam in self._named or seam in self.taken or seam == OTHER_SEAM:
            return seam
        if len(self._named) + len(self.taken) < self._most:
            self.taken.append(seam)
            return seam
        self.surplus += 1
        return OTHER_SEAM


class BoundedNames:
    """A set of names that stops growing."""

    def __init__(self, most: int) -> None:
        """At most so many names."""
        self._most = most
        self.known: set[str] = set()
        self.surplus = 0
        """How often a name found no place."""

    def name(self, name: str) -> str:
        """The name under which it counts; ``unknown`` when there is no place for it."""
        if name in self.known:
            return name
        if len(self.known) < self._most:
            self.known.add(name)
            return name
        self.surplus += 1
        return UNKNOWN
