"""What a proof run says: the same for the same seed, good to nine tenths, and bad in exactly the ways it claims."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from iskra.chaos.generator import BAD, GOOD, LATE, Said, Speech, speak
from schemas.codec import decode_event
from schemas.hot import HotEvent
from schemas.registry import builtin_registry
from schemas.rejects import Rejected
from schemas.types import Origin

NOW = 1_750_000_000_000
REGISTRY = builtin_registry()
REASONS = {
    "E2 empty": {"empty"},
    "E2 too large": {"too_large"},
    "E2 large data": {"too_large"},
    "E3 envelope": {"unsupported_encoding"},
    "E4 not UTF-8": {"not_utf8"},
    "E5 too deep": {"too_deep"},
    "E6 not JSON": {"not_json"},
    "E7 no object": {"not_object"},
    "E7 key twice": {"dup_key"},
    "E8 version": {"unknown_version"},
    "E9 no delta": {"missing_field"},
    "E9 no connection": {"missing_field"},
    "E10 type": {"wrong_type"},
    "E11 nonfinite": {"nonfinite"},
    "E12 range": {"out_of_range"},
    "E13 too long": {"too_long"},
    "E14 characters": {"bad_chars"},
    "E15 time": {"bad_time"},
    "E16 future": {"future_time"},
}


def _decoded(said: Said) -> HotEvent | Rejected:
    value = said.told(NOW)
    assert value is not None
    return decode_event(value, Origin(said.key, 0, 0, NOW), REGISTRY)


def test_the_same_seed_says_the_same_and_another_seed_something_else():
    first, again, other = (list(islice(speak(seed), 3_000)) for seed in (7, 7, 8))
    assert first == again
    assert [said.value for said in first] != [said.value for said in other]


def test_nine_of_ten_are_good_and_every_class_comes():
    kinds = Counter(said.kind for said in islice(speak(1), 20_000))
    assert 0.89 < kinds[GOOD] / 20_000 < 0.91
    assert kinds.keys() == {GOOD, LATE, "E1 tombstone", "E17 repeated", "E17 conflict", *BAD}


def test_good_ones_are_accepted_and_bad_ones_refused_for_the_reason_of_their_class():
    seen: dict[str, set[str]] = {}
    for said in islice(speak(2), 20_000):
        if said.kind in BAD:
            decoded = _decoded(said)
            seen.setdefault(said.kind, set()).add(decoded.reason.value if isinstance(decoded, Rejected) else "accepted")
        elif said.value is not None:
            assert isinstance(_decoded(said), HotEvent), said
    assert seen == REASONS


def test_a_repeat_is_the_same_to_the_byte_and_a_conflict_is_not():
    told: dict[tuple[bytes | None, str], bytes | None] = {}
    repeats = 0
    for said in islice(speak(3), 10_000):
        if said.kind not in (GOOD, "E17 repeated", "E17 conflict") or said.behind is not None:
            continue
        event = _decoded(said)
        assert isinstance(event, HotEvent)
        if event.event_id is None:
            continue
        first = told.setdefault((said.key, event.event_id), said.value)
        if said.kind == "E17 conflict":
            assert first != said.value or said.value is None
        elif said.kind == "E17 repeated" and first is not said.value:
            assert first == said.value
            repeats += 1
    assert repeats > 50


@pytest.mark.parametrize(("behind", "value"), [(None, b"{}"), (5, b'{"a": 1, "ts": 95}')])
def test_a_time_is_told_relative_to_the_sending(behind: int | None, value: bytes):
    body = b"{}" if behind is None else b'{"a": 1}'
    assert Said("1", GOOD, b"k", body, behind).told(100) == value


def test_a_storm_strikes_a_third_of_the_links_and_then_another():
    speech = Speech(links=90, storm_every=1_000, storm_events=500)
    troubled: list[Counter[int]] = [Counter(), Counter()]
    for number, said in enumerate(islice(speak(5, speech), 2_000)):
        if said.kind == GOOD and b"connection_failed" in (said.value or b"") and said.key is not None:
            troubled[number // 1_000][int(said.key[2:]) % 3] += 1
    assert [counts.most_common(1)[0][0] for counts in troubled] == [0, 1]
