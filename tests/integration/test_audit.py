"""``iskra audit`` over real Kafka: green over a real run, also while workers run; red when a record is missing or doubled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from ..oracle.weather import Climate, weather
from .log_reading import committed, end_offsets
from .processes import eventually, iskra, worker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PREFIX = "audited"
PARTITIONS = 2
LENGTH_MS = 600_000
KEEPERS_UNTIL_MS = 700_000
COPIED = (
    "events.v1",
    "events.rejected.v1",
    "events.late.v1",
    "scores.v1",
    "voices.v1",
    "state.scorer.v1",
)
"""All that the scorer reads and writes but its shares, so that the other stages never were."""

Change = Callable[[list[Any]], list[Any]]


def settings_for(broker: str, prefix: str) -> dict[str, str]:
    return {
        "ISKRA_KAFKA__BOOTSTRAP": broker,
        "ISKRA_KAFKA__TOPIC_PREFIX": prefix,
        "ISKRA_SCORING__EMIT": "all",
    }


def _produce(broker: str) -> None:
    now_ms = int(time.time() * 1000)
    begin = now_ms - now_ms % 30_000 - KEEPERS_UNTIL_MS - 60_000
    climate = Climate(
        links=30, length=LENGTH_MS, partitions=PARTITIONS, begin=begin, stalls=0.0, late=0.01, rotten=0.02
    )
    producer = KafkaProducer(bootstrap_servers=broker, acks="all", linger_ms=20)
    for number, log in enumerate(weather(5, climate)):
        for record in log:
            producer.send(f"{PREFIX}.events.v1", key=record.key, value=record.value, partition=number)
        for at in range(begin + LENGTH_MS, begin + KEEPERS_UNTIL_MS, 30_000):
            beat = {"delta": "heartbeat_success", "data": {"latency_ms": 90}, "ts": at}
            producer.send(
                f"{PREFIX}.events.v1", key=b"keeper-%d" % number, value=json.dumps(beat).encode(), partition=number
            )
    producer.close()


def _last(broker: str, prefix: str, state: str, key: bytes) -> dict[int, bytes]:
    return {one.partition: one.value for one in committed(broker, f"{prefix}.{state}") if one.key == key}


def _positions(broker: str) -> dict[int, int]:
    metas = _last(broker, PREFIX, "state.scorer.v1", b"!meta")
    return {number: msgspec.json.decode(value)["position"] for number, value in metas.items()}


def _idle_stepped(broker: str) -> bool:
    """Whether the clock has moved each watermark past the events."""
    cores = [msgspec.msgpack.decode(value)[2] for value in _last(broker, PREFIX, "state.scorer.v1", b"core").values()]
    return len(cores) == PARTITIONS and all(core[0] > core[1] for core in cores)


def _audit(broker: str, prefix: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = iskra("audit", "--json", *arguments, settings=settings_for(broker, prefix))
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def run(broker: str) -> dict[str, Any]:
    """All roles over 30 links and 10 minutes of event time, to the end and past an idle step; audited while they run."""
    settings = settings_for(broker, PREFIX)
    assert iskra("topics", "apply", "--partitions", str(PARTITIONS), settings=settings).returncode == 0
    _produce(broker)
    with (
        worker("scorer-0", settings) as scorer,
        worker("rollup-0", settings),
        worker("router-0", settings),
        worker("dispatcher-0", settings),
    ):
        ends = end_offsets(broker, f"{PREFIX}.events.v1")
        eventually(lambda: _positions(broker) == ends, within_s=60, what=scorer.tail)
        eventually(lambda: _idle_stepped(broker), within_s=60, what="a step of the idle clock")
        time.sleep(2)  # the roll-up and the alerts follow
        live = _audit(broker, PREFIX)
    return {"live": live}


def _verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {name: one["verdict"] for name, one in report["invariants"].items()}


ALL_GREEN = dict.fromkeys(("I1", "I3", "I4", "I5", "I7", "I8", "I9", "I10"), "green")


def test_a_real_run_is_green_also_while_its_workers_run(run: dict[str, Any], broker: str) -> None:
    code, report = run["live"]
    assert (code, _verdicts(report)) == (0, ALL_GREEN), report
    code, report = _audit(broker, PREFIX)
    assert (code, _verdicts(report)) == (0, ALL_GREEN), report
    assert report["numbers"]["scored"] > 500
    assert report["numbers"]["rejected"] > 3
    assert report["numbers"]["panes"] > 600


def test_a_part_of_the_log_is_audited_by_its_times(run: dict[str, Any], broker: str) -> None:
    code, report = _audit(broker, PREFIX, "--from", "10m")
    assert (code, _verdicts(report)) == (0, ALL_GREEN), report


def test_the_audit_changes_nothing(run: dict[str, Any], broker: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:

        def standing() -> tuple[object, ...]:
            groups = sorted(group["group_id"] for group in admin.list_groups())
            topics = sorted(name for name in admin.list_topics() if name.startswith(f"{PREFIX}."))
            return groups, {name: end_offsets(broker, name) for name in topics}

        before = standing()
        _audit(broker, PREFIX)
        assert standing() == before
    finally:
        admin.close()


def _copy(broker: str, prefix: str, topics: frozenset[str] = frozenset(), change: Change = list) -> None:
    """The scorer's part of the run under another prefix, with some topics changed on the way."""
    settings = settings_for(broker, prefix)
    assert iskra("topics", "apply", "--partitions", str(PARTITIONS), settings=settings).returncode == 0
    admin = KafkaAdminClient(bootstrap_servers=broker)
    keeps_times = ConfigResource(
        ConfigResourceType.TOPIC, f"{prefix}.events.v1", {"message.timestamp.type": "CreateTime"}
    )
    admin.alter_configs([keeps_times], incremental=True)
    admin.close()
    producer = KafkaProducer(bootstrap_servers=broker, acks="all")
    for name in COPIED:
        records = committed(broker, f"{PREFIX}.{name}")
        for one in change(records) if name in topics else records:
            producer.send(
                f"{prefix}.{name}",
                key=one.key,
                value=one.value,
                headers=list(one.headers),
                partition=one.partition,
                timestamp_ms=one.timestamp,
            )
    producer.close()


