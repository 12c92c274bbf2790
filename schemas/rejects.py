"""Why a value cannot be taken: a closed set of reasons, small enough for a metric label."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["TOMBSTONE", "RejectReason", "Rejected"]

TOMBSTONE: Final = "tombstone"
"""The outcome of a record without a value. Counted by the caller, never rejected: there are no bytes to keep."""


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
