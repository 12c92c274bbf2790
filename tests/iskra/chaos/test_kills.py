"""The summary of many runs, and the plan that a seed gives."""

from __future__ import annotations

import pytest

from iskra.chaos.judging import Verdict
from iskra.chaos.kills import Killed, Series, plan_of
from iskra.chaos.schedule import Kind

GREEN = Killed(1, 1_001, Verdict.GREEN, 3, 1, 2_900, 2, 0, 0, 20.5)
RED = Killed(2, 1_002, Verdict.VIOLATED, 2, 0, 2_800, 0, 1, 4, 21.5, ("I2: one is gone",))
IDLE = Killed(3, 1_003, Verdict.INCONCLUSIVE, 0, 4, 2_800, 0, 0, 0, 20.0, ("no worker was killed",))


@pytest.mark.parametrize(
    ("runs", "green"), [([], False), ([GREEN], True), ([GREEN, RED], False), ([GREEN, IDLE], False)]
)
def test_a_series_is_green_when_every_run_is(runs: list[Killed], green: bool):
    assert Series(1, runs).green is green


def test_the_summary_adds_up_and_names_what_was_broken():
    series = Series(1, [GREEN, RED])
    data = series.as_data()
    assert {name: data[name] for name in ("runs", "verdicts", "events_acked", "events_lost", "records_seen_twice")} == {
        "runs": 2,
        "verdicts": {"green": 1, "violated": 1},
        "events_acked": 5_700,
        "events_lost": 1,
        "records_seen_twice": 4,
    }
    assert (data["kills_with_work_in_flight"], data["other_kills"]) == (5, 1)
    text = series.as_markdown()
    assert "- green: 1\n- violated: 1\n- inconclusive: 0\n" in text
    assert "\n| 2 | 1002 | violated | 2 | 0 | 2800 | 0 | 1 | 4 | 22 |\n" in text
    assert text.endswith("- run 2: I2: one is gone\n")


def test_the_same_seed_gives_the_same_runs_each_with_topics_of_its_own():
    assert plan_of(1, 5) == plan_of(1, 5)
    first, second = plan_of(1, 5), plan_of(1, 6)
    assert (first.faults, first.prefix) != (second.faults, second.prefix)
    assert first.faults[-1].kind is Kind.QUIET
