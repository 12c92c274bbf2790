"""The power mean: check values, merging, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.power_mean import EMPTY, PowerSum, add, certainty, mean, merge
from pipeline.scoring.rules import ScoreRules

P = ScoreRules().power
units = st.floats(0, 1)


def total(*xs: float) -> PowerSum:
    found = EMPTY
    for x in xs:
        found = add(found, x, 0.5, p=P)
    return found


def test_the_exponent_makes_a_twentieth_of_the_children_an_alarm():
    assert round(P, 2) == 8.40


@pytest.mark.parametrize(("down", "pain"), [(5, 0.53), (10, 0.58), (50, 0.700), (60, 0.715), (100, 0.76), (500, 0.92)])
def test_a_thousand_links_of_one_seam(down, pain):
    digits = 3 if down in (50, 60) else 2
    assert round(mean(total(*[1.0] * down, *[0.0] * (1000 - down)), P), digits) == pain


def test_no_children_have_no_pain_and_no_doubt():
    assert (mean(EMPTY, P), certainty(EMPTY)) == (0.0, 1.0)
    assert (mean(total(0.0, 0.0), P), certainty(total(0.0, 0.0))) == (0.0, 1.0)


def test_the_certainty_is_that_of_those_that_hurt():
    assert certainty(add(add(EMPTY, 0.0, 0.1, p=P), 0.8, 0.9, p=P)) == pytest.approx(0.9)


def test_a_child_weighs_what_it_weighs():
    twice = add(add(EMPTY, 0.9, 1.0, p=P, weight=2.0), 0.0, 1.0, p=P)
    assert mean(twice, P) == pytest.approx(mean(total(0.9, 0.9, 0.0), P))


@given(st.lists(units, min_size=1, max_size=20))
def test_the_mean_lies_between_arithmetic_mean_and_maximum(xs):
    found = mean(total(*xs), P)
    assert sum(xs) / len(xs) - 1e-9 <= found <= max(xs) + 1e-9


@given(st.lists(units, max_size=20), st.integers(0, 20))
def test_any_split_of_the_children_merges_to_the_same(xs, cut):
    merged = merge(total(*xs[:cut]), total(*xs[cut:]))
    assert merged == pytest.approx(total(*xs))


@given(st.lists(units, min_size=1, max_size=10), units)
def test_the_mean_is_monotone(xs, more):
    assert mean(total(max(xs[0], more), *xs[1:]), P) >= mean(total(*xs), P) - 1e-12
