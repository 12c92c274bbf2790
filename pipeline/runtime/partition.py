"""One open input partition: records and time in, a cut for the next checkpoint out. Synchronous, no Kafka.

It decides what a checkpoint holds and when one is due; writing it is ``checkpoint.py``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.crashpoint import crashpoint
from schemas.types import Instant, Millis

from .account import Account
from .contract import (
    REFUSED_OUTCOME,
    Answer,
    Call,
    CallingProcessor,
    Effects,
    Output,
    Processor,
    Record,
    StateRecord,
)
from .options import RuntimeOptions

__all__ = ["Cut", "InputPartition", "RecordsRaisedError", "next_interval"]

_STATE_ONLY_FACTOR = 5
"""State without outputs is only a shorter way back: it may wait this many checkpoint intervals."""
_OUTPUT_OVERHEAD = 64
_SHARE_OF_CUTTING = 4
"""At most one part in so many of the time goes into cuts: the rest is for folding."""
_LONGEST_INTERVAL_MS: Millis = 1_000


class RecordsRaisedError(Exception):
    """The processor raised on one of these records. Its state is not to be used any more."""

    def __init__(self, first: int, last: int) -> None:
        """Offsets of the slice, both included. The processor's own error is the cause."""
        super().__init__(f"the processor raised between offsets {first} and {last}")
        self.first = first
        self.last = last


def next_interval(spent: Millis, options: RuntimeOptions) -> Millis:
    """How long after the last cut the next one is due, when that one took ``spent`` to take and to write.

    Under load a cut holds nearly every connection, however short the interval: fewer cuts are then less work.
    """
    return max(options.checkpoint_ms, min(_LONGEST_INTERVAL_MS, _SHARE_OF_CUTTING * spent))


@dataclass(frozen=True, slots=True)
class Cut:
    """Everything one transaction holds, as of one offset."""

    outputs: Sequence[Output]
    state: Sequence[StateRecord]
    """What the processor changed, without the meta record."""
    account: Account
    """The books as of this cut; ``position`` is the offset to go on at."""
    outcomes: dict[str, int]
    """What was counted since the cut before."""
    calls: Sequence[Call]
    """To be started once this is committed."""


