"""The panes of one connection, or of one connection on one seam, and the past behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .panes import Pane, dump_pane, load_pane
from .past import Past
from .rules import ScoreRules
from .triad import Scores

__all__ = ["Track"]


class Track:
    """Panes of one connection, or of one connection on one seam, and the past behind them. Mutable."""

    __slots__ = ("base", "change_pane", "harm_pane", "panes", "past", "unrest_pane", "views")

    def __init__(self, first: int) -> None:
        """Nothing before the pane ``first``."""
        self.base = Past(first - 1)
        """The past before the ring."""
        self.past: Past | None = None
        """The past at the pane asked for last; rebuilt from ``base`` when an event changes it."""
        self.panes: list[Pane] = []
        """The ring: panes with content, oldest first."""
        self.harm_pane = first - 1
        """No pane after these has harm, anomalies, changes of the link state: the quick way for quiet connections."""
        self.unrest_pane = first - 1
        self.change_pane = first - 1
        self.views: list[tuple[int, Scores | None]] = []
        """Scores as a child of its seam at the newest two panes; not part of the state."""

    def pane(self, number: int) -> Pane | None:
        """The pane of this number, if anything is in it."""
        for pane in reversed(self.panes):
            if pane.number <= number:
                return pane if pane.number == number else None
        return None

    def open_pane(self, number: int) -> Pane:
        """The pane of this number, to be changed: what was reckoned from it is forgotten."""
        if number <= self.base.number:
            if self.base.event_at is None:
                self.base.number = number - 1
            else:  # Before the ring: no accepted event is so old; if one were, the oldest pane would take it.
                number = self.base.number + 1
        if self.past is not None and number <= self.past.number:
            self.past = None
        if self.views:
            self.views = [view for view in self.views if view[0] < number]
        at = len(self.panes)
        while at > 0 and self.panes[at - 1].number >= number:
            at -= 1
            if self.panes[at].number == number:
                return self.panes[at]
        pane = Pane(number)
        self.panes.insert(at, pane)
        return pane

    def noticed(self, pane: Pane) -> None:
        """Keep the quick way true after a pane has changed."""
        if pane.harms and pane.number > self.harm_pane:
            self.harm_pane = pane.number
        if pane.kinds and pane.number > self.unrest_pane:
            self.unrest_pane = pane.number

    def upto(self, number: int, rules: ScoreRules, decay: float) -> Past:
        """The past at the end of this pane."""
        past = self.past
        if past is None or past.number > number:
            past = self.past = self.base.copy()
        panes = self.panes
        at = 0
        if past.number < number:
            at = len(panes)
            while at > 0 and panes[at - 1].number > past.number:
                at -= 1
        while past.number < number:
            if at < len(panes) and panes[at].number == past.number + 1:
                past.advance(panes[at], rules, decay)
                if panes[at].changes and past.number > self.change_pane:
                    self.change_pane = past.number
                at += 1
            else:
                past.advance(None, rules, decay)
        return past

    def window(self, number: int, length: int) -> Iterator[Pane]:
        """The panes with content among the ``length`` that end with this one, newest first."""
        for pane in reversed(self.panes):
            if pane.number <= number - length:
                return
            if pane.number <= number:
                yield pane

    def trim(self, oldest: int, rules: ScoreRules, decay: float) -> None:
        """Fold panes before ``oldest`` into the past: no score asks for them any more."""
        while self.panes and self.panes[0].number < oldest:
            pane = self.panes[0]
            while self.base.number < pane.number - 1:
                self.base.advance(None, rules, decay)
            self.base.advance(pane, rules, decay)
            del self.panes[0]
        if self.past is not None and self.past.number < self.base.number:
            self.past = None

    def dump(self) -> list[Any]:
        """Plain values, for the state record."""
        return [self.base.dump(), [dump_pane(pane) for pane in self.panes], self.change_pane]

    @classmethod
    def load(cls, dumped: list[Any]) -> Track:
        """The inverse of ``dump``."""
        track = cls(0)
        track.base = Past.load(dumped[0])
        track.panes = [load_pane(pane) for pane in dumped[1]]
        track.change_pane = dumped[2]
        before = track.base.number
        track.harm_pane = max((pane.number for pane in track.panes if pane.harms), default=before)
        track.unrest_pane = max((pane.number for pane in track.panes if pane.kinds), default=before)
        return track
