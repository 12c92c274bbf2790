"""The readers of the acceptance tests leave nothing behind."""

from __future__ import annotations

import pytest
from kafka import KafkaConsumer

from .log_reading import shut

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("unwritten", [False, True])
def test_a_consumer_is_shut_with_its_sockets_also_when_a_request_is_not_written_yet(
    broker: str, unwritten: bool
) -> None:
    consumer = KafkaConsumer(bootstrap_servers=broker)
    consumer.topics()
    transports = [link.transport for link in consumer._manager._conns.values()]
    sockets = [transport._sock for transport in transports]
    if unwritten:
        for transport in transports:
            transport._write_buffer.append(b"x")
    shut(consumer)
    assert [one.fileno() for one in sockets] == [-1] * len(sockets) != []
