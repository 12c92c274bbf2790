"""Which partition, and which records of a cut go where."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced
from aiokafka.partitioner import DefaultPartitioner as AiokafkaPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record import MemoryRecords
from hypothesis import example, given
from hypothesis import strategies as st
from kafka.partitioner import murmur2 as kafka_python_murmur2

from pipeline.runtime.contract import Output, StateRecord
from pipeline.runtime.options import KafkaOptions
from pipeline.runtime.producing import (
    client_options,
    partition_for,
    route_outputs,
    route_state,
    send_all,
    while_sending,
)

KAFKA = KafkaOptions(topic_prefix="iskra")


@given(st.binary(max_size=40), st.integers(1, 60))
@example(b"", 4)
@example(b"\xff\xff\xff", 7)
def test_keys_go_where_the_standard_partitioners_put_them(key: bytes, partitions: int):
    everywhere = list(range(partitions))
    assert partition_for(key, partitions) == AiokafkaPartitioner()(key, everywhere, everywhere)
    assert partition_for(key, partitions) == (kafka_python_murmur2(key) & 0x7FFFFFFF) % partitions


@pytest.mark.parametrize(("key", "hashed"), [(b"21", -973932308), (b"foobar", -790332482), (b"abc", 479470107)])
def test_the_hash_is_javas(key: bytes, hashed: int):
    assert partition_for(key, 1_000) == (hashed & 0x7FFFFFFF) % 1_000


def test_records_without_a_key_go_to_the_first_partition():
    assert partition_for(None, 8) == 0


def test_outputs_are_routed_in_order_by_key_unless_they_name_their_partition():
    outputs = [
        Output("scores.v1", b"a", b"1", (("h", b"v"),), 5),
        Output("scores.v1", b"a", b"2"),
        Output("partials.v1", b"progress", b"3", partition=1),
    ]
    place = partition_for(b"a", 4)
    assert route_outputs(outputs, KAFKA, {"scores.v1": 4, "partials.v1": 2}) == {
        ("iskra.scores.v1", place): outputs[:2],
        ("iskra.partials.v1", 1): outputs[2:],
    }


def test_state_stays_in_the_partition_of_its_input():
    state = [StateRecord(b"k", None), StateRecord(b"l", b"1")]
    assert route_state(state, "iskra.state.scorer.v1", 3) == {("iskra.state.scorer.v1", 3): state}


class Batches:
    """A producer of small batches that keeps what it is given, as bytes."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, bytes]] = []

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(120, 0, is_transactional=1)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[object]:
        self.sent.append((topic, partition, bytes(batch._build())))
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def records(self, topic: str) -> list[Any]:
        found: list[Any] = []
        for name, _, data in self.sent:
            batches = MemoryRecords(data)
            while name == topic and (batch := batches.next_batch()) is not None:
                found += [(record.offset, record.key, record.value, tuple(record.headers)) for record in batch]
        return found


async def test_what_is_routed_goes_out_in_batches_in_order_with_headers_and_times():
    producer = Batches()
    outputs = [Output("o", b"a", b"1", (("h", b"v"),), 5), *[Output("o", b"b", b"%d" % n * 9) for n in range(9)]]
    state = [StateRecord(b"k", b"7"), StateRecord(b"l", None)]
    sent = await send_all(cast("AIOKafkaProducer", producer), {("p.o", 1): outputs, ("p.s", 0): state})
    batches = [place for *place, _ in producer.sent]
    assert batches.count(["p.o", 1]) == len(sent["p.o", 1]) > 1
    assert batches.count(["p.s", 0]) == len(sent["p.s", 0]) == 1
    assert [record[1:] for record in producer.records("p.o")] == [(one.key, one.value, one.headers) for one in outputs]
    assert producer.records("p.s") == [(0, b"k", b"7", ()), (1, b"l", None, ())]


async def test_a_batch_is_byte_for_byte_what_its_own_append_makes():
    producer = Batches()
    outputs = [
        Output("o", b"a", b"1", (("h", b"v"),), 5),
        Output("o", None, b"2", (), 6),
        Output("o", b"c", None, (), 7),
    ]
    await send_all(cast("AIOKafkaProducer", producer), {("p.o", 0): outputs})
    plain = producer.create_batch()
    for one in outputs:
        plain.append(timestamp=one.timestamp, key=one.key, value=one.value, headers=list(one.headers))
    assert [data for _, _, data in producer.sent] == [bytes(plain._build())]


async def test_a_record_larger_than_a_batch_has_one_of_its_own():
    producer = Batches()
    outputs = [Output("o", b"a", b"x" * 500), Output("o", b"b", b"1")]
    await send_all(cast("AIOKafkaProducer", producer), {("p.o", 0): outputs})
    assert [record[:2] for record in producer.records("p.o")] == [(0, b"a"), (0, b"b")]


def test_clients_are_told_what_the_options_say():
    assert client_options(KafkaOptions(bootstrap="b:1")) == {
        "bootstrap_servers": "b:1",
        "security_protocol": "PLAINTEXT",
    }
    secure = client_options(
        KafkaOptions(
            bootstrap="b:1",
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="iskra",
            sasl_password="hidden",
        )
    )
    context = secure.pop("ssl_context")
    assert context.check_hostname
    assert secure == {
        "bootstrap_servers": "b:1",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "iskra",
        "sasl_plain_password": "hidden",
    }


def _sent_by(sender: asyncio.Task[None]) -> AIOKafkaProducer:
    return cast("AIOKafkaProducer", SimpleNamespace(_sender=SimpleNamespace(sender_task=sender)))


def test_work_that_waits_for_a_fenced_sender_ends_with_the_fence():
    async def story() -> None:
        async def fenced() -> None:
            raise ProducerFenced

        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            await never

        with pytest.raises(ProducerFenced):
            await asyncio.wait_for(while_sending(_sent_by(asyncio.ensure_future(fenced())), work()), 5)
        assert never.cancelled()

    asyncio.run(story())


def test_work_ends_as_it_would_while_its_sender_lives():
    async def story() -> None:
        sender = asyncio.ensure_future(asyncio.sleep(3_600))
        done: list[Any] = []

        async def work() -> None:
            done.append(1)

        async def failing() -> None:
            message = "a fault of the work"
            raise ValueError(message)

        await while_sending(_sent_by(sender), work())
        with pytest.raises(ValueError, match="a fault of the work"):
            await while_sending(_sent_by(sender), failing())
        assert done == [1]
        sender.cancel()

    asyncio.run(story())
