"""Records as data and as lines."""

from __future__ import annotations

import json

import pytest

from iskra.apps.tapping import as_data, as_line, logical_name
from iskra.problems import SettingsProblem
from pipeline.runtime.contract import LogRecord
from schemas.topics import ALL

NOON = 43_200_000


def record(value: bytes | None, *headers: tuple[str, bytes], key: bytes | None = b"c-1") -> LogRecord:
    return LogRecord("iskra.events.v1", 2, 7, NOON, key, value, headers)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("voices", "voices.v1"),
        ("voices.v1", "voices.v1"),
        ("rejected", "events.rejected.v1"),
        ("late", "events.late.v1"),
        ("events", "events.v1"),
        ("dead", "notifications.dead.v1"),
        ("state.scorer", "state.scorer.v1"),
    ],
)
def test_a_topic_is_called_by_the_word_people_use(word: str, name: str) -> None:
    assert logical_name(word) == name


def test_every_topic_can_be_tapped() -> None:
    assert [logical_name(topic.name.removesuffix(".v1")) for topic in ALL] == [topic.name for topic in ALL]


def test_an_unknown_topic_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsProblem, match=r"'voice' is no topic: one of events, .*voices"):
        logical_name("voice")


WHOLE = {
    "topic": "iskra.events.v1",
    "partition": 2,
    "offset": 7,
    "timestamp": NOON,
    "key": "c-1",
    "headers": {},
    "value": None,
}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'{"delta": "x"}', {"value": {"delta": "x"}}),
        (None, {"value": None}),
        (b"no json", {"value": "no json"}),
        (b'{"a": 1, "a": 2}', {"value": '{"a": 1, "a": 2}'}),
        (b'{"a": NaN}', {"value": '{"a": NaN}'}),
        (b"[" * 100_000, {"value": "[" * 100_000}),
        (b"\xff\xfe", {"value": None, "value_base64": "//4="}),
    ],
)
def test_a_value_is_shown_as_json_as_text_or_in_base64(value: bytes | None, shown: dict[str, object]) -> None:
    assert as_data(record(value)) == {**WHOLE, **shown}


def test_headers_and_keys_that_are_no_text_are_shown_escaped() -> None:
    shown = as_data(record(b"{}", ("iskra.reason", b"not_json"), ("x", b"\xff"), key=b"\xff"))
    assert (shown["headers"], shown["key"]) == ({"iskra.reason": "not_json", "x": "\\xff"}, "\\xff")


def test_a_voice_is_a_line_for_a_person() -> None:
    voice = {
        "voice": "Alarm",
        "subject": "connection:c-1",
        "delta": "voice_raised",
        "fractal_metadata": {"voice_pain": 0.8312, "voice_chaos": 0.1, "voice_trust": None},
    }
    assert as_line(record(json.dumps(voice).encode())) == (
        "12:00:00.000  Alarm       voice_raised  connection:c-1  pain 0.83 chaos 0.10"
    )


def test_another_record_is_its_key_its_value_and_why_it_was_rejected() -> None:
    line = as_line(record(b"x", ("iskra.reason", b"not_json"), ("iskra.path", b"data")))
    assert line == '12:00:00.000  c-1  "x"  iskra.reason=not_json  iskra.path=data'


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\u202e", "\n", "\ud800"])
def test_nothing_in_a_record_moves_the_terminal(hostile: str) -> None:
    value = json.dumps({"delta": hostile, "voice": hostile, "subject": hostile}).encode()
    assert as_line(record(value, key=hostile.encode("utf-8", "surrogatepass"))).isprintable()
