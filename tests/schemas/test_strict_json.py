"""JSON as RFC 8259 has it: the grammar's dark corners, as value of a field nobody knows and as whole documents."""

from __future__ import annotations

import json
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.hot import HotEvent
from schemas.rejects import Rejected, RejectReason
from schemas.strict_json import HUGE, member_bytes, read_object

from . import strategies as some
from .bodies import GOOD, decode, event, raw

NO_JSON = [
    b"", b"01", b"-01", b"-", b"+1", b"--1", b"1.", b".1", b"-.1", b"1.e1", b"1e", b"1e+", b"1E-", b"1e1.5", b"0x1F", b"1_000", b"1,5",
    b"Inf", b"infinity", b"nan", b"-nan", b"-NaN", b"+NaN", b"NaN1", b"Inf1nity", b"-Infinitys", b"truth", b"True", b"nul", b"undefined",
    b"'x'", b'"x', b'"', b'"\\"', b'"\\x41"', b'"\\u12"', b'"\\u12G4"', b'"\\u 123"', b'"\\U00000041"', b'"\\ud83d\\u12"', b'"\\a"', b'"\\', b'"\t"', b'"\n"', b'"\x00"',
    b'"\x1f"', b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1,,2]", b"[1 2]", b"[1;2]", b"]", b"[}", b"{", b"{]", b'{"a"}', b'{"a":}',
    b'{"a":1,}', b'{,"a":1}', b'{"a" 1}', b'{"a"::1}', b"{a:1}", b"{1:1}", b"{null:1}", b'{"a":1 "b":2}', b'{"a":1}{}', b"1 2", b"1//", b"1/**/", b"#1", b"\x0c1",
    b"\x0b1", b"\xc2\xa01", b"\xef\xbb\xbf1", b"\xe2\x80\xa81", b"\\u0031", b"1}, {", b"*", b"<x/>", b"\xef\xbc\x91", b"[1]]", b'"a"b', b"truefalse", b"1true",
]  # fmt: skip

JSON = [
    b"0", b"-0", b"-0.0", b"1", b"-1", b"1.5", b"1e5", b"1E5", b"1e+5", b"1e-5", b"1.5E-10", b"0e0", b"0E+1", b"123456789012345678901234567890",
    b"1e-400", b"0.1e1", b"true", b"false", b"null", b'""', b'"x"', b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', b'"\\u0000"', b'"\\u001F"', b'"\\uD834\\uDD1E"', b'"\\uFFFF"', b'"\\uFDD0"',
    '"\u2028\u2029\ufeff\uffff\U0010ffff"'.encode(), b'"\x7f"', b'"/"', b'"//"', b'"/* */"', b'"[{"', b"[]", b"[[]]", b"[ ]", b"[1 , 2]", b"{}", b"{ }", b'{"":0}',
    b'{"a":{"a":{"a":1}}}', b'[{"a":1},{"a":1}]', b" 1", b"1 ", b"\t\r\n 1 \t\r\n", b'{"a":1,"A":2}', b'{"\\u0000":1}', b"[null,1,\"1\",{}]", b'{"a":1,"a ":2}',
]  # fmt: skip

IMPLEMENTATION_DEFINED = [
    (b"NaN", "nonfinite"),
    (b"Infinity", "nonfinite"),
    (b"-Infinity", "nonfinite"),
    (b"1e400", "nonfinite"),
    (b"-1e400", "nonfinite"),
    (b"123123e100000", "nonfinite"),
    (b"-1e+9999999999", "nonfinite"),
    (b"1" * 101, "out_of_range"),
    (b"-" + b"1" * 5000, "out_of_range"),
    (b'"\\uD800"', "bad_chars"),
    (b'"\\uDFAA"', "bad_chars"),
    (b'"\\uDd1e\\uD834"', "bad_chars"),
    (b'"\\uD800\\uD800\\n"', "bad_chars"),
    (b'{"\\uDFAA":0}', "bad_chars"),
    (b'{"a":1,"a":1}', "dup_key"),
    (b'{"a":1,"\\u0061":1}', "dup_key"),
    (b'"\xff"', "not_utf8"),
    (b'"\xed\xa0\x80"', "not_utf8"),
    (b'"\xc0\xaf"', "not_utf8"),
    (b'"\xf4\xbf\xbf\xbf"', "not_utf8"),
    (b'"\xe6\x97\xa5\xd1\x88\xfa"', "not_utf8"),
    (b"[" * 500 + b"]" * 500, "too_deep"),
]


def with_note(value: bytes) -> bytes:
    return event()[:-1] + b', "note": ' + value + b"}"


@pytest.mark.parametrize("value", NO_JSON)
def test_what_is_no_json_is_not_taken_for_it(value):
    assert decode(with_note(value)) == Rejected(RejectReason.NOT_JSON)


@pytest.mark.parametrize("value", JSON)
def test_what_is_json_is_taken(value):
    verdict = decode(with_note(value))
    assert isinstance(verdict, HotEvent)
    assert verdict.unknown_fields == ("note",)


@pytest.mark.parametrize(("value", "reason"), IMPLEMENTATION_DEFINED)
def test_what_others_leave_open_is_decided_here(value, reason):
    verdict = decode(with_note(value))
    assert isinstance(verdict, Rejected)
    assert verdict.reason == reason


def test_an_integer_too_long_to_convert_is_read_as_such():
    verdict = read_object(b'{"a": ' + b"1" * 100 + b', "b": -' + b"1" * 101 + b"}")
    assert not isinstance(verdict, Rejected)
    assert verdict[1] == {"a": int("1" * 100), "b": HUGE}


@given(st.dictionaries(some.texts, some.json_values, min_size=1, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_a_member_has_the_length_it_has_in_the_document(members, indent, ascii_only):
    text = json.dumps(members, indent=indent, ensure_ascii=ascii_only)
    for name, value in members.items():
        if indent is None:
            assert member_bytes(text, name) == len(json.dumps(value, ensure_ascii=ascii_only).encode())
        else:
            assert member_bytes(text, name) >= len(json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only))


def test_a_member_is_found_under_an_escaped_name():
    assert member_bytes(' { "a" : [1] ,\n "\\u0064ata"\t:\r"\u00e9\\n" } ', "data") == 6


def test_scanning_64_kib_of_hostile_bytes_is_quick():
    worst = [
        b'"' + b"\\" * 65_000,
        b'["' + b'\\"' * 32_000,
        b"[]" * 32_000,
        b'"[' * 32_000,
        b"[" + b'"",' * 20_000,
        raw("1" * 60_000),
    ]
    for value in worst:
        begun = perf_counter()
        assert isinstance(decode(value), Rejected)
        assert perf_counter() - begun < 0.5, value[:10]  # the promise is 50 ms; the machine may be busy


def test_the_good_event_of_these_tables_is_good():
    assert isinstance(decode(event()), HotEvent)
    assert GOOD["delta"] == "connection_lost"
