"""Event time of a partition: watermark, lateness, idle clock, hold."""

from __future__ import annotations

import pytest

from pipeline.scoring.rules import ScoreRules
from pipeline.scoring.watermark import NEVER, PartitionTime

RULES = ScoreRules()
S = 1_000


def running(*events: int) -> PartitionTime:
    """A partition that accepted events at these seconds, as they happened."""
    time = PartitionTime(RULES)
    for second in events:
        time.appended(second * S, second * S)
        time.accepted(second * S)
    return time


def test_the_watermark_is_two_seconds_behind_the_highest_time_and_never_falls():
    time = running(100)
    assert time.watermark == 98 * S
    time.accepted(50 * S)
    assert time.watermark == 98 * S


def test_a_partition_without_accepted_events_has_no_watermark():
    time = PartitionTime(RULES)
    time.appended(100 * S, 100 * S)
    time.waited(1_000 * S, at_end=True)
    assert time.watermark == NEVER
    assert time.is_late(0, None) is False


@pytest.mark.parametrize(("watermark", "late"), [(39_999, False), (40_000, True)])
def test_an_event_is_late_when_its_panes_grace_is_over(watermark, late):
    time = running(1)
    time.watermark = watermark
    assert time.is_late(29_000, newest=30_000) is late


@pytest.mark.parametrize(
    ("event", "newest", "late"),
    [
        (700_000, None, False),
        (699_999, None, True),
        (700_000, 700_000, False),
        (700_000, 700_001, True),
        (800_000, 799_999, False),
    ],
)
def test_an_event_in_order_for_its_own_connection_is_saved_up_to_300_s(event, newest, late):
    time = running(1)
    time.watermark = 1_000_000
    assert time.is_late(event, newest) is late


def test_an_idle_partition_follows_the_clock_in_whole_panes_behind_its_timeout():
    time = running(100)
    for second in range(101, 172):
        time.waited(second * S, at_end=True)
    assert time.watermark == 150 * S  # 171 − 10 − 2 is 159


def test_before_the_idle_timeout_the_clock_moves_nothing():
    time = running(100)
    time.waited(109 * S, at_end=True)
    assert time.watermark == 98 * S


def test_time_away_from_the_end_of_the_log_is_not_silence():
    time = running(100)
    time.waited(101 * S, at_end=True)
    time.waited(900 * S, at_end=False)
    time.waited(901 * S, at_end=True)
    assert time.watermark == 98 * S


def test_the_workers_clock_may_be_wrong_or_go_back():
    time = PartitionTime(RULES)
    time.appended(100 * S, 5_000_000)
    time.accepted(100 * S)
    time.waited(4_000_000, at_end=True)
    time.waited(4_070_000, at_end=True)
    assert time.watermark == 150 * S


def test_after_a_restart_the_clock_goes_on_from_the_first_step():
    time = PartitionTime(RULES)
    time.restore(running(100).dump())
    time.waited(10_000 * S, at_end=True)
    assert time.watermark == 98 * S
    time.waited(10_080 * S, at_end=True)
    assert time.watermark == 150 * S


def test_a_hole_of_more_than_90_s_holds_the_watermark_for_90_s_of_append_time():
    time = running(100)
    time.appended(190 * S, 190 * S)
    assert time.held is False
    time.appended(281 * S, 281 * S)
    assert time.held is True
    time.accepted(281 * S)
    assert time.watermark == 98 * S
    time.appended(370 * S, 370 * S)
    time.accepted(370 * S)
    assert (time.held, time.watermark) == (True, 98 * S)
    time.appended(371 * S, 371 * S)
    assert (time.held, time.watermark) == (False, 368 * S)


def test_the_clock_does_not_move_a_held_watermark_but_may_end_the_hold():
    time = running(100, 281)
    time.waited(370 * S, at_end=True)
    assert (time.held, time.watermark) == (True, 98 * S)
    time.waited(371 * S, at_end=False)
    assert time.held is True
    time.waited(371 * S, at_end=True)
    time.waited(372 * S, at_end=True)
    assert (time.held, time.watermark) == (False, 330 * S)  # 371 s by the clock − 10 − 2, in whole panes


def test_a_hold_begins_where_the_idle_clock_had_come_to():
    time = running(100)
    time.waited(180 * S, at_end=True)
    assert time.watermark == 150 * S
    time.appended(300 * S, 300 * S)
    assert (time.held, time.watermark) == (True, 150 * S)


def test_a_running_hold_is_not_prolonged_and_a_new_hole_begins_a_new_one():
    time = running(100, 281)
    time.appended(372 * S, 372 * S)
    assert (time.held_since, time.watermark) == (372 * S, 279 * S)


def test_append_times_that_go_back_change_nothing():
    time = running(100)
    time.appended(50 * S, 101 * S)
    assert (time.last_append, time.held) == (100 * S, False)


def test_event_time_survives_being_stored():
    time = running(100, 281)
    twin = PartitionTime(RULES)
    twin.restore(time.dump())
    assert twin.dump() == time.dump()
