"""The oracle of the peers' job, on logs small enough to reckon by hand."""

from __future__ import annotations

import json

import pytest

from benchmarks.means import Beat, Lateness, Mean, Window, beat_of, differences, means

K, L = b"link-k", b"link-l"


def beat(time: int, latency: float, key: bytes = K, partition: int = 0) -> Beat:
    return Beat(partition, key, time * 1000, latency)


def starts(found: dict[Window, Mean], key: bytes = K) -> dict[int, Mean]:
    return {window.start // 1000: mean for window, mean in found.items() if window.key == key}


def test_an_event_counts_in_the_four_windows_that_hold_it() -> None:
    # seconds   1000 lies in [900, 1020) [930, 1050) [960, 1080) [990, 1110)
    assert starts(means([beat(1_000, 7.0)], Lateness.NEVER)) == dict.fromkeys([900, 930, 960, 990], Mean(7.0, 1))


@pytest.mark.parametrize(("time", "first", "last"), [(1_020, 930, 1_020), (1_019, 900, 990), (1_049, 930, 1_020)])
def test_a_window_holds_its_start_and_not_its_end(time: int, first: int, last: int) -> None:
    found = starts(means([beat(time, 1.0)], Lateness.NEVER))
    assert (min(found), max(found), len(found)) == (first, last, 4)


def test_events_of_a_link_add_up_and_links_stay_apart() -> None:
    found = means([beat(1_000, 7.0), beat(1_025, 3.0), beat(1_000, 5.0, L)], Lateness.NEVER)
    assert starts(found)[930] == Mean(10.0, 2)
    assert starts(found)[900] == Mean(7.0, 1)
    assert starts(found, L)[930] == Mean(5.0, 1)


#   highest time 1300 − grace 180 = 1120: windows that end at 1120 or before are over: those that start at 990 or before
LATE = [beat(1_300, 1.0, L), beat(1_000, 7.0, K), beat(1_010, 7.0, K)]


def test_by_the_time_of_the_partition_the_windows_that_are_over_take_nothing() -> None:
    assert starts(means(LATE, Lateness.PARTITION)) == {}
    edge = [beat(1_290, 1.0, L), beat(1_000, 7.0, K)]
    # 1290 − 180 = 1110: [990, 1110) is just over
    assert starts(means(edge, Lateness.PARTITION)) == {}
    assert starts(means([beat(1_289, 1.0, L), beat(1_000, 7.0, K)], Lateness.PARTITION)) == {990: Mean(7.0, 1)}


def test_another_partition_has_a_time_of_its_own() -> None:
    found = means([beat(1_300, 1.0, L, partition=1), beat(1_000, 7.0, K)], Lateness.PARTITION)
    assert sorted(starts(found)) == [900, 930, 960, 990]


def test_by_the_time_of_the_link_another_link_makes_nothing_late() -> None:
    assert sorted(starts(means(LATE, Lateness.KEY))) == [900, 930, 960, 990]
    own = [beat(1_300, 1.0), beat(1_000, 7.0)]
    assert 990 not in starts(means(own, Lateness.KEY))


def test_by_event_a_late_one_counts_nowhere_and_one_in_time_everywhere() -> None:
    assert len(means([beat(1_300, 1.0), beat(1_120, 7.0)], Lateness.EVENT_BY_KEY)) == 8
    assert len(means([beat(1_300, 1.0), beat(1_119, 7.0)], Lateness.EVENT_BY_KEY)) == 4


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (json.dumps({"ts": 5, "data": {"latency_ms": 2}}).encode(), Beat(3, K, 5, 2.0)),
        (json.dumps({"ts": 5, "data": {}}).encode(), None),
        (json.dumps({"ts": 5}).encode(), None),
        (b"", None),
        (b"{", None),
        (b"\xff\xfe{}", None),
        (b"[1, 2]", None),
    ],
)
def test_what_has_no_latency_is_no_beat(value: bytes, expected: Beat | None) -> None:
    assert beat_of(3, K, value) == expected


def test_differences_name_the_window_and_both_sides() -> None:
    right = {Window(K, 0): Mean(3.0, 2), Window(K, 30): Mean(1.0, 1)}
    assert differences(right, dict(right)) == []
    assert differences({Window(K, 0): Mean(3.0 + 1e-9, 2), Window(K, 30): Mean(1.0, 1)}, right) == []
    assert differences({Window(K, 0): Mean(3.0, 3)}, right) == [
        "link-k from 0: told Mean(total=3.0, events=3), by the oracle Mean(total=3.0, events=2)",
        "link-k from 30: told None, by the oracle Mean(total=1.0, events=1)",
    ]
