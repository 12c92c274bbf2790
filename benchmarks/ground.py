"""The broker all systems stand on, its topics, the log filled beforehand, and how far a group has committed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from kafka import KafkaAdminClient, KafkaConsumer
from kafka import TopicPartition as Place
from kafka.admin import NewTopic
from kafka.errors import GroupIdNotFoundError, KafkaError

from iskra.apps.broker import Broker, start, stop
from schemas.types import Instant

from .load import Load, LoadEvent, generate
from .machine import Cores, pinned, spread_out

__all__ = ["BATCH_BYTES", "Filled", "Ground", "Read", "ground", "now_ms"]

BATCH_BYTES = 256 * 1024
_HEAP_MB = 1_024
_GONE_WITHIN = 60.0


class Read(NamedTuple):
    """A committed record."""

    partition: int
    offset: int
    timestamp: Instant
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Filled:
    """A topic that holds a load."""

    topic: str
    load: Load
    ends: tuple[int, ...]
    """Records per partition."""
    value_bytes: float
    """Mean size of a value."""
    seconds: float
    """How long it took to fill."""


def now_ms() -> Instant:
    """The wall clock."""
    return time.time_ns() // 1_000_000


@contextmanager
def ground(directory: Path, chosen: Cores) -> Iterator[Ground]:
    """A broker on its core, ended afterwards; this process stays on that core too."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    pinned(chosen.broker)
    broker = start(directory, tied=True, heap_mb=_HEAP_MB)
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        yield Ground(broker, chosen, admin)
    finally:
        admin.close()
        stop(directory)


class Ground:
    """A running broker, and what is done there around the measurements."""

    def __init__(self, broker: Broker, chosen: Cores, admin: Any) -> None:
        self.broker = broker
        self.cores = chosen
        self._admin = admin

    @property
    def bootstrap(self) -> str:
        """Its address."""
        return self.broker.bootstrap

    def create(self, topics: Iterable[tuple[str, int, dict[str, str]]]) -> None:
        """Create these topics. Shape: name, partitions, settings."""
        new = [NewTopic(name, partitions, 1, topic_configs=configs) for name, partitions, configs in topics]
        self._admin.create_topics(new, wait_for_metadata=True)

    def delete(self, topics: Iterable[str]) -> None:
        """Delete those of these topics that there are, and wait until they are gone."""
        present = set(topics) & set(self._admin.list_topics())
        if not present:
            return
        self._admin.delete_topics(sorted(present))
        deadline = time.monotonic() + _GONE_WITHIN
        while present & set(self._admin.list_topics()):
            if time.monotonic() > deadline:
                message = f"{sorted(present)} are still there after {_GONE_WITHIN:.0f} s"
                raise TimeoutError(message)
            time.sleep(0.1)

    def topics(self) -> set[str]:
        """The topics there are."""
        return set(self._admin.list_topics())

    def delete_group(self, group: str) -> None:
        """Forget a group's offsets; waits for its last member to leave, a static one by its session timeout."""
        deadline = time.monotonic() + _GONE_WITHIN
        while True:
            try:
                answer = self._admin.delete_groups([group])[group]
            except KafkaError as error:  # a young broker has no coordinator yet
                answer = type(error).__name__
            if answer in {"OK", GroupIdNotFoundError.__name__}:
                return
            if time.monotonic() > deadline:
                message = f"group {group} could not be deleted in {_GONE_WITHIN:.0f} s: {answer}"
                raise TimeoutError(message)
            time.sleep(0.3)

    def committed(self, group: str, topic: str, partitions: int) -> int:
        """How many records of the topic the group has committed, over all partitions."""
        places = [Place(topic, number) for number in range(partitions)]
        try:
            offsets = self._admin.list_group_offsets({group: places})[group]
        except KafkaError:
            return 0
        return sum(max(0, found.offset) for found in offsets.values())

    def ends(self, topic: str) -> tuple[int, ...]:
        """The present end of each partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap)
        try:
            places = [Place(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
            ends = consumer.end_offsets(places)
            return tuple(ends[place] for place in places)
        finally:
            consumer.close()

    def fill(self, topic: str, load: Load, say: Callable[[str], None], *, begin: Instant | None = None) -> Filled:
        """Fill a topic that exists with the load; its last event happened just now unless ``begin`` says otherwise."""
        started = time.monotonic()
        first = now_ms() - load.span if begin is None else begin
        with spread_out(self.cores):
            size = asyncio.run(_fill(self.bootstrap, topic, generate(load, first), say))
        seconds = time.monotonic() - started
        say(f"filled {topic}: {load.events:,} events in {seconds:.0f} s, {size / load.events:.0f} bytes each")
        return Filled(topic, load, self.ends(topic), size / load.events, seconds)

    def read(self, topic: str) -> list[Read]:
        """Every committed record of a topic, by partition and offset."""
        return asyncio.run(_read(self.bootstrap, topic, self.ends(topic)))


async def _fill(bootstrap: str, topic: str, events: Iterator[LoadEvent], say: Callable[[str], None]) -> int:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks=1, compression_type="lz4", max_batch_size=BATCH_BYTES, linger_ms=0
    )
    await producer.start()
    size = 0
    builders: dict[int, Any] = {}
    sent: set[asyncio.Future[Any]] = set()
    try:
        for number, event in enumerate(events, 1):
            partition = event.partition
            builder = builders.get(partition)
            if builder is None:
                builder = builders[partition] = producer.create_batch()
            while builder.append(timestamp=None, key=event.key, value=event.value) is None:
                future = await producer.send_batch(builder, topic, partition=partition)
                sent.add(future)
                builder = builders[partition] = producer.create_batch()
            size += len(event.value)
            if number % 50_000 == 0:
                for future in [future for future in sent if future.done()]:
                    future.result()
                    sent.discard(future)
            if number % 1_000_000 == 0:
                say(f"filling {topic}: {number:,}")
        for partition, builder in builders.items():
            sent.add(await producer.send_batch(builder, topic, partition=partition))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return size


async def _read(bootstrap: str, topic: str, ends: tuple[int, ...]) -> list[Read]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(len(ends))]
        consumer.assign(places)
        found: list[Read] = []
        while True:
            behind = [place for place, end in zip(places, ends, strict=True) if await consumer.position(place) < end]
            if not behind:
                break
            batches = await consumer.getmany(*behind, timeout_ms=50)
            for records in batches.values():
                found += [Read(one.partition, one.offset, one.timestamp, one.key, one.value) for one in records]
        return sorted(found, key=lambda one: (one.partition, one.offset))
    finally:
        await consumer.stop()
