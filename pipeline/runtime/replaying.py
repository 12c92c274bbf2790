"""A log folded again from its start, without its outputs: what a processor's state would be.

Pure. Time passes as it did for a worker that read each record when it was appended: between two records a processor
is ticked up to the second one's time, because what the clock does to an idle partition is part of its state.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.types import Instant, Millis

from .account import Account
from .contract import REFUSED_OUTCOME, Processor, Record
from .partition import RecordsRaisedError

__all__ = ["Replay"]

TICK_MS: Millis = 1_000


class Replay:
    """One processor on its way through the log. Mutable."""

    def __init__(self, processor: Processor, account: Account, *, refused: frozenset[int], singly_to: int) -> None:
        """Nothing folded yet; ``account`` stands at the log start.

        Shape: ``refused``: offsets that are known to raise; up to ``singly_to`` records are folded one by one.
        """
        self.processor = processor
        self.account = account
        self._refused = refused
        self._singly_to = singly_to
        self._now: Instant | None = None

    def fold(self, records: Sequence[Record]) -> None:
        """Fold the next records of the log.

        Errors: RecordsRaisedError as of ``InputPartition.apply``; this replay is then of no more use.
        """
        waiting: list[Record] = []
        for record in records:
            alone = record.offset in self._refused
            apart = self._now is not None and record.timestamp - self._now > TICK_MS
            if waiting and (alone or apart or record.offset <= self._singly_to):
                self._apply(waiting)
                waiting = []
            if apart:
                self.wait(record.timestamp - 1)
            self._now = record.timestamp if self._now is None else max(self._now, record.timestamp)
            if alone:
                self.account.read([record])
                self.account.count({REFUSED_OUTCOME: 1})
            else:
                waiting.append(record)
        if waiting:
            self._apply(waiting)

    def wait(self, until: Instant) -> None:
        """Let time pass, as at the end of the log; nothing before the first record."""
        if self._now is None:
            return
        while self._now < until:
            self._now = min(until, self._now + TICK_MS)
            self._counted(self.processor.tick(self._now, at_end=True).counts)

    def _apply(self, records: Sequence[Record]) -> None:
        now = self._now if self._now is not None else records[-1].timestamp
        try:
            effects = self.processor.apply(records, now)
        except MemoryError:
            raise
        except Exception as error:
            raise RecordsRaisedError(records[0].offset, records[-1].offset) from error
        self.account.read(records)
        self._counted(effects.counts)

    def _counted(self, counts: dict[str, int]) -> None:
        if counts:
            self.account.count(counts)
