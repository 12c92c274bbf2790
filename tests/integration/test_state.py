"""State that is lost is shown, refused, and rebuilt from the log: equal to the lost one, nothing written or sent again."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer

from .log_reading import committed, end_offsets
from .processes import WorkerProcess, eventually, iskra

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

PREFIX = "rebuilt"
STAGES = {"scorer": "events", "rollup": "partials", "intake": "voices", "router": "routing", "dispatcher": "intents"}
MEMBERS = ("scorer-0", "rollup-0", "router-0", "dispatcher-0")
WRITTEN = ("scores.v1", "voices.v1", "partials.v1", "routing.v1", "alerts.v1", "intents.v1", "notifications.v1")
DELTAS = ("heartbeat_success", "message_processed", "connection_lost", "connection_failed", "connection_established")


def settings_for(broker: str) -> dict[str, str]:
    return {
        "ISKRA_KAFKA__BOOTSTRAP": broker,
        "ISKRA_KAFKA__TOPIC_PREFIX": PREFIX,
        "ISKRA_CLOCK_DIVISOR": "10",
        "ISKRA_RUNTIME__SESSION_TIMEOUT_MS": "2000",
    }


def run(settings: dict[str, str]) -> list[WorkerProcess]:
    workers = [WorkerProcess(member, settings) for member in MEMBERS]
    for one in workers:
        one.wait_ready(60)
    return workers


def produce(broker: str, dice: random.Random, events: int) -> None:
    producer = KafkaProducer(bootstrap_servers=broker, acks="all")
    for _ in range(events):
        key = b"c-%02d" % dice.randrange(20)
        delta = dice.choice(DELTAS) if key[-1] % 3 else "connection_failed"
        event = {"delta": delta, "dimension": 3, "omega": 0.8, "fractal_metadata": {"seam_id": f"seam_{key[-1] % 3}"}}
        value = json.dumps(event)
        bad = dice.random() < 0.05
        producer.send(f"{PREFIX}.events.v1", key=key, value=b"{" if bad else value.encode())
        if dice.random() < 0.2:
            time.sleep(0.05)  # appended over a while, as events are
    producer.flush()
    producer.close()


def live(broker: str, stage: str) -> dict[tuple[int, bytes], bytes]:
    """The state of a stage: last committed value of each key that lives."""
    found: dict[tuple[int, bytes], bytes] = {}
    for record in committed(broker, f"{PREFIX}.state.{stage}.v1"):
        found.pop((record.partition, record.key), None)
        if record.value is not None:
            found[record.partition, record.key] = record.value
    return found


def comparable(state: dict[tuple[int, bytes], bytes]) -> dict[tuple[int, bytes], Any]:
    """Without what only says how late it was: the idle clock, the second last told, when a destination was last used.

    And without the books of a partition in which nothing was ever read: a rebuild writes them, a worker does not.
    """
    found: dict[tuple[int, bytes], Any] = dict(state)
    for place, value in state.items():
        if place[1] == b"core":
            core = msgspec.msgpack.decode(value)
            core[2] = core[2][:-1]
            found[place] = core
        elif place[1] == b"!meta":
            found[place] = json.loads(value)
        elif place[1].startswith(b"head|"):
            head = json.loads(value)["d"]
            found[place] = {name: head[name] for name in ("destination", "kind", "arrivals")}
        elif place[1].startswith(b"wait|"):
            found[place] = json.loads(value)["d"]["body"]  # how often it was tried nobody wrote down
    books = [place for place, value in found.items() if place[1] == b"!meta" and value["position"] == value["base"]]
    return {place: value for place, value in found.items() if place not in books and b"clock|" not in place[1]}


def shown(settings: dict[str, str], *words: str) -> list[dict[str, Any]]:
    answer = iskra("state", *words, "--json", settings=settings)
    assert answer.returncode in {0, 1}, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def read_to_the_end(settings: dict[str, str]) -> bool:
    """Whether the scorers have read every event."""
    return all(one["position"] == one["log_end"] for one in shown(settings, "show", "scorer"))


def a_pane_closes(broker: str) -> None:
    """Until the scorers tell the roll-up that another pane is over."""
    topic = f"{PREFIX}.partials.v1"
    before = end_offsets(broker, topic)
    eventually(lambda: end_offsets(broker, topic) != before, within_s=60, what="a pane closes")


def stop(workers: list[WorkerProcess]) -> list[int]:
    """All at once; the exit codes."""
    for one in workers:
        if one.process.poll() is None:
            one.process.terminate()
    for one in workers:
        one.process.wait(30)
    return [one.terminate() for one in workers]


def destroy(broker: str, stage: str, state: dict[tuple[int, bytes], bytes]) -> None:
    """All of it by tombstones, but for the roll-up: a meta record of bytes that say nothing."""
    producer = KafkaProducer(bootstrap_servers=broker, acks="all")
    topic = f"{PREFIX}.state.{stage}.v1"
    for partition, key in state:
        if stage == "rollup" and key == b"!meta":
            producer.send(topic, key=key, value=b"\x00", partition=partition)
        elif stage != "rollup":
            producer.send(topic, key=key, value=None, partition=partition)
    producer.flush()
    producer.close()


def ids(broker: str, topic: str) -> list[str]:
    return [json.loads(record.value)["id"] for record in committed(broker, f"{PREFIX}.{topic}")]


def test_lost_state_is_rebuilt_equal_and_nothing_is_written_or_sent_again(broker: str) -> None:
    settings = settings_for(broker)
    assert iskra("topics", "apply", "--partitions", "2", settings=settings).returncode == 0
    dice = random.Random(7)
    workers = run(settings)
    try:
        produce(broker, dice, 200)
        # An idle stretch in which panes close by the clock alone, then more.
        for _ in range(3):
            a_pane_closes(broker)
        produce(broker, dice, 200)
        eventually(lambda: read_to_the_end(settings), within_s=60, what=workers[0].tail)
        refused = iskra("state", "rebuild", "scorer", settings=settings)
        assert refused.returncode == 1
        assert "scorer-0 of group rebuilt-scorer run: stop them first, iskra down" in refused.stderr
        assert workers[0].process.poll() is None
        a_pane_closes(broker)
    finally:
        codes = stop(workers)
    assert codes == [0] * len(MEMBERS)

    before = {stage: live(broker, stage) for stage in STAGES}
    written = {topic: end_offsets(broker, f"{PREFIX}.{topic}") for topic in WRITTEN}
    assert ids(broker, "voices.v1"), f"the weather was too good to tell anything: {shown(settings, 'show')}"
    assert committed(broker, f"{PREFIX}.notifications.v1")
    fits = shown(settings, "show")
    assert [(one["stage"], one["refused"], one["unaccounted"]) for one in fits if one["refused"]] == []
    assert {one["stage"] for one in fits} == set(STAGES)
    assert sum(one["unaccounted"] for one in fits) == 0
    assert all(one["position"] == one["group_offset"] for one in fits if one["counts"])

    for stage in STAGES:
        destroy(broker, stage, before[stage])
    assert iskra("state", "show", settings=settings).returncode == 1
    lost = WorkerProcess("scorer-0", settings)
    assert lost.process.wait(60) == 2, lost.tail()
    assert "iskra state rebuild scorer --partition" in lost.tail()
    lost.terminate()

    for stage in STAGES:
        rebuilt = iskra("state", "rebuild", stage, settings=settings)
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert "folding offsets" in rebuilt.stderr
        assert comparable(live(broker, stage)) == comparable(before[stage]), stage
    assert {topic: end_offsets(broker, f"{PREFIX}.{topic}") for topic in WRITTEN} == written
    assert [one["refused"] for one in shown(settings, "show")] == [None] * len(fits)

    workers = run(settings)
    try:
        produce(broker, dice, 100)
        eventually(lambda: read_to_the_end(settings), within_s=60, what=workers[0].tail)
        a_pane_closes(broker)
    finally:
        codes = stop(workers)
    assert codes == [0] * len(MEMBERS)
    for topic in ("scores.v1", "voices.v1"):
        found = ids(broker, topic)
        assert len(found) == len(set(found)), topic
    for topic in ("notifications.v1",):
        keys = [record.key for record in committed(broker, f"{PREFIX}.{topic}")]
        assert len(keys) == len(set(keys)), topic
    assert sum(one["unaccounted"] for one in shown(settings, "show")) == 0


def test_what_is_meant_must_exist(broker: str) -> None:
    settings = settings_for(broker) | {"ISKRA_KAFKA__TOPIC_PREFIX": "nowhere"}
    missing = iskra("state", "show", settings=settings)
    assert (missing.returncode, missing.stderr.startswith("iskra: missing topics: nowhere.")) == (1, True)
    unknown = iskra("state", "rebuild", "scorr", settings=settings)
    assert unknown.returncode == 2
    assert unknown.stderr == "iskra: 'scorr' is no stage: it is one of scorer, rollup, intake, router, dispatcher\n"
    wrong = iskra("state", "rebuild", "scorer", "--until", "soon", settings=settings)
    assert (wrong.returncode, wrong.stderr) == (2, "iskra: --until 'soon': it is an offset, start or end\n")


def test_without_a_broker_it_is_said_in_one_line() -> None:
    away = iskra("state", "show", settings=settings_for("127.0.0.1:1"))
    assert away.returncode == 3
    assert away.stderr.count("\n") == 1
    assert away.stderr.startswith("iskra: no Kafka answers at 127.0.0.1:1")
