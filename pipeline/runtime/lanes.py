"""All lanes of a worker: opened and closed together, fed in turn, ticked by one clock, watched.

It knows Kafka partitions but neither Faust nor the consumer; ``faust_seam.py`` drives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from aiokafka import TopicPartition

from pipeline.crashpoint import crashpoint
from schemas.types import Instant, Millis

from .checkpoint import Destination
from .contract import Record, Stage
from .instruments import FetchFailed, Instruments, Ready, Rebalanced
from .lane import Ground, Lane, LaneState, Verdict, elapsed_ms
from .opening import check_topics, partition_counts
from .options import KafkaOptions, RuntimeOptions
from .partition import InputPartition
from .refusing import Refusals
from .surroundings import Surroundings, Trouble

__all__ = ["Lanes"]

_CLOSE_WITHIN = 15.0
_REACH_EVERY = 1.0
_TURNS_WHILE_COMMITTING = 8
_COLLECT_AFTER = (100_000, 20, 20)
"""Folding makes many containers and no cycles; looking for them every 700 was a fifth of what an event costs."""
_FETCH_TOLD_EVERY: Millis = 10_000


class Lanes:
    """The input partitions a worker owns now."""

    def __init__(
        self,
        role: str,
        stages: Sequence[Stage],
        kafka: KafkaOptions,
        runtime: RuntimeOptions,
        *,
        member: str,
        instruments: Instruments,
    ) -> None:
        """Nothing assigned yet.

        Errors: ValueError if two stages read the same topic.
        """
        self.role = role
        self.member = member
        self.stages = {kafka.topic(stage.source): stage for stage in stages}
        if len(self.stages) != len(stages):
            message = "two stages of a role read the same topic"
            raise ValueError(message)
        self.group = f"{kafka.topic_prefix}-{role}"
        self.instruments = instruments
        self.runtime = runtime
        self.ended: tuple[Verdict, str] | None = None
        self.on_end: Callable[[Verdict, str], None] = lambda _verdict, _reason: None
        self.assigned_at: float | None = None
        self.ready = False
        self.reach_within = 30.0
        """Seconds a start waits for the broker."""
        self._kafka = kafka
        self._counts: Mapping[str, int] = {}
        self._lanes: dict[TopicPartition, Lane] = {}
        self._changed = asyncio.Event()
        self._opening: asyncio.Task[None] | None = None
        self._began = time.monotonic()
        self._fetch_failed_at: Millis | None = None
        self.surroundings = Surroundings(lambda: partition_counts(kafka), kafka.bootstrap, instruments, elapsed_ms)
        self.surroundings.on_change = self._surroundings_changed
        self._ground = Ground(runtime, instruments, self.surroundings, Refusals(), member, self.end, self._changed.set)

    @property
    def lanes(self) -> Sequence[Lane]:
        """The lanes there are now."""
        return tuple(self._lanes.values())

    def end(self, verdict: Verdict, reason: str) -> None:
        """End the process; the first reason counts."""
        if self.ended is None:
            self.ended = (verdict, reason)
            self.on_end(verdict, reason)

    async def check(self) -> None:
        """Whether the topics are as they must be; waits a while for the broker.

        Errors: StartRefusedError, or what aiokafka raises when there is no broker.
        """
        deadline = time.monotonic() + self.reach_within
        while True:
            try:
                counts = await partition_counts(self._kafka)
                break
            except Exception as error:
                if time.monotonic() > deadline:
                    raise
                self.surroundings.no_broker(error)
                await asyncio.sleep(_REACH_EVERY)
        self.surroundings.answered()
        self._counts = check_topics(tuple(self.stages.values()), counts, self._kafka)
        self.surroundings.expected = {self._kafka.topic(name): count for name, count in self._counts.items()}

    async def open(self, assigned: Iterable[TopicPartition]) -> None:
        """Open these partitions; returns when all are restored, or when ``close`` was called meanwhile."""
        await self._close(last_checkpoint=True)
        self._opening = asyncio.ensure_future(self._open(list(assigned)))
        await asyncio.wait([self._opening])
        if not self._opening.cancelled() and (error := self._opening.exception()) is not None:
            # Faust would only log it.
            self.end(Verdict.FAILING, f"opening failed: {type(error).__name__}: {error}")

    async def _open(self, assigned: Sequence[TopicPartition]) -> None:
        for tp in assigned:
            stage = self.stages.get(tp.topic)
            if stage is not None:
                to = Destination(self._kafka, self.group, stage, tp.partition, self._counts)
                self._lanes[TopicPartition(*tp)] = Lane(to, self._ground)
        lanes = list(self._lanes.values())
        await asyncio.gather(*(lane.bring_up() for lane in lanes))
        if self.ended is None:
            # What was restored lives long: the collector need not look at it again and again.
            gc.freeze()
            gc.set_threshold(*_COLLECT_AFTER)
            self._tell_assigned(lanes)

    async def close(self, *, last_checkpoint: bool) -> None:
        """Give all partitions back, with a last checkpoint of each if wanted."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        undisturbed = self.ended is None and self.surroundings.trouble is None
        await self._close(last_checkpoint=last_checkpoint and undisturbed)

    async def _close(self, *, last_checkpoint: bool) -> None:
        lanes, self._lanes = self._lanes, {}
        self.assigned_at = None
        await asyncio.gather(
            *(lane.close(last_checkpoint=last_checkpoint, within=_CLOSE_WITHIN) for lane in lanes.values())
        )

    def readable(self) -> dict[TopicPartition, InputPartition]:
        """The partitions to fetch for, each with what will fold its records; none while something around is wrong."""
        if self.surroundings.trouble is not None:
            return {}
        return {tp: lane.partition for tp, lane in self._lanes.items() if lane.readable and lane.partition is not None}

    def seeks(self) -> dict[TopicPartition, int]:
        """Where the consumer must be put before anything is fetched for these."""
        return {
            tp: lane.partition.account.position
            for tp, lane in self._lanes.items()
            if lane.state is LaneState.SEEKING and lane.partition is not None
        }

    def sought(self, positions: Mapping[TopicPartition, int]) -> None:
        """The consumer stands there now."""
        for tp, position in positions.items():
            lane = self._lanes.get(tp)
            if lane is not None and lane.partition is not None and lane.partition.account.position == position:
                lane.sought()

    async def feed(
        self,
        fetched: Mapping[TopicPartition, Sequence[Record]],
        polled: Mapping[TopicPartition, InputPartition],
        *,
        going: Callable[[], bool],
    ) -> None:
        """Fold what was fetched, a slice of each partition in turn, with a turn of the loop after each.

        Shape: ``polled`` is what ``readable`` said before the fetch: records for anything else are stale.
        """
        crashpoint("batch.received")
        left: dict[TopicPartition, Sequence[Record]] = {}
        for tp, records in fetched.items():
            partition = polled.get(tp)
            if partition is not None:
                unread = partition.account.unread(records)
                if unread:
                    left[tp] = unread
        while left:
            for tp in list(left):
                lane = self._lanes.get(tp)
                if (
                    not going()
                    or lane is None
                    or lane.partition is not polled[tp]
                    or lane.state is not LaneState.RUNNING
                ):
                    if lane is not None:
                        lane.seek_again()
                    del left[tp]
                    continue
                records = left[tp]
                taken = lane.fold(records)
                if taken >= len(records):
                    del left[tp]
                else:
                    left[tp] = records[taken:]
                await self._turn()

    async def _turn(self) -> None:
        """Let others run between slices: a checkpoint under way needs some thirty turns to its commit."""
        turns = _TURNS_WHILE_COMMITTING if any(lane.committing for lane in self._lanes.values()) else 1
        for _ in range(turns):
            await asyncio.sleep(0)

    def unfolded(self, tps: Iterable[TopicPartition]) -> None:
        """Records of these were fetched but thrown away."""
        for tp in tps:
            lane = self._lanes.get(tp)
            if lane is not None:
                lane.seek_again()

    def observe(
        self,
        tp: TopicPartition,
        partition: InputPartition,
        *,
        position: int,
        highwater: int | None,
        fetched_at: Instant | None,
    ) -> None:
        """What the consumer knows of this partition after everything it gave is folded."""
        lane = self._lanes.get(tp)
        if lane is not None and lane.partition is partition:
            lane.observe(position, highwater, fetched_at)

    def out_of_range(self, tps: Iterable[TopicPartition]) -> None:
        """The log does not hold the position any more: open again, which counts what is lost."""
        for tp in tps:
            lane = self._lanes.get(TopicPartition(*tp))
            if lane is not None and lane.state in (LaneState.RUNNING, LaneState.SEEKING):
                lane.begin_reopen()

    def fetch_failed(self, error: str) -> None:
        """Records could not be fetched. Told now and then: an outage fails many fetches."""
        now = elapsed_ms()
        if (
            self.surroundings.trouble is None
            and now - (self._fetch_failed_at or -_FETCH_TOLD_EVERY) >= _FETCH_TOLD_EVERY
        ):
            self._fetch_failed_at = now
            self.instruments.tell(FetchFailed(error))

    async def wait_changed(self, at_most: float) -> None:
        """Wait until a lane may be read that could not before, at most so many seconds."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), at_most)

    async def run_clock(self) -> None:
        """Tick all lanes for ever."""
        period = self.runtime.tick_ms / 1000
        while True:
            await asyncio.sleep(period)
            for lane in self.lanes:
                lane.tick()

    def stalled(self) -> str | None:
        """Why nothing moves though it should, or None."""
        if self.surroundings.trouble is not None:
            return None
        limit = self.runtime.stall_after_ms
        now = elapsed_ms()
        for lane in self._lanes.values():
            still = min(lane.still_for(now), now - self.surroundings.over_at)
            if still > limit:
                place = f"{lane.to.stage.name} partition {lane.to.partition}"
                return f"{place} is {lane.state}, lag {lane.lag}, nothing moved for {still} ms"
        return None

    def _surroundings_changed(self, over: Trouble | None) -> None:
        if over is not None and over.kind == "topics":
            for lane in self.lanes:
                lane.judge_anew()
        self._changed.set()

    def _tell_assigned(self, lanes: Sequence[Lane]) -> None:
        partitions: dict[str, tuple[int, ...]] = {stage.name: () for stage in self.stages.values()}
        for lane in lanes:
            partitions[lane.to.stage.name] = tuple(sorted((*partitions[lane.to.stage.name], lane.to.partition)))
        self.assigned_at = time.monotonic()
        if self.ready:
            self.instruments.tell(Rebalanced(partitions))
        else:
            self.ready = True
            seconds = round(time.monotonic() - self._began, 3)
            self.instruments.tell(Ready(self.role, self.member, partitions, seconds))
