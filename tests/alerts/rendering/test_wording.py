from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rendering.wording import amount, clock_time, fit, iso_time, lasted, sparkline, visible


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, ".00"), (0.8134, ".81"), (0.005, ".01"), (0.999, "1.00"), (1.0, "1.00")]
)
def test_scores_are_written_with_two_digits(value: float, text: str) -> None:
    assert amount(value) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [(0, "0 s"), (999, "0 s"), (36_000, "36 s"), (60_000, "1 min"), (245_000, "4 min 5 s"), (7_800_000, "2 h 10 min"),
     (90_061_000, "1 d 1 h"), (3_601_000, "1 h 1 s"), (-5, "0 s")],
)  # fmt: skip
def test_lengths_are_written_in_their_two_largest_units(length: int, text: str) -> None:
    assert lasted(length) == text


def test_instants_are_utc() -> None:
    assert clock_time(1_700_000_000_999) == "22:13:20 UTC"
    assert iso_time(1_700_000_000_042) == "2023-11-14T22:13:20.042Z"


def test_a_sparkline_has_eight_heights_and_stays_in_bounds() -> None:
    assert sparkline([-1, 0, 0.124, 0.125, 0.5, 0.99, 1.0, 2]) == "▁▁▁▂▅███"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain\ntext\t", "plain\ntext\t"), ("a\u202eb", "a\\u202eb"), ("\x1b[31m", "\\u001b[31m"), ("\u200bx", "\\u200bx"),
     ("\u2028", "\\u2028"), ("\u2066", "\\u2066"), ("é👩\u200d💻", "é👩\u200d💻")],
)  # fmt: skip
def test_unseen_characters_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "limit", "fitted"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("e\u0301e\u0301e\u0301", 4, "e\u0301…"), ("ab👩\u200d💻c", 5, "ab…"),
     ("🇩🇪🇫🇷🇮🇹", 4, "🇩🇪…"), ("ab👍🏽c", 4, "ab…"), ("x", 0, ""), ("abc", 1, "…")],
)  # fmt: skip
def test_text_is_cut_between_graphemes(text: str, limit: int, fitted: str) -> None:
    assert fit(text, limit) == fitted


@given(st.text(), st.integers(0, 50))
def test_fitted_text_always_fits(text: str, limit: int) -> None:
    assert len(fit(text, limit)) <= limit
