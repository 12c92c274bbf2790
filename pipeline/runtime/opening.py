"""Before a processor may run: are the topics as they must be, and where does this partition go on?

Fails closed. What is missing or does not fit is a ``StartRefusedError`` that names the topic, the partition and the
next command; nothing is created, reset or skipped in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from pipeline.crashpoint import crashpoint
from schemas.types import Instant

from .account import Account
from .checkpoint import Destination
from .contract import Assignment, Processor, Record, Stage, StateRecord
from .meta import META_KEY, MetaError, MetaRecord, decode_meta
from .options import KafkaOptions, RuntimeOptions
from .producing import client_options, discard, new_producer
from .refusing import where_raised

__all__ = [
    "Opened",
    "Standing",
    "StartRefusedError",
    "check_topics",
    "go_on_at",
    "judge_meta",
    "open_partition",
    "partition_counts",
    "read_all",
    "read_standing",
    "reader_of",
    "restored",
]

_FETCH_BYTES = 8 * 1024 * 1024
_REQUEST_TIMEOUT_MS = 10_000
_POLL_MS = 1_000
_METAS_KEPT = 16
"""A damaged one may lie over good ones: a rebuild looks for the newest that can be read."""


class StartRefusedError(Exception):
    """The surroundings do not fit, and only a person can say what is right. Not retriable."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A partition that is fenced and restored."""

    producer: AIOKafkaProducer
    processor: Processor
    account: Account
    keys: int
    """How many state keys were restored."""
    lost_by_retention: int
    """Offsets that retention took since the last checkpoint."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What Kafka holds of one input partition."""

    live: Mapping[bytes, bytes]
    """The state: every live key with its last committed value, the meta record among them."""
    metas: Sequence[tuple[Instant, bytes]]
    """The last meta records that are still in the topic, oldest first, each with when it was written."""
    log_start: int
    end: int
    """Where the readable input begins and ends."""
    committed: int = -1
    """The group's offset; -1: none."""


async def partition_counts(kafka: KafkaOptions) -> dict[str, int]:
    """How many partitions every topic of the cluster has, by its full name. Creates none."""
    admin = AIOKafkaAdminClient(**client_options(kafka), request_timeout_ms=_REQUEST_TIMEOUT_MS)
    await admin.start()
    try:
        topics: list[dict[str, Any]] = await admin.describe_topics()
    finally:
        await admin.close()
    return {topic["topic"]: len(topic["partitions"]) for topic in topics if not topic["error_code"]}


def check_topics(stages: Sequence[Stage], counts: Mapping[str, int], kafka: KafkaOptions) -> dict[str, int]:
    """Partition counts by logical name, if all topics are there and fit together.

    Errors: StartRefusedError, naming every topic that is missing, or the two whose counts differ.
    """
    wanted = {name for stage in stages for name in (stage.source, stage.state, *stage.outputs)}
    missing = sorted(kafka.topic(name) for name in wanted if kafka.topic(name) not in counts)
    if missing:
        message = f"missing topics: {', '.join(missing)}. Create them with: iskra topics apply"
        raise StartRefusedError(message)
    found = {name: counts[kafka.topic(name)] for name in wanted}
    for stage in stages:
        if found[stage.source] != found[stage.state]:
            message = (
                f"{kafka.topic(stage.source)} has {found[stage.source]} partitions but its state topic "
                f"{kafka.topic(stage.state)} has {found[stage.state]}: they must be equal. "
                "See what is planned with: iskra topics plan; set it with: iskra topics apply"
            )
            raise StartRefusedError(message)
    return found


def judge_meta(meta: MetaRecord, to: Destination, end: int) -> None:
    """Whether this state may go on with this input.

    Errors: StartRefusedError, naming the partition and the command that rebuilds.
    """
    if meta.partitions != to.partitions[to.stage.source]:
        raise _refused(
            to,
            f"was written while the topic had {meta.partitions} partitions, now it has "
            f"{to.partitions[to.stage.source]}: keys moved between partitions",
        )
    if (meta.stage, meta.topic, meta.partition) != (to.stage.name, to.stage.source, to.partition):
        raise _refused(to, f"belongs to {meta.stage} on {meta.topic} [{meta.partition}]")
    if meta.position > end:
        raise _refused(
            to,
            f"goes on at offset {meta.position}, but the log ends at {end}: the topic was cut or made anew",
        )


