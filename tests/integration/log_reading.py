"""Committed records of a topic, read to its present end by plain kafka-python."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, TopicPartition

__all__ = ["committed", "end_offsets"]


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
        consumer.close()


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """The present end of each partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        return {place.partition: end for place, end in consumer.end_offsets(places).items()}
    finally:
        consumer.close()
