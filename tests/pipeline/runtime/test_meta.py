"""The meta record: what is written is read, what is not ours is refused."""

from __future__ import annotations

import json

import pytest

from pipeline.runtime.account import Account
from pipeline.runtime.contract import StateRecord
from pipeline.runtime.meta import MetaError, MetaRecord, decode_meta, encode_meta

ACCOUNT = Account(3, 120, {"scored": 100, "late": 2}, gap=15, lost_by_retention=5)


def test_what_is_written_is_read():
    written = encode_meta(ACCOUNT, stage="scorer", topic="events.v1", partition=2, partitions=4)
    assert written.key == b"!meta"
    meta = decode_meta(written.value or b"")
    assert meta == MetaRecord(
        stage="scorer",
        topic="events.v1",
        partition=2,
        partitions=4,
        base=3,
        position=120,
        counts={"scored": 100, "late": 2},
        gap=15,
        lost_by_retention=5,
    )
    assert meta.account() == ACCOUNT


def test_the_bytes_are_stable():
    assert encode_meta(Account(0, 1, {"scored": 1}), stage="s", topic="t.v1", partition=0, partitions=1) == StateRecord(
        b"!meta",
        b'{"format":1,"stage":"s","topic":"t.v1","partition":0,"partitions":1,"base":0,"position":1,'
        b'"counts":{"scored":1},"gap":0,"lost_by_retention":0}',
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"format": 2}, "its format 2 is newer than 1, the newest this version reads"),
        ({"position": -1}, "its meta record lacks fields or holds wrong ones"),
        ({"position": "7"}, "its meta record lacks fields or holds wrong ones"),
        ({"partitions": 0}, "its meta record lacks fields or holds wrong ones"),
        ({"counts": None}, "its meta record lacks fields or holds wrong ones"),
        ({"format": None}, "its meta record is not readable"),
    ],
)
def test_a_record_that_is_not_ours_is_refused_by_name(changed: dict[str, object], reason: str):
    written = json.loads(encode_meta(ACCOUNT, stage="s", topic="t.v1", partition=0, partitions=1).value or b"")
    with pytest.raises(MetaError, match=reason):
        decode_meta(json.dumps({**written, **changed}).encode())


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"[]", b'"x"'])
def test_bytes_that_are_no_record_are_refused_without_showing_them(value: bytes):
    with pytest.raises(MetaError, match=r"^its meta record is not readable$"):
        decode_meta(value)
