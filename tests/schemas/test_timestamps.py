"""Times on the wire, judged against the standard library where it can follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.timestamps import EARLIEST_INTEGER, LATEST_INTEGER, instant_of_integer, instant_of_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1970-01-01T00:00:00+00:00", 0),
        ("1970-01-01T01:30:00+01:30", 0),
        ("1969-12-31T22:30:00-01:30", 0),
        ("1970-01-01T23:59:00+23:59", 0),
        ("1970-01-01T00:00:00.5Z", 500),
        ("1970-01-01T00:00:00.05Z", 50),
        ("1970-01-01T00:00:00.0019Z", 1),
        ("1970-01-01T00:00:00.999999999999999999999999999999Z", 999),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2024-02-29T12:00:00Z", 1_709_208_000_000),
        ("0001-01-01T00:00:00Z", -719_162 * DAY),
        ("0001-01-01T00:00:00+23:59", -719_162 * DAY - 1439 * 60_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_a_time_of_rfc_3339_is_an_instant(text, instant):
    assert instant_of_text(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "0",
        "1700000000000",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13Z",
        "2023-11-14 22:13:20Z",
        "2023-11-14_22:13:20Z",
        "20231114T221320Z",
        "2023-318T22:13:20Z",
        "2023-W46-2T22:13:20Z",
        "0000-01-01T00:00:00Z",
        "12023-11-14T22:13:20Z",
        "+2023-11-14T22:13:20Z",
        "2023-00-14T22:13:20Z",
        "2023-13-14T22:13:20Z",
        "2023-11-00T22:13:20Z",
        "2023-11-31T22:13:20Z",
        "2023-02-29T22:13:20Z",
        "2023-11-14T24:00:00Z",
        "2023-11-14T22:60:20Z",
        "2023-11-14T22:13:60Z",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20,5Z",
        "2023-11-14T22:13:20.1234567890123456789012345678901Z",
        "2023-11-14T22:13:20+24:00",
        "2023-11-14T22:13:20+01:60",
        "2023-11-14T22:13:20+0100",
        "2023-11-14T22:13:20+01",
        "2023-11-14T22:13:20\u221201:00",
        "2023-11-14T22:13:20Z\n",
        " 2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20 Z",
        "２０２３-11-14T22:13:20Z",  # noqa: RUF001  # fullwidth digits on purpose
        "2023-11-14T22:13:20[UTC]",
        "2023-11-14T22:13:20 +01:00",
    ],
)
def test_anything_else_is_no_instant(text):
    assert instant_of_text(text) is None


@given(st.datetimes(), st.integers(-1439, 1439))
def test_an_instant_is_the_one_the_standard_library_reads(moment, minutes):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert instant_of_text(aware.isoformat()) == (aware - EPOCH) // timedelta(milliseconds=1)


@given(st.text(alphabet="0123456789-:TtZz+. ", max_size=40))
def test_no_text_raises(text):
    assert isinstance(instant_of_text(text), int | None)


@pytest.mark.parametrize(
    ("number", "instant"),
    [
        (EARLIEST_INTEGER - 1, None),
        (EARLIEST_INTEGER, EARLIEST_INTEGER),
        (LATEST_INTEGER, LATEST_INTEGER),
        (LATEST_INTEGER + 1, None),
        (0, None),
        (-EARLIEST_INTEGER, None),
    ],
)
def test_an_integer_is_milliseconds_of_our_age(number, instant):
    assert instant_of_integer(number) == instant
