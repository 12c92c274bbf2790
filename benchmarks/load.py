"""The load: the same events for every system, from a seed, byte for byte.

Links that beat, slow down, break, fail to come back and come back; agents that number what they say. Each link says
one thing per beat, so ``events / connections`` beats make the length of the log in event time. Records come in the
order of their arrival, which for some is not that of their times.

Nothing here knows Kafka or a clock: ``begin`` is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Final, NamedTuple

from pipeline.runtime.producing import partition_for
from schemas.types import Instant, Millis

__all__ = ["LATE_BY", "Load", "LoadEvent", "connection_name", "generate"]

LATE_BY: Final[tuple[Millis, Millis]] = (60_000, 280_000)
"""How much later a late event arrives than it happened: past the grace of its pane, within a peer's retention."""
_DISORDER: Final[Millis] = 1_900
"""Most of what is out of order comes within the watermark's distance."""
_LONG_DISORDER: Final[Millis] = 8_000
"""One in ten of it comes so much later that it may revise a closed pane."""

_AGENTS: Final = 200
_SHORT_FORM_EVERY: Final = 8
"""One link in so many is told by a foreign publisher: few fields, no id of the event."""

_ROUTINE: Final = (
    ("batch_sent", 1, 0.8, "continue_monitoring", "connection_management"),
    ("message_processed", 1, 0.8, "continue_monitoring", "connection_management"),
    ("session_resumed", 1, 0.8, "continue_monitoring", "connection_management"),
    ("quality_restored", 2, 0.7, "monitor_stability", "performance_monitoring"),
)
_TROUBLE: Final = (
    ("rate_limited", 2, 0.75, "continue_monitoring", "load_balancing"),
    ("server_overload", 2, 0.75, "activate_fallback_strategy", "load_balancing"),
    ("error_detected", 3, 0.8, "continue_monitoring", "billing_edge"),
    ("error_detected", 3, 0.8, "continue_monitoring", "error_handling"),
    ("heartbeat_missed", 1, 0.7, "validate_connection_health", "network_infrastructure"),
    ("buffer_pressure", 2, 0.9, "flush_buffer", "mobile_gateway"),
    ("protocol_downgraded", 2, 0.9, "continue_monitoring", "communication_protocol"),
)
_LOST: Final = ("connection_lost", 1, 0.9, "attempt_reconnection_with_backoff", "network_infrastructure")
_FAILED: Final = ("connection_failed", 3, 0.9, "attempt_reconnection_with_backoff", "network_infrastructure")
_BACK: Final = ("reconnection_success", 2, 0.85, "monitor_stability", "network_infrastructure")
_BEAT: Final = ("heartbeat_summary", 1, 0.95, "continue_monitoring", "network_infrastructure")


@dataclass(frozen=True, slots=True)
class Load:
    """How a log is made. Units: milliseconds; shares 0..1 of all events."""

    events: int
    connections: int
    partitions: int = 4
    seed: int = 4
    beat: Millis = 10_000
    """Each link says one thing in this time."""
    out_of_order: float = 0.05
    late: float = 0.005
    poison: float = 0.0001
    outages: float = 0.001
    """Share of the events that begin an outage; half are over with the next event, the others raise an Alarm."""
    trouble: float = 0.003
    routine: float = 0.02
    """Share of the events that are routine but no heartbeat."""

    @property
    def span(self) -> Millis:
        """The length of the log in event time."""
        return self.events * self.beat // self.connections


class LoadEvent(NamedTuple):
    """One record on its way to the log."""

    partition: int
    key: bytes
    value: bytes
    time: Instant
    """When it happened."""
    arrival: Instant
    """When it comes, on the clock of ``time``; never falls along the log."""


def connection_name(number: int) -> str:
    """What a link of the load is called."""
    return f"link-{number:07d}"


