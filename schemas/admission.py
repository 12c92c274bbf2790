"""Whether bytes are an event, and which: the whole of reliability.md 7.1 that needs no memory (E2 to E16).

What an event leaves out is filled here, so that scoring never asks for a default. A record without a value (E1),
repeats (E17) and lateness (E18) are the scorer's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .fields import (
    DATA_ORDER,
    EVENT_FIELDS,
    KEY_ORDER,
    MAX_DATA_BYTES,
    RANK,
    UNKNOWN_ORDER,
    Fault,
    check_id,
    find_faults,
)
from .hot import HotEvent
from .names import GENERAL_SEAM, short_name
from .registry import DeltaRegistry, DeltaRow
from .rejects import Rejected, RejectReason
from .strict_json import JsonObject, member_bytes, read_object
from .timestamps import instant_of_text
from .types import Instant, Millis, Origin, Unit

__all__ = ["AHEAD_AT_MOST", "ALIASES", "DEADLINE_S", "admit", "known_version"]

ALIASES: Final[Mapping[str, str]] = {
    "\u2206": "delta",  # increment
    "\u0394": "delta",  # Greek capital delta
    "\u03a9": "omega",  # Greek capital omega
    "\u2126": "omega",  # ohm sign
    "\u039b": "lambda",  # Greek capital lambda
    "D": "dimension",
    "depth": "dimension",
}
"""Other spellings of fields, read at the top of an event and never written."""

AHEAD_AT_MOST: Final[Millis] = 300_000
"""How far a publisher's clock may be ahead of the broker's."""

DEADLINE_S: Final = 60
"""By when an intended step should be visible, if the event does not say."""

_VERSION = re.compile(r"1\.(0|[1-9][0-9]{0,5})")
_MAX_UNKNOWN: Final = 64
_METADATA: Final = EVENT_FIELDS["fractal_metadata"].members or {}


def admit(value: bytes, origin: Origin, registry: DeltaRegistry) -> HotEvent | Rejected:
    """The event with everything filled in, or the first reason why there is none.

    Errors: one reason is looked for over the whole event before the next; none raises.
    """
    read = read_object(value)
    if isinstance(read, Rejected):
        return read
    text, document = read
    fields = _canonical(document)
    if fields is None:
        return Rejected(RejectReason.DUP_KEY)
    if not known_version(fields.get("schema_version", "1.0")):
        return Rejected(RejectReason.UNKNOWN_VERSION, "schema_version")
    row = _row(fields, registry)
    missing = _missing(fields, row, origin)
    if missing is not None:
        return Rejected(RejectReason.MISSING_FIELD, missing)
    faults = find_faults(fields, EVENT_FIELDS, "", UNKNOWN_ORDER)
    if len(value) > MAX_DATA_BYTES and isinstance(fields.get("data"), dict):
        faults += _data_fault(text)
    connection_id = fields.get("connection_id")
    if connection_id is None and "connection_id" not in fields:
        connection_id = _key_as_id(origin.key, faults)
    if faults:
        first = min(faults, key=_precedence)
        return Rejected(first.reason, first.path)
    ts = _observed(fields.get("ts"), origin)
    if ts - origin.broker_ts > AHEAD_AT_MOST:
        return Rejected(RejectReason.FUTURE_TIME, "ts")
    return _event(fields, str(connection_id), ts, origin, row)


def _precedence(fault: Fault) -> tuple[int, int]:
    return fault.rank, fault.order


def _canonical(document: JsonObject) -> JsonObject | None:
    """The members under their own names; None if one comes in two spellings."""
    if document.keys().isdisjoint(ALIASES):
        return document
    fields = {ALIASES.get(name, name): value for name, value in document.items()}
    return fields if len(fields) == len(document) else None


def known_version(version: object) -> bool:
    """Whether records of this version can be read: text, and of major version 1."""
    return isinstance(version, str) and _VERSION.fullmatch(version) is not None


def _row(fields: JsonObject, registry: DeltaRegistry) -> DeltaRow | None:
    delta = fields.get("delta")
    return registry.rows.get(delta) if isinstance(delta, str) else None


def _missing(fields: JsonObject, row: DeltaRow | None, origin: Origin) -> str | None:
    """The first field that is required, not there, and for which nothing stands in."""
    for name in ("delta",) if row else ("delta", "dimension", "omega", "lambda"):
        if name not in fields:
            return name
    return "connection_id" if origin.key is None and "connection_id" not in fields else None


def _data_fault(text: str) -> tuple[Fault, ...]:
    """Too much data is found together with what is too long."""
    if member_bytes(text, "data") <= MAX_DATA_BYTES:
        return ()
    return (Fault(RANK[RejectReason.TOO_LONG], DATA_ORDER, RejectReason.TOO_LARGE, "data"),)


def _key_as_id(key: bytes | None, faults: list[Fault]) -> str:
    """The record's key as connection id, which has to keep the same rules."""
    try:
        text = (key or b"").decode()
        reason = check_id(text)
    except UnicodeDecodeError:
        text, reason = "", RejectReason.BAD_CHARS
    if reason is not None:
        faults.append(Fault(RANK[reason], KEY_ORDER, reason, "key"))
    return text


