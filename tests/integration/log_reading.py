"""Committed records of a topic, read to its present end by plain kafka-python."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, TopicPartition

__all__ = ["committed", "end_offsets", "shut"]


def committed(bootstrap: str, topic: str) -> list[Any]:
    """Every committed record, by partition and offset. Shape: kafka-python's ConsumerRecord."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
    )
    try:
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        consumer.seek_to_beginning()
        found: list[Any] = []
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(timeout_ms=50, max_records=5_000).values():
                found += records
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        shut(consumer)


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """The present end of each partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        return {place.partition: end for place, end in consumer.end_offsets(places).items()}
    finally:
        shut(consumer)


def shut(consumer: KafkaConsumer) -> None:
    """Close a consumer with its sockets: kafka-python 3.0 leaves one open whose last request is not written yet.

    The fetch that is always under way makes that happen on a busy machine, and the collector tells a later test of it.
    """
    transports = [link.transport for link in consumer._manager._conns.values() if link.transport is not None]
    consumer.close()
    for transport in transports:
        if transport._sock is not None:
            transport._sock.close()
