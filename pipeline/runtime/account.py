"""What became of every offset of one input partition, from the first start on.

Offsets and outcomes are counted in different places: the position moves with the offsets the broker delivers, the
counts come from the processor. So their difference can really differ from 0, and must not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .contract import Record

__all__ = ["Account"]


@dataclass(slots=True)
class Account:
    """The books of one input partition.

    Mutable and owned by one partition; ``copy`` gives the cut that a checkpoint writes.
    """

    base: int
    """The first offset ever asked for; everything from here on is accounted for."""
    position: int
    """The next offset to read."""
    counts: dict[str, int] = field(default_factory=dict)
    """Outcomes by name, as the processor counted them, since the first start."""
    gap: int = 0
    """Offsets the broker never delivered: transaction markers, aborted records, compaction, retention."""
    lost_by_retention: int = 0
    """How many of ``gap`` were lost because retention passed the position."""

    @property
    def unaccounted(self) -> int:
        """Records read without an outcome; below 0: outcomes without a record."""
        return self.position - self.base - sum(self.counts.values()) - self.gap

    def unread(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records at or behind the position, in order: a repeated fetch may begin before it."""
        if not records or records[0].offset >= self.position:
            return records
        return [record for record in records if record.offset >= self.position]

    def read(self, records: Sequence[Record]) -> int:
        """Move behind these records; the answer is how many offsets were skipped before and between them."""
        after = records[-1].offset + 1
        skipped = after - self.position - len(records)
        self.position = after
        self.gap += skipped
        return skipped

    def skip_to(self, position: int) -> int:
        """Move to a position before which the broker has nothing more to deliver; the answer is how far."""
        skipped = max(0, position - self.position)
        self.position += skipped
        self.gap += skipped
        return skipped

    def lose_to(self, log_start: int) -> int:
        """Move to the log start because retention took what was there; the answer is how many offsets are lost."""
        lost = self.skip_to(log_start)
        self.lost_by_retention += lost
        return lost

    def count(self, outcomes: Mapping[str, int]) -> None:
        """Add the outcomes a processor reported."""
        counts = self.counts
        for outcome, times in outcomes.items():
            counts[outcome] = counts.get(outcome, 0) + times

    def copy(self) -> Account:
        """The books as they stand now."""
        return Account(self.base, self.position, dict(self.counts), self.gap, self.lost_by_retention)
