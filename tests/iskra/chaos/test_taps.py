"""What a record of the broker's own offsets topic says."""

from __future__ import annotations

import struct

import pytest

from iskra.chaos.taps import offset_commit


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


KEY = struct.pack(">h", 1) + _string("iskra-scorer") + _string("iskra.events.v1") + struct.pack(">i", 3)


@pytest.mark.parametrize(
    ("version", "rest"),
    [
        (1, _string("") + struct.pack(">qq", 1_700, -1)),
        (2, _string("note") + struct.pack(">q", 1_700)),
        (3, struct.pack(">i", -1) + _string("") + struct.pack(">q", 1_700)),
        (4, struct.pack(">i", -1) + b"\x01" + struct.pack(">q", 1_700) + b"\x00"),
        (4, struct.pack(">i", 7) + b"\x81\x01" + b"x" * 128 + struct.pack(">q", 1_700) + b"\x00"),
    ],
)
def test_every_version_of_the_value_is_read(version: int, rest: bytes):
    value = struct.pack(">hq", version, 42) + rest
    assert offset_commit(KEY, value) == ("iskra-scorer", "iskra.events.v1", 3, 42, 1_700)


def test_a_groups_own_record_is_no_offset():
    assert offset_commit(struct.pack(">h", 2) + _string("iskra-scorer"), b"\x00\x03") is None
