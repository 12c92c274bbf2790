"""The routing record: what the router reads, a voice or a tick, in one total order."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from .types import Instant
from .voices import VoiceRecord

__all__ = ["TICK_KEY", "RoutingRecord", "parse_routing", "tick_bytes", "voice_bytes"]

TICK_KEY = b"tick"
"""Key of tick records; voices keep their subject as key."""


class RoutingRecord(BaseModel):
    """A record of ``iskra.routing.v1`` (one partition, ``LogAppendTime``): the append time is the router's clock."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: str = "1.0"
    kind: Literal["voice", "tick"]
    at: Instant | None = None
    """Of a tick: the intake's clock. An explanation only, the router's clock is the append time."""
    voice: VoiceRecord | None = None


def voice_bytes(value: bytes) -> bytes:
    """The routing record that carries this voice record, whose bytes were checked before and stay as they are."""
    return b'{"schema_version":"1.0","kind":"voice","voice":' + value + b"}"


def tick_bytes(at: Instant) -> bytes:
    """One second went by."""
    return b'{"schema_version":"1.0","kind":"tick","at":%d}' % at


def parse_routing(value: bytes | None) -> RoutingRecord | None:
    """The record, or None for bytes that are none (counted, never raised)."""
    try:
        record = RoutingRecord.model_validate_json(value or b"")
    except ValidationError:
        return None
    return record if (record.kind == "tick") == (record.voice is None) else None
