"""The roll-up's state as records of the compacted state topic: one small value per key.

A key is its parts, joined by U+001F, which no identifier may contain: ``share␟seam:x␟30000␟2``.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import msgspec

from pipeline.scoring.voices import dump_memory, load_memory
from schemas.codec import decode_partial
from schemas.types import Instant, Millis
from schemas.wire import PartialWire

from .merging import Triple
from .parents import Parent, Told
from .sources import Source

__all__ = [
    "FORMAT",
    "Forwarded",
    "Levels",
    "Place",
    "dump_forwarded",
    "dump_levels",
    "dump_parent",
    "dump_share",
    "dump_source",
    "dump_told",
    "load_forwarded",
    "load_levels",
    "load_parent",
    "load_share",
    "load_source",
    "load_told",
    "place_of",
    "to_key",
]

FORMAT = 1
"""Of everything here. A processor reads its own format only."""

Place: TypeAlias = tuple[str, ...]
"""A state key, in its parts."""

_SEPARATOR = "\x1f"


class Levels(NamedTuple):
    """The record that every state has."""

    format: int
    pane: Millis
    seam: Instant | None
    """End of the newest final pane of the seams."""
    ecosystem: Instant | None


class Forwarded(NamedTuple):
    """The newest share of the ecosystem written for one pane."""

    revision: int
    digest: str


def to_key(place: Place) -> bytes:
    """The bytes of a state key."""
    return _SEPARATOR.join(place).encode()


def place_of(key: bytes) -> Place:
    """The parts of a state key."""
    return tuple(key.decode().split(_SEPARATOR))


def dump_levels(levels: Levels) -> bytes:
    """As a state value."""
    return msgspec.json.encode(levels)


def load_levels(value: bytes) -> Levels:
    """From a state value. Errors: ValueError when the state has a newer format."""
    told = msgspec.json.decode(value)
    if not isinstance(told, list) or not told or told[0] != FORMAT:
        found = told[0] if isinstance(told, list) and told else "unknown"
        message = f"state of the roll-up has format {found}, this version reads {FORMAT}: `iskra state rebuild`"
        raise ValueError(message)
    return msgspec.convert(told, Levels)


def dump_source(source: Source) -> bytes:
    """As a state value; how long it has been waited for is left out."""
    live = [[end, counts] for end, counts in sorted(source.live.items())]
    return msgspec.json.encode([source.window_end, source.watermark, source.held, source.silent, source.mute, live])


def load_source(value: bytes) -> Source:
    """From a state value."""
    window_end, watermark, held, silent, mute, live = msgspec.json.decode(value)
    return Source(window_end, watermark, held, silent, mute, dict(live))


def dump_share(share: PartialWire) -> bytes:
    """As a state value: the record itself."""
    return msgspec.json.encode(share)


def load_share(value: bytes) -> PartialWire:
    """From a state value."""
    share = decode_partial(value)
    if not isinstance(share, PartialWire):
        message = f"state of the roll-up: not a share: {share!r}"
        raise ValueError(message)  # noqa: TRY004 - bad state is bad data, not a wrong argument
    return share


def dump_told(told: Told) -> bytes:
    """As a state value."""
    return msgspec.json.encode(told)


def load_told(value: bytes) -> Told:
    """From a state value."""
    revision, digest, scores = msgspec.json.decode(value)
    return Told(revision, digest, Triple(*scores))


def dump_parent(parent: Parent) -> bytes:
    """As a state value: what is not kept by pane."""
    early_pain = [[end, pain] for end, pain in sorted(parent.early_pain.items())]
    remembered: list[Any] = [dump_memory(parent.memory), parent.last_record, early_pain]
    return msgspec.json.encode(remembered)


def load_parent(value: bytes, parent: Parent) -> None:
    """From a state value, into a parent."""
    memory, parent.last_record, early_pain = msgspec.json.decode(value)
    parent.early_pain = dict(early_pain)
    parent.memory = load_memory(memory)


def dump_forwarded(forwarded: Forwarded) -> bytes:
    """As a state value."""
    return msgspec.json.encode(forwarded)


def load_forwarded(value: bytes) -> Forwarded:
    """From a state value."""
    return msgspec.json.decode(value, type=Forwarded)
