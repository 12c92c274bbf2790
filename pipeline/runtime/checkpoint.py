"""One cut, one Kafka transaction: outputs, state, position and group offset, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer, TopicPartition

from pipeline.crashpoint import crashpoint

from .contract import Stage
from .meta import encode_meta
from .options import KafkaOptions
from .partition import Cut
from .producing import route_outputs, route_state, send_all, while_sending

__all__ = ["Destination", "commit"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the checkpoints of one input partition go."""

    kafka: KafkaOptions
    group: str
    stage: Stage
    partition: int
    partitions: Mapping[str, int]
    """Partition counts by logical topic."""

    @property
    def input(self) -> TopicPartition:
        """The input partition as the cluster calls it."""
        return TopicPartition(self.kafka.topic(self.stage.source), self.partition)

    @property
    def transactional_id(self) -> str:
        """The name under which owners of this input partition fence each other: no host, no process."""
        return f"{self.kafka.topic_prefix}-{self.stage.name}-{self.stage.source}-{self.partition}"


async def commit(producer: AIOKafkaProducer, cut: Cut, to: Destination) -> None:
    """Write the cut in one transaction.

    Errors: what aiokafka raises. The transaction may then still be open; the caller aborts or discards the producer.
    """
    await while_sending(producer, _write(producer, cut, to))


async def _write(producer: AIOKafkaProducer, cut: Cut, to: Destination) -> None:
    meta = encode_meta(
        cut.account,
        stage=to.stage.name,
        topic=to.stage.source,
        partition=to.partition,
        partitions=to.partitions[to.stage.source],
    )
    outputs = route_outputs(cut.outputs, to.kafka, to.partitions)
    state = route_state([*cut.state, meta], to.kafka.topic(to.stage.state), to.partition)
    await producer.begin_transaction()
    crashpoint("transaction.begun")
    # The offsets travel beside the records: nothing counts before the commit, and it saves two round trips.
    offsets = asyncio.ensure_future(producer.send_offsets_to_transaction({to.input: cut.account.position}, to.group))
    try:
        sent = await send_all(producer, {**outputs, **state})
        await _acked([future for route in outputs for future in sent[route]])
        crashpoint("outputs.acked")
        await _acked([future for route in state for future in sent[route]])
        crashpoint("state.acked")
    except BaseException:
        offsets.cancel()
        await asyncio.gather(offsets, return_exceptions=True)
        raise
    await offsets
    crashpoint("offsets.sent")
    crashpoint("commit.sent")
    await producer.commit_transaction()
    crashpoint("commit.acked")


async def _acked(futures: list[asyncio.Future[object]]) -> None:
    """Wait for every future, then raise the first error: none is left unread."""
    for result in await asyncio.gather(*futures, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
