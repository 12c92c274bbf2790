"""One assigned input partition from opening to closing: who may touch it when, what happens when a commit fails.

States: opening → seeking → running → (failed commit) opening … → closed. Records are folded while it runs only; a
checkpoint is written in a task of its own while folding goes on, one at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiokafka import AIOKafkaProducer, TopicPartition

from pipeline.crashpoint import crashpoint
from schemas.types import Instant, Millis

from .calling import Caller
from .checkpoint import Destination, commit
from .contract import Answer, Record
from .instruments import (
    CallFailed,
    CheckpointCommitted,
    CheckpointFailed,
    Fenced,
    Instruments,
    LostByRetention,
    PartitionClosed,
    PartitionOpened,
    ProcessorFailed,
)
from .opening import StartRefusedError, open_partition
from .options import RuntimeOptions
from .partition import Cut, InputPartition
from .producing import discard, is_fenced

__all__ = ["Ground", "Lane", "LaneState", "Verdict", "elapsed_ms", "now_ms"]

FAILURES_IN_A_ROW = 3
_REOPEN_AFTER = 0.2
_ABORT_WITHIN = 3.0
_ANSWERS_WITHIN = 10.0
_FETCHED_WITHIN_MS = 1_000


class LaneState(StrEnum):
    """Where a lane is in its life."""

    OPENING = "opening"
    SEEKING = "seeking"
    RUNNING = "running"
    CLOSED = "closed"


class Verdict(StrEnum):
    """Why the process must end."""

    FENCED = "fenced"
    REFUSED = "refused"
    FAILING = "failing"
    PROCESSOR = "processor"
    STALLED = "stalled"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Ground:
    """What all lanes of a worker stand on."""

    runtime: RuntimeOptions
    instruments: Instruments
    client_id: str
    end: Callable[[Verdict, str], None]
    """Ends the process."""
    changed: Callable[[], None]
    """Hears that a lane may be read, or no longer."""


def now_ms() -> Instant:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def elapsed_ms() -> Millis:
    """The monotonic clock."""
    return time.monotonic_ns() // 1_000_000


class Lane:
    """One assigned input partition."""

    def __init__(self, to: Destination, ground: Ground) -> None:
        """Not open yet."""
        self.to = to
        self.state = LaneState.OPENING
        self.partition: InputPartition | None = None
        self.highwater: int | None = None
        self.progressed_at = elapsed_ms()
        self._ground = ground
        self._producer: AIOKafkaProducer | None = None
        self._caller: Caller | None = None
        self._committing: asyncio.Task[bool] | None = None
        self._committing_since: Millis = 0
        self._reopening: asyncio.Task[None] | None = None
        self._failures = 0
        self._fetched_at: Instant = 0
        self._at_end = False
        self._closing = False
        self._committed_all = False

    @property
    def tp(self) -> TopicPartition:
        """The input partition."""
        return self.to.input

    @property
    def readable(self) -> bool:
        """Whether records may be fetched for it now."""
        partition = self.partition
        return self.state is LaneState.RUNNING and partition is not None and not partition.full()

    @property
    def fetched_at(self) -> Instant:
        """When the broker last answered a fetch for it."""
        return self._fetched_at

    @property
    def failing(self) -> bool:
        """Whether its last checkpoint failed."""
        return self._failures > 0

    @property
    def committing(self) -> bool:
        """Whether a checkpoint is under way."""
        return self._committing is not None

    def still_for(self, elapsed: Millis) -> Millis:
        """How long nothing has moved though something should; 0 when nothing has to."""
        waiting = [elapsed - self._committing_since] if self._committing is not None else []
        if self.lag > 0 or self.state in (LaneState.OPENING, LaneState.SEEKING):
            waiting.append(elapsed - self.progressed_at)
        return max(waiting, default=0)

    @property
    def lag(self) -> int:
        """Records between the position and the end of the log, as last heard."""
        if self.partition is None or self.highwater is None:
            return 0
        return max(0, self.highwater - self.partition.account.position)

    async def open(self) -> None:
        """Fence, restore, and wait for the seek.

        Errors: StartRefusedError, or what aiokafka raises.
        """
        began = time.monotonic()
        place = (self.to.stage.name, self.to.partition)
        opened = await open_partition(self.to, self._ground.runtime, client_id=self._ground.client_id)
        if self._closing:
            await discard(opened.producer)
            return
        self._producer = opened.producer
        self.partition = InputPartition(opened.processor, opened.account, self._ground.runtime, elapsed_ms())
        perform = self.to.stage.perform
        if perform is not None:
            partition = self.partition
            self._caller = Caller(perform, lambda answer: self._answered(partition, answer), self._call_failed)
        tell = self._ground.instruments.tell
        tell(PartitionOpened(*place, opened.account.position, opened.keys, round(time.monotonic() - began, 3)))
        if opened.lost_by_retention:
            tell(LostByRetention(*place, opened.lost_by_retention, opened.account.position))
        self._at_end = False
        self._fetched_at = 0
        self.highwater = None
        self.progressed_at = elapsed_ms()
        self.state = LaneState.SEEKING
        self._ground.changed()

    def sought(self) -> None:
        """The consumer stands at the position now."""
        if self.state is LaneState.SEEKING:
            self.state = LaneState.RUNNING
            self._show()

    def seek_again(self) -> None:
        """Records of this lane were fetched but not folded."""
        if self.state is LaneState.RUNNING:
            self.state = LaneState.SEEKING
            self._ground.changed()

    def fold(self, records: Sequence[Record]) -> int:
        """Fold the next slice; the answer is how many of the records it took.

        Shape: records behind the position, in order; the caller comes again with the rest.
        """
        partition = self.partition
        if partition is None:
            return len(records)
        taken = records[: partition.slice_records] if len(records) > partition.slice_records else records
        began = time.perf_counter()
        try:
            skipped = partition.apply(taken, now_ms())
        except Exception as error:  # noqa: BLE001 - the crash-only boundary
            self._processor_failed(error)
            return len(records)
        partition.took(len(taken), (time.perf_counter() - began) * 1000)
        if skipped:
            self._gap(skipped)
        self._progressed()
        self.checkpoint_if_due()
        return len(taken)

    def observe(self, position: int, highwater: int | None, fetched_at: Instant | None) -> None:
        """What the consumer knows after all records it gave were folded: where it stands, where the log ends."""
        partition = self.partition
        if self.state is not LaneState.RUNNING or partition is None:
            return
        skipped = partition.skip_to(position)
        if skipped:
            self._gap(skipped)
            self._progressed()
        self.highwater = highwater
        self._fetched_at = fetched_at or 0
        self._at_end = highwater is not None and partition.account.position >= highwater
        self._show()

    def tick(self) -> None:
        """Let time pass for the processor, then write a checkpoint if one is due."""
        partition = self.partition
        if self.state is not LaneState.RUNNING or partition is None:
            return
        now = now_ms()
        fresh = now - self._fetched_at <= max(_FETCHED_WITHIN_MS, 5 * self._ground.runtime.fetch_wait_ms)
        try:
            partition.tick(now, at_end=self._at_end and fresh)
        except Exception as error:  # noqa: BLE001 - the crash-only boundary
            self._processor_failed(error)
            return
        self.checkpoint_if_due()
        self._show_age()

    def checkpoint_if_due(self) -> None:
        """Cut and begin to write, unless a checkpoint is under way or nothing asks for one."""
        partition = self.partition
        running = self.state in (LaneState.RUNNING, LaneState.SEEKING)
        if self._committing is None and running and partition is not None and partition.due(elapsed_ms()):
            self._cut()

    async def close(self, *, last_checkpoint: bool, within: float) -> None:
        """Give the partition back; with a last checkpoint if there is anything to write.

        Units: within in seconds.
        """
        self._closing = True
        if self._reopening is not None:
            self._reopening.cancel()
            await asyncio.gather(self._reopening, return_exceptions=True)
        if self.state in (LaneState.RUNNING, LaneState.SEEKING) and last_checkpoint:
            if self._caller is not None:
                await self._caller.close(within=min(within, _ANSWERS_WITHIN))
            await self._last_checkpoint(within)
        self.state = LaneState.CLOSED
        self._ground.changed()
        await self._drop(abort=False)

    async def bring_up(self) -> None:
        """Open, again and again until it is open, refused, given back, or has failed three times in a row."""
        while not self._closing:
            try:
                await self.open()
            except StartRefusedError as error:
                self._ground.end(Verdict.REFUSED, str(error))
                return
            except Exception as error:  # noqa: BLE001 - the crash-only boundary
                if not self._failed(error):
                    return
                await asyncio.sleep(_REOPEN_AFTER * self._failures)
            else:
                return

    def begin_reopen(self, *, after: float = 0.0) -> None:
        """Throw away what is folded but not written, and open again from what is committed, in a task of its own."""
        if self._closing:
            return
        self.state = LaneState.OPENING
        self.progressed_at = elapsed_ms()
        self._ground.changed()

        async def later() -> None:
            await asyncio.sleep(after)
            await self._drop(abort=True)
            await self.bring_up()

        self._reopening = asyncio.ensure_future(later())

    async def _last_checkpoint(self, within: float) -> None:
        partition = self.partition
        if partition is None:
            return
        deadline = time.monotonic() + within
        committed = True
        while committed:
            if self._committing is None:
                self._cut()
            if self._committing is None:
                break
            crashpoint("revoke.checkpoint")
            left = max(0.1, deadline - time.monotonic())
            done, _ = await asyncio.wait([self._committing], timeout=left)
            committed = bool(done) and not self._committing_failed(done)
        self._committed_all = committed

    @staticmethod
    def _committing_failed(done: set[asyncio.Task[bool]]) -> bool:
        return any(task.cancelled() or not task.result() for task in done)

    def _cut(self) -> None:
        partition, producer = self.partition, self._producer
        if partition is None or producer is None:
            return
        try:
            cut = partition.cut(elapsed_ms())
        except Exception as error:  # noqa: BLE001 - the crash-only boundary
            self._processor_failed(error)
            return
        if cut is None:
            return
        self._committing_since = elapsed_ms()
        self._committing = asyncio.ensure_future(self._commit(partition, producer, cut))

    async def _commit(self, partition: InputPartition, producer: AIOKafkaProducer, cut: Cut) -> bool:
        began = time.monotonic()
        try:
            await commit(producer, cut, self.to)
        except Exception as error:  # noqa: BLE001 - whatever it is, the transaction is given up
            self._committing = None
            if is_fenced(producer, error):
                self._ground.instruments.tell(Fenced(self.to.stage.name, self.to.partition))
                self._ground.end(Verdict.FENCED, f"{self.to.stage.name} partition {self.to.partition} is fenced")
            elif self._failed(error):
                self.begin_reopen(after=_REOPEN_AFTER * self._failures)
            return False
        self._committing = None
        self._failures = 0
        self._committed(cut, time.monotonic() - began)
        if self.partition is partition:
            if self._caller is not None and cut.calls:
                self._caller.start(cut.calls)
            if not self._closing:
                self.checkpoint_if_due()
            self._ground.changed()
        return True

    def _committed(self, cut: Cut, seconds: float) -> None:
        instruments, stage = self._ground.instruments, self.to.stage.name
        instruments.tell(
            CheckpointCommitted(
                stage, self.to.partition, cut.account.position, len(cut.outputs), len(cut.state), round(seconds, 4)
            )
        )
        for outcome, times in cut.outcomes.items():
            instruments.outcomes.labels(stage, outcome).inc(times)

    def _failed(self, error: Exception) -> bool:
        """Count a failure; the answer is whether it may be tried again."""
        self._failures += 1
        what = f"{type(error).__name__}: {error}"
        stage, partition = self.to.stage.name, self.to.partition
        self._ground.instruments.tell(CheckpointFailed(stage, partition, what, self._failures))
        if self._failures < FAILURES_IN_A_ROW:
            return True
        self._ground.end(
            Verdict.FAILING, f"{stage} partition {partition} failed {self._failures} times in a row: {what}"
        )
        return False

    def _processor_failed(self, error: Exception) -> None:
        stage, partition = self.to.stage.name, self.to.partition
        position = self.partition.account.position if self.partition else -1
        what = f"{type(error).__name__}: {error}"
        self._ground.instruments.tell(ProcessorFailed(stage, partition, position, what))
        self.state = LaneState.CLOSED
        self._ground.end(Verdict.PROCESSOR, f"{stage} partition {partition} raised at offset {position}: {what}")

    def _call_failed(self, error: Exception) -> None:
        stage, partition = self.to.stage.name, self.to.partition
        what = f"{type(error).__name__}: {error}"
        self._ground.instruments.tell(CallFailed(stage, partition, what))
        self._ground.end(Verdict.PROCESSOR, f"{stage} partition {partition}: a call raised: {what}")

    def _answered(self, partition: InputPartition, answer: Answer) -> None:
        if self.partition is not partition or self.state is LaneState.CLOSED:
            return
        try:
            partition.answered(answer, now_ms())
        except Exception as error:  # noqa: BLE001 - the crash-only boundary
            self._processor_failed(error)
            return
        if not self._closing:
            self.checkpoint_if_due()

    async def _drop(self, *, abort: bool) -> None:
        """Let go of producer, processor and calls."""
        producer, self._producer = self._producer, None
        caller, self._caller = self._caller, None
        partition, self.partition = self.partition, None
        if caller is not None:
            await caller.close(within=0)
        if self._committing is not None:
            self._committing.cancel()
            await asyncio.gather(self._committing, return_exceptions=True)
            self._committing = None
        if producer is not None:
            if abort:
                with contextlib.suppress(Exception, AssertionError):
                    await asyncio.wait_for(producer.abort_transaction(), _ABORT_WITHIN)
            await discard(producer)
        if partition is not None and self._closing:
            place = (self.to.stage.name, self.to.partition)
            self._ground.instruments.tell(PartitionClosed(*place, partition.account.position, self._committed_all))
            self._ground.instruments.forget(*place)

    def _progressed(self) -> None:
        self.progressed_at = elapsed_ms()

    def _gap(self, skipped: int) -> None:
        self._ground.instruments.gap.labels(self.to.stage.name, self.to.partition).inc(skipped)

    def _show(self) -> None:
        partition = self.partition
        if partition is None:
            return
        place = (self.to.stage.name, self.to.partition)
        instruments = self._ground.instruments
        instruments.unaccounted.labels(*place).set(partition.account.unaccounted)
        instruments.position.labels(*place).set(partition.account.position)
        instruments.lag.labels(*place).set(self.lag)

    def _show_age(self) -> None:
        age = self.partition.unwritten_for(elapsed_ms()) if self.partition else 0
        self._ground.instruments.checkpoint_age.labels(self.to.stage.name, self.to.partition).set(age / 1000)
