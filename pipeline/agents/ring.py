"""Events on their way to Kafka: bounded, ordered, and what does not fit is told.

Thread-safe, and free of clocks and sockets. An event leaves the ring when it is acknowledged. When the ring is full,
routine reports go first and changes of state last; every gap in ``seq`` is accounted for in ``Dropped``.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.types import Instant

from .core.facts import ROUTINE

__all__ = ["Dropped", "Entry", "Ring"]

_RANGES = 20


class Entry(NamedTuple):
    """One event, ready to be written."""

    seq: int
    key: bytes
    value: bytes
    delta: str
    said_at: Instant
    """On the publisher's monotonic clock, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What will never be written, since this was last asked."""

    counts: Mapping[str, int]
    ranges: tuple[tuple[int, int], ...]
    """First and last seq of each gap, ascending; at most 20, the last one then runs to the end of all gaps."""

    @property
    def total(self) -> int:
        """How many."""
        return sum(self.counts.values())


class Ring:
    """Waiting events in order of ``seq``, and those handed over but not acknowledged."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._waiting: dict[int, Entry] = {}
        self._routine: deque[int] = deque()
        self._handed: dict[int, Entry] = {}
        self._bytes = 0
        self._counts: Counter[str] = Counter()
        self._gaps: list[int] = []

    def __len__(self) -> int:
        """Events not acknowledged."""
        return len(self._waiting) + len(self._handed)

    @property
    def waiting(self) -> int:
        """Events not handed over."""
        return len(self._waiting)

    @property
    def handed(self) -> int:
        """Events handed over and not acknowledged."""
        return len(self._handed)

    def handed_seqs(self) -> tuple[int, ...]:
        """Which were handed over and not acknowledged."""
        with self._lock:
            return tuple(self._handed)

    def put(self, entry: Entry) -> None:
        """Take one more event, of a higher seq than all before; make room if there is none."""
        with self._lock:
            self._waiting[entry.seq] = entry
            self._bytes += len(entry.value)
            if entry.delta in ROUTINE:
                self._routine.append(entry.seq)
            while self._waiting and (
                len(self._waiting) + len(self._handed) > self._max_events or self._bytes > self._max_bytes
            ):
                self._drop(self._waiting[self._least_missed()])

    def take(self, most: int) -> list[Entry]:
        """Hand over the oldest events, in order."""
        with self._lock:
            taken = [entry for _, entry in zip(range(most), self._waiting.values(), strict=False)]
            for entry in taken:
                del self._waiting[entry.seq]
                self._handed[entry.seq] = entry
            return taken

    def acknowledge(self, seq: int) -> None:
        """This event is in the log."""
        with self._lock:
            entry = self._handed.pop(seq, None)
            if entry is not None:
                self._bytes -= len(entry.value)

    def give_back(self, seqs: Iterable[int]) -> None:
        """These are to be handed over again, before all that came after them."""
        with self._lock:
            returned = [self._handed.pop(seq) for seq in seqs if seq in self._handed]
            if not returned:
                return
            merged = {**{entry.seq: entry for entry in returned}, **self._waiting}
            self._waiting = dict(sorted(merged.items()))
            self._routine = deque(seq for seq, entry in self._waiting.items() if entry.delta in ROUTINE)

    def refuse(self, seq: int) -> None:
        """This event can never be written."""
        with self._lock:
            entry = self._handed.pop(seq, None)
            if entry is not None:
                self._waiting[seq] = entry
                self._drop(entry)

    def take_dropped(self) -> Dropped | None:
        """What was dropped since the last call; None if nothing was."""
        with self._lock:
            if not self._gaps:
                return None
            dropped = Dropped(dict(sorted(self._counts.items())), _ranges(self._gaps))
            self._counts.clear()
            self._gaps.clear()
            return dropped

    def _least_missed(self) -> int:
        while self._routine:
            seq = self._routine.popleft()
            if seq in self._waiting:
                return seq
        return next(iter(self._waiting))

    def _drop(self, entry: Entry) -> None:
        del self._waiting[entry.seq]
        self._bytes -= len(entry.value)
        self._counts[entry.delta] += 1
        self._gaps.append(entry.seq)


def _ranges(seqs: list[int]) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if ranges and (ranges[-1][1] + 1 == seq or len(ranges) == _RANGES):
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return tuple(ranges)
