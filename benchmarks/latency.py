"""From an event to its Alarm: how long until a reader of committed records sees the voice, while the load goes on.

A live load of a given rate is sent on schedule, in batches built beforehand. Beside it, *marked* events: a violation of
the protocol on a link of its own, which raises an Alarm at once. The clock runs from the call that sends the marked
event to the moment a ``read_committed`` reader of the voices has the record: two hops over the broker included.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pipeline.runtime.producing import partition_for
from schemas import topics
from schemas.types import Instant

from .ground import BATCH_BYTES, now_ms
from .load import Load, generate
from .measuring import percentile

__all__ = ["Latency", "Plan", "latency_under", "live"]

_TICK_MS = 20
_MARKS_EVERY = 0.06
"""A marked event so often on average, in seconds, at a moment of its own."""
_LOST_AFTER = 20.0
_BUILD_RATE = 90_000
"""Records per second that are built at least; where that is wrong, ``live`` says so."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A live load."""

    rate: int
    """Events per second."""
    seconds: int
    warm_up: int
    """Seconds at the beginning in which nothing is marked."""
    connections: int
    partitions: int = 4

    def load(self) -> Load:
        """The same mix as ever, each link speaking so often that the rate comes out."""
        events = self.rate * self.seconds
        return Load(events, self.connections, self.partitions, beat=max(1, self.connections * 1000 // self.rate))


@dataclass(frozen=True, slots=True)
class Latency:
    """What the marked events took. Units: ms."""

    rate: float
    """Events per second that were really sent."""
    marked: int
    lost: int
    """Marked events whose voice was not seen: any is a fault."""
    p50: float
    p95: float
    p99: float
    most: float
    behind_ms: float
    """How late the sender itself was at most: its schedule, not the system under test."""


@dataclass(slots=True)
class _Marks:
    sent: dict[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    all_sent: bool = False
    all_seen: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self) -> None:
        """Is there anything left to wait for?"""
        if self.all_sent and len(self.seen) >= len(self.sent):
            self.all_seen.set()


async def live(bootstrap: str, prefix: str, plan: Plan, say: Callable[[str], None]) -> Latency:
    """Send the load and the marks, read the voices. The worker runs already.

    Errors: RuntimeError when the batches were not built in time for their schedule.
    """
    events, voices = f"{prefix}.{topics.EVENTS}", f"{prefix}.{topics.VOICES}"
    load = plan.load()
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks=1, compression_type="lz4", max_batch_size=BATCH_BYTES, linger_ms=0
    )
    marker = AIOKafkaProducer(bootstrap_servers=bootstrap, acks=1, linger_ms=0)
    reader = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="latest",
        enable_auto_commit=False, fetch_max_wait_ms=500,
    )  # fmt: skip
    for client in (producer, marker, reader):
        await client.start()
    try:
        reader.assign([TopicPartition(voices, number) for number in range(plan.partitions)])
        await reader.seek_to_end()
        begin = now_ms() + load.events * 1000 // _BUILD_RATE + 3_000
        schedule = _built(producer, load, begin)
        left = begin - now_ms()
        if left < 0:
            message = f"the live load was built {-left} ms too late: fewer seconds, or a smaller rate"
            raise RuntimeError(message)
        say(f"live load of {plan.rate:,} events/s for {plan.seconds} s built, begins in {left / 1000:.1f} s")
        gc.collect()
        gc.disable()
        marks = _Marks()
        reading = asyncio.ensure_future(_read(reader, marks))
        marking = asyncio.ensure_future(_mark(marker, events, plan, begin, marks))
        behind = await _send(producer, events, schedule, begin)
        took = (now_ms() - begin) / 1000
        await marking
        marks.all_sent = True
        marks.look()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(marks.all_seen.wait(), _LOST_AFTER)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return _latency(marks, load.events / took, behind)
    finally:
        gc.enable()
        for client in (producer, marker, reader):
            await client.stop()


