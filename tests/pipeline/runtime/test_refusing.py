"""Records that raise: the same place has the same digest, and a flood of them is noticed."""

from __future__ import annotations

import re

from pipeline.runtime.refusing import Refusals, stack_digest, where_raised


def fault(text: str) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def other_fault() -> ValueError:
    try:
        int("no number")
    except ValueError as error:
        return error
    raise AssertionError


def test_the_digest_is_of_the_place_and_not_of_the_text():
    assert stack_digest(fault("one")) == stack_digest(fault("another"))
    assert stack_digest(fault("one")) != stack_digest(other_fault())
    assert re.fullmatch("[0-9a-f]{16}", stack_digest(fault("one")))


def test_where_it_was_raised_is_told_without_the_text():
    assert re.fullmatch(rf"ValueError in {re.escape(__name__)}:\d+", where_raised(fault("a secret")))
    assert where_raised(ValueError("never raised")) == "ValueError"


def test_the_hundred_and_first_within_a_minute_is_too_many():
    refusals = Refusals()
    assert not any(refusals.too_many(600 * n) for n in range(100))
    assert refusals.too_many(60_000)
    slower = Refusals()
    assert not any(slower.too_many(601 * n) for n in range(500))
