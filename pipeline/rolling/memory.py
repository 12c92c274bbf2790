"""All that one roll-up remembers, which of it changed, and what nobody can ask for any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pipeline.runtime.contract import StateRecord
from pipeline.scoring.rules import ScoreRules
from schemas.types import Instant, Level

from .parents import Parent
from .sources import Patience, Sources
from .state import (
    FORMAT,
    Forwarded,
    Levels,
    Place,
    dump_forwarded,
    dump_levels,
    dump_parent,
    dump_share,
    dump_source,
    dump_told,
    load_forwarded,
    load_levels,
    load_parent,
    load_share,
    load_source,
    load_told,
    place_of,
    to_key,
)

__all__ = ["PANES_KEPT_AT_MOST", "Memory"]

PANES_KEPT_AT_MOST: Final = 120
"""Behind the newest final pane, for the sake of a source that lags; an hour of panes of 30 s."""


class Memory:
    """The state of one processor. Who changes something says so with :meth:`touch`."""

    def __init__(self, scorers: int, rollups: int, rules: ScoreRules) -> None:
        # A source tells its progress once per pane, an idle one up to an idle timeout later than a busy one.
        patience = Patience(
            silent_after=rules.pane + 3 * rules.idle_timeout,
            blocked_after=2 * rules.idle_timeout,
            mute_after=rules.hold,
        )
        self.sources = {Level.SEAM: Sources(scorers, patience), Level.ECOSYSTEM: Sources(rollups, patience)}
        """Of the parents of each level."""
        self.parents: dict[str, Parent] = {}
        """By subject."""
        self.forwarded: dict[str, dict[Instant, Forwarded]] = {}
        """By ecosystem and pane end."""
        self.forwarded_early: dict[str, dict[Instant, int]] = {}
        """By ecosystem and the end of the open pane: how many shares were sent early in it."""
        self._rules = rules
        self._changed: dict[Place, None] = {}
        self._is_marked = False
        """Whether the record with the format is written."""

    def of(self, level: Level) -> list[Parent]:
        """The parents of a level, in the order of their names."""
        return [parent for _, parent in sorted(self.parents.items()) if parent.level is level]

    def parent(self, subject: str) -> Parent:
        """This parent, new if need be."""
        return self.parents.setdefault(subject, Parent.of(subject))

    def touch(self, *place: str) -> None:
        """What is at this place goes into the next snapshot."""
        self._changed[place] = None

    def floor(self, sources: Sources) -> Instant:
        """End of the oldest pane that can still be revised."""
        pane, final = self._rules.pane, sources.final
        if final is None:
            return 0
        # A saved event is up to late_horizon old and moves every pane from its own on.
        wanted = final - self._rules.late_horizon - 2 * pane
        slowest = sources.slowest()
        floor = min(wanted, slowest) if slowest is not None else 0
        return max(floor, final - PANES_KEPT_AT_MOST * pane)

    def prune(self, level: Level, final: Instant) -> None:
        """Forget panes that nothing can revise, and parents of which nothing is left."""
        sources, rules = self.sources[level], self._rules
        floor, kept = self.floor(sources), sources.last_panes()
        shown = min(floor, final - rules.voices.recent_panes * rules.pane)
        for number in sources.forget_before(floor):
            self.touch("source", level.value, str(number))
        for parent in self.of(level):
            for end in [e for e in parent.shares if e < floor and e not in kept]:
                for source in parent.shares.pop(end):
                    self.touch("share", parent.subject, str(end), str(source))
            for end in [e for e in parent.told if e < shown]:
                del parent.told[end]
                self.touch("told", parent.subject, str(end))
            if parent.is_forgotten(final, rules.forget_after):
                del self.parents[parent.subject]
                self.touch("voice", parent.subject)
        if level is Level.SEAM:
            self._prune_forwarded(floor, final)

    def snapshot(self) -> Iterable[StateRecord]:
        """What changed since the last snapshot."""
        if self._changed and not self._is_marked:
            self.touch("levels")
            self._is_marked = True
        changed, self._changed = self._changed, {}
        return [StateRecord(to_key(place), self._value_at(place)) for place in changed]

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        """Take a state. Errors: ValueError when it is not of this format, pane length and partition counts."""
        for key, value in snapshot:
            if value is not None:
                self._restore_one(place_of(key), value)

    def _prune_forwarded(self, floor: Instant, final: Instant) -> None:
        for subject, sent in list(self.forwarded.items()):
            for end in [e for e in sent if e < floor]:
                del sent[end]
                self.touch("forwarded", subject, str(end))
            if not sent:
                del self.forwarded[subject]
        for subject, counts in list(self.forwarded_early.items()):
            for end in [e for e in counts if e <= final]:
                del counts[end]
                self.touch("forwarded_early", subject, str(end))
            if not counts:
                del self.forwarded_early[subject]

    def _value_at(self, place: Place) -> bytes | None:
        """The value of a state key now; None when there is nothing any more."""
        kind, *rest = place
        if kind == "levels":
            final = {level: sources.final for level, sources in self.sources.items()}
            return dump_levels(Levels(FORMAT, self._rules.pane, final[Level.SEAM], final[Level.ECOSYSTEM]))
        if kind == "source":
            return dump_source(self.sources[Level(rest[0])].all[int(rest[1])])
        if kind == "forwarded":
            forwarded = self.forwarded.get(rest[0], {}).get(int(rest[1]))
            return dump_forwarded(forwarded) if forwarded else None
        if kind == "forwarded_early":
            count = self.forwarded_early.get(rest[0], {}).get(int(rest[1]))
            return dump_forwarded(Forwarded(count, "")) if count else None
        parent = self.parents.get(rest[0])
        return None if parent is None else _value_of(parent, kind, [int(part) for part in rest[1:]])

    def _restore_one(self, place: Place, value: bytes) -> None:
        kind, *rest = place
        loaders: dict[str, Callable[[Sequence[str], bytes], None]] = {
            "levels": self._restore_levels,
            "source": self._restore_source,
            "forwarded": self._restore_forwarded,
            "forwarded_early": self._restore_forwarded_early,
        }
        if kind in loaders:
            loaders[kind](rest, value)
        else:
            _restore_parent(self.parent(rest[0]), kind, [int(part) for part in rest[1:]], value)

    def _restore_levels(self, _: Sequence[str], value: bytes) -> None:
        levels = load_levels(value)
        if levels.pane != self._rules.pane:
            message = (
                f"state of the roll-up was made with panes of {levels.pane} ms, the rules say {self._rules.pane} ms: "
                "`iskra state rebuild`"
            )
            raise ValueError(message)
        self.sources[Level.SEAM].final = levels.seam
        self.sources[Level.ECOSYSTEM].final = levels.ecosystem
        self._is_marked = True

    def _restore_source(self, where: Sequence[str], value: bytes) -> None:
        sources, number = self.sources[Level(where[0])], int(where[1])
        if number not in sources:
            message = f"state of the roll-up knows source {number} of level {where[0]}, there are {len(sources.all)}"
            raise ValueError(message)
        sources.all[number] = load_source(value)

    def _restore_forwarded(self, where: Sequence[str], value: bytes) -> None:
        self.forwarded.setdefault(where[0], {})[int(where[1])] = load_forwarded(value)

    def _restore_forwarded_early(self, where: Sequence[str], value: bytes) -> None:
        self.forwarded_early.setdefault(where[0], {})[int(where[1])] = load_forwarded(value).revision


def _value_of(parent: Parent, kind: str, where: Sequence[int]) -> bytes | None:
    if kind == "share":
        share = parent.share(where[0], where[1])
        return dump_share(share) if share else None
    if kind == "early":
        early = parent.early.get(where[0], {}).get(where[1])
        return dump_share(early) if early else None
    if kind == "told":
        told = parent.told.get(where[0])
        return dump_told(told) if told else None
    return dump_parent(parent)


def _restore_parent(parent: Parent, kind: str, where: Sequence[int], value: bytes) -> None:
    if kind == "share":
        parent.shares.setdefault(where[0], {})[where[1]] = load_share(value)
    elif kind == "early":
        parent.early.setdefault(where[0], {})[where[1]] = load_share(value)
    elif kind == "told":
        parent.told[where[0]] = load_told(value)
    elif kind == "voice":
        load_parent(value, parent)
    else:
        message = f"state of the roll-up has a record {kind!r} that format {FORMAT} does not know"
        raise ValueError(message)
