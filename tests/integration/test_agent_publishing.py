"""An agent's events on a real Kafka: order per key, nothing lost on SIGTERM, and what a missing topic does."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from pipeline.agents.core.facts import Fact, Stamp, describe
from pipeline.agents.core.options import KafkaTarget, TelemetryOptions
from pipeline.agents.publisher import KafkaPublisher, Outcome
from pipeline.agents.reference_server import ReferenceServer
from schemas.codec import decode_event
from schemas.registry import builtin_registry
from schemas.rejects import Rejected
from schemas.types import Origin

from .processes import ROOT, environment, eventually

pytestmark = pytest.mark.kafka

PARTITIONS = 3


def create(bootstrap: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    finally:
        admin.close()


def read(bootstrap: str, topic: str) -> list[Any]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        consumer.seek_to_beginning()
        found: list[Any] = []
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(timeout_ms=200).values():
                found += records
        return found
    finally:
        consumer.close()


def test_events_are_in_the_log_once_and_in_order_per_key(broker: str) -> None:
    create(broker, "agents.order")
    outcomes: list[tuple[int, Outcome]] = []
    publisher = KafkaPublisher(
        KafkaTarget(broker, "agents.order"),
        TelemetryOptions(window=50),
        hook=lambda seq, out: outcomes.append((seq, out)),
    )
    publisher.start()
    now = time.time_ns() // 1_000_000
    for seq in range(1_000):
        publisher.publish(describe(Fact("link_reported_up", f"a/l{seq % 7}"), now, Stamp("a.1", seq)))
    assert publisher.stop(20_000) == 0
    assert sorted(outcomes) == [(seq, Outcome.OK) for seq in range(1_000)]
    records = read(broker, "agents.order")
    by_key: dict[bytes, list[int]] = {}
    for record in records:
        read_back = decode_event(
            record.value, Origin(record.key, record.partition, record.offset, record.timestamp), builtin_registry()
        )
        assert not isinstance(read_back, Rejected)
        by_key.setdefault(record.key, []).append(json.loads(record.value)["seq"])
    assert by_key == {f"a/l{link}".encode(): list(range(link, 1_000, 7)) for link in range(7)}


def test_a_topic_that_does_not_exist_yet_delays_events_and_loses_none(broker: str) -> None:
    publisher = KafkaPublisher(KafkaTarget(broker, "agents.later"), TelemetryOptions(stale_after_ms=100))
    publisher.start()
    publisher.publish(describe(Fact("agent_started", "agent:a"), 1_800_000_000_000, Stamp("a.1", 0)))
    eventually(lambda: not publisher._flowing, within_s=20, what="the client to notice")
    create(broker, "agents.later")
    eventually(lambda: publisher.outcomes[Outcome.OK] == 1, within_s=30, what="the event to arrive")
    eventually(publisher.take_stale, within_s=5, what="the delay to be noticed")
    assert publisher.stop(5_000) == 0


async def test_a_terminated_agent_leaves_nothing_behind(broker: str) -> None:
    create(broker, "agents.events.v1")
    run = (
        "import asyncio, sys; from pipeline.agents.running import run; from pipeline.agents.environ import kafka_target; "
        "raise SystemExit(asyncio.run(run(sys.argv[1:], name='term', kafka=kafka_target())))"
    )
    settings = {"ISKRA_KAFKA__BOOTSTRAP": broker, "ISKRA_KAFKA__TOPIC_PREFIX": "agents"}
    async with ReferenceServer() as server:
        agent = subprocess.Popen(  # noqa: ASYNC220 - a test waits for its processes
            [sys.executable, "-c", run, f"ws://127.0.0.1:{server.port}/"],
            env=environment(settings), stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        try:
            assert agent.stderr is not None
            line = await asyncio.to_thread(agent.stderr.readline)
            assert "proved" in line
            agent.send_signal(signal.SIGTERM)
            _, talk = await asyncio.to_thread(agent.communicate, None, 20)
            assert agent.returncode == 0, talk
        finally:
            if agent.poll() is None:
                agent.kill()
    said = sorted((json.loads(record.value) for record in read(broker, "agents.events.v1")), key=lambda one: one["seq"])
    assert [one["delta"] for one in said] == [
        "agent_started",
        "connection_established",
        "connection_closed",
        "agent_stopped",
    ]
    assert [one["connection_id"] for one in said] == ["agent:term", "term/link-1", "term/link-1", "agent:term"]
