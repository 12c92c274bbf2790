"""What is kept of a record that could not be taken."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.rejected import RejectedRecord, read_rejected
from schemas.rejects import (
    CUT_BYTES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_RECORD_BYTES,
    Kept,
    Rejected,
    RejectReason,
    keep_late,
    keep_rejected,
)
from schemas.types import Headers


class Read(NamedTuple):
    topic: str = "iskra.events.v1"
    partition: int = 3
    offset: int = 17
    timestamp: int = 1_700_000_000_000
    key: bytes | None = b"c-1"
    value: bytes | None = b"{"
    headers: Headers = ()


NOT_JSON = Rejected(RejectReason.NOT_JSON)


def kept(record: Read, rejected: Rejected = NOT_JSON) -> Kept:
    return keep_rejected(record, rejected, worker_version="0.1.0")


def ours(record: Kept) -> dict[str, bytes]:
    return {name: data for name, data in record.headers if name.startswith("iskra.")}


def test_a_rejected_record_keeps_key_value_and_headers_and_says_why():
    record = Read(headers=(("traceparent", b"00-1"), ("traceparent", b"00-2"), ("empty", b"")))
    assert kept(record, Rejected(RejectReason.WRONG_TYPE, "data.reason")) == Kept(
        b"c-1",
        b"{",
        (
            ("traceparent", b"00-1"),
            ("traceparent", b"00-2"),
            ("empty", b""),
            ("iskra.reason", b"wrong_type"),
            ("iskra.path", b"data.reason"),
            ("iskra.topic", b"iskra.events.v1"),
            ("iskra.partition", b"3"),
            ("iskra.offset", b"17"),
            ("iskra.timestamp", b"1700000000000"),
            ("iskra.schema_version", b"1.0"),
            ("iskra.worker_version", b"0.1.0"),
        ),
    )


def test_without_a_path_there_is_no_header_for_it():
    assert "iskra.path" not in ours(kept(Read()))


def test_an_internal_error_tells_which():
    internal = Rejected(RejectReason.INTERNAL_ERROR)
    record = keep_rejected(Read(), internal, worker_version="0.1.0", stack_digest="ab12")
    assert ours(record)["iskra.stack_digest"] == b"ab12"


def test_a_late_record_keeps_all_and_says_where_it_was():
    assert keep_late(Read(headers=(("a", b"1"), ("iskra.topic", b"forged")))) == Kept(
        b"c-1",
        b"{",
        (("a", b"1"), ("iskra.topic", b"iskra.events.v1"), ("iskra.partition", b"3"), ("iskra.offset", b"17")),
    )


def test_headers_that_pose_as_ours_are_dropped_and_not_counted():
    record = kept(Read(headers=(("iskra.reason", b"fine"), ("iskra.anything", b"x"), ("iskra", b"y"))))
    assert record.headers[0] == ("iskra", b"y")
    assert [data for name, data in record.headers if name == "iskra.reason"] == [b"not_json"]
    assert not {"iskra.anything", "iskra.headers_dropped"} & ours(record).keys()


@pytest.mark.parametrize(
    ("headers", "stay", "dropped"),
    [
        ([("h", b"")] * MAX_HEADERS, MAX_HEADERS, None),
        ([("h", b"")] * (MAX_HEADERS + 1), MAX_HEADERS, b"1"),
        ([("h", b"x" * (MAX_HEADER_BYTES - 1))], 1, None),
        ([("h", b"x" * MAX_HEADER_BYTES)], 0, b"1"),
        ([("a", b"1"), ("h", b"x" * MAX_HEADER_BYTES), ("b", b"2")], 1, b"2"),
        ([("é" * (MAX_HEADER_BYTES // 2), b"")], 1, None),
        ([("é" * (MAX_HEADER_BYTES // 2), b"x")], 0, b"1"),
    ],
)
def test_the_first_64_headers_within_16_kib_stay(headers, stay, dropped):
    record = kept(Read(headers=tuple(headers)))
    assert list(record.headers[:stay]) == headers[:stay]
    assert all(name.startswith("iskra.") for name, _ in record.headers[stay:])
    assert ours(record).get("iskra.headers_dropped") == dropped


def test_a_header_without_value_is_kept_as_an_empty_one():
    record = kept(Read(headers=(("h", None),)))  # type: ignore[arg-type]  # clients read it so
    assert record.headers[0] == ("h", b"")


def test_what_fits_is_kept_whole():
    value = b"v" * 1_000_000
    record = kept(Read(value=value))
    assert record.value == value
    assert not {"iskra.value_sha256", "iskra.value_length"} & ours(record).keys()


def test_a_value_that_does_not_fit_is_cut_and_its_hash_and_length_are_told():
    value = bytes(range(256)) * 5000
    record = kept(Read(value=value))
    assert (record.key, record.value) == (b"c-1", value[:CUT_BYTES])
    assert ours(record)["iskra.value_sha256"] == sha256(value).hexdigest().encode()
    assert ours(record)["iskra.value_length"] == b"1280000"
    assert "iskra.key_length" not in ours(record)


def test_a_key_that_does_not_fit_is_cut_likewise():
    key = b"k" * 1_200_000
    record = kept(Read(key=key, value=None))
    assert (record.key, record.value) == (key[:CUT_BYTES], None)
    assert ours(record)["iskra.key_length"] == b"1200000"
    assert ours(record)["iskra.key_sha256"] == sha256(key).hexdigest().encode()
    assert "iskra.value_length" not in ours(record)


@given(
    st.integers(0, 2**21),
    st.integers(0, 2**21),
    st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=9), st.binary(max_size=9)), max_size=99),
)
def test_what_is_kept_always_fits(key, value, headers):
    record = kept(Read(key=b"k" * key, value=b"v" * value, headers=tuple(headers)))
    size = sum(len(name.encode()) + len(data) + 10 for name, data in record.headers)
    assert size + len(record.key or b"") + len(record.value or b"") <= MAX_RECORD_BYTES


def test_the_headers_can_be_read_back():
    record = kept(Read(value=b"v" * 2_000_000, headers=(("h", b"\xff"),) * 70), Rejected(RejectReason.BAD_TIME, "ts"))
    assert read_rejected(record.headers) == RejectedRecord(
        reason="bad_time",
        path="ts",
        topic="iskra.events.v1",
        partition=3,
        offset=17,
        timestamp=1_700_000_000_000,
        schema_version="1.0",
        worker_version="0.1.0",
        headers_dropped=6,
        value_sha256=sha256(b"v" * 2_000_000).hexdigest(),
        value_length=2_000_000,
    )


def test_headers_of_another_record_cannot_be_read_as_those_of_a_rejected_one():
    with pytest.raises(ValueError, match="reason"):
        read_rejected((("iskra.topic", b"x"),))


def test_the_reasons_stand_in_the_order_in_which_they_are_asked():
    assert list(RejectReason) == [
        "empty", "too_large", "unsupported_encoding", "not_utf8", "too_deep", "not_json", "not_object", "dup_key",
        "unknown_version", "missing_field", "wrong_type", "nonfinite", "out_of_range", "too_long", "bad_chars", "bad_time",
        "future_time", "id_conflict", "internal_error",
    ]  # fmt: skip
