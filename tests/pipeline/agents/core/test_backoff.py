"""Waits between attempts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.agents.core.backoff import around, between, wait, width
from pipeline.agents.core.options import BackoffOptions
from tests.pipeline.agents.world import Dice

OPTIONS = BackoffOptions()


@pytest.mark.parametrize(
    ("collective", "loopback", "expected"),
    [
        (False, False, [1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000, 20_000]),
        (True, False, [5_000, 5_000, 10_000, 20_000, 20_000, 20_000, 20_000, 20_000]),
        (False, True, [1_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000]),
        (True, True, [5_000, 5_000, 10_000, 20_000, 20_000, 20_000, 20_000, 20_000]),
    ],
)
def test_widths_follow_their_series_and_stay_on_its_last_step(collective, loopback, expected):
    assert [width(tries, OPTIONS, collective=collective, loopback=loopback) for tries in range(8)] == expected


@given(st.integers(0, 600_000), st.integers(0, 20_000), st.integers())
def test_a_wait_lies_between_its_floor_and_floor_plus_width(floor, span, seed):
    assert floor <= wait(floor, span, random.Random(seed)) <= floor + span


def test_the_floor_is_added_so_that_waits_do_not_clump_on_it():
    rng = random.Random(7)
    waits = [wait(100, 1_000, rng) for _ in range(10_000)]
    assert sum(w <= 101 for w in waits) < 30


@pytest.mark.parametrize(("dice", "expected"), [(0.0, (5_000, 90)), (0.5, (17_500, 100)), (1.0, (30_000, 110))])
def test_between_and_around_span_their_ranges(dice, expected):
    assert (between(5_000, 30_000, Dice(dice)), around(100, 0.1, Dice(dice))) == expected
