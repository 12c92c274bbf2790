from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.policy.buckets import SLACK_POSTS, free_at, taken
from alerts.policy.retrying import backoff, pause, retry_after_ms

NOW = 784_111_777_000  # Sun, 06 Nov 1994 08:49:37 GMT

RETRY_AFTER = [
    ("30", 30_000),
    ("0", 0),
    ("1.5", 1_500),
    (" 7 ", 7_000),
    ("999999999999", 999_999_999_999_000),
    ("Sun, 06 Nov 1994 08:50:07 GMT", 30_000),
    ("Sun, 06 Nov 1994 08:49:00 GMT", 0),
    ("Sun, 06 Nov 9999 08:49:37 GMT", 2_923_766 * 86_400_000),
    ("-1", None),
    ("+5", None),
    ("", None),
    (None, None),
    ("soon", None),
    ("1e9", None),
    ("NaN", None),
    ("Infinity", None),
    ("٣", None),
    ("1" * 5_000, None),
    ("Sun, 31 Feb 1994 08:49:37 GMT", None),
    ("Sun, 06 Foo 1994 08:49:37 GMT", None),
    ("Sunday, 06-Nov-94 08:49:37 GMT", None),
    ("30, 60", None),
]


@pytest.mark.parametrize(("raw", "wait"), RETRY_AFTER)
def test_retry_after_as_vendors_send_it(raw: str | None, wait: int | None) -> None:
    assert retry_after_ms(raw, NOW) == wait


@given(st.text())
def test_no_retry_after_raises_or_is_negative(raw: str) -> None:
    wait = retry_after_ms(raw, NOW)
    assert wait is None or wait >= 0


@given(st.text(), st.integers(1, 200))
def test_backoff_stays_between_a_second_and_a_minute_and_is_the_same_every_time(seed: str, attempt: int) -> None:
    wait = backoff(seed, attempt)
    assert 1_000 <= wait <= min(60_000, 1_000 * 2**attempt)
    assert wait == backoff(seed, attempt)


def test_the_jitter_spreads_over_the_whole_span() -> None:
    waits = sorted(backoff(f"n-{nth}", 10) for nth in range(300))
    assert waits[10] < 5_000
    assert waits[-10] > 55_000


@pytest.mark.parametrize(
    ("raw", "floor", "least", "most"),
    [
        ("5", 1_000, 5_000, 5_000),
        ("0", 1_000, 1_000, 2_000),
        ("garbage", 1_000, 1_000, 2_000),
        (None, 30_000, 30_000, 60_000),
        ("9999999", 1_000, 300_000, 300_000),
        ("-3", 30_000, 30_000, 60_000),
    ],
)
def test_a_throttled_destination_rests_as_asked_within_bounds(
    raw: str | None, floor: int, least: int, most: int
) -> None:
    assert least <= pause(raw, NOW, seed="n", attempt=1, floor_ms=floor) <= most


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    mark, starts, now = 0, [], 1_000_000
    for _ in range(6):
        now = max(now, free_at(mark, SLACK_POSTS))
        mark = taken(mark, SLACK_POSTS, now)
        starts.append(now - 1_000_000)
    assert starts == [0, 0, 0, 1_000, 2_000, 3_000]
