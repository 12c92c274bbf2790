"""The panes of one connection, or of one connection on one seam, and the past behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from .panes import Pane, dump_pane, encode_pane, load_pane
from .past import Past
from .rules import ScoreRules
from .triad import Child, Scores
from .watermark import NEVER

__all__ = ["Track"]

_VIEWS_KEPT: Final = 2


def _number_of(view: tuple[int, Child | None]) -> int:
    return view[0]


class Track:
    """Panes of one connection, or of one connection on one seam, and the past behind them. Mutable."""

    __slots__ = (
        "base",
        "change_pane",
        "child",
        "deltas",
        "harm_pane",
        "panes",
        "past",
        "reckoned",
        "scored",
        "unrest_pane",
        "views",
    )

    def __init__(self, first: int) -> None:
        """Nothing before the pane ``first``."""
        self.base = Past(first - 1)
        """The past before the ring."""
        self.past: Past | None = None
        """The past at the pane asked for last; rebuilt from ``base`` when an event changes it."""
        self.panes: list[Pane] = []
        """The ring: panes with content, oldest first."""
        self.harm_pane = NEVER
        """No pane after these has harm, anomalies, changes of the link state: the quick way for quiet connections."""
        self.unrest_pane = NEVER
        self.change_pane = NEVER
        self.reckoned = first - 1
        """No pane after this was ever asked for, so nothing reckoned from later ones is remembered."""
        self.scored: tuple[int, Scores] | None = None
        """The scores asked for last and their pane; not part of the state, like all that follows."""
        self.deltas: tuple[int, dict[str, int]] | None = None
        """Events of the chaos window by delta, for the pane asked for last."""
        self.child: int | None = None
        """The newest pane of which it is known that the connection was a child of the seam."""
        self.views: list[tuple[int, Child | None]] = []
        """Scores as a child of its seam at the newest two panes."""

    def pane(self, number: int) -> Pane | None:
        """The pane of this number, if anything is in it."""
        panes = self.panes
        if not panes or panes[-1].number < number:
            return None
        # Where every pane has content, its place is known.
        at = number - panes[0].number
        if 0 <= at < len(panes) and panes[at].number == number:
            return panes[at]
        for pane in reversed(panes):
            if pane.number <= number:
                return pane if pane.number == number else None
        return None

    def open_pane(self, number: int) -> Pane:
        """The pane of this number, to be changed: what was reckoned from it is forgotten."""
        panes = self.panes
        if number > self.reckoned and panes and panes[-1].number == number:
            return panes[-1]
        if number <= self.base.number:
            if self.base.event_at is None:
                self.base.number = number - 1
            else:  # Before the ring: no accepted event is so old; if one were, the oldest pane would take it.
                number = self.base.number + 1
        if self.past is not None and number <= self.past.number:
            self.past = None
        if self.scored is not None and number <= self.scored[0]:
            self.scored = None
        if self.deltas is not None and number <= self.deltas[0]:
            self.deltas = None
        if self.views:
            self.views = [view for view in self.views if view[0] < number]
        at = len(panes)
        while at > 0 and panes[at - 1].number >= number:
            at -= 1
            if panes[at].number == number:
                return panes[at]
        pane = Pane(number)
        panes.insert(at, pane)
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
        if past.number == number:
            return past
        if number > self.reckoned:  # noqa: PLR1730 - hot path: max() costs four times as much
            self.reckoned = number
        panes = self.panes
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

    def remember_view(self, number: int, child: Child | None) -> None:
        """Keep what the connection is to its seam in this pane; the newest two are kept."""
        if number > self.reckoned:  # noqa: PLR1730 - as above
            self.reckoned = number
        if child is not None and (self.child is None or number > self.child):
            self.child = number
        views = self.views
        views.append((number, child))
        if len(views) > 1 and views[-2][0] > number:
            views.sort(key=_number_of)
        if len(views) > _VIEWS_KEPT:
            del views[0]

    def remember_deltas(self, number: int, deltas: dict[str, int]) -> None:
        """Keep the chaos window's events of this pane, until one of its panes changes."""
        self.reckoned = max(self.reckoned, number)
        self.deltas = (number, deltas)

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
        """Plain values, for the state record; panes as they were encoded."""
        return [self.base.dump(), [msgspec.Raw(encode_pane(pane)) for pane in self.panes], self.change_pane]

    def copy(self) -> Track:
        """The same again, with panes of its own."""
        return Track.load([self.base.dump(), [dump_pane(pane) for pane in self.panes], self.change_pane])

    def after(self, number: int) -> Track | None:
        """The panes after this one, with nothing behind them; None if there are none."""
        panes = [pane for pane in self.panes if pane.number > number]
        if not panes:
            return None
        track = Track(panes[0].number)
        track.panes = panes
        for pane in panes:
            track.noticed(pane)
        return track

    @classmethod
    def load(cls, dumped: list[Any]) -> Track:
        """The inverse of ``dump``, decoded."""
        track = cls(dumped[0][0] + 1)
        track.base = Past.load(dumped[0])
        track.panes = [load_pane(pane) for pane in dumped[1]]
        track.change_pane = dumped[2]
        for pane in track.panes:
            track.noticed(pane)
        return track
