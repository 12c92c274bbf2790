"""Two scorers under SIGKILL and SIGSTOP for a minute: each event has one outcome, each output is seen once."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer

from pipeline.runtime.contract import Assignment, LogRecord
from pipeline.scorer import Scorer
from pipeline.scoring.rules import ScoreRules
from schemas.registry import builtin_registry
from schemas.topics import PARTIALS

from .log_reading import committed, end_offsets
from .processes import WorkerProcess, eventually, iskra

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

PREFIX = "kill"
PARTITIONS = 4
EVENTS = 20_000
LINKS = 400
STORM_S = 60.0
KILLS = 5
SESSION_MS = 6_000
PAUSE_S = 9.0
"""Longer than the session: the group gives the paused worker's partitions to the other one."""
DELTAS = (
    "heartbeat_success",
    "heartbeat_success",
    "heartbeat_success",
    "message_processed",
    "connection_lost",
    "connection_failed",
)


def _event(dice: random.Random, number: int) -> tuple[bytes, bytes]:
    key = b"c-%03d" % dice.randrange(LINKS)
    if dice.random() < 0.01:
        return key, b'{"delta": "connection_lost", "omega": "high"}'
    event: dict[str, object] = {"delta": dice.choice(DELTAS), "event_id": f"e-{number}"}
    if event["delta"] == "heartbeat_success":
        event["data"] = {"latency_ms": dice.choice((40, 120, 300, 900))}
    return key, json.dumps(event).encode()


class _Storm:
    """Kills or pauses one of two scorers every few seconds, and starts again what ended."""

    def __init__(self, seed: int, settings: dict[str, str]) -> None:
        self._dice = random.Random(seed)
        self._settings = settings
        self.workers = {name: WorkerProcess(name, settings) for name in ("scorer-0", "scorer-1")}
        self.kills = 0
        self.fenced = 0

    def rage(self, seconds: float) -> None:
        """For so long, and longer on a slow machine, until enough faults bit; the first one is a pause."""
        end = time.monotonic() + seconds
        pause = True
        while time.monotonic() < end or self.kills < KILLS:
            name = self._dice.choice(sorted(self.workers))
            self.workers[name].wait_ready(60)
            if pause:
                self._pause(name)
            else:
                self.workers[name].kill()
                self.kills += 1
            self.workers[name] = WorkerProcess(name, self._settings)
            pause = self._dice.random() < 0.3
            time.sleep(self._dice.uniform(1.0, 4.0))  # faults are spread over real time

    def _pause(self, name: str) -> None:
        zombie = self.workers[name]
        zombie.send(signal.SIGSTOP)
        time.sleep(PAUSE_S)  # a real pause, longer than the session
        zombie.send(signal.SIGCONT)
        eventually(lambda: zombie.process.poll() is not None, within_s=30, what=self._tails)
        code = zombie.process.returncode
        assert any(event.get("event") == "fenced" for event in zombie.events()), zombie.tail()
        assert code != 0
        self.fenced += 1
        zombie.kill()

    def _tails(self) -> str:
        return "the paused worker ends:\n" + "\n\n".join(one.tail() for one in self.workers.values())

    def end(self) -> None:
        """Whatever happened, nothing stays."""
        for one in self.workers.values():
            if one.process.poll() is None:
                one.send(signal.SIGCONT)
            one.kill()


def _metas(broker: str) -> dict[int, dict[str, Any]]:
    records = committed(broker, f"{PREFIX}.state.scorer.v1")
    return {r.partition: msgspec.json.decode(r.value) for r in records if r.key == b"!meta"}


def _produce(broker: str, seconds: float) -> None:
    dice = random.Random(20_000)
    producer = KafkaProducer(bootstrap_servers=broker, acks="all", linger_ms=5)
    begun = time.monotonic()
    for number in range(EVENTS):
        key, value = _event(dice, number)
        producer.send(f"{PREFIX}.events.v1", key=key, value=value)
        ahead = begun + number * seconds / EVENTS - time.monotonic()
        if ahead > 0.02:
            time.sleep(ahead)  # a steady rate over real time
    producer.close()


def test_sixty_seconds_of_kills_and_pauses_lose_nothing_and_repeat_nothing(broker: str) -> None:
    settings = {
        "ISKRA_KAFKA__BOOTSTRAP": broker,
        "ISKRA_KAFKA__TOPIC_PREFIX": PREFIX,
        "ISKRA_SCORING__EMIT": "all",
        "ISKRA_SCORING__IDLE_TIMEOUT_S": "3600",
        "ISKRA_RUNTIME__SESSION_TIMEOUT_MS": str(SESSION_MS),
    }
    assert iskra("topics", "apply", "--partitions", str(PARTITIONS), settings=settings).returncode == 0
    storm = _Storm(7, settings)
    try:
        for one in storm.workers.values():
            one.wait_ready(60)
        producing = threading.Thread(target=_produce, args=(broker, STORM_S))
        producing.start()
        eventually(
            lambda: sum(meta["position"] for meta in _metas(broker).values()) > PARTITIONS * 50,
            within_s=30,
            what="events in every scorer's hands",
        )
        storm.rage(STORM_S)
        producing.join(60)
        ends = end_offsets(broker, f"{PREFIX}.events.v1")
        assert sum(ends.values()) == EVENTS
        eventually(
            lambda: {p: meta["position"] for p, meta in _metas(broker).items()} == ends,
            within_s=30,
            what="the whole log read within 30 s after the last fault",
        )
        codes = {name: one.terminate() for name, one in storm.workers.items()}
        assert codes == {"scorer-0": 0, "scorer-1": 0}
    finally:
        storm.end()
    assert storm.fenced >= 1

    metas = _metas(broker)
    counts: Counter[str] = Counter()
    for partition, meta in metas.items():
        counts.update(meta["counts"])
        assert sum(meta["counts"].values()) + meta["gap"] == meta["position"] - meta["base"] == ends[partition]
    log = committed(broker, f"{PREFIX}.events.v1")
    bad = {(one.partition, one.offset) for one in log if b'"high"' in one.value}
    assert counts == {"scored": EVENTS - len(bad), "rejected": len(bad)}
    rejected = [dict(one.headers) for one in committed(broker, f"{PREFIX}.events.rejected.v1")]
    places = [(int(headers["iskra.partition"]), int(headers["iskra.offset"])) for headers in rejected]
    assert sorted(places) == sorted(bad)

    for topic in ("scores", "voices"):
        ids = [json.loads(one.value)["id"] for one in committed(broker, f"{PREFIX}.{topic}.v1")]
        assert len(ids) > 100
        assert [one for one, times in Counter(ids).items() if times > 1] == []

    written: dict[bytes, bytes] = {}
    for record in committed(broker, f"{PREFIX}.state.scorer.v1"):
        if record.key.startswith(b"c:"):
            written[record.key] = record.value
    folded: dict[bytes, bytes] = {}
    for partition in range(PARTITIONS):
        scorer = Scorer(Assignment(partition, {PARTIALS: PARTITIONS}), ScoreRules(emit="all"), builtin_registry())
        records = [
            LogRecord("events.v1", one.partition, one.offset, one.timestamp, one.key, one.value, tuple(one.headers))
            for one in log
            if one.partition == partition
        ]
        scorer.apply(records, records[-1].timestamp)
        folded |= {state.key: state.value for state in scorer.snapshot() if state.key.startswith(b"c:") and state.value}
    assert len(folded) == LINKS
    assert written == folded