def latency_under(sent: dict[str, float], seen: dict[str, float], rate: float, behind_ms: float) -> Latency:
    """Figures from the moments of sending and seeing, in seconds of one clock. Pure."""
    taken = [(seen[name] - sent[name]) * 1000 for name in sent if name in seen]
    if not taken:
        message = "no marked event was seen as a voice"
        raise RuntimeError(message)
    return Latency(
        rate=rate,
        marked=len(sent),
        lost=len(sent) - len(taken),
        p50=percentile(taken, 0.50),
        p95=percentile(taken, 0.95),
        p99=percentile(taken, 0.99),
        most=max(taken),
        behind_ms=behind_ms,
    )


def _latency(marks: _Marks, rate: float, behind: float) -> Latency:
    return latency_under(marks.sent, marks.seen, rate, behind)


def _built(producer: Any, load: Load, begin: Instant) -> dict[int, list[tuple[int, Any]]]:
    """Batches by tick: partition and builder. What comes late in the load comes late here too."""
    schedule: dict[int, list[tuple[int, Any]]] = {}
    open_: dict[int, Any] = {}
    tick = 0
    for event in generate(replace(load, late=0.0), begin):
        if (event.arrival - begin) // _TICK_MS > tick:
            schedule.setdefault(tick, []).extend(open_.items())
            open_ = {}
            tick = (event.arrival - begin) // _TICK_MS
        builder = open_.get(event.partition)
        if builder is None:
            builder = open_[event.partition] = producer.create_batch()
        if builder.append(timestamp=None, key=event.key, value=event.value) is None:
            schedule.setdefault(tick, []).append((event.partition, builder))
            builder = open_[event.partition] = producer.create_batch()
            builder.append(timestamp=None, key=event.key, value=event.value)
    schedule.setdefault(tick, []).extend(open_.items())
    return schedule


async def _send(producer: Any, topic: str, schedule: dict[int, list[tuple[int, Any]]], begin: Instant) -> float:
    """Each batch at the end of its tick: no event is sent before it happened. The answer: ms behind at most."""
    behind = 0.0
    sent: list[asyncio.Future[Any]] = []
    for tick in sorted(schedule):
        due = begin + (tick + 1) * _TICK_MS
        wait = due - now_ms()
        if wait > 0:
            await asyncio.sleep(wait / 1000)
        behind = max(behind, float(now_ms() - due))
        for partition, builder in schedule.pop(tick):
            sent.append(await producer.send_batch(builder, topic, partition=partition))
    await asyncio.gather(*sent)
    return behind


async def _mark(producer: Any, topic: str, plan: Plan, begin: Instant, marks: _Marks) -> None:
    rng = Random(plan.rate)
    await asyncio.sleep((begin - now_ms()) / 1000 + plan.warm_up)
    number = 0
    while now_ms() < begin + plan.seconds * 1000 - 1_000:
        await asyncio.sleep(rng.uniform(0, 2 * _MARKS_EVERY))
        name = f"marked-{begin}-{number}"
        number += 1
        value = {
            "delta": "protocol_violation", "dimension": 3, "omega": 0.9, "lambda": "escalate_to_developer",
            "fractal_metadata": {"seam_id": "data_contract"}, "event_id": name, "connection_id": name, "ts": now_ms(),
        }  # fmt: skip
        marks.sent[name] = time.perf_counter()
        await producer.send(
            topic,
            key=name.encode(),
            value=json.dumps(value).encode(),
            partition=partition_for(name.encode(), plan.partitions),
        )


async def _read(reader: Any, marks: _Marks) -> None:
    async for record in reader:
        at = time.perf_counter()
        if record.key is not None and record.key.startswith(b"connection:marked-"):
            voice = json.loads(record.value)
            if voice["delta"] == "voice_raised":
                marks.seen.setdefault(record.key.removeprefix(b"connection:").decode(), at)
                marks.look()
