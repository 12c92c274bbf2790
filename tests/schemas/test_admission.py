"""Every class of bad input of reliability.md 7.1 with its reason and path, and what is good though it looks odd."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.hot import HotEvent
from schemas.rejects import Rejected, RejectReason
from schemas.types import Origin

from .bodies import BROKER_TS, GOOD, ORIGIN, REQUIREMENT_EXAMPLE, decode, event, raw, without

MINUTES_5 = 300_000


def claims(**changes: Any) -> bytes:
    return event(fractal_metadata=changes)


def data(**changes: Any) -> bytes:
    return event(data=changes)


def padded(size: int) -> bytes:
    """A good event of exactly this many bytes; the space stands after it."""
    return event().ljust(size)


def with_data_of(size: int) -> bytes:
    """An event whose data take exactly this many bytes as received."""
    return raw('"data": {"note": "' + "x" * (size - len('{"note": ""}')) + '"}')


def deep(levels: int) -> bytes:
    """An event with this many levels, the event itself the first of them."""
    return raw(f'"deep": {"[" * (levels - 1)}{"]" * (levels - 1)}')


def accepted(value: bytes, origin: Origin = ORIGIN) -> HotEvent:
    verdict = decode(value, origin)
    assert isinstance(verdict, HotEvent), verdict
    return verdict


REJECTED: list[tuple[str, bytes, str, str | None]] = [
    # E2
    ("no bytes", b"", "empty", None),
    ("one byte too many", padded(65_537), "too_large", None),
    ("too many bytes of anything", b"\xff" * 70_000, "too_large", None),
    # E3
    ("gzip", gzip.compress(event()), "unsupported_encoding", None),
    ("zstd", b"\x28\xb5\x2f\xfd\x00", "unsupported_encoding", None),
    ("lz4 frame", b"\x04\x22\x4d\x18\x00", "unsupported_encoding", None),
    ("schema registry", b"\x00\x00\x00\x00\x01" + event(), "unsupported_encoding", None),
    ("UTF-16, big endian, without mark", event().decode().encode("utf-16-be"), "unsupported_encoding", None),
    ("MessagePack fixmap", b"\x85\xa5delta", "unsupported_encoding", None),
    ("MessagePack fixmap, last", b"\x8f", "unsupported_encoding", None),
    ("MessagePack map 16", b"\xde\x00\x05", "unsupported_encoding", None),
    ("MessagePack map 32", b"\xdf\x00\x00\x00\x05", "unsupported_encoding", None),
    # E4
    ("MessagePack array is no envelope", b"\x90", "not_utf8", None),
    ("Latin-1", raw('"note": "ol\xe9"').decode().encode("latin-1"), "not_utf8", None),
    ("overlong slash", raw('"note": "@"').replace(b"@", b"\xc0\xaf"), "not_utf8", None),
    ("truncated at the end", event() + b"\xe2\x88", "not_utf8", None),
    ("surrogate in UTF-8", raw('"note": "@"').replace(b"@", b"\xed\xa0\x80"), "not_utf8", None),
    ("UTF-16 with mark", event().decode().encode("utf-16"), "not_utf8", None),
    ("bad byte after broken JSON", b"{,\xff", "not_utf8", None),
    # E5
    ("33 levels", deep(33), "too_deep", None),
    ("33 levels and not JSON", b"[" * 33, "too_deep", None),
    ("60,000 levels", b"[" * 60_000, "too_deep", None),
    ("33 levels of objects", b'{"a":' * 33 + b"1" + b"}" * 33, "too_deep", None),
    ("never below 0, kinds not compared", b"]]]}}}" + b"[{" * 17, "too_deep", None),
    ("after an escaped quote", rb'["\"", ' + b"[" * 32, "too_deep", None),
    # E6
    ("only spaces", b" \t\r\n", "not_json", None),
    ("cut off", event()[:-1], "not_json", None),
    ("second document", event() + event(), "not_json", None),
    ("UTF-8 byte-order mark", b"\xef\xbb\xbf" + event(), "not_json", None),
    ("comment", b"/* hello */" + event(), "not_json", None),
    ("trailing comma", event()[:-1] + b",}", "not_json", None),
    ("single quotes", b"{'delta': 1}", "not_json", None),
    ("nan in another spelling", raw('"omega2": nan'), "not_json", None),
    ("negative NaN", raw('"note": -NaN'), "not_json", None),
    ("+Infinity", raw('"note": +Infinity'), "not_json", None),
    ("leading zero", raw('"note": 01'), "not_json", None),
    ("bare fraction", raw('"note": .5'), "not_json", None),
    ("control character in a text", raw('"note": "a\x01b"'), "not_json", None),
    ("no-break space between tokens", raw('\u00a0"note": 1'), "not_json", None),
    ("Arabic digits", raw('"note": \u0661'), "not_json", None),
    ("no value at all", b"{" + b" " * 10, "not_json", None),
    ("true in capitals", b"TRUE", "not_json", None),
    ("brackets inside a text are no levels", b'["' + b"[" * 40, "not_json", None),
    ("backslash at the end", b"[" * 32 + b"{" + b'"\\', "too_deep", None),
    ("a key twice and then broken", b'{"a": {"b": 1, "b": 2}, ', "not_json", None),
    # E7
    ("array", b"[" + event() + b"]", "not_object", None),
    ("text", b'"connection_lost"', "not_object", None),
    ("number", b"17", "not_object", None),
    ("null", b"null", "not_object", None),
    ("NaN", b"NaN", "not_object", None),
    ("array with a key twice inside", b'[{"a": 1, "a": 2}]', "not_object", None),
    ("a key twice", raw('"delta": "connection_lost"'), "dup_key", None),
    ("a key twice, equal values", raw('"note": 1, "note": 1'), "dup_key", None),
    ("a key twice, one escaped", raw('"\\u0064elta": "connection_lost"'), "dup_key", None),
    ("a key twice, deep", raw('"note": [[{"x": {"a": 1, "b": 2, "a": 3}}]]'), "dup_key", None),
    ("two spellings", raw('"∆": "connection_lost"'), "dup_key", None),
    ("two aliases", without("delta", **{"\u2206": "connection_lost", "\u0394": "connection_lost"}), "dup_key", None),
    ("D and depth", without("dimension", D=1, depth=1), "dup_key", None),
    ("D and dimension", event(D=1), "dup_key", None),
    # E8
    ("unknown major", event(schema_version="2.0"), "unknown_version", "schema_version"),
    ("version null", event(schema_version=None), "unknown_version", "schema_version"),
    ("version as a number", event(schema_version=1.0), "unknown_version", "schema_version"),
    ("version NaN", event(schema_version=float("nan")), "unknown_version", "schema_version"),
    ("version without minor", event(schema_version="1"), "unknown_version", "schema_version"),
    ("version with patch", event(schema_version="1.0.0"), "unknown_version", "schema_version"),
    ("version with leading zero", event(schema_version="1.01"), "unknown_version", "schema_version"),
    ("version with a newline", event(schema_version="1.0\n"), "unknown_version", "schema_version"),
    ("version with 7 digits", event(schema_version="1.1000000"), "unknown_version", "schema_version"),
    ("version in Arabic digits", event(schema_version="1.\u0661"), "unknown_version", "schema_version"),
    # E9
    ("no delta", without("delta"), "missing_field", "delta"),
    ("nothing", b"{}", "missing_field", "delta"),
    ("unknown delta, no dimension", without("dimension", delta="never_heard_of"), "missing_field", "dimension"),
    ("unknown delta, no omega", without("omega", delta="never_heard_of"), "missing_field", "omega"),
    ("unknown delta, no lambda", without("lambda", delta="never_heard_of"), "missing_field", "lambda"),
    (
        "lambda_ is an unknown field",
        without("lambda", delta="never_heard_of", lambda_="x_y_z"),
        "missing_field",
        "lambda",
    ),
    ("a delta that is no text fills nothing", without("omega", delta=7), "missing_field", "omega"),
    # E10
    ("delta number", event(delta=7), "wrong_type", "delta"),
    ("delta null", event(delta=None), "wrong_type", "delta"),
    ("delta list", event(delta=["connection_lost"]), "wrong_type", "delta"),
    ("delta huge integer", raw('"note": 1').replace(b'"connection_lost"', b"1" * 101), "wrong_type", "delta"),
    ("dimension true", event(dimension=True), "wrong_type", "dimension"),
    ("dimension 2.0", event(dimension=2.0), "wrong_type", "dimension"),
    ("dimension 1e3", raw('"a": 1').replace(b'"dimension": 2', b'"dimension": 1e3'), "wrong_type", "dimension"),
    ("omega text", event(omega="0.9"), "wrong_type", "omega"),
    ("omega true", event(omega=True), "wrong_type", "omega"),
    ("omega null", event(omega=None), "wrong_type", "omega"),
    ("lambda object", event(**{"lambda": {}}), "wrong_type", "lambda"),
    ("metadata null", event(fractal_metadata=None), "wrong_type", "fractal_metadata"),
    ("metadata list", event(fractal_metadata=[]), "wrong_type", "fractal_metadata"),
    ("seam number", claims(seam_id=3), "wrong_type", "fractal_metadata.seam_id"),
    ("seam null", claims(seam_id=None), "wrong_type", "fractal_metadata.seam_id"),
    ("claim text", claims(voice_pain="0.1"), "wrong_type", "fractal_metadata.voice_pain"),
    ("claim false", claims(voice_chaos=False), "wrong_type", "fractal_metadata.voice_chaos"),
    ("claim null", claims(voice_trust=None), "wrong_type", "fractal_metadata.voice_trust"),
    ("event_id number", event(event_id=1), "wrong_type", "event_id"),
    ("connection_id null is not absent", event(connection_id=None), "wrong_type", "connection_id"),
    ("ts true", event(ts=True), "wrong_type", "ts"),
    ("ts null", event(ts=None), "wrong_type", "ts"),
    ("ts list", event(ts=[1]), "wrong_type", "ts"),
    ("seq text", event(seq="1"), "wrong_type", "seq"),
    ("seq 1.0", event(seq=1.0), "wrong_type", "seq"),
    ("deadline 60.0", event(lambda_deadline_s=60.0), "wrong_type", "lambda_deadline_s"),
    ("data list", event(data=[]), "wrong_type", "data"),
    ("data null", event(data=None), "wrong_type", "data"),
    ("data huge integer", raw(f'"data": {"1" * 101}'), "wrong_type", "data"),
    ("latency text", data(latency_ms="12"), "wrong_type", "data.latency_ms"),
    ("close_code 1000.0", data(close_code=1000.0), "wrong_type", "data.close_code"),
    ("attempt true", data(attempt=True), "wrong_type", "data.attempt"),
    ("endpoint list", data(endpoint=["a"]), "wrong_type", "data.endpoint"),
    ("reason null", data(reason=None), "wrong_type", "data.reason"),
    *[
        (f"{name} number", event(**{name: 5}), "wrong_type", name)
        for name in ("session_id", "episode_id", "agent_id", "trace_id", "parent_id", "experiment_id")
    ],
    # E11
    ("omega NaN", event(omega=float("nan")), "nonfinite", "omega"),
    ("omega -Infinity", event(omega=float("-inf")), "nonfinite", "omega"),
    ("delta NaN", event(delta=float("nan"), dimension=1), "nonfinite", "delta"),
    ("dimension 1e400", raw('"a": 1').replace(b'"dimension": 2', b'"dimension": 1e400'), "nonfinite", "dimension"),
    ("metadata NaN", event(fractal_metadata=float("nan")), "nonfinite", "fractal_metadata"),
    ("claim Infinity", claims(voice_pain=float("inf")), "nonfinite", "fractal_metadata.voice_pain"),
    ("ts NaN", event(ts=float("nan")), "nonfinite", "ts"),
    ("data Infinity", event(data=float("inf")), "nonfinite", "data"),
    ("latency 1e400", raw('"data": {"latency_ms": 1e400}'), "nonfinite", "data.latency_ms"),
    ("unknown in data", raw('"data": {"a": {"b": NaN}}'), "nonfinite", "data.a.b"),
    ("unknown field", raw('"note": NaN'), "nonfinite", "note"),
    ("unknown field, 400 digits and a fraction", raw(f'"note": {"1" * 400}.5'), "nonfinite", "note"),
    ("down to the first array", raw('"a": {"b": [1, {"c": [NaN]}]}'), "nonfinite", "a.b"),
    ("unknown in metadata", claims(mood={"x": float("nan")}), "nonfinite", "fractal_metadata.mood.x"),
    ("a long name is other", raw(f'"{"n" * 65}": NaN'), "nonfinite", "other"),
    ("64 code points are told", raw(f'"{"n" * 64}": NaN'), "nonfinite", "n" * 64),
    # E12
    ("dimension 0", event(dimension=0), "out_of_range", "dimension"),
    ("dimension 11", event(dimension=11), "out_of_range", "dimension"),
    ("dimension of 101 digits", raw('"a": 1').replace(b": 2,", b": " + b"9" * 101 + b","), "out_of_range", "dimension"),
    ("omega above 1", raw('"a": 1').replace(b"0.9", b"1.0000000000000003"), "out_of_range", "omega"),
    ("omega below 0", event(omega=-1e-300), "out_of_range", "omega"),
    ("omega 2", event(omega=2), "out_of_range", "omega"),
    ("omega of 60,000 digits", raw('"a": 1').replace(b"0.9", b"1" * 60_000), "out_of_range", "omega"),
    ("claim 1.5", claims(voice_trust=1.5), "out_of_range", "fractal_metadata.voice_trust"),
    ("seq negative", event(seq=-1), "out_of_range", "seq"),
    ("seq 2^63", event(seq=2**63), "out_of_range", "seq"),
    ("deadline 0", event(lambda_deadline_s=0), "out_of_range", "lambda_deadline_s"),
    ("deadline a day and a second", event(lambda_deadline_s=86_401), "out_of_range", "lambda_deadline_s"),
    ("latency negative", data(latency_ms=-0.1), "out_of_range", "data.latency_ms"),
    ("close_code 999", data(close_code=999), "out_of_range", "data.close_code"),
    ("close_code 5000", data(close_code=5000), "out_of_range", "data.close_code"),
    ("attempt 0", data(attempt=0), "out_of_range", "data.attempt"),
    ("attempt 2^31", data(attempt=2**31), "out_of_range", "data.attempt"),
    ("ts of 101 digits", raw(f'"ts": {"1" * 101}'), "out_of_range", "ts"),
    ("unknown of 101 digits", raw(f'"note": -{"1" * 101}'), "out_of_range", "note"),
    ("unknown of 101 digits in data", raw(f'"data": {{"n": [{"1" * 101}]}}'), "out_of_range", "data.n"),
    # E13, with E2's rule for data
    ("delta of 65", event(delta="d" * 65), "too_long", "delta"),
    ("delta of 65 in capitals: wins over bad_chars", event(delta="D" * 65), "too_long", "delta"),
    ("lambda of 65", event(**{"lambda": "x" * 65}), "too_long", "lambda"),
    ("seam of 65", claims(seam_id="s" * 65), "too_long", "fractal_metadata.seam_id"),
    ("event_id of 65", event(event_id="e" * 65), "too_long", "event_id"),
    ("connection_id of 129", event(connection_id="c" * 129), "too_long", "connection_id"),
    ("connection_id of 129, all controls", event(connection_id="\0" * 129), "too_long", "connection_id"),
    ("agent_id of 129", event(agent_id="é" * 129), "too_long", "agent_id"),
    ("reason of 513", data(reason="r" * 513), "too_long", "data.reason"),
    ("endpoint of 513", data(endpoint="r" * 513), "too_long", "data.endpoint"),
    ("transport of 513", data(transport="r" * 513), "too_long", "data.transport"),
    ("error_category of 513", data(error_category="r" * 513), "too_long", "data.error_category"),
    ("data of 8 KiB and a byte", with_data_of(8193), "too_large", "data"),
    ("data of many spaces", raw('"data": {' + " " * 8192 + "}"), "too_large", "data"),
    ("data with 2-byte characters", raw('"data": {"note": "' + "é" * 4100 + '"}'), "too_large", "data"),
    # E14
    ("delta in capitals", event(delta="Connection_lost"), "bad_chars", "delta"),
    ("delta of 2", event(delta="ab"), "bad_chars", "delta"),
    ("delta empty", event(delta=""), "bad_chars", "delta"),
    ("delta with a newline", event(delta="connection_lost\n"), "bad_chars", "delta"),
    ("delta from a digit", event(delta="1connection"), "bad_chars", "delta"),
    ("delta with a Cyrillic letter", event(delta="c\u043ennection_lost"), "bad_chars", "delta"),
    ("lambda with a dash", event(**{"lambda": "watch-and-plan"}), "bad_chars", "lambda"),
    ("seam of 1", claims(seam_id="s"), "bad_chars", "fractal_metadata.seam_id"),
    ("event_id empty", event(event_id=""), "bad_chars", "event_id"),
    ("connection_id empty", event(connection_id=""), "bad_chars", "connection_id"),
    ("connection_id with NUL", event(connection_id="a\0b"), "bad_chars", "connection_id"),
    ("connection_id with C1 control", event(connection_id="a\x85b"), "bad_chars", "connection_id"),
    ("connection_id with bidi override", event(connection_id="a\u202eb"), "bad_chars", "connection_id"),
    ("connection_id with zero width space", event(connection_id="a\u200bb"), "bad_chars", "connection_id"),
    ("connection_id with line separator", event(connection_id="a\u2028b"), "bad_chars", "connection_id"),
    ("connection_id with paragraph separator", event(connection_id="a\u2029b"), "bad_chars", "connection_id"),
    ("session_id with DEL", event(session_id="a\x7f"), "bad_chars", "session_id"),
    ("lone surrogate in an id", raw('"trace_id": "\\ud800"'), "bad_chars", "trace_id"),
    ("lone surrogate in a time", raw('"ts": "\\udfff"'), "bad_chars", "ts"),
    ("lone surrogate in free text", raw('"data": {"reason": "\\ud83d"}'), "bad_chars", "data.reason"),
    ("surrogates the wrong way round", raw('"note": "\\ude00\\ud83d"'), "bad_chars", "note"),
    ("lone surrogate in an unknown field", raw('"a": {"b": ["\\ud800"]}'), "bad_chars", "a.b"),
    ("lone surrogate in a name", raw('"a": {"\\ud800x": 1}'), "bad_chars", "a.\\ud800x"),
    ("lone surrogate in a name below an array", raw('"a": [{"\\ud800": 1}]'), "bad_chars", "a"),
    ("lone surrogate in a name at the top", raw('"\\udc00": 1'), "bad_chars", "\\udc00"),
    # E15
    ("no offset", event(ts="2023-11-14T22:13:20"), "bad_time", "ts"),
    ("no time", event(ts="2023-11-14"), "bad_time", "ts"),
    ("empty time", event(ts=""), "bad_time", "ts"),
    ("30 February", event(ts="2023-02-30T00:00:00Z"), "bad_time", "ts"),
    ("second 60", event(ts="2016-12-31T23:59:60Z"), "bad_time", "ts"),
    ("a float", event(ts=1700000000.5), "bad_time", "ts"),
    ("a whole float", event(ts=1700000000000.0), "bad_time", "ts"),
    ("seconds by mistake", event(ts=1_700_000_000), "bad_time", "ts"),
    ("microseconds by mistake", event(ts=1_700_000_000_000_000), "bad_time", "ts"),
    ("just below the range", event(ts=10**11 - 1), "bad_time", "ts"),
    ("just above the range", event(ts=10**14 + 1), "bad_time", "ts"),
    ("negative", event(ts=-1), "bad_time", "ts"),
    ("100 digits", raw(f'"ts": {"1" * 100}'), "bad_time", "ts"),
    # E16
    ("5 min and 1 ms ahead", event(ts=BROKER_TS + MINUTES_5 + 1), "future_time", "ts"),
    ("a year ahead, as text", event(ts="2024-11-14T22:13:20Z"), "future_time", "ts"),
    ("the largest integer", event(ts=10**14), "future_time", "ts"),
    ("the last day of the calendar", event(ts="9999-12-31T23:59:59-23:59"), "future_time", "ts"),
]


@pytest.mark.parametrize(("value", "reason", "path"), [row[1:] for row in REJECTED], ids=[row[0] for row in REJECTED])
def test_a_bad_event_is_rejected_with_its_reason_and_path(value, reason, path):
    assert decode(value) == Rejected(RejectReason(reason), path)


KEYS: list[tuple[str, bytes | None, str, str]] = [
    ("no key", None, "missing_field", "connection_id"),
    ("empty key", b"", "bad_chars", "key"),
    ("key with a control character", b"a\nb", "bad_chars", "key"),
    ("key that is not UTF-8", b"\xff\xfe", "bad_chars", "key"),
    ("key of 129 characters", b"c" * 129, "too_long", "key"),
    ("long key of controls", b"\0" * 129, "too_long", "key"),
]


@pytest.mark.parametrize(("key", "reason", "path"), [row[1:] for row in KEYS], ids=[row[0] for row in KEYS])
def test_a_key_needed_as_id_keeps_the_rules_of_ids(key, reason, path):
    assert decode(event(), replace(ORIGIN, key=key)) == Rejected(RejectReason(reason), path)


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"x" * 200, b"c-1"])
def test_a_key_that_is_not_needed_may_be_anything(key):
    assert accepted(event(connection_id="c-1"), replace(ORIGIN, key=key)).connection_id == "c-1"


ORDER: list[tuple[str, bytes, str, str | None]] = [
    ("envelope before UTF-8", b"\x80\xff", "unsupported_encoding", None),
    ("size before envelope", b"\x00" * 65_537, "too_large", None),
    ("UTF-8 before depth", b"[" * 40 + b"\xff", "not_utf8", None),
    ("not an object before a key twice", b'[{"a": 1, "a": 1}]', "not_object", None),
    ("a key twice before the version", raw('"schema_version": "9.9", "a": 1, "a": 2'), "dup_key", None),
    ("version before missing", b'{"schema_version": "2.0"}', "unknown_version", "schema_version"),
    ("missing before wrong type", without("delta", omega="x"), "missing_field", "delta"),
    ("wrong type before nonfinite", event(omega=float("nan"), seq="x"), "wrong_type", "seq"),
    ("nonfinite before range", event(dimension=99, extra=float("nan")), "nonfinite", "extra"),
    ("range before length", event(delta="d" * 65, data={"close_code": 1}), "out_of_range", "data.close_code"),
    ("length before characters", event(delta="UPPER", experiment_id="x" * 129), "too_long", "experiment_id"),
    ("characters before time", event(ts="yesterday", extra="\ud800"), "bad_chars", "extra"),
    ("time before future", event(ts=17), "bad_time", "ts"),
    ("characters before future", event(ts=10**14, agent_id=""), "bad_chars", "agent_id"),
    # one reason on several fields: the table, then data, then unknown fields as they stand
    ("document order does not matter", b'{"omega": "x", "dimension": "x", "delta": 5, "lambda": 1}', "wrong_type", "delta"),
    ("metadata before ids", event(event_id=1, fractal_metadata={"voice_trust": "x"}), "wrong_type", "fractal_metadata.voice_trust"),
    ("seam before claims", event(fractal_metadata={"voice_pain": "x", "seam_id": 1}), "wrong_type", "fractal_metadata.seam_id"),
    ("experiment before what is in data", event(data={"attempt": "x"}, experiment_id=1), "wrong_type", "experiment_id"),
    ("known data before other data", event(data={"a": float("nan"), "latency_ms": float("nan")}), "nonfinite", "data.latency_ms"),
    ("data before unknown fields", raw('"a": NaN, "data": {"b": NaN}'), "nonfinite", "data.b"),
    ("unknown fields as they stand", raw('"z": NaN, "a": NaN'), "nonfinite", "z"),
    ("unknown fields of metadata among them", b'{"y": NaN, "fractal_metadata": {"x": NaN}, "delta": "connection_lost"}', "nonfinite", "y"),
    ("unknown fields of metadata first", b'{"fractal_metadata": {"x": NaN}, "y": NaN, "delta": "connection_lost"}', "nonfinite", "fractal_metadata.x"),
    ("a reason anywhere before a later one", raw('"z": "\\ud800", "a": NaN'), "nonfinite", "a"),
    ("within one field too", raw('"a": ["\\ud800", {"b": NaN}], "z": NaN'), "nonfinite", "a"),
    ("large data stand in the table", event(event_id="e" * 65, data={"a": "x" * 9000}), "too_long", "event_id"),
    ("large data before long texts in them", event(experiment_id="e" * 129, data={"reason": "x" * 9000}), "too_large", "data"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "reason", "path"), [row[1:] for row in ORDER], ids=[row[0] for row in ORDER])
def test_one_reason_is_looked_for_over_the_whole_event_before_the_next(value, reason, path):
    assert decode(value) == Rejected(RejectReason(reason), path)


def test_a_bad_key_stands_where_the_connection_id_would():
    origin = replace(ORIGIN, key=b"\xff")
    assert decode(event(event_id=""), origin) == Rejected(RejectReason.BAD_CHARS, "event_id")
    assert decode(event(session_id=""), origin) == Rejected(RejectReason.BAD_CHARS, "key")


def test_the_requirements_own_example_is_accepted_as_it_stands():
    assert decode(REQUIREMENT_EXAMPLE) == HotEvent(
        connection_id="c-1",
        delta="connection_established",
        known=True,
        dimension=2,
        omega=0.9,
        lambda_="monitor_stability",
        seam_id="network_infrastructure",
        event_id="3-7",
        explicit_id=False,
        ts=BROKER_TS,
        time=BROKER_TS,
        partition=3,
        offset=7,
        voice_pain=0.1,
        voice_chaos=0.1,
        voice_trust=0.8,
    )


def test_every_field_arrives():
    value = event(
        fractal_metadata={
            "seam_id": "data_contract",
            "voice_pain": 0,
            "voice_chaos": 1,
            "voice_trust": 0.5,
            "mood": "x",
        },
        event_id="e-1",
        connection_id="c-2",
        ts=BROKER_TS - 5,
        session_id="s",
        episode_id="p",
        agent_id="a",
        trace_id="t",
        parent_id="q",
        seq=0,
        lambda_deadline_s=30,
        data={"latency_ms": 12, "close_code": 1006, "attempt": 3, "reason": "\u202e<b>\n", "other": {}},
        experiment_id="x-1",
        schema_version="1.999999",
        weather="fine",
    )
    assert decode(value) == HotEvent(
        connection_id="c-2",
        delta="connection_lost",
        known=True,
        dimension=2,
        omega=0.9,
        lambda_="monitor_stability",
        seam_id="data_contract",
        event_id="e-1",
        explicit_id=True,
        ts=BROKER_TS - 5,
        time=BROKER_TS - 5,
        partition=3,
        offset=7,
        voice_pain=0.0,
        voice_chaos=1.0,
        voice_trust=0.5,
        latency_ms=12.0,
        experiment_id="x-1",
        session_id="s",
        episode_id="p",
        agent_id="a",
        trace_id="t",
        parent_id="q",
        seq=0,
        lambda_deadline_s=30,
        unknown_fields=("weather", "fractal_metadata.mood"),
        key_mismatch=True,
    )


def test_a_registry_fills_what_a_known_delta_leaves_out():
    got = accepted(b'{"delta": "connection_failed"}')
    assert (got.dimension, got.omega, got.lambda_, got.seam_id, got.known, got.lambda_deadline_s) == (
        3,
        0.8,
        "attempt_reconnection_with_backoff",
        "network_infrastructure",
        True,
        60,
    )


def test_an_unknown_delta_is_accepted_and_belongs_to_general_operation():
    got = accepted(without("fractal_metadata", delta="never_heard_of"))
    assert (got.delta, got.known, got.seam_id, got.dimension, got.omega, got.lambda_) == (
        "never_heard_of",
        False,
        "general_operation",
        2,
        0.9,
        "monitor_stability",
    )


@pytest.mark.parametrize("delta", ["\u2206", "\u0394"])
@pytest.mark.parametrize("omega", ["\u03a9", "\u2126"])
@pytest.mark.parametrize("dimension", ["D", "depth"])
def test_a_field_may_come_in_another_spelling(delta, omega, dimension):
    value = json.dumps({delta: "connection_lost", dimension: 4, omega: 0.25, "\u039b": "wait_and_see"}).encode()
    got = accepted(value)
    assert (got.delta, got.dimension, got.omega, got.lambda_) == ("connection_lost", 4, 0.25, "wait_and_see")
    assert got.unknown_fields == ()


def test_other_spellings_count_at_the_top_only_and_by_code_point_only():
    got = accepted(event(fractal_metadata={"D": 1}, data={"depth": [1]}, d=1, Delta=2, δ=3))
    assert got.unknown_fields == ("d", "Delta", "δ", "fractal_metadata.D")


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("-0.0", "0.0"),
        ("-0", "0.0"),
        ("1e-400", "0.0"),
        ("-1e-400", "0.0"),
        ("1", "1.0"),
        ("1.0000000000000001", "1.0"),
    ],
)
def test_numbers_are_judged_by_their_binary64_value(literal, expected):
    value = raw('"note": 1').replace(b"0.9", literal.encode())
    assert repr(accepted(value).omega) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (event(ts=BROKER_TS + MINUTES_5), (BROKER_TS + MINUTES_5, BROKER_TS)),
        (event(ts=BROKER_TS + 1), (BROKER_TS + 1, BROKER_TS)),
        (event(ts=BROKER_TS), (BROKER_TS, BROKER_TS)),
        (event(ts=BROKER_TS - 1), (BROKER_TS - 1, BROKER_TS - 1)),
        (event(ts=10**11), (10**11, 10**11)),
        (event(ts="1970-01-01T00:00:00Z"), (0, 0)),
        (event(ts="2023-11-14t22:13:20.1239z"), (BROKER_TS + 123, BROKER_TS)),
        (event(), (BROKER_TS, BROKER_TS)),
    ],
)
def test_event_time_is_never_later_than_the_brokers(value, expected):
    got = accepted(value)
    assert (got.ts, got.time) == expected


BOUNDARIES: list[tuple[str, bytes]] = [
    ("65,536 bytes", padded(65_536)),
    ("32 levels", deep(32)),
    ("brackets in texts", raw('"note": "' + "[" * 100 + '\\"' + "{" * 100 + '"')),
    ("8 KiB of data", with_data_of(8192)),
    ("8 KiB of data in a large event", raw('"data": {}, "a": "' + "x" * 9000 + '"')),
    ("large fields before data", raw('"a": [1, {"data": "' + "x" * 9000 + '"}] , "data" : {"a": 1}')),
    ("delta of 3", event(delta="abc")),
    ("delta of 64", event(delta="d" * 64)),
    ("seam of 2 and of 64", claims(seam_id="s2")),
    ("seam of 64", claims(seam_id="s" * 64)),
    ("event_id of 64", event(event_id="é" * 64)),
    ("connection_id of 128", event(connection_id="\U0001f600" * 128)),
    ("an id with spaces and punctuation", event(connection_id="a b/@#:é")),
    ("an id that is not normalised", event(connection_id="e\u0301")),
    ("a pair of surrogates", raw('"connection_id": "\\ud83d\\ude00"')),
    ("omega 0 and 1", event(omega=0, fractal_metadata={"voice_pain": 1})),
    ("dimension 1", event(dimension=1)),
    ("dimension 10", event(dimension=10)),
    ("seq 2^63 - 1", event(seq=2**63 - 1)),
    ("deadline 1", event(lambda_deadline_s=1)),
    ("deadline a day", event(lambda_deadline_s=86_400)),
    ("close codes", data(close_code=1000, attempt=2**31 - 1)),
    ("close code 4999", data(close_code=4999, attempt=1)),
    ("latency 0 and huge", data(latency_ms=0)),
    ("latency of 100 digits", raw('"data": {"latency_ms": ' + "9" * 100 + "}")),
    ("an unknown integer of 100 digits", raw(f'"note": -{"1" * 100}')),
    ("an unknown number of 5,000 digits after the point", raw(f'"note": 0.{"1" * 5000}')),
    ("texts of 512", data(reason="\n" * 512, endpoint="<b>" * 170, transport="", error_category="\u202e")),
    ("unknown nulls", raw('"a": null, "b": [null, true, false, {}], "data": {"c": null}')),
    ("an empty name", raw('"": 1')),
    ("minor version", event(schema_version="1.7")),
    ("spaces around", b" \r\n\t" + event() + b"\n"),
    ("empty metadata, empty data", event(fractal_metadata={}, data={})),
    ("unknown names of any length", raw(f'"{"n" * 5000}": {{"{"m" * 5000}": 1}}')),
]


@pytest.mark.parametrize("value", [row[1] for row in BOUNDARIES], ids=[row[0] for row in BOUNDARIES])
def test_what_is_just_inside_the_limits_is_accepted(value):
    accepted(value)


def test_lambda_with_an_underscore_is_an_unknown_field():
    assert accepted(event(lambda_="x")).unknown_fields == ("lambda_",)


def test_unknown_names_are_told_within_bounds():
    value = json.dumps({**GOOD, "n" * 65: 1, "ключ": 2, **{f"f{n}": n for n in range(100)}}).encode()
    assert accepted(value).unknown_fields == ("other", "ключ", *(f"f{n}" for n in range(62)))


@pytest.mark.parametrize(
    ("key", "connection_id", "mismatch"),
    [(b"c-1", "c-1", False), (b"c-1", "c-2", True), (b"", "c-1", True), (None, "c-1", False), (b"\xff", "c-1", True)],
)
def test_a_key_that_is_not_the_connection_id_is_noted(key, connection_id, mismatch):
    got = accepted(event(connection_id=connection_id), replace(ORIGIN, key=key))
    assert got.key_mismatch is mismatch


def test_the_key_is_the_connection_id_when_the_event_names_none():
    got = accepted(event(), replace(ORIGIN, key="ключ".encode()))
    assert (got.connection_id, got.key_mismatch) == ("ключ", False)
