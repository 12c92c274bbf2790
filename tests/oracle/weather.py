"""Random logs: links that beat, flap, fall silent, close, come back, claim things; agents that deliver late and in heaps.

A seed gives one log, byte for byte. Records come as producers would write them; nothing here decides what is accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from iskra.chaos.oracle import OracleEvent
from schemas.codec import decode_event
from schemas.hot import HotEvent
from schemas.registry import DeltaRegistry
from schemas.types import Instant, Millis, Origin

GOOD = (
    "connection_established",
    "reconnection_success",
    "connection_stable",
    "session_resumed",
    "batch_sent",
    "transport_upgraded",
)
BAD = (
    "connection_lost", "connection_failed", "connection_timeout", "heartbeat_timeout", "zombie_detected", "error_detected",
    "auth_failed", "server_overload", "protocol_violation", "protocol_downgraded", "fallback_activated", "circuit_opened", "buffer_overflow",
)  # fmt: skip
NEUTRAL = ("message_processed", "connection_attempt_started", "reconnect_scheduled")
STRANGE = ("cosmic_ray", "coffee_spilled")
SEAMS = ("billing_edge", "mobile_gateway", "other", "performance_monitoring")
LATENCIES = (20, 120, 185, 186, 300, 500, 501, 640, 1000, 1001, 2500, 4000, 9000)


class Delivered(NamedTuple):
    """A record on its way to the log."""

    append_ts: Instant
    key: bytes
    value: bytes


@dataclass(frozen=True)
class Climate:
    """How a random log is made. Units: milliseconds, shares 0..1."""

    links: int
    length: Millis
    partitions: int
    begin: Instant = 1_700_000_010_000
    beat: Millis = 30_000
    trouble: float = 0.05
    late: float = 0.01
    repeated: float = 0.01
    rotten: float = 0.005
    stalls: float = 0.2
    """Share of links whose agent once stops delivering for minutes and then delivers all at once."""
    orderly: bool = False
    """Every event arrives the moment it happens, once, and none in the first 2.5 s of a pane."""


def weather(seed: int, climate: Climate) -> list[list[Delivered]]:
    """A log per partition, in append order."""
    rng = Random(seed)
    logs: list[list[Delivered]] = [[] for _ in range(climate.partitions)]
    for number in range(climate.links):
        name = f"agent:a-{number}" if number % 29 == 28 else f"c-{number:03d}"
        logs[rng.randrange(climate.partitions)] += _link(name, rng, climate)
    for log in logs:
        log.sort(key=lambda record: record.append_ts)
        del log[: sum(record.append_ts < climate.begin for record in log)]
    return logs


def _link(name: str, rng: Random, climate: Climate) -> Iterator[Delivered]:
    """One link's life: told in pieces by an agent whose delivery has moods."""
    born = climate.begin + rng.randrange(climate.length // 2)
    silent_from = born + rng.randrange(climate.length) if rng.random() < 0.25 else None
    closes_at = born + rng.randrange(climate.length) if rng.random() < 0.25 else None
    stall = born + rng.randrange(climate.length) if rng.random() < climate.stalls else None
    stall_length = rng.randrange(20_000, 500_000)
    experiment = f"drill-{rng.randrange(2)}" if rng.random() < 0.08 else None
    chatty, trouble = rng.random() < 0.3, climate.trouble * rng.choice((0.2, 1, 1, 4, 10))
    neutral_only = rng.random() < 0.08
    at = born
    number = 0
    while at < climate.begin + climate.length:
        at += round(rng.choice((0.2, 1, 1, 1)) * climate.beat * rng.uniform(0.7, 1.1)) + (7 if chatty else 0)
        if silent_from is not None and at >= silent_from and rng.random() < 0.97:
            continue
        event = _event(rng, trouble, neutral_only=neutral_only)
        if number == 0 and rng.random() < 0.9 and not neutral_only:
            event = {"delta": "connection_established"}
        if closes_at is not None and at >= closes_at:
            event, closes_at = {"delta": rng.choice(("connection_closed", "connection_drained"))}, None
            at_next = at + rng.choice((5_000, 60_000, 200_000, 400_000, 10_000_000))
        else:
            at_next = at
        number += 1
        if climate.orderly and at % 30_000 < 2_500:
            at += 2_500
        delay = rng.choice((0, 3, 40, 400, 1_500, 4_000, 9_000))
        if rng.random() < climate.late:
            delay = rng.randrange(20_000, 400_000)
        append_ts = at + delay
        if stall is not None and stall <= at < stall + stall_length:
            append_ts = stall + stall_length + rng.randrange(2_000)
        if climate.orderly:
            append_ts = at
        body: dict[str, object] = {**event, "ts": at + (rng.randrange(60_000) if rng.random() < 0.02 else 0)}
        if rng.random() < 0.9:
            body["event_id"] = f"{name}-{number}"
        if rng.random() < 0.5 or name.startswith("agent:"):
            body["connection_id"] = name
        if experiment and rng.random() < 0.7:
            body["experiment_id"] = experiment
        yield from _deliveries(name, body, append_ts, rng, climate)
        at = at_next


def _event(rng: Random, trouble: float, *, neutral_only: bool) -> dict[str, object]:
    dice = rng.random()
    if neutral_only:
        return {"delta": rng.choice(NEUTRAL)}
    if dice < trouble:
        delta = rng.choice(BAD)
    elif dice < trouble + 0.02:
        delta = rng.choice(STRANGE)
    elif dice < trouble + 0.12:
        delta = rng.choice(GOOD + NEUTRAL)
    elif dice < trouble + 0.125:
        delta = "agent_silent"
    else:
        delta = rng.choice(("heartbeat_success", "heartbeat_success", "heartbeat_summary"))
    event: dict[str, object] = {"delta": delta}
    if delta.startswith("heartbeat_s") and rng.random() < 0.95:
        event["data"] = {"latency_ms": rng.choice(LATENCIES[:4]) if rng.random() < 0.8 else rng.choice(LATENCIES)}
    if delta in STRANGE:
        event |= {"dimension": rng.randint(1, 10), "omega": round(rng.random(), 3), "lambda": "continue_monitoring"}
    elif rng.random() < 0.2:
        event |= {"dimension": rng.randint(1, 10), "omega": round(rng.uniform(0.2, 1), 3)}
    claims: dict[str, object] = {}
    if rng.random() < 0.15:
        for claim in ("voice_pain", "voice_chaos", "voice_trust"):
            if rng.random() < 0.5:
                claims[claim] = rng.choice(
                    (0.0, 0.1, 0.3, 0.34, 0.35, 0.5, 0.51, 0.69, 0.7, 1.0, round(rng.random(), 4))
                )
    if rng.random() < 0.08:
        claims["seam_id"] = rng.choice(SEAMS)
    if claims:
        event["fractal_metadata"] = claims
    return event


def _deliveries(
    name: str, body: dict[str, object], append_ts: Instant, rng: Random, climate: Climate
) -> Iterator[Delivered]:
    value = json.dumps(body).encode()
    if climate.orderly:
        yield Delivered(append_ts, name.encode(), value)
        return
    if rng.random() < climate.rotten:
        value = rng.choice((b"", b"{", b"[]", value[:-1], json.dumps({**body, "omega": 2}).encode()))
    yield Delivered(append_ts, name.encode(), value)
    if rng.random() < climate.repeated:
        yield Delivered(append_ts + rng.randrange(60_000), name.encode(), value)
    if rng.random() < climate.repeated / 4:
        other = json.dumps({**body, "dimension": rng.randint(1, 10)}).encode()
        yield Delivered(append_ts + rng.randrange(60_000), name.encode(), other)


def awake(logs: list[list[Delivered]], climate: Climate, *, until: Instant) -> list[list[Delivered]]:
    """The same logs with one link per partition that beats on until all panes of the weather are closed."""
    kept: list[list[Delivered]] = []
    for number, log in enumerate(logs):
        name = f"keeper-{number}"
        extra = [
            Delivered(
                at, name.encode(), json.dumps({"delta": "heartbeat_success", "data": {"latency_ms": 90}}).encode()
            )
            for at in range(climate.begin + 2_100 + number, until, climate.beat)
        ]
        kept.append(sorted([*log, *extra], key=lambda record: record.append_ts))
    return kept


def as_read(log: list[Delivered], partition: int, registry: DeltaRegistry) -> list[OracleEvent]:
    """The log as the oracle reads it: decoded, with its bytes."""
    found: list[OracleEvent] = []
    for offset, record in enumerate(log):
        decoded = decode_event(record.value, Origin(record.key, partition, offset, record.append_ts), registry)
        event = decoded if isinstance(decoded, HotEvent) else None
        found.append(OracleEvent(offset, record.append_ts, event, record.value))
    return found
