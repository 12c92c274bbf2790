"""The books: offsets and outcomes counted apart, so that their difference can be seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.account import Account
from pipeline.runtime.contract import LogRecord


def records(*offsets: int) -> list[LogRecord]:
    return [LogRecord("numbers.v1", 0, offset, 0, None, b"x") for offset in offsets]


def test_records_in_a_row_leave_no_gap():
    account = Account(10, 10)
    assert account.read(records(10, 11, 12)) == 0
    account.count({"scored": 3})
    assert account == Account(10, 13, {"scored": 3})
    assert account.unaccounted == 0


def test_offsets_never_delivered_are_gaps_before_and_between_records():
    #  10  11  12  13  14  15  16
    #   -   -   x   -   x   x   |
    account = Account(10, 10)
    assert account.read(records(12, 14, 15)) == 3
    assert account == Account(10, 16, {}, gap=3)


def test_markers_behind_the_last_record_are_a_gap_once():
    account = Account(0, 5)
    assert account.skip_to(7) == 2
    assert account.skip_to(7) == 0
    assert account.skip_to(3) == 0
    assert account == Account(0, 7, {}, gap=2)


def test_what_retention_took_is_a_gap_and_is_named():
    account = Account(0, 5, {"scored": 5})
    assert account.lose_to(8) == 3
    assert account == Account(0, 8, {"scored": 5}, gap=3, lost_by_retention=3)
    assert account.unaccounted == 0


def test_a_record_without_an_outcome_is_unaccounted():
    account = Account(0, 0)
    account.read(records(0, 1, 2))
    account.count({"scored": 1, "late": 1})
    assert account.unaccounted == 1


def test_an_outcome_without_a_record_is_unaccounted_below_zero():
    account = Account(0, 0)
    account.count({"scored": 2})
    assert account.unaccounted == -2


def test_records_before_the_position_are_not_read_again():
    account = Account(0, 11)
    assert account.unread(records(9, 10, 11, 12)) == records(11, 12)
    assert account.unread(records(11, 12)) == records(11, 12)
    assert account.unread(records(9, 10)) == []
    assert account.unread([]) == []


def test_a_copy_stays_as_it_was():
    account = Account(0, 0)
    copy = account.copy()
    account.read(records(0))
    account.count({"scored": 1})
    assert copy == Account(0, 0)


@given(st.lists(st.integers(0, 40), unique=True, min_size=1), st.integers(1, 7), st.integers(41, 50))
def test_any_cut_into_batches_gives_the_same_books(offsets: list[int], size: int, end: int):
    ordered = sorted(offsets)
    account = Account(0, 0)
    for start in range(0, len(ordered), size):
        account.read(records(*ordered[start : start + size]))
    account.skip_to(end)
    assert account == Account(0, end, {}, gap=end - len(ordered))