async def open_partition(to: Destination, runtime: RuntimeOptions, *, client_id: str) -> Opened:
    """Fence the predecessor, then read the state to its end, then say where to go on: in this order.

    Errors: StartRefusedError; or what aiokafka raises, then nothing is left open.
    """
    producer = new_producer(to.kafka, runtime, transactional_id=to.transactional_id, client_id=client_id)
    try:
        await producer.start()
        crashpoint("producer.opened")
        standing = await read_standing(to)
        account = go_on_at(standing, to)
        lost = account.lose_to(standing.log_start)
        return Opened(producer, restored(standing, to), account, len(standing.live), lost)
    except BaseException:
        await discard(producer)
        raise


async def read_standing(to: Destination) -> Standing:
    """What Kafka holds of this partition: its state, its log, what the group committed. Changes nothing."""
    live, committed = await asyncio.gather(_read_live(to), _committed(to))
    return replace(live, committed=committed)


async def _read_live(to: Destination) -> Standing:
    state_tp = TopicPartition(to.kafka.topic(to.stage.state), to.partition)
    async with reader_of(to.kafka) as reader:
        begins = await reader.beginning_offsets([to.input, state_tp])
        ends = await reader.end_offsets([to.input, state_tp])
        live: dict[bytes, bytes] = {}
        metas: deque[tuple[Instant, bytes]] = deque(maxlen=_METAS_KEPT)
        async for records in read_all(reader, state_tp, begins[state_tp], ends[state_tp]):
            for record in records:
                key = record.key or b""
                if record.value is None:
                    live.pop(key, None)
                    continue
                live[key] = record.value
                if key == META_KEY:
                    metas.append((record.timestamp, record.value))
            crashpoint("restore.some")
        return Standing(live, tuple(metas), begins[to.input], ends[to.input])


@contextlib.asynccontextmanager
async def reader_of(kafka: KafkaOptions) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group that reads committed records, stopped afterwards."""
    reader = AIOKafkaConsumer(
        **client_options(kafka),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=_FETCH_BYTES,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
    )
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def read_all(
    reader: AIOKafkaConsumer, tp: TopicPartition, first: int, end: int
) -> AsyncIterator[Sequence[Record]]:
    """The records of a partition from ``first`` to before ``end``, in lists."""
    reader.assign([tp])
    reader.seek(tp, first)
    while await reader.position(tp) < end:
        records = (await reader.getmany(tp, timeout_ms=_POLL_MS)).get(tp, [])
        while records and records[-1].offset >= end:
            records.pop()
        if records:
            yield records


def go_on_at(standing: Standing, to: Destination) -> Account:
    """The books to go on with.

    Errors: StartRefusedError, naming the partition and the command that rebuilds.
    """
    written = standing.live.get(META_KEY)
    if written is None:
        if standing.live:
            raise _refused(to, f"has {len(standing.live)} keys but no meta record")
        if standing.committed > 0:
            raise _refused(to, f"is empty although the group {to.group} has committed offset {standing.committed}")
        return Account(standing.log_start, standing.log_start)
    try:
        meta = decode_meta(written)
    except MetaError as error:
        raise _refused(to, f"cannot be read: {error}") from error
    judge_meta(meta, to, standing.end)
    if meta.position < standing.committed:
        raise _refused(
            to,
            f"goes on at offset {meta.position}, behind offset {standing.committed} that the group {to.group} has "
            "committed: its newest part is lost",
        )
    return meta.account()


def restored(standing: Standing, to: Destination) -> Processor:
    """A processor that has taken the state.

    Errors: StartRefusedError when it cannot.
    """
    processor = to.stage.factory(Assignment(to.partition, to.partitions))
    try:
        processor.restore(StateRecord(key, value) for key, value in standing.live.items() if not key.startswith(b"!"))
    except ValueError as error:
        raise _refused(to, str(error).splitlines()[0]) from error
    except Exception as error:
        raise _refused(to, f"cannot be read: {where_raised(error)}") from error
    return processor


async def _committed(to: Destination) -> int:
    admin = AIOKafkaAdminClient(**client_options(to.kafka), request_timeout_ms=_REQUEST_TIMEOUT_MS)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(to.group, partitions=[to.input])
    finally:
        await admin.close()
    found = offsets.get(to.input)
    return found.offset if found is not None else -1


def _refused(to: Destination, what: str) -> StartRefusedError:
    state = to.kafka.topic(to.stage.state)
    return StartRefusedError(
        f"state of {to.stage.name}, partition {to.partition} of {to.input.topic} ({state}), {what}. "
        f"Rebuild it with: iskra state rebuild {to.stage.name} --partition {to.partition}"
    )
