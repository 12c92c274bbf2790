"""What things may be called."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.names import has_id_characters, is_delta, is_seam, short_name


@pytest.mark.parametrize(
    ("text", "delta", "seam"),
    [
        ("abc", True, True),
        ("ab", False, True),
        ("a", False, False),
        ("", False, False),
        ("a_1", True, True),
        ("_ab", False, False),
        ("1ab", False, False),
        ("Abc", False, False),
        ("abé", False, False),
        ("abc\n", False, False),
        ("a" * 64, True, True),
        ("a" * 65, False, False),
    ],
)
def test_names_of_deltas_and_seams(text, delta, seam):
    assert (is_delta(text), is_seam(text)) == (delta, seam)


@given(st.text(st.characters(exclude_categories=[]), max_size=5))
def test_an_id_is_made_of_characters_that_can_be_seen(text):
    hidden = any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)
    assert has_id_characters(text) is (bool(text) and not hidden)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", ""),
        ("weather", "weather"),
        ("погода", "погода"),
        ("a\ud800", "a\\ud800"),
        ("n" * 64, "n" * 64),
        ("n" * 65, "other"),
    ],
)
def test_a_strange_name_is_told_short_and_writable(name, told):
    assert short_name(name) == told
