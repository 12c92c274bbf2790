"""From samples to figures."""

from __future__ import annotations

import pytest

from benchmarks.measuring import Figures, Sample, Spread, figures_of, percentile, spread_of


def sample(at: float, position: int, cpu: float = 0.0, broker: float = 0.0, rss: int = 0) -> Sample:
    return Sample(at, position, cpu, broker, rss)


#   at        0    1    2      3       4        5
#   committed 0    0    1000   5000    9000     9000
RUN = [
    sample(100.0, 0, 0.0, 5.0, 10),
    sample(101.0, 0, 0.9, 5.1, 50),
    sample(102.0, 1_000, 1.5, 5.25, 80),
    sample(103.0, 5_000, 2.5, 5.75, 90),
    sample(104.0, 9_000, 3.5, 6.25, 70),
    sample(105.0, 9_000, 3.9, 6.2, 60),
]


def test_the_steady_part_is_from_the_first_commit_seen_to_the_commit_that_reached_the_end() -> None:
    assert figures_of(RUN, 9_000) == Figures(
        events=8_000,
        rate=4_000.0,
        cpu_per_million=250.0,
        broker_cpu_per_million=125.0,
        rss_peak=90,
        wall=4.0,
        wall_rate=2_250.0,
    )


def test_the_steady_part_may_begin_later() -> None:
    found = figures_of(RUN, 9_000, after=1_000)
    assert (found.events, found.rate) == (4_000, 4_000.0)


def test_a_run_that_did_not_reach_the_end_has_no_figures() -> None:
    with pytest.raises(ValueError, match="committed 9000 of 9001 records"):
        figures_of(RUN, 9_001)


def test_a_run_seen_only_at_its_end_has_no_figures() -> None:
    with pytest.raises(ValueError, match="no commit was seen"):
        figures_of([RUN[0], RUN[-1]], 9_000)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], Spread(3.0, 3.0, 3.0, 1)),
        ([5.0, 1.0, 3.0], Spread(3.0, 1.0, 5.0, 3)),
        ([4.0, 1.0, 2.0, 3.0], Spread(2.5, 1.0, 4.0, 4)),
    ],
)
def test_median_and_spread(values: list[float], expected: Spread) -> None:
    assert spread_of(values) == expected


def test_the_relative_spread_is_half_of_the_distance_by_the_median() -> None:
    assert spread_of([90.0, 100.0, 120.0]).relative == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0), (0.0, 1.0)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0
