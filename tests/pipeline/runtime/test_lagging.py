"""Lag in seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.lagging import LagClock


def test_lag_counts_from_when_the_end_passed_the_position():
    clock = LagClock(every=1_000)
    assert clock.lag(0, 0, 0) == 0
    assert clock.lag(0, 5, 1_000) == 0
    assert clock.lag(2, 9, 3_000) == 2_000
    assert clock.lag(5, 9, 4_000) == 1_000  # 5 was passed at 3,000
    assert clock.lag(9, 9, 5_000) == 0
    assert clock.lag(9, 10, 6_000) == 0


def test_a_long_backlog_keeps_its_beginning():
    clock = LagClock(every=1)
    assert [clock.lag(0, end, 10 * end) for end in range(1, 2_000)][-1] == 10 * 1_998


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 5_000)), max_size=60))
def test_lag_is_0_exactly_when_nothing_waits_or_it_was_just_seen(moves: list[tuple[int, int, int]]):
    clock, position, end, elapsed = LagClock(), 0, 0, 0
    for read, written, passed in moves:
        end += written
        position = min(end, position + read)
        elapsed += passed
        lag = clock.lag(position, end, elapsed)
        assert 0 <= lag <= elapsed
        assert lag == 0 or end > position
