"""Records into Kafka, in batches built by hand: which partition, how large, which settings.

``send_batch`` costs a tenth of ``send`` per record but wants to be told the partition, so the standard partitioner is
computed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, ProducerFenced
from aiokafka.helpers import create_ssl_context

from pipeline.crashpoint import crashpoint

from .contract import Output, StateRecord
from .options import KafkaOptions, RuntimeOptions

__all__ = [
    "Route",
    "Routed",
    "client_options",
    "discard",
    "is_fenced",
    "new_producer",
    "partition_for",
    "route_outputs",
    "route_state",
    "send_all",
    "while_sending",
]

MAX_BATCH_BYTES = 512 * 1024
MAX_REQUEST_BYTES = 16 * 1024 * 1024
REQUEST_TIMEOUT_MS = 10_000
RETRY_BACKOFF_MS = 50
_TURN_EVERY = 1_000

Route: TypeAlias = tuple[str, int]
"""Topic as it is called on the cluster, and partition."""
Routed: TypeAlias = dict[Route, Sequence[Output] | Sequence[StateRecord]]
"""What goes where, in order."""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
_NO_HEADERS: list[tuple[str, bytes]] = []
"""One for all records without headers: aiokafka only reads it, and wants a list."""


@lru_cache(maxsize=262_144)
def _murmur2(data: bytes) -> int:
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for word in struct.unpack_from(f"<{whole >> 2}I", data):
        k = (word * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    rest = length - whole
    if rest:
        h = ((h ^ int.from_bytes(data[whole:], "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


def partition_for(key: bytes | None, partitions: int) -> int:
    """Where the standard Java partitioner puts this key; without a key: partition 0, so that a repeat is equal.

    Source: org.apache.kafka.common.utils.Utils.murmur2.
    """
    if key is None:
        return 0
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def route_outputs(outputs: Iterable[Output], kafka: KafkaOptions, partitions: Mapping[str, int]) -> Routed:
    """Outputs by topic and partition, in order.

    Shape: ``partitions`` by logical topic.
    """
    # A list per partition instead of a tuple and a dictionary's entry per record: thousands pass here with each cut.
    places: dict[str, tuple[int, list[list[Output]]]] = {
        logical: (count, [[] for _ in range(count)]) for logical, count in partitions.items()
    }
    for output in outputs:
        count, lists = places[output.topic]
        chosen = output.partition
        lists[partition_for(output.key, count) if chosen is None else chosen].append(output)
    return {
        (kafka.topic(logical), number): items
        for logical, (_, lists) in places.items()
        for number, items in enumerate(lists)
        if items
    }


def route_state(state: Sequence[StateRecord], topic: str, partition: int) -> Routed:
    """State records for the one partition they belong to."""
    return {(topic, partition): state}


async def send_all(producer: AIOKafkaProducer, routed: Routed) -> dict[Route, list[asyncio.Future[object]]]:
    """Put everything into the open transaction; the answer holds a future for each batch.

    Shape: the routes side by side, the batches of one route in order.
    Errors: what aiokafka raises; the futures of batches already taken are waited for first, so none is left behind.
    """
    sent: dict[Route, list[asyncio.Future[object]]] = {route: [] for route in routed}
    sendings = [_send_route(producer, route, items, sent[route]) for route, items in routed.items()]
    results = await asyncio.gather(*sendings, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            await asyncio.gather(*(future for futures in sent.values() for future in futures), return_exceptions=True)
            raise result
    return sent


async def _send_route(
    producer: AIOKafkaProducer,
    route: Route,
    items: Sequence[Output] | Sequence[StateRecord],
    sent: list[asyncio.Future[object]],
) -> None:
    topic, partition = route
    batch = producer.create_batch()
    place = 0
    while place < len(items):
        end = min(len(items), place + _TURN_EVERY)
        while (place := _fill(batch, items, place, end)) < end:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            crashpoint("outputs.some")
            batch = producer.create_batch()
        await asyncio.sleep(0)
    if batch.record_count():
        sent.append(await producer.send_batch(batch, topic, partition=partition))
        crashpoint("outputs.some")


def _fill(batch: Any, items: Sequence[Output] | Sequence[StateRecord], first: int, end: int) -> int:
    """Append the items from ``first`` to before ``end``; the answer is the first that did not fit.

    Past the batch's own ``append``, which costs as much again for serializers we do not have (decision 0139).
    """
    append = batch._builder.append  # noqa: SLF001 - see above
    before: int = batch._relative_offset  # noqa: SLF001 - see above
    number = before
    for item in items[first:end]:
        if len(item) == 2:
            added = append(number, None, key=item[0], value=item[1], headers=_NO_HEADERS)
        else:
            _, key, value, headers, timestamp, _ = item
            added = append(number, timestamp, key=key, value=value, headers=list(headers) if headers else _NO_HEADERS)
        if added is None:
            break
        number += 1
    batch._relative_offset = number  # noqa: SLF001 - see above
    return first + number - before


def client_options(kafka: KafkaOptions) -> dict[str, Any]:
    """What every aiokafka client of ours is told about the cluster."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.sasl_mechanism is not None:
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = kafka.sasl_password
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = (
            create_ssl_context(cafile=kafka.ssl_cafile) if kafka.ssl_cafile else ssl.create_default_context()
        )
    return options


def new_producer(
    kafka: KafkaOptions, runtime: RuntimeOptions, *, transactional_id: str, client_id: str
) -> AIOKafkaProducer:
    """The producer of one input partition, not started yet; starting it fences its predecessor."""
    return AIOKafkaProducer(
        **client_options(kafka),
        client_id=client_id,
        transactional_id=transactional_id,
        transaction_timeout_ms=runtime.transaction_timeout_ms,
        acks="all",
        # Uncompressed: a plain kafka-python reads lz4 only with a further package (decision 0042).
        compression_type=None,
        max_batch_size=MAX_BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        retry_backoff_ms=RETRY_BACKOFF_MS,
    )


async def while_sending(producer: AIOKafkaProducer, work: Coroutine[Any, Any, None]) -> None:
    """Do this work, or give it up at once when the producer's sender has ended: nothing it waits for would come.

    A sender that was fenced fails what is queued, but not what is on its way and wants to be sent again.

    Errors: those of the work, or the one that ended the sender.
    """
    sender = producer._sender.sender_task  # noqa: SLF001 - no public name
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.wait({doing, sender}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
            sender.result()
            message = "the producer's sender has ended"
            raise KafkaConnectionError(message)
        doing.result()
    finally:
        doing.cancel()


def is_fenced(producer: AIOKafkaProducer | None, error: BaseException) -> bool:
    """Whether a newer owner of the partition stopped this producer, now or in the background before.

    aiokafka keeps the reason in its sender task and raises an AssertionError on the next use.
    """
    if isinstance(error, ProducerFenced):
        return True
    task = producer._sender.sender_task if producer is not None else None  # noqa: SLF001 - no public name
    if task is None or not task.done() or task.cancelled():
        return False
    return isinstance(task.exception(), ProducerFenced)


async def discard(producer: AIOKafkaProducer, *, within: float = 3.0) -> None:
    """Close a producer for good, whatever state it is in.

    ``stop`` waits for the broker; one that cannot be reached must not hold the partition back.
    """
    with contextlib.suppress(Exception):
        try:
            await asyncio.wait_for(producer.stop(), within)
        except TimeoutError:
            task = producer._sender.sender_task  # noqa: SLF001 - no public name
            if task is not None:
                task.cancel()
            await asyncio.wait_for(producer.client.close(), 1.0)
