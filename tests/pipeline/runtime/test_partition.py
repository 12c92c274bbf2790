"""When a checkpoint is due and what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from pipeline.runtime.account import Account
from pipeline.runtime.contract import Answer, Call, Effects, LogRecord, Output, Record, StateRecord
from pipeline.runtime.options import RuntimeOptions
from pipeline.runtime.partition import Cut, InputPartition, RecordsRaisedError, next_interval
from schemas.types import Instant

OPTIONS = RuntimeOptions(
    checkpoint_ms=200, idle_checkpoint_ms=5_000, slice_records=100, slice_ms=10, max_cut_bytes=1_000
)


class Scripted:
    """A processor that does what each record's value says: ``o`` output, ``s`` state, ``u`` urgent, ``c`` call, ``r`` raises."""

    def __init__(self) -> None:
        self.changed: list[StateRecord] = []
        self.ticks: list[tuple[Instant, bool]] = []
        self.on_tick = Effects()

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        self.changed = []

    def apply(self, batch: Sequence[Record], now: Instant) -> Effects:
        effects = Effects(counts={"done": len(batch)})
        for record in batch:
            what = (record.value or b"").decode()
            if "r" in what:
                message = "told to raise"
                raise RuntimeError(message)
            if "o" in what:
                effects.outputs.append(Output("out.v1", b"k", b"%d" % record.offset))
            if "s" in what:
                self.changed.append(StateRecord(b"k", b"%d" % record.offset))
            if "c" in what:
                effects.calls.append(Call(str(record.offset), "somewhere", b""))
            effects.urgent = effects.urgent or "u" in what
        return effects

    def tick(self, now: Instant, *, at_end: bool) -> Effects:
        self.ticks.append((now, at_end))
        effects, self.on_tick = self.on_tick, Effects()
        return effects

    def answered(self, answer: Answer, now: Instant) -> Effects:
        return Effects(outputs=[Output("out.v1", b"a", answer.payload)], urgent=True)

    def snapshot(self) -> Iterable[StateRecord]:
        changed, self.changed = self.changed, []
        return changed


def opened(position: int = 0) -> tuple[InputPartition, Scripted]:
    processor = Scripted()
    return InputPartition(processor, Account(0, position), OPTIONS, elapsed=0), processor


def read(partition: InputPartition, *values: bytes, first: int = 0) -> None:
    partition.apply([LogRecord("in.v1", 0, first + n, 0, None, value) for n, value in enumerate(values)], now=1)


def first_due(partition: InputPartition) -> int | None:
    return next((elapsed for elapsed in range(0, 10_001, 10) if partition.due(elapsed)), None)


@pytest.mark.parametrize(
    ("value", "due"),
    [
        (b"o", 200),  # somebody waits for outputs
        (b"c", 200),
        (b"s", 1_000),  # state alone is only a shorter way back
        (b"", 1_000),
        (b"u", 0),
        (b"ou", 0),
    ],
)
def test_a_checkpoint_is_due_by_what_waits(value: bytes, due: int):
    partition, _ = opened()
    read(partition, value)
    assert first_due(partition) == due


def test_a_partition_where_nothing_happens_is_never_due():
    partition, _ = opened()
    assert first_due(partition) is None


def test_markers_alone_are_written_at_the_idle_interval():
    partition, _ = opened()
    partition.skip_to(3)
    assert first_due(partition) == 5_000
    cut = partition.cut(5_000)
    assert cut is not None
    assert cut.account == Account(0, 3, {}, gap=3)
    assert partition.cut(5_000) is None


def test_ticks_that_yield_nothing_are_looked_at_but_make_no_cut():
    partition, processor = opened()
    partition.tick(7, at_end=True)
    assert processor.ticks == [(7, True)]
    assert first_due(partition) == 5_000
    assert partition.cut(5_000) is None
    assert not partition.due(9_999)


def test_a_tick_that_changes_state_is_written_at_the_idle_interval():
    partition, processor = opened()
    partition.tick(7, at_end=False)
    processor.changed.append(StateRecord(b"clock", b"7"))
    assert partition.cut(5_000) == Cut([], [StateRecord(b"clock", b"7")], Account(0, 0), {}, [])


def test_effects_of_a_tick_are_written_like_those_of_records():
    partition, processor = opened()
    processor.on_tick = Effects(outputs=[Output("out.v1", b"k", b"tick")], urgent=True)
    partition.tick(7, at_end=True)
    assert partition.due(0)
    cut = partition.cut(0)
    assert cut is not None
    assert list(cut.outputs) == [Output("out.v1", b"k", b"tick")]