def _without_one(records: list[Any]) -> list[Any]:
    return records[:5] + records[6:]


def _with_one_twice(records: list[Any]) -> list[Any]:
    return [*records, records[0]]


def test_a_faithful_copy_is_green(run: dict[str, Any], broker: str) -> None:
    _copy(broker, "faithful")
    code, report = _audit(broker, "faithful")
    assert (code, _verdicts(report)) == (0, ALL_GREEN), report


@pytest.mark.parametrize(
    ("prefix", "change", "broken"),
    [("missing", _without_one, {"I1", "I3"}), ("doubled", _with_one_twice, {"I1", "I8"})],
)
def test_a_copy_with_a_score_and_a_rejected_record_missing_or_doubled_is_red(
    run: dict[str, Any], broker: str, prefix: str, change: Change, broken: set[str]
) -> None:
    _copy(broker, prefix, frozenset({"scores.v1", "events.rejected.v1"}), change)
    code, report = _audit(broker, prefix)
    assert code == 1
    assert {name for name, verdict in _verdicts(report).items() if verdict != "green"} == broken
    assert report["around"] is not None
    assert report["timeline"]


def test_topics_nobody_ever_worked_on_prove_nothing(broker: str) -> None:
    settings = settings_for(broker, "untouched")
    assert iskra("topics", "apply", "--partitions", "1", settings=settings).returncode == 0
    code, report = _audit(broker, "untouched")
    assert (code, report["verdict"]) == (1, "inconclusive")
    assert report["invariants"]["I1"]["doubts"] == ["no stage has committed any state"]


def test_a_person_reads_what_is_wrong_and_where(run: dict[str, Any], broker: str) -> None:
    done = iskra("audit", settings=settings_for(broker, PREFIX))
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "green"
    assert "reading events.v1: " in done.stderr


def test_a_time_that_is_none_and_a_broker_that_is_none_are_one_line(tmp_path: Path) -> None:
    nowhere = {"ISKRA_KAFKA__BOOTSTRAP": "127.0.0.1:1"}
    done = iskra("audit", "--from", "yesterday", settings=nowhere, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "iskra: --from 'yesterday' is no time: write 30m, 2h, 1d (ago) or 2026-01-31T12:00Z\n",
    )
    done = iskra("audit", settings=nowhere, cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
