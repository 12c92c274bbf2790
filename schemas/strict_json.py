"""JSON as RFC 8259 has it, out of bytes nobody vouches for: what ``json`` lets pass is refused here.

Reads a value and says what class of bytes it is, up to duplicate keys (E2 to E7 of reliability.md 7.1). What the
fields mean is asked in ``fields``. Not read: numbers ``json`` would refuse to convert; they become ``HUGE``.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Final, TypeAlias

from .rejects import Rejected, RejectReason

__all__ = ["HUGE", "MAX_BYTES", "MAX_DEPTH", "Huge", "JsonObject", "has_lone_surrogate", "member_bytes", "read_object"]

MAX_BYTES: Final = 65_536
MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 100

JsonObject: TypeAlias = dict[str, object]


class Huge(Enum):
    """An integer literal of more than 100 digits: out of every range, and too long to be worth converting."""

    HUGE = "huge"


HUGE: Final = Huge.HUGE

_OBJECT = 0x7B
_ENVELOPE_BYTES: Final = frozenset({0x00, *range(0x80, 0x90), 0xDE, 0xDF})
"""Schema registry and UTF-16 or UTF-32 without mark; MessagePack maps."""
_ENVELOPES: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
"""gzip, zstd, lz4 frame."""

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]+|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_OPENING: Final = frozenset({b"[", b"{"})
_CLOSING: Final = frozenset({b"]", b"}"})
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile("[ \t\n\r]*")


class _DuplicateKeyError(Exception):
    """Leaves the parser's hook when a key comes twice; never leaves this module."""


def _distinct(pairs: list[tuple[str, object]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateKeyError
    return members


def _integer(literal: str) -> int | Huge:
    digits = len(literal) - (literal[0] == "-")
    return int(literal) if digits <= MAX_DIGITS else HUGE


_distinct_keys: Final = json.JSONDecoder(object_pairs_hook=_distinct, parse_int=_integer)
_any_keys: Final = json.JSONDecoder(parse_int=_integer)


def read_object(value: bytes) -> tuple[str, JsonObject] | Rejected:
    """The text and the JSON object it is.

    Shape: keys in document order; ``NaN``, ``Infinity`` and literals beyond binary64 are floats, integers of more
        than 100 digits ``HUGE``.
    Errors: the first that applies of ``empty``, ``too_large``, ``unsupported_encoding``, ``not_utf8``, ``too_deep``,
        ``not_json``, ``not_object``, ``dup_key``; none has a path.
    """
    if not value:
        return Rejected(RejectReason.EMPTY)
    if len(value) > MAX_BYTES:
        return Rejected(RejectReason.TOO_LARGE)
    if value[0] != _OBJECT and (value[0] in _ENVELOPE_BYTES or value.startswith(_ENVELOPES)):
        return Rejected(RejectReason.UNSUPPORTED_ENCODING)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return Rejected(RejectReason.NOT_UTF8)
    if _too_deep(value):
        return Rejected(RejectReason.TOO_DEEP)
    try:
        document = _distinct_keys.decode(text)
    except json.JSONDecodeError:
        return Rejected(RejectReason.NOT_JSON)
    except _DuplicateKeyError:
        return Rejected(_beyond_duplicates(text))
    if type(document) is not dict:
        return Rejected(RejectReason.NOT_OBJECT)
    return text, document


def has_lone_surrogate(text: str) -> bool:
    """Whether an escape for one half of a character, without the other, left what no encoding can write."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def member_bytes(text: str, name: str) -> int:
    """How many bytes the value of this member takes in the document, as received, spaces inside included.

    Shape: ``text`` is an object that has the member and has been read before.
    """
    at = _after_space(text, text.index("{") + 1)
    while True:
        key, at = _any_keys.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        _, end = _any_keys.raw_decode(text, start)
        if key == name:
            return len(text[start:end].encode())
        at = _after_space(text, _after_space(text, end) + 1)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _too_deep(value: bytes) -> bool:
    """Whether brackets outside strings stand more than 32 deep. Kinds are not compared: that is the parser's work."""
    if value.count(b"{") + value.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _STRING_OR_BRACKET.findall(value):
        if token in _OPENING:
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token in _CLOSING and depth:
            depth -= 1
    return False


def _beyond_duplicates(text: str) -> RejectReason:
    """The parser stopped at a key that comes twice. What would it have said of the rest?"""
    try:
        document = _any_keys.decode(text)
    except json.JSONDecodeError:
        return RejectReason.NOT_JSON
    return RejectReason.DUP_KEY if type(document) is dict else RejectReason.NOT_OBJECT
