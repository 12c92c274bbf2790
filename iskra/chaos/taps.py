"""Reads a run's topics from their beginning to their end, committed records only, into the ledger.

Without a group: reading changes nothing. Ends are taken when no transaction is open any more, so that a dead worker's
cannot hide what is behind it.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.runtime.options import KafkaOptions
from pipeline.runtime.producing import client_options
from schemas.topics import ALL

from .ledger import COMMITS, TAPPED, Committed, Logged, Tapped, log_file, write_lines, writing

__all__ = ["OpenTransactionError", "offset_commit", "tap"]

_GROUP_OFFSETS = "__consumer_offsets"
_SETTLED_WITHIN_S = 40.0
_FETCH_BYTES = 4 * 1024 * 1024
_POLL_MS = 500
_STUCK_S = 60.0


class OpenTransactionError(Exception):
    """A transaction is still open on a topic long after everybody ended. Not retriable: it is a finding."""


def tap(kafka: KafkaOptions, into: Path, say: Callable[[str], None] = lambda _: None) -> int:
    """Write ``log/``, ``tapped.jsonl`` and ``commits.jsonl``; the answer is how many records were read.

    Errors: OpenTransactionError; what aiokafka raises.
    """
    return asyncio.run(_tap(kafka, into, say))


async def _tap(kafka: KafkaOptions, into: Path, say: Callable[[str], None]) -> int:
    names = {kafka.topic(topic.name): topic.name for topic in ALL}
    async with _reader(kafka) as reader:
        places = await _places(reader, [*names, _GROUP_OFFSETS])
        begins, ends = await _settled(kafka, reader, places)
        total = 0
        tapped: list[Tapped] = []
        for name, logical in names.items():
            own = [place for place in places if place.topic == name]
            read = await _read(reader, own, begins, ends)
            for place in own:
                written = write_lines(log_file(into, logical, place.partition), read[place])
                tapped.append(
                    Tapped(
                        topic=logical, partition=place.partition, begin=begins[place], end=ends[place], records=written
                    )
                )
                total += written
            say(f"read {logical}")
        write_lines(into / TAPPED, tapped)
        own = [place for place in places if place.topic == _GROUP_OFFSETS]
        with writing(into / COMMITS) as lines:
            for records in (await _read(reader, own, begins, ends)).values():
                for commit in _commits(records, names):
                    lines.write(commit)
    return total


def offset_commit(key: bytes, value: bytes) -> tuple[str, str, int, int, int] | None:
    """Group, topic, partition, offset and time of a record of ``__consumer_offsets``; None when it is no offset.

    Source: Kafka's OffsetCommitKey (versions 0, 1) and OffsetCommitValue (0 to 4; 4 is a flexible version).
    """
    (version,) = struct.unpack_from(">h", key)
    if version > 1:
        return None
    group, at = _text(key, 2)
    topic, at = _text(key, at)
    (partition,) = struct.unpack_from(">i", key, at)
    (version, offset) = struct.unpack_from(">hq", value)
    at = 10 + (4 if version >= 3 else 0)
    at = _past_compact(value, at) if version >= 4 else _text(value, at)[1]
    (when,) = struct.unpack_from(">q", value, at)
    return group, topic, partition, offset, when


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A string with its length in two bytes before it, and where it ends."""
    (length,) = struct.unpack_from(">h", data, at)
    end = at + 2 + max(0, length)
    return data[at + 2 : end].decode(), end


def _past_compact(data: bytes, at: int) -> int:
    """Where a string ends whose length plus one stands before it, seven bits a byte."""
    length = shift = 0
    while True:
        length |= (data[at] & 0x7F) << shift
        at, more, shift = at + 1, data[at] & 0x80, shift + 7
        if not more:
            return at + max(0, length - 1)


def _commits(records: Sequence[Logged], names: Mapping[str, str]) -> Iterator[Committed]:
    """Those of this run's topics."""
    for record in records:
        said = offset_commit(record.key, record.value) if record.key and record.value else None
        if said is not None and said[1] in names:
            group, topic, partition, offset, when = said
            yield Committed(at=when, group=group, topic=names[topic], partition=partition, offset=offset)


def _reader(kafka: KafkaOptions, isolation: str = "read_committed") -> Any:
    return AIOKafkaConsumer(
        **client_options(kafka),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation,
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=_FETCH_BYTES,
        request_timeout_ms=20_000,
    )


async def _places(reader: Any, names: Sequence[str]) -> list[TopicPartition]:
    places = []
    for name in names:
        await reader._client.add_topic(name)  # noqa: SLF001 - partitions are known of topics that are asked for only
        places += [TopicPartition(name, number) for number in sorted(reader.partitions_for_topic(name) or ())]
    return places


async def _settled(
    kafka: KafkaOptions, reader: Any, places: Sequence[TopicPartition]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Beginnings and ends, once nothing is held back by an open transaction."""
    async with _reader(kafka, "read_uncommitted") as careless:
        deadline = time.monotonic() + _SETTLED_WITHIN_S
        while True:
            ends: dict[TopicPartition, int] = await reader.end_offsets(places)
            held = [place for place, end in (await careless.end_offsets(places)).items() if ends[place] < end]
            if not held:
                return await reader.beginning_offsets(places), ends
            if time.monotonic() > deadline:
                message = f"a transaction is open on {held[0].topic} partition {held[0].partition} though all ended"
                raise OpenTransactionError(message)
            await asyncio.sleep(0.5)


async def _read(
    reader: Any,
    places: Sequence[TopicPartition],
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, list[Logged]]:
    """Every committed record of these partitions, in order."""
    read: dict[TopicPartition, list[Logged]] = {place: [] for place in places}
    open_ = [place for place in places if begins[place] < ends[place]]
    reader.assign(open_)
    for place in open_:
        reader.seek(place, begins[place])
    moved = time.monotonic()
    while open_:
        for place, records in (await reader.getmany(timeout_ms=_POLL_MS)).items():
            moved = time.monotonic()
            read[place] += [
                Logged(one.offset, one.timestamp, one.key, one.value, tuple(one.headers))
                for one in records
                if one.offset < ends[place]
            ]
        done = [place for place in open_ if await reader.position(place) >= ends[place]]
        if done:
            reader.pause(*done)
            open_ = [place for place in open_ if place not in done]
        if time.monotonic() - moved > _STUCK_S:
            message = f"{open_[0].topic} partition {open_[0].partition} gives nothing before its end"
            raise OpenTransactionError(message)
    return read
