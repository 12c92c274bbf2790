"""Bodies of events for the tables: a good one, and what may be done to it."""

from __future__ import annotations

import json
from typing import Any

from schemas.codec import decode_event
from schemas.hot import HotEvent
from schemas.registry import builtin_registry
from schemas.rejects import Rejected
from schemas.types import Instant, Origin

__all__ = ["BROKER_TS", "GOOD", "ORIGIN", "REQUIREMENT_EXAMPLE", "decode", "event", "raw", "without"]

BROKER_TS: Instant = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""

ORIGIN = Origin(b"c-1", 3, 7, BROKER_TS)

REQUIREMENT_EXAMPLE = b"""{
  "delta": "connection_established",
  "dimension": 2,
  "omega": 0.9,
  "lambda": "monitor_stability",
  "fractal_metadata": {
    "voice_pain": 0.1,
    "voice_chaos": 0.1,
    "voice_trust": 0.8,
    "seam_id": "network_infrastructure"
  }
}"""

GOOD: dict[str, Any] = {
    "delta": "connection_lost",
    "dimension": 2,
    "omega": 0.9,
    "lambda": "monitor_stability",
    "fractal_metadata": {"seam_id": "network_infrastructure"},
}


def event(**changes: Any) -> bytes:
    """A good event with these fields besides, or instead."""
    return json.dumps({**GOOD, **changes}).encode()


def without(*names: str, **changes: Any) -> bytes:
    """A good event that lacks these fields."""
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if name not in names}).encode()


def raw(members: str) -> bytes:
    """A good event followed by these members, which need not be JSON."""
    return f"{json.dumps(GOOD)[:-1]}, {members}}}".encode()


def decode(value: bytes, origin: Origin = ORIGIN) -> HotEvent | Rejected:
    """The verdict of the built-in registry."""
    return decode_event(value, origin, builtin_registry())
