"""The schedule of faults: a function of the seed, with the gaps, the quiet and the variety it promises."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iskra.chaos.schedule import Fault, Kind, rows_run, schedule, storm
from pipeline.crashpoint import POINTS

WORKERS = ("scorer-0", "scorer-1", "rollup-0", "rollup-1", "router-0", "dispatcher-0")
MINUTE = 60_000
BROKERS = (Kind.BROKER_KILL, Kind.BROKER_PAUSE, Kind.TWO_DOWN, Kind.ALL_DOWN)


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another():
    first, again, other = (schedule(seed, 10 * MINUTE, WORKERS, nodes=3) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert storm(3, 15_000, WORKERS) == storm(3, 15_000, WORKERS) != storm(4, 15_000, WORKERS)


@given(seed=st.integers(0, 10_000), minutes=st.integers(1, 12), nodes=st.sampled_from((1, 3)))
def test_gaps_overlaps_and_quiet_are_as_promised(seed: int, minutes: int, nodes: int):
    planned = schedule(seed, minutes * MINUTE, WORKERS, nodes=nodes)
    faults = [fault for fault in planned if fault.kind is not Kind.QUIET]
    quiets = [fault for fault in planned if fault.kind is Kind.QUIET]
    assert all(later.at - sooner.at >= 3_000 for sooner, later in pairwise(faults))
    assert all(quiet.lasts >= 30_000 for quiet in quiets)
    assert len(quiets) == (minutes + 1) // 2
    assert quiets[-1].at + quiets[-1].lasts == minutes * MINUTE
    for quiet in quiets:
        assert not any(fault.at < quiet.at + quiet.lasts and fault.at + fault.lasts > quiet.at for fault in faults)
    for fault in faults:
        beside = [other for other in faults if other.at <= fault.at < other.at + max(other.lasts, 1)]
        assert len(beside) <= 2
        assert sum(other.kind in BROKERS for other in beside) <= 1
        assert len({other.target for other in beside}) == len(beside)
    if nodes == 1:
        assert not any("broker" in fault.target for fault in faults)


def test_ten_minutes_on_three_nodes_meet_every_row_and_every_kind_of_worker():
    kinds: Counter[str] = Counter()
    struck: Counter[str] = Counter()
    for fault in schedule(1, 10 * MINUTE, WORKERS, nodes=3):
        kinds[fault.kind] += 1
        if fault.kind in (Kind.KILL, Kind.CRASH):
            struck[fault.target.partition("-")[0]] += 1
    assert min(rows_run(kinds).values()) >= 1
    assert struck.keys() == {"scorer", "rollup", "router", "dispatcher"}
    assert kinds[Kind.PAUSE] >= 3
    assert kinds[Kind.BROKER_KILL] >= 3


@pytest.mark.parametrize("seed", range(5))
def test_a_storm_kills_at_known_points_only(seed: int):
    faults = storm(seed, 60_000, ("scorer-0", "scorer-1"))
    assert faults[-1].kind is Kind.QUIET
    assert {fault.kind for fault in faults[:-1]} == {Kind.KILL, Kind.CRASH}
    assert {fault.point.partition(":")[0] for fault in faults} <= {*POINTS, ""}


def test_a_pause_strikes_only_who_has_somebody_to_take_over():
    planned = schedule(2, 30 * MINUTE, WORKERS)
    assert {fault.target for fault in planned if fault.kind is Kind.PAUSE} <= set(WORKERS[:4])


def test_what_counts_for_a_row_is_what_bit():
    assert rows_run({"kill": 2, "crash": 1, "pause": 3})[11] == 3
    assert Fault(0, Kind.KILL, "scorer-0") == Fault(0, Kind.KILL, "scorer-0", 0, "")
