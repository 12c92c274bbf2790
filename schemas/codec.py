"""Bytes to record and back: the only place where the pipeline's records meet JSON."""

from __future__ import annotations

import re
from typing import Final, Protocol, TypeVar

import msgspec

from .admission import admit
from .events import ConnectionEvent
from .hot import HotEvent
from .plain_events import read_plain
from .registry import DeltaRegistry
from .rejects import Rejected, RejectReason
from .types import Origin
from .wire import PartialWire, ProgressWire, ScoreWire, VoiceWire

__all__ = ["decode_event", "decode_partial", "decode_score", "decode_voice", "encode", "encode_event"]


class _Record(Protocol):
    @property
    def schema_version(self) -> str: ...


_Wire = TypeVar("_Wire", bound=_Record)


class _Version(msgspec.Struct):
    """What is read of a record that does not fit: is it from a later major version?"""

    schema_version: str = "1.0"


_encoder: Final = msgspec.json.Encoder(order="deterministic")
_scores: Final = msgspec.json.Decoder(ScoreWire)
_voices: Final = msgspec.json.Decoder(VoiceWire)
_partials: Final[msgspec.json.Decoder[PartialWire | ProgressWire]] = msgspec.json.Decoder(PartialWire | ProgressWire)
_versions: Final = msgspec.json.Decoder(_Version)

_MAJOR = "1."
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`\[]*)")
_LACKS = re.compile(r"missing required field `(?P<field>[^`]*)`")


def encode(record: msgspec.Struct) -> bytes:
    """The record as JSON: the same value gives the same bytes, in every process."""
    return _encoder.encode(record)


def encode_event(event: ConnectionEvent) -> bytes:
    """The event as a publisher sends it: by alias, without what it does not say."""
    return event.model_dump_json().encode()


def decode_event(value: bytes, origin: Origin, registry: DeltaRegistry) -> HotEvent | Rejected:
    """A value of ``events.v1``, which anybody may have written. ``None`` values are the caller's (``TOMBSTONE``).

    Plain events are read on the fast path, with equal values; every rejection is of the full check.

    Errors: the reason and path of reliability.md 7.1, E2 to E16, in that order; never an exception.
    """
    event = read_plain(value, origin, registry)
    return admit(value, origin, registry) if event is None else event


def decode_score(value: bytes) -> ScoreWire | Rejected:
    """A value of ``scores.v1``."""
    return _decode(value, _scores)


def decode_voice(value: bytes) -> VoiceWire | Rejected:
    """A value of ``voices.v1``."""
    return _decode(value, _voices)


def decode_partial(value: bytes) -> PartialWire | ProgressWire | Rejected:
    """A value of ``partials.v1``."""
    return _decode(value, _partials)


def _decode(value: bytes, decoder: msgspec.json.Decoder[_Wire]) -> _Wire | Rejected:
    """A record the pipeline wrote itself.

    Errors: a value of the reasons ``not_json``, ``unknown_version``, ``missing_field``, ``wrong_type`` (which here also
    stands for what is out of range). msgspec raises RecursionError and UnicodeDecodeError as well.
    """
    try:
        record = decoder.decode(value)
    except msgspec.ValidationError as error:
        return _misfit(value, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Rejected(RejectReason.NOT_JSON)
    if not record.schema_version.startswith(_MAJOR):
        return Rejected(RejectReason.UNKNOWN_VERSION, "schema_version")
    return record


def _misfit(value: bytes, message: str) -> Rejected:
    """Why JSON is not the record: first the version, for later ones may look different."""
    try:
        version = _versions.decode(value).schema_version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        version = _MAJOR
    if not version.startswith(_MAJOR):
        return Rejected(RejectReason.UNKNOWN_VERSION, "schema_version")
    place = _PLACE.search(message)
    path = place["path"] if place else ""
    if lacks := _LACKS.search(message):
        return Rejected(RejectReason.MISSING_FIELD, f"{path}.{lacks['field']}" if path else lacks["field"])
    return Rejected(RejectReason.WRONG_TYPE, path or None)
