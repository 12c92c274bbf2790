"""The requirement's own example and ten failures, through real Kafka, read by plain kafka-python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer

from .log_reading import committed
from .processes import eventually, iskra, worker

pytestmark = pytest.mark.kafka

EXAMPLE = b"""{
  "delta": "connection_established",
  "dimension": 2,
  "omega": 0.9,
  "lambda": "monitor_stability",
  "fractal_metadata": {"voice_pain": 0.1, "voice_chaos": 0.1, "voice_trust": 0.8, "seam_id": "network_infrastructure"}
}"""


def read_all(bootstrap: str, topic: str) -> list[dict[str, Any]]:
    """Every committed record of a topic, keys and values decoded."""
    return [{"key": one.key.decode(), **json.loads(one.value)} for one in committed(bootstrap, topic)]


@pytest.fixture
def settings(broker: str) -> dict[str, str]:
    return {
        "ISKRA_KAFKA__BOOTSTRAP": broker,
        "ISKRA_KAFKA__TOPIC_PREFIX": "firstvoice",
        "ISKRA_SCORING__IDLE_TIMEOUT_S": "2",
    }


@pytest.fixture
def producer(broker: str) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(bootstrap_servers=broker, acks="all")
    yield producer
    producer.close()


def test_the_requirements_example_gets_a_score_and_ten_failures_raise_an_alarm(
    broker: str, settings: dict[str, str], producer: KafkaProducer
) -> None:
    applied = iskra("topics", "apply", "--partitions", "2", settings=settings)
    assert applied.returncode == 0, applied.stderr
    with worker("scorer-0", settings) as scorer:
        producer.send("firstvoice.events.v1", key=b"c-1", value=EXAMPLE).get(10)
        score = eventually(
            lambda: [one for one in read_all(broker, "firstvoice.scores.v1") if one["key"] == "connection:c-1"],
            within_s=75,
            what=f"a score of connection:c-1; the worker's log:\n{scorer.tail()}",
        )[0]
        assert (score["subject"], score["level"], score["pain"], score["link_state"]) == (
            "connection:c-1",
            "connection",
            0.0,
            "up",
        )
        for _ in range(10):
            failure = {
                "delta": "connection_failed",
                "dimension": 3,
                "omega": 0.8,
                "lambda": "attempt_reconnection_with_backoff",
            }
            producer.send("firstvoice.events.v1", key=b"c-2", value=json.dumps(failure).encode())
        producer.flush()
        voice = eventually(
            lambda: read_all(broker, "firstvoice.voices.v1"), within_s=10, what=f"an Alarm:\n{scorer.tail()}"
        )[0]
        assert (voice["key"], voice["voice"], voice["delta"]) == ("connection:c-2", "Alarm", "voice_raised")
        assert scorer.terminate() == 0
