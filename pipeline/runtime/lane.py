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
from .contract import Answer, Output, Record
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
    RecordRaised,
)
from .lagging import LagClock
from .opening import StartRefusedError, open_partition
from .options import RuntimeOptions, heartbeat_ms
from .partition import Cut, InputPartition, RecordsRaisedError
from .producing import discard, is_fenced
from .refusing import Refusals, stack_digest, where_raised
from .surroundings import Surroundings

__all__ = ["Ground", "Lane", "LaneState", "Verdict", "elapsed_ms", "now_ms"]

FAILURES_IN_A_ROW = 3
_REOPEN_AFTER = 0.2
_ABORT_WITHIN = 3.0
_ANSWERS_WITHIN = 10.0
_FETCHED_WITHIN_MS = 1_000
_HEARTBEATS = 3


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
    surroundings: Surroundings
    refusals: Refusals
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
        self._failed_for = ""
        self._fetched_at: Instant = 0
        self._at_end = False
        self._lag_clock = LagClock()
        self._singly_to = -1
        """A record up to this offset raised: fold one at a time until it is known which."""
        self._refused: dict[int, str] = {}
        """Digests by the offsets of records that raised and are not committed as refused yet."""
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
    def failing(self) -> str | None:
        """Why its last checkpoint failed; None when it did not."""
        return self._failed_for if self._failures > 0 else None

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
        taken = self._next_slice(records, partition.slice_records)
        began = time.perf_counter()
        try:
            if self._refused and taken[0].offset in self._refused:
                skipped = partition.refuse(taken[0], self._kept(taken[0]))
            else:
                skipped = partition.apply(taken, now_ms())
        except RecordsRaisedError as error:
            self._records_raised(error)
            return len(records)
        except Exception as error:  # noqa: BLE001 - the crash-only boundary
            self._processor_failed(f"{type(error).__name__}: {error}")
            return len(records)
        partition.took(len(taken), (time.perf_counter() - began) * 1000)
        if skipped:
            self._gap(skipped)
        self._progressed()
        self.checkpoint_if_due()
        return len(taken)

    def _next_slice(self, records: Sequence[Record], most: int) -> Sequence[Record]:
        """The records to fold next: up to a refused one, and one at a time where one of them is to be found."""
        if records[0].offset <= self._singly_to or (self._refused and records[0].offset in self._refused):
            return records[:1]
        taken = records[:most] if len(records) > most else records
        if self._refused:
            for place, record in enumerate(taken):
                if record.offset in self._refused:
                    return taken[:place]
        return taken

    def _kept(self, record: Record) -> Output | None:
        refuse = self.to.stage.refuse
        return None if refuse is None else refuse(record, self._refused[record.offset])

    def _records_raised(self, error: RecordsRaisedError) -> None:
        """Begin again from what is committed: then one by one, to know which record raised, and then without it."""
        cause = error.__cause__ or error
        if error.first != error.last:
            self._singly_to = error.last
        else:
            digest = stack_digest(cause)
            self._refused[error.first] = digest
            stage, partition = self.to.stage.name, self.to.partition
            self._ground.instruments.tell(RecordRaised(stage, partition, error.first, where_raised(cause), digest))
            if self._ground.refusals.too_many(elapsed_ms()):
                self._processor_failed(f"more than 100 records raised within 60 s, this one {where_raised(cause)}")
                return
        self.begin_reopen()

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
            self._processor_failed(f"{type(error).__name__}: {error}")
            return
        self.checkpoint_if_due()
        self._show_age()

    def checkpoint_if_due(self) -> None:
        """Cut and begin to write, unless a checkpoint is under way or nothing asks for one."""
        partition = self.partition
        running = self.state in (LaneState.RUNNING, LaneState.SEEKING)
        undisturbed = self._ground.surroundings.trouble is None
        free = undisturbed and self._committing is None and running
        if free and partition is not None and partition.due(elapsed_ms()):
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
        """Open, again and again until it is open, refused, given back, or has failed three times in a row.

        While no broker answers or topics are wrong it waits: that is no failure of the partition.
        """
        while not self._closing:
            await self._ground.surroundings.clear()
            try:
                await self.open()
            except StartRefusedError as error:
                self._ground.end(Verdict.REFUSED, str(error))
                return
            except Exception as error:  # noqa: BLE001 - the crash-only boundary
                if await self._ground.surroundings.look() is not None:
                    continue
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
            await self._ground.surroundings.clear()
            await asyncio.sleep(after)
            await self._drop(abort=True)
            await self.bring_up()

        self._reopening = asyncio.ensure_future(later())

    def judge_anew(self) -> None:
        """What was wrong with the topics is right again: whether the state still fits is judged anew."""
        if self.state in (LaneState.RUNNING, LaneState.SEEKING):
            self.begin_reopen()

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
        began = elapsed_ms()
        try:
            cut = partition.cut(began)
        except Exception as error:  # noqa: BLE001 - the crash-only boundary
            self._processor_failed(f"{type(error).__name__}: {error}")
            return
        if cut is None:
            return
        self._committing_since = elapsed_ms()
        self._committing = asyncio.ensure_future(self._commit(partition, producer, cut, began))

    async def _commit(self, partition: InputPartition, producer: AIOKafkaProducer, cut: Cut, began: Millis) -> bool:
        try:
            await commit(producer, cut, self.to)
        except Exception as error:  # noqa: BLE001 - whatever it is, the transaction is given up
            await self._not_committed(producer, error, began)
            return False
        self._committing = None
        self._failures = 0
        spent = elapsed_ms() - began
        partition.wrote(spent)
        self._committed(cut, spent / 1000)
        if self.partition is partition:
            if self._caller is not None and cut.calls:
                self._caller.start(cut.calls)
            if not self._closing:
                self.checkpoint_if_due()
            self._ground.changed()
        return True

    async def _not_committed(self, producer: AIOKafkaProducer, error: Exception, began: Millis) -> None:
        """Wait, try again or end: by what it was, and by whether a broker was there to take it.

        A broker that comes back after the transaction's timeout has ended it and fences its producer, as a new owner
        of the partition does. Which of the two it was the group says: who lost the partition hears so with the next
        heartbeats and gives it back before it is opened again.
        """
        surroundings = self._ground.surroundings
        fenced = is_fenced(producer, error)
        trouble = surroundings.trouble if fenced else await surroundings.look()
        self._committing = None
        if fenced and not surroundings.outage_since(began):
            self._ground.instruments.tell(Fenced(self.to.stage.name, self.to.partition))
            self._ground.end(Verdict.FENCED, f"{self.to.stage.name} partition {self.to.partition} is fenced")
        elif fenced:
            self.begin_reopen(after=_HEARTBEATS * heartbeat_ms(self._ground.runtime.session_timeout_ms) / 1000)
        elif trouble is not None:
            self.begin_reopen()
        elif self._failed(error):
            self.begin_reopen(after=_REOPEN_AFTER * self._failures)

    def _committed(self, cut: Cut, seconds: float) -> None:
        self._refused = {offset: digest for offset, digest in self._refused.items() if offset >= cut.account.position}
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
        self._failed_for = what = f"{type(error).__name__}: {error}"
        stage, partition = self.to.stage.name, self.to.partition
        self._ground.instruments.tell(CheckpointFailed(stage, partition, what, self._failures))
        if self._failures < FAILURES_IN_A_ROW:
            return True
        self._ground.end(
            Verdict.FAILING, f"{stage} partition {partition} failed {self._failures} times in a row: {what}"
        )
        return False

    def _processor_failed(self, what: str) -> None:
        stage, partition = self.to.stage.name, self.to.partition
        position = self.partition.account.position if self.partition else -1
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
            self._processor_failed(f"{type(error).__name__}: {error}")
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
        if self.highwater is not None:
            behind = self._lag_clock.lag(partition.account.position, self.highwater, elapsed_ms())
            instruments.lag_seconds.labels(*place).set(behind / 1000)

    def _show_age(self) -> None:
        age = self.partition.unwritten_for(elapsed_ms()) if self.partition else 0
        self._ground.instruments.checkpoint_age.labels(self.to.stage.name, self.to.partition).set(age / 1000)
