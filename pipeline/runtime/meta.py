"""The runtime's own state record, ``!meta``: position and books of one input partition.

It is written in the transaction of the outputs it covers, so it is the truth about where to go on. Group offsets are
for lag tools only.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from .account import Account
from .contract import StateRecord

__all__ = ["FORMAT", "META_KEY", "MetaError", "MetaRecord", "decode_meta", "encode_meta"]

META_KEY = b"!meta"
FORMAT = 1

_Count = Annotated[int, msgspec.Meta(ge=0)]


class MetaRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where a partition stands, and for which input it was written."""

    format: int = FORMAT
    stage: str
    topic: str
    """The logical input topic."""
    partition: _Count
    partitions: Annotated[int, msgspec.Meta(ge=1)]
    """How many partitions the input topic had: keys are spread over them, so another number needs a rebuild."""
    base: _Count
    position: _Count
    counts: dict[str, int]
    gap: _Count
    lost_by_retention: _Count

    def account(self) -> Account:
        """The books to go on with."""
        return Account(self.base, self.position, dict(self.counts), self.gap, self.lost_by_retention)


class MetaError(ValueError):
    """A meta record that cannot be used: unreadable, or of a newer format. Not retriable."""


def encode_meta(account: Account, *, stage: str, topic: str, partition: int, partitions: int) -> StateRecord:
    """The meta record of these books."""
    record = MetaRecord(
        stage=stage,
        topic=topic,
        partition=partition,
        partitions=partitions,
        base=account.base,
        position=account.position,
        counts=account.counts,
        gap=account.gap,
        lost_by_retention=account.lost_by_retention,
    )
    return StateRecord(META_KEY, msgspec.json.encode(record))


def decode_meta(value: bytes) -> MetaRecord:
    """The meta record of these bytes.

    Errors: MetaError with what is wrong, never the bytes.
    """
    try:
        written = msgspec.json.decode(value, type=_Format).format
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = "its meta record is not readable"
        raise MetaError(message) from None
    if written > FORMAT:
        message = f"its format {written} is newer than {FORMAT}, the newest this version reads"
        raise MetaError(message)
    try:
        return msgspec.json.decode(value, type=MetaRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = "its meta record lacks fields or holds wrong ones"
        raise MetaError(message) from None


class _Format(msgspec.Struct):
    format: int
