"""The decoded event as the scorer folds it: everything filled in, nothing optional that scoring needs."""

from __future__ import annotations

import msgspec

from .types import Instant, Unit

__all__ = ["HotEvent"]


class HotEvent(msgspec.Struct, frozen=True, gc=False):
    """One accepted event. What the event leaves out was taken from the registry, the key and the record."""

    connection_id: str
    delta: str
    known: bool
    """Whether the registry has the delta."""
    dimension: int
    omega: Unit
    lambda_: str
    seam_id: str
    event_id: str
    explicit_id: bool
    """Whether the sender gave ``event_id``; else it is ``<partition>-<offset>``."""
    ts: Instant
    """When the sender says it was observed."""
    time: Instant
    """Event time: min(ts, the record's broker timestamp)."""
    partition: int
    offset: int
    voice_pain: Unit | None = None
    voice_chaos: Unit | None = None
    voice_trust: Unit | None = None
    latency_ms: float | None = None
    experiment_id: str | None = None
    session_id: str | None = None
    episode_id: str | None = None
    agent_id: str | None = None
    trace_id: str | None = None
    parent_id: str | None = None
    seq: int | None = None
    lambda_deadline_s: int = 60
    unknown_fields: tuple[str, ...] = ()
    key_mismatch: bool = False
    """The Kafka key is there and differs from connection_id."""
