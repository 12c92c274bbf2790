"""What each field of an event may hold: one check per field, which says the first reason why not.

A check is asked for one field alone. Reasons are ranked in the order of ``RejectReason`` over the whole event, so the
verdict on the event is the lowest-ranked reason of all its fields, and among equals the first field in the order of the
table (semantics.md 1), then ``data.*``, then unknown fields as they stand in the document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from sys import float_info
from typing import Final, NamedTuple, TypeAlias

from .names import MAX_EVENT_ID, MAX_ID, MAX_NAME, has_id_characters, is_delta, is_seam, short_name
from .rejects import RejectReason
from .strict_json import HUGE, JsonObject, has_lone_surrogate
from .timestamps import instant_of_integer, instant_of_text

__all__ = [
    "DATA_ORDER",
    "EVENT_FIELDS",
    "KEY_ORDER",
    "MAX_DATA_BYTES",
    "MAX_TEXT",
    "RANK",
    "UNKNOWN_ORDER",
    "Fault",
    "Field",
    "check_id",
    "find_faults",
]

MAX_DATA_BYTES: Final = 8192
MAX_TEXT: Final = 512
"""Longest ``reason``, ``endpoint`` and the like, in code points."""

RANK: Final[Mapping[RejectReason, int]] = {reason: rank for rank, reason in enumerate(RejectReason)}
"""The order in which reasons are looked for."""

Check: TypeAlias = Callable[[object], RejectReason | None]


class Fault(NamedTuple):
    """A reason found on a field. The smallest (rank, order) of an event is its verdict; of equals the first found."""

    rank: int
    order: int
    reason: RejectReason
    path: str


class Field(NamedTuple):
    """A field of the table. One that holds fields itself names them, and what order fields nobody knows have in it."""

    order: int
    path: str
    check: Check
    members: Mapping[str, Field] | None = None
    rest: int = 0


def find_faults(values: JsonObject, fields: Mapping[str, Field], prefix: str, rest: int) -> list[Fault]:
    """The first fault of every field of an object, in document order."""
    faults: list[Fault] = []
    for name, value in values.items():
        field = fields.get(name)
        if field is None:
            faults += _free_faults(name, value, prefix, rest)
            continue
        reason = field.check(value)
        if reason is not None:
            faults.append(Fault(RANK[reason], field.order, reason, field.path))
        elif field.members is not None and isinstance(value, dict):
            faults += find_faults(value, field.members, f"{field.path}.", field.rest)
    return faults


def check_id(text: str, limit: int = MAX_ID) -> RejectReason | None:
    """Whether this can be an id."""
    if len(text) > limit:
        return RejectReason.TOO_LONG
    return None if has_id_characters(text) else RejectReason.BAD_CHARS


def _free_faults(name: str, value: object, prefix: str, order: int) -> list[Fault]:
    """The faults of a field nobody knows and of all that is in it; below an array the path is that of the array."""
    faults: list[Fault] = []

    def find(reason: RejectReason, path: str) -> None:
        faults.append(Fault(RANK[reason], order, reason, path))

    def visit(item: object, path: str, *, named: bool) -> None:
        if isinstance(item, str):
            if has_lone_surrogate(item):
                find(RejectReason.BAD_CHARS, path)
        elif isinstance(item, float):
            if not isfinite(item):
                find(RejectReason.NONFINITE, path)
        elif item is HUGE:
            find(RejectReason.OUT_OF_RANGE, path)
        elif isinstance(item, dict):
            for key, member in item.items():
                visit_member(key, member, f"{path}." if named else path, named=named)
        elif isinstance(item, list):
            for element in item:
                visit(element, path, named=False)

    def visit_member(key: str, member: object, before: str, *, named: bool) -> None:
        path = f"{before}{short_name(key)}" if named else before
        if has_lone_surrogate(key):
            find(RejectReason.BAD_CHARS, path)
        visit(member, path, named=named)

    visit_member(name, value, prefix, named=True)
    return faults


def _misplaced(value: object) -> RejectReason:
    """Why a value of another type does not fit. A number that is none says so wherever it stands."""
    if isinstance(value, float) and not isfinite(value):
        return RejectReason.NONFINITE
    return RejectReason.WRONG_TYPE


def _text(limit: int, fits: Callable[[str], bool]) -> Check:
    def check(value: object) -> RejectReason | None:
        if not isinstance(value, str):
            return _misplaced(value)
        if len(value) > limit:
            return RejectReason.TOO_LONG
        return None if fits(value) else RejectReason.BAD_CHARS

    return check


def _free_text(value: str) -> bool:
    return not has_lone_surrogate(value)


def _number(least: float, most: float) -> Check:
    def check(value: object) -> RejectReason | None:
        if type(value) is float or type(value) is int:  # bool is an int to isinstance
            if least <= value <= most:
                return None
            return RejectReason.OUT_OF_RANGE if isfinite(value) else RejectReason.NONFINITE
        return RejectReason.OUT_OF_RANGE if value is HUGE else RejectReason.WRONG_TYPE

    return check


def _integer(least: int, most: int) -> Check:
    def check(value: object) -> RejectReason | None:
        if type(value) is int:  # bool is an int to isinstance
            return None if least <= value <= most else RejectReason.OUT_OF_RANGE
        return RejectReason.OUT_OF_RANGE if value is HUGE else _misplaced(value)

    return check


def _object(value: object) -> RejectReason | None:
    return None if isinstance(value, dict) else _misplaced(value)


def _time(value: object) -> RejectReason | None:
    if isinstance(value, str):
        if has_lone_surrogate(value):
            return RejectReason.BAD_CHARS
        return None if instant_of_text(value) is not None else RejectReason.BAD_TIME
    if type(value) is int:
        return None if instant_of_integer(value) is not None else RejectReason.BAD_TIME
    if value is HUGE:
        return RejectReason.OUT_OF_RANGE
    if isinstance(value, float) and isfinite(value):
        return RejectReason.BAD_TIME
    return _misplaced(value)


def _version(_: object) -> RejectReason | None:
    """Asked before all other fields, of the whole event."""
    return None


_UNIT = _number(0, 1)
_ID = _text(MAX_ID, has_id_characters)
_NAME = _text(MAX_NAME, is_delta)
_TEXT = _text(MAX_TEXT, _free_text)

_DATA_REST: Final = 1_000
_UNKNOWN_REST: Final = 2_000

_METADATA_CHECKS: Final[dict[str, Check]] = {
    "seam_id": _text(MAX_NAME, is_seam),
    "voice_pain": _UNIT,
    "voice_chaos": _UNIT,
    "voice_trust": _UNIT,
}
_DATA_CHECKS: Final[dict[str, Check]] = {
    "latency_ms": _number(0, float_info.max),
    "close_code": _integer(1000, 4999),
    "attempt": _integer(1, 2**31 - 1),
    "error_category": _TEXT,
    "transport": _TEXT,
    "endpoint": _TEXT,
    "reason": _TEXT,
}
_EVENT_CHECKS: Final[dict[str, Check]] = {
    "delta": _NAME,
    "dimension": _integer(1, 10),
    "omega": _UNIT,
    "lambda": _NAME,
    "fractal_metadata": _object,
    "event_id": _text(MAX_EVENT_ID, has_id_characters),
    "connection_id": _ID,
    "ts": _time,
    "session_id": _ID,
    "episode_id": _ID,
    "agent_id": _ID,
    "trace_id": _ID,
    "parent_id": _ID,
    "seq": _integer(0, 2**63 - 1),
    "lambda_deadline_s": _integer(1, 86_400),
    "data": _object,
    "experiment_id": _ID,
    "schema_version": _version,
}


def _table() -> dict[str, Field]:
    """The checks with the order in which their paths are told."""
    step = 10  # room for the fields of fractal_metadata after itself
    orders = {name: place * step for place, name in enumerate(_EVENT_CHECKS)}

    def inside(parent: str, checks: Mapping[str, Check], first: int) -> dict[str, Field]:
        return {name: Field(first + n, f"{parent}.{name}", check) for n, (name, check) in enumerate(checks.items())}

    nested = {
        "fractal_metadata": (
            inside("fractal_metadata", _METADATA_CHECKS, orders["fractal_metadata"] + 1),
            _UNKNOWN_REST,
        ),
        "data": (inside("data", _DATA_CHECKS, len(orders) * step), _DATA_REST),
    }
    return {
        name: Field(orders[name], name, check, *nested.get(name, (None, 0))) for name, check in _EVENT_CHECKS.items()
    }


EVENT_FIELDS: Final[Mapping[str, Field]] = _table()
"""The fields of an event by name."""

DATA_ORDER: Final = EVENT_FIELDS["data"].order
KEY_ORDER: Final = EVENT_FIELDS["connection_id"].order
"""A Kafka key used as id is told where the id would be."""

UNKNOWN_ORDER: Final = _UNKNOWN_REST
"""Fields nobody knows come after all others."""
