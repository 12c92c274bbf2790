"""The arithmetic of pulses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.agents.core.heartbeat import (
    Heart,
    Ping,
    answered,
    certainty,
    median,
    missed,
    payload,
    percentile,
    pong_timeout,
    read_payload,
    sent,
    suspicion,
    timer_omega,
)
from pipeline.agents.core.options import HeartbeatOptions

OPTIONS = HeartbeatOptions()


def test_a_first_pong_sets_the_estimates_and_a_second_moves_them():
    first = answered(sent(Heart(), 1_000), 1, 100.0, 1_100)
    assert first == Heart(
        last_number=1,
        outstanding=None,
        misses=0,
        srtt_ms=100.0,
        rttvar_ms=50.0,
        jitter_ms=0.0,
        last_rtt_ms=100.0,
        heard_at=1_100,
        gaps_ms=(),
    )
    second = answered(sent(first, 16_000), 2, 180.0, 16_180)
    # SRTT 100 + 80/8, RTTVAR 50 + (80 - 50)/4, jitter 0 + 80/16.
    assert second == Heart(
        last_number=2,
        outstanding=None,
        misses=0,
        srtt_ms=110.0,
        rttvar_ms=57.5,
        jitter_ms=5.0,
        last_rtt_ms=180.0,
        heard_at=16_180,
        gaps_ms=(15_080,),
    )


def test_a_late_pong_of_an_older_ping_is_life_but_does_not_answer_the_newest():
    heart = sent(missed(sent(Heart(), 0)), 2_000)
    assert (heart.outstanding, heart.misses) == (Ping(2, 2_000), 1)
    late = answered(heart, 1, 2_500.0, 2_500)
    assert (late.outstanding, late.misses) == (Ping(2, 2_000), 0)


def test_an_inherited_path_has_no_last_rtt_and_makes_no_jitter():
    assert answered(Heart(last_number=1, srtt_ms=100.0, rttvar_ms=10.0), 1, 140.0, 5).jitter_ms == 0.0


@pytest.mark.parametrize(
    ("srtt", "rttvar", "expected"),
    [
        (None, 0.0, 10_000),
        (40.0, 5.0, 2_000),
        (1_999.0, 0.25, 2_000),
        (2_000.0, 0.25, 2_001),
        (3_000.0, 5_000.0, 10_000),
    ],
)
def test_the_pong_timeout_is_srtt_and_four_variations_within_bounds(srtt, rttvar, expected):
    assert pong_timeout(Heart(srtt_ms=srtt, rttvar_ms=rttvar), OPTIONS) == expected


def test_a_payload_is_read_back_and_a_strangers_is_not():
    assert read_payload(payload(7, 123_456_789_012)) == (7, 123_456_789_012)
    assert [read_payload(other) for other in (b"", b"ping", b"x" * 16, payload(1, 2) + b"x")] == [None] * 4


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**62))
def test_payloads_differ_in_every_ping(number, clock):
    assert payload(number, clock) != payload((number + 1) % 2**32, clock)


def test_suspicion_needs_twenty_gaps_and_grows_with_silence():
    assert suspicion((15_000,) * 19, 60_000) is None
    gaps = (15_000,) * 20
    # One deviation (500 ms at least) past the mean: a chance of .1587, so .80; nothing is ever more than 16.
    assert suspicion(gaps, 15_500) == pytest.approx(0.7995, abs=1e-4)
    assert suspicion(gaps, 0) == pytest.approx(0.0, abs=1e-12)
    assert suspicion(gaps, 60_000) == 16.0
    assert suspicion((10_000, 20_000) * 10, 20_000) == pytest.approx(0.7995, abs=1e-4)


@given(st.lists(st.integers(1, 60_000), min_size=20, max_size=32), st.integers(0, 200_000), st.integers(0, 10_000))
def test_more_silence_is_never_less_suspicious(gaps, silence, more):
    first, second = suspicion(tuple(gaps), silence), suspicion(tuple(gaps), silence + more)
    assert first is not None
    assert second is not None
    assert 0 <= first <= second <= 16


def test_certainty_is_by_the_gaps_if_known_and_else_that_of_a_timer():
    known = Heart(gaps_ms=(15_000,) * 20)
    assert certainty(known, 60_000, lag_ms=0, timeout_ms=2_000) == 0.95
    assert certainty(known, 15_500, lag_ms=0, timeout_ms=2_000) == pytest.approx(1 - 0.15866, abs=1e-4)
    assert certainty(Heart(), 60_000, lag_ms=500, timeout_ms=2_000) == pytest.approx(0.525)


@pytest.mark.parametrize(("lag", "expected"), [(-5, 0.7), (0, 0.7), (1_000, 0.35), (2_000, 0.0), (9_000, 0.0)])
def test_a_timer_is_worth_less_the_longer_our_own_loop_stood_still(lag, expected):
    assert timer_omega(lag, 2_000) == pytest.approx(expected)


def test_percentiles_lie_between_neighbours():
    assert [median((3.0,)), median((4.0, 1.0)), median((9.0, 1.0, 2.0)), percentile((0.0, 10.0), 0.95)] == [
        3.0,
        2.5,
        2.0,
        9.5,
    ]