def generate(load: Load, begin: Instant) -> Iterator[LoadEvent]:
    """The log, in the order of arrival.

    Shape: exactly ``load.events`` records; times from ``begin`` to ``begin + load.span``.
    """
    rng = Random(load.seed)
    names = [connection_name(number) for number in range(load.connections)]
    keys = [name.encode() for name in names]
    homes = [partition_for(key, load.partitions) for key in keys]
    phases = sorted((rng.randrange(load.beat), number) for number in range(load.connections))
    failing: dict[int, int] = {}
    """Links in an outage, and how many attempts will still fail."""
    said = [0] * _AGENTS
    latencies = _latencies(rng)
    # What an event becomes is one throw: outage | trouble | routine | heartbeat.
    outage, trouble, routine = load.outages, load.outages + load.trouble, load.outages + load.trouble + load.routine
    late, disordered = load.late, load.late + load.out_of_order
    waiting: list[tuple[Instant, int, LoadEvent]] = []
    throw = rng.random
    for serial in range(load.events):
        turn, place = divmod(serial, load.connections)
        phase, link = phases[place]
        time = begin + turn * load.beat + phase
        while waiting and waiting[0][0] <= time:
            yield heappop(waiting)[2]

        dice = throw()
        latency: int | None = None
        if link in failing:
            left = failing.pop(link)
            kind = _FAILED if left else _BACK
            if left:
                failing[link] = left - 1
        elif dice < outage:
            kind = _LOST
            failing[link] = 0 if throw() < 0.5 else rng.randrange(1, 5)
        elif dice < trouble:
            kind = _TROUBLE[int(throw() * len(_TROUBLE))]
        elif dice < routine:
            kind = _ROUTINE[int(throw() * len(_ROUTINE))]
        else:
            kind = _BEAT
            latency = latencies[int(throw() * len(latencies))]
        agent = link % _AGENTS
        said[agent] += 1
        value = _value(kind, names[link], time, latency, agent, said[agent], link)
        if throw() < load.poison:
            value = _poison(value, rng)

        dice = throw()
        arrival = time
        if dice < late:
            arrival += rng.randrange(*LATE_BY)
        elif dice < disordered:
            arrival += 1 + int(throw() * (_LONG_DISORDER if throw() < 0.1 else _DISORDER))
        event = LoadEvent(homes[link], keys[link], value, time, arrival)
        if arrival == time:
            yield event
        else:
            heappush(waiting, (arrival, serial, event))
    while waiting:
        yield heappop(waiting)[2]


def _value(
    kind: tuple[str, int, float, str, str],
    name: str,
    time: Instant,
    latency: int | None,
    agent: int,
    seq: int,
    link: int,
) -> bytes:
    delta, dimension, omega, lambda_, seam = kind
    data = "{}" if latency is None else f'{{"latency_ms":{latency}}}'
    if link % _SHORT_FORM_EVERY == _SHORT_FORM_EVERY - 1:
        return (
            f'{{"delta":"{delta}","dimension":{dimension},"omega":{omega},"lambda":"{lambda_}",'
            f'"fractal_metadata":{{"seam_id":"{seam}"}},"connection_id":"{name}","ts":{time},"data":{data}}}'
        ).encode()
    return (
        f'{{"delta":"{delta}","dimension":{dimension},"omega":{omega},"lambda":"{lambda_}",'
        f'"fractal_metadata":{{"seam_id":"{seam}"}},"event_id":"a{agent:03d}-{seq:010d}","connection_id":"{name}",'
        f'"ts":{time},"agent_id":"a{agent:03d}","seq":{seq},"data":{data},"schema_version":"1.0"}}'
    ).encode()


def _poison(value: bytes, rng: Random) -> bytes:
    """Bytes that no system can take for an event of this time."""
    return rng.choice((b"", b"{", b"\xff\xfe" + value, value[: len(value) // 2], json.dumps([1, 2]).encode()))


def _latencies(rng: Random) -> list[int]:
    """What heartbeats measure, in ms: mostly some 70, one in a hundred slow, one in a thousand very slow."""
    usual = [max(5, min(480, round(rng.lognormvariate(4.2, 0.45)))) for _ in range(4_000)]
    return usual + [rng.randrange(500, 1_000) for _ in range(40)] + [rng.randrange(1_000, 3_000) for _ in range(4)]
