"""With ``emit = all`` the published scores equal a separate brute-force evaluation, on every level, through real Kafka."""

from __future__ import annotations

import json
import time
from collections import Counter

import msgspec
import pytest
from kafka import KafkaProducer

from iskra.chaos.oracle import OracleEvent, OracleRules, evaluate
from schemas.codec import decode_event
from schemas.hot import HotEvent
from schemas.registry import builtin_registry
from schemas.scores import ScoreRecord
from schemas.types import Level, Origin

from ..oracle.comparing import differences
from ..oracle.weather import Climate, Delivered, weather
from .log_reading import committed, end_offsets
from .processes import eventually, iskra, worker

pytestmark = pytest.mark.kafka

PREFIX = "oracle"
PARTITIONS = 3
LENGTH_MS = 1_800_000
AFTER_MS = 200_000
"""So long one link of each partition beats on, so that every pane of the weather closes."""
REGISTRY = builtin_registry()


def _log(begin: int) -> list[list[Delivered]]:
    climate = Climate(
        links=200,
        length=LENGTH_MS,
        partitions=PARTITIONS,
        begin=begin,
        late=0.0,
        stalls=0.0,
        repeated=0.01,
        rotten=0.005,
    )
    logs = weather(7, climate)
    for number, log in enumerate(logs):
        for at in range(begin + 2_100, begin + LENGTH_MS + AFTER_MS, climate.beat):
            beat = {"delta": "heartbeat_success", "data": {"latency_ms": 90}, "ts": at}
            log.append(Delivered(at, f"keeper-{number}".encode(), json.dumps(beat).encode()))
        log.sort(key=lambda record: record.append_ts)
    return logs


def _positions(broker: str) -> dict[int, int]:
    """The next offset of each partition, by the scorers' committed state."""
    metas = {r.partition: r.value for r in committed(broker, f"{PREFIX}.state.scorer.v1") if r.key == b"!meta"}
    return {partition: msgspec.json.decode(value)["position"] for partition, value in metas.items()}


def test_scores_of_200_connections_over_30_minutes_equal_the_oracle_on_every_level(broker: str) -> None:
    settings = {
        "ISKRA_KAFKA__BOOTSTRAP": broker,
        "ISKRA_KAFKA__TOPIC_PREFIX": PREFIX,
        "ISKRA_SCORING__EMIT": "all",
        "ISKRA_SCORING__IDLE_TIMEOUT_S": "3600",
    }
    assert iskra("topics", "apply", "--partitions", str(PARTITIONS), settings=settings).returncode == 0
    now_ms = int(time.time() * 1000)
    begin = now_ms - now_ms % 30_000 - LENGTH_MS - AFTER_MS - 60_000
    producer = KafkaProducer(bootstrap_servers=broker, acks="all", linger_ms=20)
    for number, log in enumerate(_log(begin)):
        for record in log:
            producer.send(f"{PREFIX}.events.v1", key=record.key, value=record.value, partition=number)
    producer.close()
    with worker("scorer-0", settings), worker("scorer-1", settings), worker("rollup-0", settings) as rollup:
        ends = end_offsets(broker, f"{PREFIX}.events.v1")
        eventually(lambda: _positions(broker) == ends, within_s=60, what="the scorers at the end of the log")

        read: list[list[OracleEvent]] = [[] for _ in range(PARTITIONS)]
        for one in committed(broker, f"{PREFIX}.events.v1"):
            decoded = decode_event(one.value, Origin(one.key, one.partition, one.offset, one.timestamp), REGISTRY)
            event = decoded if isinstance(decoded, HotEvent) else None
            read[one.partition].append(OracleEvent(one.offset, one.timestamp, event, one.value))
        expected = evaluate(read, OracleRules(REGISTRY)).scores
        last_pane = max(end for _, end in expected)

        def published() -> dict[tuple[str, int], ScoreRecord]:
            records = [ScoreRecord.model_validate_json(one.value) for one in committed(broker, f"{PREFIX}.scores.v1")]
            found = {(score.subject, score.window_end): score for score in records}
            return found if found.keys() >= expected.keys() else {}

        last = eventually(published, within_s=60, what=f"all panes up to {last_pane} published:\n{rollup.tail()}")
        levels = Counter(Level(subject.split(":")[0]) for subject, _ in expected)
        assert levels[Level.CONNECTION] > 8_000
        assert levels[Level.SEAM] > 300
        assert levels[Level.ECOSYSTEM] > 60
        assert differences(last, expected) == []
