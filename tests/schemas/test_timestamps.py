"""Times on the wire, judged against the standard library where it can follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import timestamps
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


SECONDS = st.sampled_from([":00", ":19", ":59", ":60", ":5", ":1a", ":\u0660\u0660", " 19", ":19:"])
FRACTIONS = st.sampled_from(
    [
        "",
        ".",
        ".5",
        ".05",
        ".000",
        ".999",
        ".1234",
        ".123456",
        ".12345x",
        ".1234567",
        ".\u0660\u0660\u0660",
        ".123+00",
        "+00:",
        "+00:123",
        ".9999999999",
    ]
)
ZONES = st.sampled_from(["Z", "z", "+00:00", "-00:00", "+01:30", "-23:59", "+00:0", "00", "", "Z\n", " ", "ZZ", ":00"])


@given(
    st.sampled_from(
        ["2023-11-14T22:13", "2024-02-29t23:59", "2023-02-29T22:13", "2023-11-14T24:00", "2023-11-14 22:13"]
    ),
    st.tuples(SECONDS, FRACTIONS, ZONES).map("".join) | st.text(alphabet="0123456789:Zz+-.", max_size=16),
)
def test_a_minute_read_before_changes_no_verdict(minute, rest):
    assert instant_of_text(f"{minute}:07+05:00") == timestamps._parsed(f"{minute}:07+05:00")
    assert instant_of_text(minute + rest) == timestamps._parsed(minute + rest)


@pytest.mark.parametrize(
    ("rest", "after"),
    [
        (":07Z", 7000), (":07+00:00", 7000), (":07.045Z", 7045), (":07.045+00:00", 7045), (":07.045999Z", 7045), (":07.045999+00:00", 7045),
        (":07z", 7000), (":07.5Z", 7500), (":07-00:00", 7000), (":07+05:00", 7000 - 5 * 3_600_000),
        (":60Z", None), (":07", None), (":07+00:12300", None), (":07.045", None), (":07.04599xZ", None), (":07.045999", None),
    ],
)  # fmt: skip
def test_the_usual_forms_are_read_quickly_and_all_others_as_well(rest, after):
    begun = instant_of_text("2023-11-14T22:13:00Z")
    assert begun == 1_699_999_980_000
    assert instant_of_text("2023-11-14T22:13" + rest) == (None if after is None else begun + after)


def test_minutes_read_before_are_bounded_in_number():
    for minute in range(6000):
        begun = minute * 60_000
        text = datetime.fromtimestamp(begun / 1000, UTC).isoformat()
        assert instant_of_text(text) == instant_of_text(text) == begun
        assert len(timestamps._minutes) <= 4096


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
