from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rendering.sandbox import OUTPUT_CAP, Unrenderable, plain, rendered, slack_escaped

BOMBS = {
    "a loop in a loop": "{% for a in 'x' * 1 %}{% endfor %}",
    "much output": "{% for a in many %}{% for b in many %}{{ b }}{% endfor %}{% endfor %}",
    "a long text": "{{ 'a' * 200000000 }}",
    "a power": "{{ 9 ** 9 ** 9 }}",
    "a format": "{{ '%1000000000d' % 1 }}",
    "a filter that pads": "{{ 'a' | center(1000000000) }}",
    "a format filter": "{{ '%s' | format('x') }}",
    "the way out": "{{ ''.__class__.__mro__ }}",
    "by a function": "{{ many.append(1) }}",
    "a global": "{{ range(10) }}",
    "an undefined name": "{{ nothing }}",
    "an include": "{% include 'x' %}",
    "a syntax error": "{% if %}",
    "division by zero": "{{ 1 / 0 }}",
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_over_soon_and_says_so(source: str) -> None:
    begun = time.monotonic()
    with pytest.raises(Unrenderable):
        rendered(source, {"many": tuple(range(3_000))}, plain)
    assert time.monotonic() - begun < 0.5


def test_output_is_capped_while_it_is_made() -> None:
    with pytest.raises(Unrenderable, match=str(OUTPUT_CAP)):
        rendered("{{ text }}" * 20, {"text": "x" * 4_000}, plain)


def test_one_value_is_capped() -> None:
    assert rendered("{{ text }}", {"text": "x" * 50_000}, plain) == "x" * 4_000


def test_values_are_escaped_once_and_template_text_never() -> None:
    assert (
        rendered("a < {{ v }} & {{ v | code }}", {"v": "<b>&`x`"}, slack_escaped)
        == "a < &lt;b&gt;&amp;`x` & `&lt;b&gt;&amp;'x'`"
    )
    assert rendered("{{ v }}", {"v": "<b>&'"}, plain) == "<b>&'"


def test_values_are_not_templates() -> None:
    assert rendered("{{ v }}", {"v": "{{ 1 + 1 }}{% x %}"}, plain) == "{{ 1 + 1 }}{% x %}"


@given(st.text(max_size=200))
def test_no_value_leaves_markup_or_unseen_characters(value: str) -> None:
    text = slack_escaped(value)
    assert not set(text) & set("<>\x1b\u202e\u2066")
