"""A log folded again leads to the state that a worker had that kept up with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.account import Account
from pipeline.runtime.contract import Effects, LogRecord, Output, Record, StateRecord
from pipeline.runtime.partition import RecordsRaisedError
from pipeline.runtime.replaying import Replay
from schemas.types import Instant


class Diary:
    """Notes what it is told, in order: offsets and the times of ticks."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.nows: list[Instant] = []

    def restore(self, snapshot: Iterable[StateRecord]) -> None: ...

    def apply(self, batch: Sequence[Record], now: Instant) -> Effects:
        for record in batch:
            if record.value == b"raise":
                message = "told to raise"
                raise RuntimeError(message)
        self.told += [f"@{record.offset}" for record in batch]
        self.nows.append(now)
        return Effects(outputs=[Output("out", b"k", b"v")], counts={"done": len(batch)})

    def tick(self, now: Instant, *, at_end: bool) -> Effects:
        assert at_end
        self.told.append(f"t{now}")
        self.nows.append(now)
        return Effects()

    def snapshot(self) -> Iterable[StateRecord]:
        return ()


def replay(refused: frozenset[int] = frozenset(), singly_to: int = -1) -> tuple[Replay, Diary]:
    diary = Diary()
    return Replay(diary, Account(3, 3), refused=refused, singly_to=singly_to), diary


def log(*times: int, first: int = 3, value: bytes = b"x") -> list[LogRecord]:
    return [LogRecord("in", 0, first + n, at, None, value) for n, at in enumerate(times)]


def test_time_passes_between_records_as_it_did_for_a_worker_at_the_end_of_the_log():
    one, diary = replay()
    one.fold(log(10_000, 10_500, 13_200, 13_100))
    assert diary.told == ["@3", "@4", "t11500", "t12500", "t13199", "@5", "@6"]
    one.wait(14_000)
    assert diary.told[-1] == "t14000"
    assert one.account == Account(3, 7, {"done": 4})


def test_nothing_waits_before_the_first_record():
    one, diary = replay()
    one.wait(99_999)
    assert diary.told == []


def test_offsets_the_broker_does_not_deliver_are_a_gap_as_they_were():
    one, _ = replay()
    one.fold([*log(1, first=4), *log(2, first=8)])
    assert one.account == Account(3, 9, {"done": 2}, gap=4)


def test_records_that_raised_are_found_and_then_left_out_as_the_worker_did():
    records = [*log(1, 2), *log(3, first=5, value=b"raise"), *log(4, first=6)]
    one, _ = replay()
    with pytest.raises(RecordsRaisedError) as caught:
        one.fold(records)
    assert (caught.value.first, caught.value.last) == (3, 6)
    one, _ = replay(singly_to=6)
    with pytest.raises(RecordsRaisedError) as caught:
        one.fold(records)
    assert (caught.value.first, caught.value.last) == (5, 5)
    one, diary = replay(refused=frozenset({5}), singly_to=6)
    one.fold(records)
    assert diary.told == ["@3", "@4", "@6"]
    assert one.account == Account(3, 7, {"done": 3, "rejected": 1})


@given(st.lists(st.integers(0, 4_000), min_size=1, max_size=30), st.integers(1, 30))
def test_any_cut_of_the_log_tells_the_same_and_time_never_goes_back(gaps: list[int], size: int):
    times = [1_000 + sum(gaps[: n + 1]) for n in range(len(gaps))]
    whole, told = replay()
    whole.fold(log(*times))
    parts, again = replay()
    records = log(*times)
    for first in range(0, len(records), size):
        parts.fold(records[first : first + size])
    assert again.told == told.told
    assert parts.account == whole.account
    assert told.nows == sorted(told.nows)
