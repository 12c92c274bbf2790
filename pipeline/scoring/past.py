"""What a subject's events add up to at the end of one pane: masses that decay, last times, the link state.

A pane later it is this, decayed, plus one pane: so a score costs the same after a day as after a minute. It is
always reached by the same steps, pane by pane, so a state that was stored gives the same numbers to the last bit.
"""

from __future__ import annotations

from typing import Any

from schemas.types import Instant

from .chaos import UNPROVED, LinkPath, walk_links
from .panes import Order, Pane
from .rules import ScoreRules
from .trust import failure_of, success_of

__all__ = ["Past"]


class Past:
    """Sums over all panes up to and with ``number``. Mutable."""

    __slots__ = (
        "anomaly_at",
        "event_at",
        "failure",
        "failure_at",
        "harm_at",
        "number",
        "path",
        "real",
        "real_seam",
        "success",
        "success_at",
        "touched_at",
    )

    def __init__(self, number: int) -> None:
        """Nothing happened up to this pane."""
        self.number = number
        self.success = 0.0
        """Success and failure mass, decayed to the end of the pane."""
        self.failure = 0.0
        self.path: LinkPath = UNPROVED
        self.real: Order | None = None
        self.real_seam = ""
        self.event_at: Instant | None = None
        self.success_at: Instant | None = None
        self.harm_at: Instant | None = None
        self.failure_at: Instant | None = None
        self.anomaly_at: Instant | None = None
        self.touched_at: Instant | None = None

    def copy(self) -> Past:
        """The same again, to go on from."""
        twin = Past(self.number)
        twin.success, twin.failure = self.success, self.failure
        twin.path = self.path
        twin.real, twin.real_seam = self.real, self.real_seam
        twin.event_at, twin.success_at, twin.touched_at = self.event_at, self.success_at, self.touched_at
        twin.harm_at, twin.failure_at, twin.anomaly_at = self.harm_at, self.failure_at, self.anomaly_at
        return twin

    def advance(self, pane: Pane | None, rules: ScoreRules, decay: float) -> None:
        """Go on by one pane; None is an empty one."""
        self.number += 1
        self.success *= decay
        self.failure *= decay
        self.path = walk_links(pane, self.path)
        if pane is None:
            return
        pane.changes = self.path.changes
        if pane.success_mass:
            self.success += success_of(pane, rules)
        if pane.failure_mass:
            self.failure += failure_of(pane, rules)
        real = pane.real
        if real is not None and (self.real is None or real > self.real):
            self.real = real
            self.real_seam = pane.real_seam
        self.event_at = _later(self.event_at, pane.event_at)
        self.success_at = _later(self.success_at, pane.success_at)
        self.touched_at = _later(self.touched_at, pane.touched_at)
        if pane.harm_at is not None:
            self.harm_at = _later(self.harm_at, pane.harm_at)
        if pane.failures or pane.anomalies:
            self.failure_at = _later(self.failure_at, pane.failure_at)
            self.anomaly_at = _later(self.anomaly_at, pane.anomaly_at)

    def dump(self) -> list[Any]:
        """Plain values, for the state record."""
        return [
            self.number,
            self.success,
            self.failure,
            list(self.path),
            self.real,
            self.real_seam,
            self.event_at,
            self.success_at,
            self.harm_at,
            self.failure_at,
            self.anomaly_at,
            self.touched_at,
        ]

    @classmethod
    def load(cls, dumped: list[Any]) -> Past:
        """The inverse of ``dump``."""
        past = cls(dumped[0])
        past.success, past.failure = dumped[1:3]
        past.path = LinkPath(*dumped[3])
        past.real = None if dumped[4] is None else (dumped[4][0], dumped[4][1], dumped[4][2])
        past.real_seam, past.event_at, past.success_at, past.harm_at = dumped[5:9]
        past.failure_at, past.anomaly_at, past.touched_at = dumped[9:12]
        return past


def _later(a: Instant | None, b: Instant | None) -> Instant | None:
    if b is None or (a is not None and a >= b):
        return a
    return b
