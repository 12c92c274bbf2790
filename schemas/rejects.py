"""Why a value cannot be taken, and the record that keeps it: the original bytes, and in headers what became of them.

The reasons are a closed set, small enough for a metric label. What a sender wrote is kept as it came, except headers
that pose as ours, and except what Kafka would not take: that is cut, with the hash and length of the whole beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from .types import Headers, Instant

__all__ = [
    "CUT_BYTES",
    "MAX_HEADERS",
    "MAX_HEADER_BYTES",
    "MAX_RECORD_BYTES",
    "REJECT_VERSION",
    "TOMBSTONE",
    "Kept",
    "ReadRecord",
    "RejectReason",
    "Rejected",
    "keep_late",
    "keep_rejected",
]

TOMBSTONE: Final = "tombstone"
"""The outcome of a record without a value. Counted by the caller, never rejected: there are no bytes to keep."""

REJECT_VERSION: Final = "1.0"
"""Of the headers written here."""

MAX_HEADERS: Final = 64
MAX_HEADER_BYTES: Final = 16 * 1024
"""Of the sender's headers, names and values, so many stay."""

CUT_BYTES: Final = 64 * 1024
"""What is left of a value, or a key, that does not fit."""

MAX_RECORD_BYTES: Final = 1_048_588 + CUT_BYTES
"""``max.message.bytes`` of the topics of rejected and late records: Kafka's default, which events have, and 64 KiB."""

_OVERHEAD: Final = 1024
"""Room for what Kafka adds to a record: batch header, lengths, deltas."""

_OURS: Final = "iskra."


class RejectReason(StrEnum):
    """Every reason, in the order in which an event is asked.

    Source: reliability.md 7.1, classes E2 to E17; ``internal_error`` is ours, when folding a valid event raises.
    """

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    NOT_UTF8 = "not_utf8"
    TOO_DEEP = "too_deep"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    DUP_KEY = "dup_key"
    UNKNOWN_VERSION = "unknown_version"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    NONFINITE = "nonfinite"
    OUT_OF_RANGE = "out_of_range"
    TOO_LONG = "too_long"
    BAD_CHARS = "bad_chars"
    BAD_TIME = "bad_time"
    FUTURE_TIME = "future_time"
    ID_CONFLICT = "id_conflict"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A verdict: why, and on which field (``fractal_metadata.seam_id``) if it is about one."""

    reason: RejectReason
    path: str | None = None


class ReadRecord(Protocol):
    """A Kafka record as read; those of clients and of the runtime fit."""

    @property
    def topic(self) -> str:
        """Its name on the cluster."""

    @property
    def partition(self) -> int:
        """Counted from 0."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> Instant:
        """By the topic's clock."""

    @property
    def key(self) -> bytes | None:
        """As it came."""

    @property
    def value(self) -> bytes | None:
        """As it came."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """In order; a name may repeat."""


class Kept(NamedTuple):
    """What is written to the topic of rejected or of late records."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def keep_rejected(
    record: ReadRecord, rejected: Rejected, *, worker_version: str, stack_digest: str | None = None
) -> Kept:
    """The record of ``events.rejected.v1``.

    Shape: the sender's headers that may stay, then ``iskra.reason``, ``.path`` (if any), ``.topic``, ``.partition``,
        ``.offset``, ``.timestamp`` (ms), ``.schema_version``, ``.worker_version``; ``.stack_digest`` of an
        ``internal_error``; ``.headers_dropped`` if any were; ``.value_sha256`` and ``.value_length`` (of a key
        likewise) if it was cut.
    """
    ours = [("reason", rejected.reason.value)]
    if rejected.path is not None:
        ours.append(("path", rejected.path))
    ours += _origin(record)
    ours.append(("timestamp", str(record.timestamp)))
    ours.append(("schema_version", REJECT_VERSION))
    ours.append(("worker_version", worker_version))
    if stack_digest is not None:
        ours.append(("stack_digest", stack_digest))
    return _keep(record, ours)


def keep_late(record: ReadRecord) -> Kept:
    """The record of ``events.late.v1``: as it came, with ``iskra.topic``, ``.partition``, ``.offset``."""
    return _keep(record, _origin(record))


def _origin(record: ReadRecord) -> list[tuple[str, str]]:
    return [("topic", record.topic), ("partition", str(record.partition)), ("offset", str(record.offset))]


def _keep(record: ReadRecord, ours: list[tuple[str, str]]) -> Kept:
    theirs, dropped = _senders(record.headers)
    if dropped:
        ours.append(("headers_dropped", str(dropped)))
    key, value = record.key, record.value
    headers = (*theirs, *_encoded(ours))
    if _size(key, value, headers) > MAX_RECORD_BYTES:
        value, cut = _cut("value", value)
        ours += cut
        key, cut = _cut("key", key)
        headers = (*theirs, *_encoded([*ours, *cut]))
    return Kept(key, value, headers)


def _senders(headers: Iterable[tuple[str, bytes | None]]) -> tuple[Headers, int]:
    """The first 64 of the sender's headers within 16 KiB, and how many others there were that do not pose as ours."""
    stay: list[tuple[str, bytes]] = []
    size = dropped = 0
    for name, value in headers:
        if name.startswith(_OURS):
            continue
        data = value or b""  # clients read a header without value as None
        size += len(name.encode()) + len(data)
        if dropped or size > MAX_HEADER_BYTES or len(stay) == MAX_HEADERS:
            dropped += 1
        else:
            stay.append((name, data))
    return tuple(stay), dropped


def _encoded(headers: Iterable[tuple[str, str]]) -> Headers:
    return tuple((f"{_OURS}{name}", text.encode()) for name, text in headers)


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """About how many bytes Kafka will count, rather more than less."""
    names = sum(len(name.encode()) + len(data) + 10 for name, data in headers)
    return len(key or b"") + len(value or b"") + names + _OVERHEAD


def _cut(what: str, data: bytes | None) -> tuple[bytes | None, list[tuple[str, str]]]:
    """The first 64 KiB, and the hash and the length of the whole if that is not all."""
    if data is None or len(data) <= CUT_BYTES:
        return data, []
    return data[:CUT_BYTES], [(f"{what}_sha256", sha256(data).hexdigest()), (f"{what}_length", str(len(data)))]
