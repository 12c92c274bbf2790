"""When a worker is stalled, when it is ready, and that nothing stale is folded; no broker needed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from pipeline.runtime import lane as lane_module
from pipeline.runtime.account import Account
from pipeline.runtime.checkpoint import Destination
from pipeline.runtime.contract import Assignment, Effects, LogRecord, Record, Stage, StateRecord
from pipeline.runtime.instruments import Instruments
from pipeline.runtime.lane import Lane, LaneState, Verdict
from pipeline.runtime.lanes import Lanes
from pipeline.runtime.options import KafkaOptions, RuntimeOptions
from pipeline.runtime.partition import InputPartition
from pipeline.runtime.probes import not_ready

TP = TopicPartition("p.in.v1", 0)
OPTIONS = RuntimeOptions(checkpoint_ms=60_000, idle_checkpoint_ms=60_000, slice_records=2, stall_after_ms=60_000)


class Noting:
    """Remembers what it was given."""

    def __init__(self, assignment: Assignment) -> None:
        self.slices: list[list[int]] = []
        self.ends: list[bool] = []

    def restore(self, snapshot: Iterable[StateRecord]) -> None: ...

    def apply(self, batch: Sequence[Record], now: int) -> Effects:
        self.slices.append([record.offset for record in batch])
        return Effects(counts={"done": len(batch)})

    def tick(self, now: int, *, at_end: bool) -> Effects:
        self.ends.append(at_end)
        return Effects()

    def snapshot(self) -> Iterable[StateRecord]:
        return ()


STAGE = Stage("noting", "in.v1", "state.v1", (), Noting)


class Clock:
    """Time that is moved by hand."""

    def __init__(self) -> None:
        self.elapsed = 1_000_000
        self.now = 1_700_000_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("lane", "lanes"):
        monkeypatch.setattr(f"pipeline.runtime.{module}.elapsed_ms", lambda: clock.elapsed)
    monkeypatch.setattr(lane_module, "now_ms", lambda: clock.now)
    monkeypatch.setattr("pipeline.runtime.probes.now_ms", lambda: clock.now)
    return clock


def assigned(state: LaneState = LaneState.RUNNING) -> tuple[Lanes, Lane, Noting]:
    """Lanes with one lane that looks as if it had been opened at offset 0."""
    lanes = Lanes(
        "noting", [STAGE], KafkaOptions(topic_prefix="p"), OPTIONS, member="noting-0", instruments=Instruments("noting")
    )
    to = Destination(KafkaOptions(topic_prefix="p"), "p-noting", STAGE, 0, {"in.v1": 1, "state.v1": 1})
    lane = Lane(to, lanes._ground)
    processor = Noting(Assignment(0, to.partitions))
    lane.partition = InputPartition(processor, Account(0, 0), OPTIONS, lane_module.elapsed_ms())
    lane.state = state
    lanes._lanes[TP] = lane
    return lanes, lane, processor


def records(*offsets: int) -> list[LogRecord]:
    return [LogRecord("p.in.v1", 0, offset, 0, None, b"x") for offset in offsets]


async def test_what_is_fetched_is_folded_in_slices(clock: Clock):
    lanes, _, processor = assigned()
    await lanes.feed({TP: records(0, 1, 2, 3, 4)}, lanes.readable(), going=lambda: True)
    assert processor.slices == [[0, 1], [2, 3], [4]]
    assert lanes.seeks() == {}


async def test_records_fetched_for_another_life_of_the_partition_are_thrown_away(clock: Clock):
    lanes, lane, processor = assigned()
    polled = lanes.readable()
    lane.partition = InputPartition(processor, Account(0, 3), OPTIONS, 0)
    await lanes.feed({TP: records(0, 1, 2, 3)}, polled, going=lambda: True)
    assert processor.slices == []
    assert lanes.seeks() == {TP: 3}


async def test_a_stopped_flow_ends_between_slices_and_the_rest_is_fetched_again(clock: Clock):
    lanes, _, processor = assigned()
    turns = iter([True, False])
    await lanes.feed({TP: records(0, 1, 2, 3)}, lanes.readable(), going=lambda: next(turns))
    assert processor.slices == [[0, 1]]
    assert lanes.seeks() == {TP: 2}


async def test_a_seek_counts_only_for_the_position_it_was_made_for(clock: Clock):
    lanes, lane, _ = assigned(LaneState.SEEKING)
    lanes.sought({TP: 7})
    assert lanes.seeks() == {TP: 0}
    lanes.sought({TP: 0})
    assert lanes.seeks() == {}
    assert lane.readable


@pytest.mark.parametrize(
    ("highwater", "heard_ago", "at_end"),
    [
        (0, 0, True),
        (0, 900, True),
        (0, 1_100, False),  # nothing heard from the broker: it may hold more
        (1, 0, False),
        (None, 0, False),
    ],
)
async def test_ticks_are_at_the_end_only_with_fresh_word_of_it(
    clock: Clock, highwater: int | None, heard_ago: int, at_end: bool
):
    lanes, lane, processor = assigned()
    partition = lanes.readable()[TP]
    lanes.observe(TP, partition, position=0, highwater=highwater, fetched_at=clock.now)
    clock.now += heard_ago
    lane.tick()
    assert processor.ends == [at_end]


async def test_a_lag_that_does_not_move_is_a_stall(clock: Clock):
    lanes, lane, _ = assigned()
    lanes.observe(TP, lanes.readable()[TP], position=0, highwater=5, fetched_at=clock.now)
    clock.elapsed += 60_000
    assert lanes.stalled() is None
    clock.elapsed += 1
    assert lanes.stalled() == "noting partition 0 is running, lag 5, nothing moved for 60001 ms"
    lane.fold(records(0))
    assert lanes.stalled() is None


async def test_no_lag_is_no_stall_and_an_opening_that_hangs_is_one(clock: Clock):
    lanes, lane, _ = assigned()
    clock.elapsed += 100_000
    assert lanes.stalled() is None
    lane.state = LaneState.OPENING
    assert lanes.stalled() == "noting partition 0 is opening, lag 0, nothing moved for 100000 ms"


async def test_a_checkpoint_that_does_not_end_is_a_stall(clock: Clock):
    lanes, lane, _ = assigned()
    lane._committing = asyncio.ensure_future(asyncio.sleep(60, False))
    lane._committing_since = clock.elapsed
    clock.elapsed += 60_001
    assert lanes.stalled() == "noting partition 0 is running, lag 0, nothing moved for 60001 ms"
    lane._committing.cancel()


async def test_a_worker_is_ready_when_assigned_restored_and_heard(clock: Clock):
    lanes, lane, _ = assigned(LaneState.SEEKING)
    assert not_ready(lanes) == ["no assignment restored yet"]
    lanes.ready, lanes.assigned_at = True, 0.0
    assert not_ready(lanes) == ["noting partition 0: seeking"]
    lane.state = LaneState.RUNNING
    lanes.observe(TP, lanes.readable()[TP], position=0, highwater=0, fetched_at=clock.now)
    assert not_ready(lanes) == []
    clock.now += 10_001
    assert not_ready(lanes) == ["noting partition 0: the broker has not answered for 10 s"]
    lanes.assigned_at = None
    assert not_ready(lanes)[-1] == "rebalancing"
    lanes.end(Verdict.STALLED, "a reason")
    assert not_ready(lanes) == ["ending: a reason"]


async def test_the_first_reason_to_end_counts(clock: Clock):
    lanes, _, _ = assigned()
    heard: list[Any] = []
    lanes.on_end = lambda verdict, reason: heard.append((verdict, reason))
    lanes.end(Verdict.FENCED, "first")
    lanes.end(Verdict.FAILING, "second")
    assert heard == [(Verdict.FENCED, "first")]
    assert lanes.ended == (Verdict.FENCED, "first")


def raising_on(processor: Noting, *offsets: int) -> None:
    """A bug, made on purpose."""
    noting = processor.apply

    def fail(batch: Sequence[Record], now: int) -> Effects:
        if any(record.offset in offsets for record in batch):
            message = "a bug, and the text of a record"
            raise RuntimeError(message)
        return noting(batch, now)

    processor.apply = fail  # type: ignore[method-assign]  # see above


def reopened(lane: Lane, processor: Noting) -> None:
    """What a lane is after it was opened again from the committed offset 0, without a broker."""
    if lane._reopening is not None:
        lane._reopening.cancel()
    lane.partition = InputPartition(processor, Account(0, 0), OPTIONS, lane_module.elapsed_ms())
    lane.state = LaneState.RUNNING


async def test_a_record_that_raises_is_found_one_by_one_and_then_refused(
    clock: Clock, caplog: pytest.LogCaptureFixture
):
    lanes, lane, processor = assigned()
    raising_on(processor, 1)
    await lanes.feed({TP: records(0, 1, 2)}, lanes.readable(), going=lambda: True)
    assert lane.state is LaneState.OPENING
    reopened(lane, processor)
    await lanes.feed({TP: records(0, 1, 2)}, lanes.readable(), going=lambda: True)
    assert lane.state is LaneState.OPENING
    reopened(lane, processor)
    await lanes.feed({TP: records(0, 1, 2)}, lanes.readable(), going=lambda: True)
    assert processor.slices == [[0], [0], [2]]
    assert lane.partition is not None
    assert lane.partition.account == Account(0, 3, {"done": 2, "rejected": 1})
    assert lanes.ended is None
    (told,) = [record for record in caplog.records if record.message == "record_raised"]
    assert getattr(told, "offset", None) == 1
    assert "the text of a record" not in str(vars(told))


async def test_slices_end_before_a_record_that_is_known_to_raise(clock: Clock):
    lanes, lane, processor = assigned()
    lane._refused = {1: "digest"}
    await lanes.feed({TP: records(0, 1, 2, 3)}, lanes.readable(), going=lambda: True)
    assert processor.slices == [[0], [2, 3]]


async def test_more_than_a_hundred_records_that_raise_within_a_minute_end_the_process(clock: Clock):
    lanes, lane, processor = assigned()
    raising_on(processor, 0)
    for _ in range(101):
        assert lanes.ended is None
        lane.fold(records(0))
        lane._refused.clear()
        if lanes.ended is None:
            reopened(lane, processor)
    verdict, reason = lanes.ended or (None, "")
    assert verdict is Verdict.PROCESSOR
    assert "more than 100 records raised within 60 s" in reason
    assert lane.state is LaneState.CLOSED


async def test_an_error_that_no_record_is_to_blame_for_ends_the_process(clock: Clock):
    lanes, lane, processor = assigned()

    def fail(now: int, *, at_end: bool) -> Effects:
        message = "a bug"
        raise RuntimeError(message)

    processor.tick = fail  # type: ignore[method-assign]  # a bug, made on purpose
    lane.tick()
    assert lanes.ended == (Verdict.PROCESSOR, "noting partition 0 raised at offset 0: RuntimeError: a bug")
    assert lane.state is LaneState.CLOSED


async def test_while_something_around_is_wrong_nothing_is_read_and_the_reason_is_told(clock: Clock):
    lanes, _, _ = assigned()
    lanes.ready, lanes.assigned_at = True, 0.0
    lanes.observe(TP, lanes.readable()[TP], position=0, highwater=5, fetched_at=clock.now)
    lanes.surroundings.no_broker(OSError())
    assert lanes.readable() == {}
    assert not_ready(lanes) == ["waiting for a broker at 127.0.0.1:9092: OSError"]
    clock.elapsed += 100_000
    assert lanes.stalled() is None
    lanes.surroundings.answered()
    assert list(lanes.readable()) == [TP]
    clock.elapsed += 60_000
    assert lanes.stalled() is None
    clock.elapsed += 1
    assert lanes.stalled() is not None


async def test_topics_that_are_right_again_make_the_lanes_judge_their_state_anew(clock: Clock):
    lanes, lane, _ = assigned()
    lanes.surroundings._is(("topics", "gone"))
    assert lane.readable
    lanes.surroundings.answered()
    assert lane.state is LaneState.OPENING
    assert lane._reopening is not None
    lane._reopening.cancel()


async def test_failed_fetches_are_told_now_and_then_and_not_while_a_broker_is_waited_for(clock: Clock):
    lanes, _, _ = assigned()

    def told() -> float | None:
        return lanes.instruments.registry.get_sample_value("iskra_fetch_errors_total")

    for _ in range(3):
        lanes.fetch_failed("e")
    assert told() == 1.0
    clock.elapsed += 10_000
    lanes.fetch_failed("e")
    assert told() == 2.0
    lanes.surroundings.no_broker(OSError())
    clock.elapsed += 10_000
    lanes.fetch_failed("e")
    assert told() == 2.0
