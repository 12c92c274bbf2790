"""Which events were seen before: explicit ids per connection, for an hour of event time, bounded.

Only scored events reserve their id. Ids made of partition and offset cannot repeat and are not kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from schemas.types import Instant

from .rules import ScoreRules

__all__ = ["IdChunk", "Repeat", "RepeatMemory"]

_MOST_ROWS: Final = 2_000
"""Of one chunk: with ids and names of full length it is still half of what a broker takes as one record."""

_DIGEST_BITS: Final = 64
_DIGEST_MASK: Final = (1 << _DIGEST_BITS) - 1


class Repeat(Enum):
    """How an event stands to those before it."""

    NEW = "new"
    DUPLICATE = "duplicate"
    """The same bytes again."""
    CONFLICT = "conflict"
    """The id again, with other bytes."""


class IdChunk(NamedTuple):
    """Ids that became known between two snapshots. Appended, never rewritten."""

    number: int
    rows: list[tuple[str, str, Instant, bytes]] | None
    """Connection, id, event time, digest of the bytes. None: all of the chunk is past the horizon."""


class RepeatMemory:
    """The ids of one partition. Mutable."""

    def __init__(self, rules: ScoreRules) -> None:
        """No event yet."""
        self._horizon = rules.dedup_horizon
        self._most = rules.max_ids
        self._ids: dict[str, dict[str, int]] = {}
        """Per connection, by id: event time and digest in one number, for there are many."""
        self._fresh: list[tuple[str, str, Instant, bytes]] = []
        self._chunks: deque[tuple[int, Instant]] = deque()
        """Number and newest time of the chunks that were handed out, oldest first."""
        self._next = 0
        self._earliest: Instant | None = None
        """No id is older; None when there is none. What cannot have expired need not be looked through."""
        self.evicted = 0
        """Ids that left before their time, because a connection had too many."""

    def ask(self, connection_id: str, event_id: str, value: bytes, watermark: Instant) -> Repeat:
        """Whether this id was scored before, within the horizon."""
        known = self._ids.get(connection_id)
        first = None if known is None else known.get(event_id)
        if first is None or first >> _DIGEST_BITS <= watermark - self._horizon:
            return Repeat.NEW
        return Repeat.DUPLICATE if first & _DIGEST_MASK == int.from_bytes(_digest(value)) else Repeat.CONFLICT

    def reserve(self, connection_id: str, event_id: str, time: Instant, value: bytes) -> None:
        """Remember the id of a scored event."""
        digest = _digest(value)
        self._fresh.append((connection_id, event_id, time, digest))
        self._take(connection_id, event_id, time, digest)

    def expire(self, watermark: Instant) -> None:
        """Drop what is past the horizon."""
        limit = watermark - self._horizon
        if self._earliest is None or self._earliest > limit:
            return
        self._earliest = None
        for connection_id in list(self._ids):
            known = self._ids[connection_id]
            # Ids stand about in the order of their times: look no further than the first that stays.
            while known:
                event_id = next(iter(known))
                time = known[event_id] >> _DIGEST_BITS
                if time > limit:
                    self._earliest = time if self._earliest is None else min(self._earliest, time)
                    break
                del known[event_id]
            if not known:
                del self._ids[connection_id]

    def chunks(self, watermark: Instant) -> Iterator[IdChunk]:
        """What is new for the state since the last call, and chunks that are over."""
        fresh, self._fresh = self._fresh, []
        for start in range(0, len(fresh), _MOST_ROWS):
            rows = fresh[start : start + _MOST_ROWS]
            number, self._next = self._next, self._next + 1
            self._chunks.append((number, max(row[2] for row in rows)))
            yield IdChunk(number, rows)
        while self._chunks and self._chunks[0][1] <= watermark - self._horizon:
            yield IdChunk(self._chunks.popleft()[0], None)

    def restore(self, chunks: Iterable[tuple[int, list[Any]]]) -> None:
        """Take all chunks of the state, in any order."""
        for number, rows in sorted(chunks, key=lambda chunk: chunk[0]):
            for connection_id, event_id, time, digest in rows:
                self._take(connection_id, event_id, time, digest)
            self._chunks.append((number, max(row[2] for row in rows)))
            self._next = number + 1

    def __len__(self) -> int:
        """How many ids are remembered."""
        return sum(len(known) for known in self._ids.values())

    def _take(self, connection_id: str, event_id: str, time: Instant, digest: bytes) -> None:
        known = self._ids.get(connection_id)
        if known is None:
            known = self._ids[connection_id] = {}
        elif event_id in known:
            del known[event_id]
        known[event_id] = time << _DIGEST_BITS | int.from_bytes(digest)
        if self._earliest is None or time < self._earliest:
            self._earliest = time
        if len(known) > self._most:
            del known[next(iter(known))]
            self.evicted += 1


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=_DIGEST_BITS // 8).digest()
