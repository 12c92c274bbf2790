"""The record of ``events.rejected.v1`` read back: what the headers say, for people and for redriving."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from .types import Instant

__all__ = ["RejectedRecord", "read_rejected"]

_OURS = "iskra."


class RejectedRecord(BaseModel):
    """Our headers on a record of ``events.rejected.v1``, without their prefix. Its key and value are as they came."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: str
    """A ``RejectReason``; one of a later version is read as well."""
    path: str | None = None
    topic: str
    partition: int
    offset: int
    timestamp: Instant
    schema_version: str
    worker_version: str
    stack_digest: str | None = None
    """Of an ``internal_error``."""
    headers_dropped: int = 0
    value_sha256: str | None = None
    """With ``value_length``: the value did not fit, and only its first 64 KiB are here."""
    value_length: int | None = None
    key_sha256: str | None = None
    key_length: int | None = None


def read_rejected(headers: Iterable[tuple[str, bytes]]) -> RejectedRecord:
    """What the headers say. Raises ValueError when they are not those of a rejected record."""
    ours = {name.removeprefix(_OURS): data.decode() for name, data in headers if name.startswith(_OURS)}
    return RejectedRecord.model_validate(ours)
