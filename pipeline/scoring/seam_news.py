"""What one partition tells the roll-up of its seams: shares of closed panes, revised and early ones, and how far it is.

Collects records in the order in which they are to be written; the scorer takes them out after every step. Revised
shares wait until ``revise_every`` of append time has passed, early ones until ``coalesce`` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from schemas.ids import record_id
from schemas.registry import DeltaRegistry, Population
from schemas.types import Instant, Level
from schemas.wire import PartialWire, ProgressWire

from .connection import ConnectionState
from .rules import ScoreRules
from .shares import child_at, early_share, part_of, share_of, sum_up, touched_after
from .sums import Part, Place, SeamPane
from .watermark import NEVER, PartitionTime

__all__ = ["SeamKey", "SeamNews", "SeamWord"]

SeamKey: TypeAlias = tuple[str, str]
"""Key space (``""`` is production, else the experiment) and seam."""


class SeamWord(NamedTuple):
    """One record for the roll-up."""

    key: SeamKey | None
    """None: progress, for every partition of the roll-up."""
    record: PartialWire | ProgressWire


class SeamNews:
    """The seams of one partition. Mutable; part of the scorer's state."""

    def __init__(
        self,
        partition: int,
        rules: ScoreRules,
        registry: DeltaRegistry,
        time: PartitionTime,
        states: Mapping[str, ConnectionState],
    ) -> None:
        """``time`` and ``states`` are the scorer's own, read here and never changed."""
        self._partition = partition
        self._rules = rules
        self._registry = registry
        self._time = time
        self._states = states
        self._decay, self._power = rules.decay, rules.power
        self.deepest = -(-max(rules.late_horizon, rules.pane + rules.grace) // rules.pane)
        """How many panes back an accepted event may revise."""
        self._members: dict[SeamKey, dict[str, ConnectionState]] = {}
        """Connections by the seams they have a track of. Follows from the states."""
        self._live: dict[int, dict[str, int]] = {}
        """Known, unclosed connections by key space at the ends of the panes that may still be revised."""
        self._shares: dict[SeamKey, dict[int, list[int]]] = {}
        """Revision and number of children of the shares sent, by pane."""
        self._sums: dict[SeamKey, dict[int, SeamPane]] = {}
        """What the members add up to at the ends of the panes that may still be revised."""
        self._changed: set[tuple[SeamKey, int]] = set()
        """Sums that changed since the last snapshot."""
        self._candidates: dict[SeamKey, set[str]] = {}
        """Who may hurt or be new in the open panes: nobody else can change an early share. Not part of the state."""
        self._progress: dict[int, int] = {}
        """How often progress was told of a pane again."""
        self._dirty: set[tuple[str, str, int]] = set()
        """Shares of closed panes to send again."""
        self._dirty_live: set[int] = set()
        """Panes whose living are to be told again."""
        self._revise_at: Instant | None = None
        self._early: dict[SeamKey, set[int]] = {}
        """Open panes of which a seam's early share waits to be sent."""
        self._early_sent: dict[SeamKey, Instant] = {}
        self._early_count: dict[tuple[str, str, int], int] = {}
        self.words: list[SeamWord] = []
        """What is to be written, in this order."""

    def take(self) -> Sequence[SeamWord]:
        """What is to be written since the last call."""
        words, self.words = self.words, []
        return words

    @property
    def waiting(self) -> bool:
        """Whether anything waits for its time."""
        return self._revise_at is not None or bool(self._early)

    @property
    def expected(self) -> bool:
        """Whether the roll-up still waits for a word of some seam."""
        return bool(self._shares)

    # ------------------------------------------------------------------------------------------------- who is known

    def enrol(self, name: str, state: ConnectionState) -> None:
        """Make a connection a member of every seam it has a track of."""
        space = state.experiment_id or ""
        for seam in state.seams:
            self._members.setdefault((space, seam), {})[name] = state

    def strike(self, name: str, state: ConnectionState) -> None:
        """Drop a connection from its seams."""
        for seam in state.seams:
            key = (state.experiment_id or "", seam)
            members = self._members.get(key, {})
            members.pop(name, None)
            if not members:
                self._members.pop(key, None)
            candidates = self._candidates.get(key)
            if candidates is not None:
                candidates.discard(name)

    def notice(self, key: SeamKey, name: str) -> None:
        """A member was hurt, or spoke without being a child: the next early share looks at it."""
        candidates = self._candidates.get(key)
        if candidates is not None:
            candidates.add(name)

    # -------------------------------------------------------------------------------------------------- closed panes

    def close(self, number: int, live: dict[str, int]) -> None:
        """A pane has closed: every seam's share of it, then how far we are."""
        self._live[number] = live
        for key in sorted(self._members):
            self._sum_up(key, number)
            self._send_share(key, number)
        self.tell_progress(number)
        self._prune(number)

    def revised(self, space: str, seams: Iterable[str], panes: Iterable[int]) -> None:
        """Shares of closed panes are no longer true; they are sent again before long."""
        among = tuple(panes)
        self._dirty.update((space, seam, pane) for seam in seams for pane in among)
        if self._revise_at is None:
            self._revise_at = self._time.clock + max(1, self._rules.revise_every)

    def parts(self, state: ConnectionState, panes: Iterable[int]) -> dict[tuple[str, int], Part]:
        """What a connection adds to its seams' shares of these closed panes; to be asked before it is revised."""
        found: dict[tuple[str, int], Part] = {}
        for seam in state.seams:
            place = self._place((state.experiment_id or "", seam))
            for pane in panes:
                part = part_of(place, state, pane)
                if part is not None:
                    found[seam, pane] = part._replace(deltas=dict(part.deltas))
        return found

    def swap(self, name: str, state: ConnectionState, before: Mapping[tuple[str, int], Part], panes: range) -> None:
        """Put a revised connection into the sums in place of what it was."""
        space = state.experiment_id or ""
        for seam in state.seams:
            key = (space, seam)
            place = self._place(key)
            self.notice(key, name)
            for pane in panes:
                old, new = before.get((seam, pane)), part_of(place, state, pane)
                if old != new:
                    sums = self._sums.setdefault(key, {})
                    sums.setdefault(pane, SeamPane()).swap(old, new, place)
                    self._changed.add((key, pane))

    def lived(self, space: str, before: Mapping[int, bool], after: Mapping[int, bool]) -> bool:
        """Count the living of closed panes anew, by one connection. Whether anything changed."""
        changed = [pane for pane in before if before[pane] != after[pane]]
        for pane in changed:
            live = self._live.setdefault(pane, {})
            live[space] = live.get(space, 0) + (1 if after[pane] else -1)
            if not live[space]:
                del live[space]
            self._dirty_live.add(pane)
        return bool(changed)

    def send_revised(self) -> None:
        """Send what was revised, whether it is time or not."""
        if self._revise_at is None:
            return
        dirty, lives = sorted(self._dirty, key=lambda one: (one[2], one[0], one[1])), sorted(self._dirty_live)
        self._dirty.clear()
        self._dirty_live.clear()
        self._revise_at = None
        for space, seam, pane in dirty:
            self._send_share((space, seam), pane)
        for pane in lives:
            self.tell_progress(pane)

    def tell_progress(self, number: int) -> None:
        """How far we are: partitions wait for each other's panes."""
        told = self._progress.get(number, -1) + 1
        self._progress[number] = told
        end = (number + 1) * self._rules.pane
        progress = ProgressWire(
            id=record_id("progress", Level.SEAM.value, self._partition, end, told),
            level=Level.SEAM,
            source=self._partition,
            window_end=end,
            watermark=self._time.watermark,
            held=self._time.held,
            live=dict(self._live.get(number, {})),
        )
        self.words.append(SeamWord(None, progress))

    # --------------------------------------------------------------------------------------------- early, and waiting

    def ask_early(self, key: SeamKey, pane: int, closed: int | None) -> None:
        """A seam's share of the open pane is to be sent: now, or when the last one is long enough ago."""
        self._early.setdefault(key, set()).add(pane)
        if self._time.clock >= self._early_sent.get(key, NEVER) + self._rules.coalesce:
            self._send_early(key, closed)

    def send_waiting(self, closed: int | None) -> None:
        """Send what was coalesced and is due by append time."""
        clock = self._time.clock
        for key in [k for k in self._early if clock >= self._early_sent.get(k, NEVER) + self._rules.coalesce]:
            self._send_early(key, closed)
        if self._revise_at is not None and clock >= self._revise_at:
            self.send_revised()

    # ------------------------------------------------------------------------------------------------------- state

    def dump(self) -> list[Any]:
        """Plain values, for the state record."""
        return [
            sorted(self._live.items()),
            [[*key, sorted(sent.items())] for key, sent in sorted(self._shares.items())],
            sorted(self._progress.items()),
            sorted(self._dirty),
            sorted(self._dirty_live),
            self._revise_at,
            [[*key, sorted(panes)] for key, panes in sorted(self._early.items())],
            [[*key, at] for key, at in sorted(self._early_sent.items())],
            [[*key, sent] for key, sent in sorted(self._early_count.items())],
        ]

    def restore(self, dumped: list[Any]) -> None:
        """The inverse of ``dump``; members are enrolled one by one."""
        self._live = dict(dumped[0])
        self._shares = {(space, seam): dict(sent) for space, seam, sent in dumped[1]}
        self._progress = dict(dumped[2])
        self._dirty = {(space, seam, pane) for space, seam, pane in dumped[3]}
        self._dirty_live = set(dumped[4])
        self._revise_at = dumped[5]
        self._early = {(space, seam): set(panes) for space, seam, panes in dumped[6]}
        self._early_sent = {(space, seam): at for space, seam, at in dumped[7]}
        self._early_count = {(space, seam, pane): sent for space, seam, pane, sent in dumped[8]}

    def changed_sums(self) -> Iterator[tuple[SeamKey, int, list[Any] | None]]:
        """Sums that changed since the last call, plain; None: gone."""
        for key, pane in sorted(self._changed):
            sums = self._sums.get(key, {}).get(pane)
            yield key, pane, None if sums is None else sums.dump()
        self._changed.clear()

    def restore_sums(self, key: SeamKey, pane: int, dumped: list[Any]) -> None:
        """Take sums as they were stored."""
        self._sums.setdefault(key, {})[pane] = SeamPane.load(dumped)

    # ---------------------------------------------------------------------------------------------------- privately

    def _sum_up(self, key: SeamKey, number: int) -> SeamPane:
        """Add up all members at the end of a pane."""
        members = self._members.get(key, {})
        sums = sum_up(self._place(key), members.values(), number)
        self._sums.setdefault(key, {})[number] = sums
        self._changed.add((key, number))
        return sums

    def _send_share(self, key: SeamKey, number: int) -> None:
        """This partition's share of a seam at the end of a closed pane, if it has or had anything to say there."""
        sent = self._shares.get(key, {})
        known, before = sent.get(number), sent.get(number - 1)
        revision = 0 if known is None else known[0] + 1
        sums = self._sums.get(key, {}).get(number) or SeamPane()
        if sums.stale:
            sums = self._sum_up(key, number)
        had_children = before is not None and before[1] > 0
        if known is None and not sums.children and not sums.deltas and not had_children:
            return
        self._shares.setdefault(key, {})[number] = [revision, sums.children]
        self.words.append(SeamWord(key, share_of(self._place(key), sums, number, revision)))

    def _send_early(self, key: SeamKey, closed: int | None) -> None:
        space, seam = key
        newest = NEVER if closed is None else closed
        place, members = self._place(key), self._members.get(key, {})
        candidates = self._candidates.get(key)
        if candidates is None:
            candidates = self._candidates[key] = {
                name for name, state in members.items() if _matters(state, seam, newest, place)
            }
        matters = [members[name] for name in candidates if name in members]
        sums = self._sums.get(key, {}).get(newest) or SeamPane()
        for pane in sorted(self._early.pop(key)):
            counted = (space, seam, pane)
            revision = self._early_count.get(counted, -1) + 1
            self._early_count[counted] = revision
            live = self._live.get(newest, {}).get(space, 0) + self._newborn(space, newest) if place.links else 0
            self.words.append(SeamWord(key, early_share(place, sums, matters, pane, newest, revision, live)))
        self._early_sent[key] = self._time.clock

    def _newborn(self, space: str, closed: int) -> int:
        return sum(state.first > closed and (state.experiment_id or "") == space for state in self._states.values())

    def _place(self, key: SeamKey) -> Place:
        space, seam = key
        links = self._registry.population(seam) is Population.LINKS
        return Place(seam, space or None, self._partition, links, self._rules, self._decay, self._power)

    def _prune(self, number: int) -> None:
        """Drop what belongs to panes that nothing can revise any more, and early shares of the closed pane."""
        oldest = number - self.deepest
        self._candidates.clear()
        for key in list(self._sums):
            sums = self._sums[key]
            for pane in [pane for pane in sums if pane < oldest]:
                del sums[pane]
                self._changed.add((key, pane))
            if not sums:
                del self._sums[key]
        self._live = {pane: live for pane, live in self._live.items() if pane >= oldest}
        self._progress = {pane: told for pane, told in self._progress.items() if pane >= oldest}
        kept = {key: {pane: s for pane, s in sent.items() if pane >= oldest} for key, sent in self._shares.items()}
        self._shares = {key: sent for key, sent in kept.items() if sent}
        waiting = {key: {pane for pane in panes if pane > number} for key, panes in self._early.items()}
        self._early = {key: panes for key, panes in waiting.items() if panes}
        self._early_count = {key: sent for key, sent in self._early_count.items() if key[2] > number}
        limit = self._time.clock - self._rules.coalesce
        self._early_sent = {key: at for key, at in self._early_sent.items() if at > limit}


def _matters(state: ConnectionState, seam: str, closed: int, place: Place) -> bool:
    """Whether a member may hurt in an open pane, or be new after the newest closed one."""
    track = state.seams[seam]
    if track.harm_pane > closed + 1 - place.rules.pain_panes:
        return True
    return touched_after(track, closed) and child_at(state, track, closed, place.rules, place.decay) is None
