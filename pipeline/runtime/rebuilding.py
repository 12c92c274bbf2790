"""The state of one partition made anew from its log, written in one transaction that fences whoever owned it.

Outputs up to the position were seen already and are not written again; the worker that starts next goes on from there.
So the position matters more than anything: it is the newest that the state or the group vouches for, or one that a
person names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.types import Instant

from .account import Account
from .checkpoint import Destination, commit
from .contract import Assignment, Processor, Record, RememberingProcessor, StateRecord
from .meta import MetaError, MetaRecord, decode_meta
from .opening import Standing, read_all, read_standing, reader_of
from .options import RuntimeOptions
from .partition import Cut, RecordsRaisedError
from .producing import discard, new_producer
from .replaying import Replay

__all__ = ["Progress", "RebuildRefusedError", "Rebuilt", "Until", "rebuild_partition", "rebuild_to"]

Until: TypeAlias = int | Literal["start", "end"] | None
"""Up to where outputs count as written; None: what the state or the group says."""
Progress: TypeAlias = Callable[[int, int], None]
"""Hears the offset reached and the one to reach."""

_TRANSACTION_TIMEOUT_MS = 10 * 60_000
"""A million keys take longer to write than a checkpoint may."""


class RebuildRefusedError(Exception):
    """It cannot be rebuilt as it is, and only a person can say what is right. Not retriable."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was written."""

    account: Account
    """Its books begin at the log start: what retention took before is not known any more."""
    keys: int
    dropped: int
    """Keys of the old state that the new one does not have."""
    size: int
    """Bytes of keys and values."""


def rebuild_to(standing: Standing, to: Destination, until: Until) -> int:
    """Up to which offset the log is folded without its outputs.

    Errors: RebuildRefusedError when nothing says so, or when it lies outside the log.
    """
    place = f"partition {to.partition} of {to.input.topic}"
    if until == "start":
        return standing.log_start
    if until == "end":
        return standing.end
    if until is not None:
        if not standing.log_start <= until <= standing.end:
            message = f"{place} holds offsets {standing.log_start} to {standing.end}, not {until}"
            raise RebuildRefusedError(message)
        return until
    meta = _newest_meta(standing, to)
    position = max(standing.committed, meta[1].position if meta is not None else -1)
    if position < 0 and not standing.live:
        return standing.log_start  # nothing was ever written: a worker would begin there too
    if position < 0:
        message = (
            f"{place}: neither the state nor the group says how far outputs were written. Say it with --until OFFSET, "
            "or --until start to write all outputs (again), or --until end to write none of them"
        )
        raise RebuildRefusedError(message)
    if position > standing.end:
        message = (
            f"{place} ends at offset {standing.end}, but outputs were written up to {position}. If the topic was made "
            "anew: --until start. If it is the old one and was cut: --until end"
        )
        raise RebuildRefusedError(message)
    return max(position, standing.log_start)


async def rebuild_partition(
    to: Destination, runtime: RuntimeOptions, *, client_id: str, until: Until = None, progress: Progress
) -> Rebuilt:
    """Fence, fold the log, replace the state.

    Errors: RebuildRefusedError; or what aiokafka raises, ``ProducerFenced`` among it when a worker took the partition
    meanwhile: then nothing is changed.
    """
    patient = replace(runtime, transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS)
    producer = new_producer(to.kafka, patient, transactional_id=to.transactional_id, client_id=client_id)
    try:
        await producer.start()
        return await _rebuild(producer, to, until, progress)
    finally:
        await discard(producer)


async def _rebuild(producer: AIOKafkaProducer, to: Destination, until: Until, progress: Progress) -> Rebuilt:
    standing = await read_standing(to)
    position = rebuild_to(standing, to, until)
    meta = _newest_meta(standing, to)
    written_at = meta[0] if meta is not None and meta[1].position == position else None
    async with reader_of(to.kafka) as reader:
        ledger = await _ledger(reader, to)
        replay = await _replayed(reader, to, standing.log_start, position, ledger, progress)
    if written_at is not None:
        replay.wait(written_at)
    replay.account.skip_to(position)
    state = {record.key: record for record in replay.processor.snapshot() if record.value is not None}
    stale = [StateRecord(key, None) for key in standing.live if key not in state and not key.startswith(b"!")]
    account = replay.account
    await commit(producer, Cut([], [*state.values(), *stale], account, dict(account.counts), []), to)
    size = sum(len(key) + len(record.value or b"") for key, record in state.items())
    return Rebuilt(account, len(state), len(stale), size)


async def _replayed(
    reader: AIOKafkaConsumer,
    to: Destination,
    first: int,
    end: int,
    ledger: list[Record] | None,
    progress: Progress,
) -> Replay:
    """The whole log folded; once more from its start for each record that raises, until all of these are refused."""
    refused: frozenset[int] = frozenset()
    singly_to = -1
    while True:
        replay = Replay(_fresh(to, ledger), Account(first, first), refused=refused, singly_to=singly_to)
        try:
            async for records in read_all(reader, to.input, first, end):
                replay.fold(records)
                progress(replay.account.position, end)
        except RecordsRaisedError as error:
            if error.first == error.last:
                refused |= {error.first}
            else:
                singly_to = error.last
        else:
            return replay


def _fresh(to: Destination, ledger: list[Record] | None) -> Processor:
    processor = to.stage.factory(Assignment(to.partition, to.partitions))
    processor.restore(())
    if ledger is not None:
        assert isinstance(processor, RememberingProcessor)
        processor.remember(ledger)
    return processor


async def _ledger(reader: AIOKafkaConsumer, to: Destination) -> list[Record] | None:
    """Every record of the stage's ledger, from all of its partitions; None for a stage that calls nobody.

    Errors: RebuildRefusedError for a stage whose calls leave no trace: rebuilding it would make them all again.
    """
    if to.stage.perform is None:
        return None
    if to.stage.ledger is None:
        message = f"{to.stage.name} calls the outside and keeps no ledger: its state cannot be rebuilt"
        raise RebuildRefusedError(message)
    topic = to.kafka.topic(to.stage.ledger)
    places = [TopicPartition(topic, number) for number in range(to.partitions[to.stage.ledger])]
    begins, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
    found: list[Record] = []
    for place in places:
        async for records in read_all(reader, place, begins[place], ends[place]):
            found += records
    return found


def _newest_meta(standing: Standing, to: Destination) -> tuple[Instant, MetaRecord] | None:
    """The newest meta record of this partition that can be read, with when it was written."""
    for written_at, value in reversed(standing.metas):
        try:
            meta = decode_meta(value)
        except MetaError:
            continue
        if (meta.stage, meta.topic, meta.partition) == (to.stage.name, to.stage.source, to.partition):
            return written_at, meta
    return None