def test_a_cut_holds_everything_since_the_last_as_of_one_offset():
    partition, _ = opened(position=5)
    read(partition, b"os", b"oc", first=5)
    cut = partition.cut(200)
    read(partition, b"o", first=7)
    assert cut == Cut(
        [Output("out.v1", b"k", b"5"), Output("out.v1", b"k", b"6")],
        [StateRecord(b"k", b"5")],
        Account(0, 7, {"done": 2}),
        {"done": 2},
        [Call("6", "somewhere", b"")],
    )
    following = partition.cut(400)
    assert following == Cut([Output("out.v1", b"k", b"7")], [], Account(0, 8, {"done": 3}), {"done": 1}, [])


def test_after_a_cut_the_intervals_begin_anew():
    partition, _ = opened()
    read(partition, b"o")
    partition.cut(200)
    read(partition, b"o", first=1)
    assert not partition.due(399)
    assert partition.due(400)


def test_urgency_lasts_until_the_cut():
    partition, _ = opened()
    read(partition, b"ou")
    read(partition, b"", first=1)
    assert partition.due(0)
    partition.cut(0)
    assert not partition.due(1)


def test_a_partition_with_too_much_to_write_is_full_and_due():
    partition, _ = opened()
    read(partition, *[b"o"] * 10)
    assert not partition.full()
    read(partition, *[b"o"] * 10, first=10)
    assert partition.full()
    assert partition.due(0)
    partition.cut(0)
    assert not partition.full()


def test_answers_go_to_the_processor_and_their_effects_are_written():
    partition, _ = opened()
    partition.answered(Answer("6", "somewhere", b"yes"), now=9)
    assert partition.due(0)
    cut = partition.cut(0)
    assert cut is not None
    assert list(cut.outputs) == [Output("out.v1", b"a", b"yes")]


@pytest.mark.parametrize(
    ("records", "spent", "following"),
    [
        (100, 20.0, 50),  # twice too long: half
        (100, 10.0, 100),
        (100, 1.0, 100),  # never above the limit
        (100, 5_000.0, 1),  # one record at a time if need be
        (0, 0.0, 100),
    ],
)
def test_slices_fit_into_their_time(records: int, spent: float, following: int):
    partition, _ = opened()
    partition.took(records, spent)
    assert partition.slice_records == following


def test_slices_grow_again_by_doubling():
    partition, _ = opened()
    partition.took(100, 100.0)
    assert partition.slice_records == 10
    partition.took(10, 0.1)
    assert partition.slice_records == 20


@pytest.mark.parametrize(
    ("spent", "interval"),
    [
        (0, 200),
        (30, 200),  # an idle transaction costs nothing that counts
        (50, 200),
        (51, 204),  # from here on a quarter of the time is cutting
        (200, 800),
        (250, 1_000),
        (5_000, 1_000),  # nobody waits longer than this for an output
    ],
)
def test_the_next_cut_waits_so_long_that_at_most_a_quarter_of_the_time_is_cutting(spent: int, interval: int):
    assert next_interval(spent, OPTIONS) == interval


def test_an_interval_that_was_asked_for_is_never_shortened():
    assert next_interval(300, RuntimeOptions(checkpoint_ms=2_000)) == 2_000


def test_a_cut_that_took_long_puts_the_next_one_off_unless_it_is_urgent():
    partition, _ = opened()
    read(partition, b"o")
    partition.cut(200)
    partition.wrote(150)
    read(partition, b"o", first=1)
    assert not partition.due(200 + 599)
    assert partition.due(200 + 600)
    read(partition, b"ou", first=2)
    assert partition.due(201)
    partition.cut(201)
    partition.wrote(10)
    read(partition, b"o", first=3)
    assert partition.due(201 + 200)


def test_records_that_raise_are_named_by_their_offsets_and_leave_the_books_alone():
    partition, _ = opened(position=4)
    with pytest.raises(RecordsRaisedError) as caught:
        read(partition, b"s", b"r", first=4)
    assert (caught.value.first, caught.value.last, str(caught.value.__cause__)) == (4, 5, "told to raise")
    assert partition.account == Account(0, 4)


def test_a_refused_record_is_counted_and_kept_without_asking_the_processor():
    partition, processor = opened()
    kept = Output("rejected.v1", b"k", b"r")
    assert partition.refuse(LogRecord("in.v1", 0, 2, 0, b"k", b"r"), kept) == 2
    assert partition.due(0)
    assert partition.cut(0) == Cut([kept], [], Account(0, 3, {"rejected": 1}, gap=2), {"rejected": 1}, [])
    assert partition.refuse(LogRecord("in.v1", 0, 3, 0, b"k", b"r"), None) == 0
    assert partition.cut(0) == Cut([], [], Account(0, 4, {"rejected": 2}, gap=2), {"rejected": 1}, [])
    assert processor.changed == []