class InputPartition:
    """A processor with its books and what it wants written, between two checkpoints."""

    __slots__ = (
        "_calls",
        "_cut_at",
        "_cut_position",
        "_interval",
        "_looked_at",
        "_options",
        "_outcomes",
        "_outputs",
        "_read_since_cut",
        "_size",
        "_slice",
        "_ticked_since_cut",
        "_urgent",
        "account",
        "processor",
    )

    def __init__(self, processor: Processor, account: Account, options: RuntimeOptions, elapsed: Millis) -> None:
        """Take a restored processor; ``elapsed`` is the monotonic time now."""
        self.processor = processor
        self.account = account
        self._options = options
        self._outputs: list[Output] = []
        self._calls: list[Call] = []
        self._outcomes: dict[str, int] = {}
        self._size = 0
        self._urgent = False
        self._read_since_cut = False
        self._ticked_since_cut = False
        self._cut_position = account.position
        self._cut_at = elapsed
        self._looked_at = elapsed
        self._slice = options.slice_records
        self._interval = options.checkpoint_ms

    @property
    def slice_records(self) -> int:
        """How many records make about ``slice_ms`` of work, by what the last slices took."""
        return self._slice

    @property
    def size(self) -> int:
        """About how many bytes of outputs wait."""
        return self._size

    def apply(self, records: Sequence[Record], now: Instant) -> int:
        """Fold one slice; the answer is how many offsets the broker skipped.

        Shape: records in offset order, at or behind the position, at least one.
        Errors: RecordsRaisedError when the processor raised; this partition is then of no more use.
        """
        try:
            effects = self.processor.apply(records, now)
        except MemoryError:
            raise
        except Exception as error:
            raise RecordsRaisedError(records[0].offset, records[-1].offset) from error
        skipped = self.account.read(records)
        self._read_since_cut = True
        self._collect(effects)
        crashpoint("slice.applied")
        return skipped

    def refuse(self, record: Record, kept: Output | None) -> int:
        """Move past a record that the processor cannot fold, without asking it; the answer as of ``apply``.

        Shape: ``kept`` is what goes to the rejected topic, if the stage has one.
        """
        skipped = self.account.read([record])
        self._read_since_cut = True
        self._collect(Effects(outputs=[] if kept is None else [kept], counts={REFUSED_OUTCOME: 1}, urgent=True))
        return skipped

    def took(self, records: int, spent: float) -> None:
        """Learn the size of the next slice.

        Units: spent in ms.
        """
        limit = self._options.slice_records
        if spent <= 0:
            self._slice = limit
            return
        fitting = int(records * self._options.slice_ms / spent)
        self._slice = max(1, min(limit, fitting, self._slice * 2))

    def tick(self, now: Instant, *, at_end: bool) -> None:
        """Let time pass."""
        effects = self.processor.tick(now, at_end=at_end)
        self._ticked_since_cut = True
        self._collect(effects)
        crashpoint("tick.applied")

    def answered(self, answer: Answer, now: Instant) -> None:
        """Give the processor the answer of one of its calls."""
        if isinstance(self.processor, CallingProcessor):
            self._ticked_since_cut = True
            self._collect(self.processor.answered(answer, now))

    def skip_to(self, position: int) -> int:
        """Nothing more is to come before ``position``; the answer is how many offsets that skips."""
        return self.account.skip_to(position)

    def due(self, elapsed: Millis) -> bool:
        """Whether a checkpoint should be taken at monotonic time ``elapsed``."""
        since_cut = elapsed - self._cut_at
        options = self._options
        if self._outputs or self._calls:
            return self._urgent or since_cut >= self._interval or self._size >= options.max_cut_bytes
        if self._urgent:
            return True
        since_look = elapsed - self._looked_at
        if self._read_since_cut:
            return since_look >= min(options.idle_checkpoint_ms, _STATE_ONLY_FACTOR * self._interval)
        moved = self.account.position != self._cut_position
        return (moved or self._ticked_since_cut) and since_look >= options.idle_checkpoint_ms

    def wrote(self, spent: Millis) -> None:
        """Learn how long the last cut took, from its taking to its commit."""
        self._interval = next_interval(spent, self._options)

    def unwritten_for(self, elapsed: Millis) -> Millis:
        """How long ago the last cut was, if records were read or outputs made since."""
        return elapsed - self._cut_at if self._read_since_cut or self._outputs else 0

    def full(self) -> bool:
        """Whether the next cut is so large that reading should pause."""
        return self._size >= self._options.max_cut_bytes

    def cut(self, elapsed: Millis) -> Cut | None:
        """Everything since the last cut, or None when there is nothing to write."""
        state = list(self.processor.snapshot())
        self._looked_at = elapsed
        self._urgent = False
        self._ticked_since_cut = False
        position = self.account.position
        if not (self._outputs or self._calls or state or self._outcomes or position != self._cut_position):
            return None
        cut = Cut(self._outputs, state, self.account.copy(), self._outcomes, self._calls)
        self._outputs, self._calls, self._outcomes = [], [], {}
        self._size = 0
        self._read_since_cut = False
        self._cut_at = elapsed
        self._cut_position = position
        crashpoint("cut.taken")
        return cut

    def _collect(self, effects: Effects) -> None:
        if effects.outputs:
            self._outputs.extend(effects.outputs)
            size = len(effects.outputs) * _OUTPUT_OVERHEAD
            for _, key, value, headers, _, _ in effects.outputs:
                if value is not None:
                    size += len(value)
                if key is not None:
                    size += len(key)
                if headers:
                    size += len(headers) * 32
            self._size += size
        if effects.calls:
            self._calls.extend(effects.calls)
        if effects.counts:
            self.account.count(effects.counts)
            outcomes = self._outcomes
            for outcome, times in effects.counts.items():
                outcomes[outcome] = outcomes.get(outcome, 0) + times
        if effects.urgent:
            self._urgent = True