def _observed(ts: object, origin: Origin) -> Instant:
    """When the sender says it was; the record's own time if it does not say."""
    instant = instant_of_text(ts) if isinstance(ts, str) else ts
    return instant if isinstance(instant, int) else origin.broker_ts


def _event(fields: JsonObject, connection_id: str, ts: Instant, origin: Origin, row: DeltaRow | None) -> HotEvent:
    """The event of fields without fault: what is there is of the right type, what is not comes from the registry."""
    metadata = _object(fields.get("fractal_metadata"))
    event_id = _text(fields.get("event_id"))
    return HotEvent(
        connection_id=connection_id,
        delta=str(fields["delta"]),
        known=row is not None,
        dimension=_whole(fields.get("dimension"), row.dimension if row else 1),
        omega=_number(fields.get("omega"), row.omega if row else 0.0),
        lambda_=str(fields["lambda"] if row is None or "lambda" in fields else row.lambda_),
        seam_id=_text(metadata.get("seam_id")) or (row.seam if row else GENERAL_SEAM),
        event_id=event_id or f"{origin.partition}-{origin.offset}",
        explicit_id=event_id is not None,
        ts=ts,
        time=min(ts, origin.broker_ts),
        partition=origin.partition,
        offset=origin.offset,
        voice_pain=_claim(metadata, "voice_pain"),
        voice_chaos=_claim(metadata, "voice_chaos"),
        voice_trust=_claim(metadata, "voice_trust"),
        latency_ms=_claim(_object(fields.get("data")), "latency_ms"),
        experiment_id=_text(fields.get("experiment_id")),
        session_id=_text(fields.get("session_id")),
        episode_id=_text(fields.get("episode_id")),
        agent_id=_text(fields.get("agent_id")),
        trace_id=_text(fields.get("trace_id")),
        parent_id=_text(fields.get("parent_id")),
        seq=_whole(fields["seq"], 0) if "seq" in fields else None,
        lambda_deadline_s=_whole(fields.get("lambda_deadline_s"), DEADLINE_S),
        unknown_fields=_unknown(fields, metadata),
        key_mismatch=origin.key is not None and origin.key != connection_id.encode(),
    )


def _unknown(fields: JsonObject, metadata: JsonObject) -> tuple[str, ...]:
    """Names of fields nobody knows, at most 64 of an event, to be counted. In ``data`` no name is unknown."""
    if fields.keys() <= EVENT_FIELDS.keys() and metadata.keys() <= _METADATA.keys():
        return ()
    names = [short_name(name) for name in fields if name not in EVENT_FIELDS]
    names += [f"fractal_metadata.{short_name(name)}" for name in metadata if name not in _METADATA]
    return tuple(names[:_MAX_UNKNOWN])


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


def _number(value: object, default: Unit) -> Unit:
    return value + 0.0 if isinstance(value, int | float) else default  # the sum makes -0.0 the 0 it stands for


def _claim(members: JsonObject, name: str) -> float | None:
    return _number(members[name], 0.0) if name in members else None
