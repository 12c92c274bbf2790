"""A worker that cannot know what is right does not start, and says what to do; one that cannot write does not skip."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from iskra.apps.broker import Broker

from .counting import COUNTED, NUMBERS, REFUSED, STATE
from .processes import WorkerProcess, eventually
from .runtime_rig import Rig, metric, rig_on

pytestmark = pytest.mark.kafka

META: dict[str, Any] = {
    "format": 1,
    "stage": "counting",
    "topic": NUMBERS,
    "partition": 0,
    "partitions": 1,
    "base": 0,
    "position": 0,
    "counts": {},
    "gap": 0,
    "lost_by_retention": 0,
}


def refusal(worker: WorkerProcess) -> str:
    """The reason of a worker that refused to start."""
    assert worker.process.wait(20) == 2, worker.tail()
    (refused,) = [event for event in worker.events() if event["event"] == "start_refused"]
    return str(refused["reason"])


def put_state(rig: Rig, key: bytes, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=rig.bootstrap)
    producer.send(rig.topic(STATE), key=key, value=value, partition=0).get(timeout=10)
    producer.close()


def test_missing_topics_are_named_with_the_command_that_makes_them(broker: str) -> None:
    with rig_on(broker, leave_out=(STATE, REFUSED)) as rig:
        assert refusal(rig.start()) == (
            f"missing topics: {rig.topic(REFUSED)}, {rig.topic(STATE)}. Create them with: iskra topics apply"
        )


def test_a_state_topic_with_other_partitions_than_its_input_is_refused(broker: str) -> None:
    with rig_on(broker, partitions=2, counts={STATE: 3}) as rig:
        assert refusal(rig.start()) == (
            f"{rig.topic(NUMBERS)} has 2 partitions but its state topic {rig.topic(STATE)} has 3: they must be equal. "
            "See what is planned with: iskra topics plan; set it with: iskra topics apply"
        )


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"!meta", b"not json", "cannot be read: its meta record is not readable"),
        (b"!meta", b'{"format": 1}', "cannot be read: its meta record lacks fields or holds wrong ones"),
        (b"!meta", json.dumps({**META, "format": 2}).encode(), "cannot be read: its format 2 is newer than 1, the newest this version reads"),
        (b"!meta", json.dumps({**META, "partitions": 4}).encode(), "was written while the topic had 4 partitions, now it has 1: keys moved between partitions"),
        (b"!meta", json.dumps({**META, "position": 7}).encode(), "goes on at offset 7, but the log ends at 0: the topic was cut or made anew"),
        (b"k0", b'{"total": 1}', "has 1 keys but no meta record"),
    ],
)  # fmt: skip
def test_state_that_does_not_fit_is_refused(broker: str, key: bytes, value: bytes, reason: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        put_state(rig, key, value)
        assert refusal(rig.start()) == (
            f"state of counting, partition 0 of {rig.topic(NUMBERS)} ({rig.topic(STATE)}), {reason}. "
            "Rebuild it with: iskra state rebuild counting --partition 0"
        )


def test_state_newer_than_the_processor_is_refused(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        put_state(rig, b"!meta", json.dumps(META).encode())
        put_state(rig, b"k0", b'{"format": 2}')
        assert refusal(rig.start()).endswith(
            "its format 2 is newer than 1. Rebuild it with: iskra state rebuild counting --partition 0"
        )


def test_empty_state_behind_a_committed_offset_is_refused(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        rig.send([b"x"] * 5)
        consumer = KafkaConsumer(bootstrap_servers=broker, group_id=f"{rig.prefix}-counting", enable_auto_commit=False)
        place = TopicPartition(rig.topic(NUMBERS), 0)
        consumer.assign([place])
        consumer.commit({place: OffsetAndMetadata(3, "", -1)})
        consumer.close()
        assert "is empty although the group" in refusal(rig.start())
        assert rig.read(COUNTED) == []


def test_no_broker_ends_in_exit_code_3(broker: str) -> None:
    with rig_on(broker) as rig:
        rig.bootstrap = "127.0.0.1:1"
        rig.reach_within_s = 0.5
        worker = rig.start()
        assert worker.process.wait(20) == 3, worker.tail()


def test_records_lost_by_retention_are_counted_and_the_rest_is_read(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready()
        rig.send([b"x"] * 10)
        rig.wait_processed()
        assert worker.terminate() == 0
        rig.send([b"x"] * 100)
        _delete_before(rig, 60)
        again = rig.ready()
        meta = rig.wait_processed()[0]
        assert (meta["position"], meta["counts"], meta["gap"], meta["lost_by_retention"]) == (
            110,
            {"counted": 60},
            50,
            50,
        )
        (lost,) = [event for event in again.events() if event["event"] == "lost_by_retention"]
        assert (lost["level"], lost["records"], lost["position"]) == ("error", 50, 60)
        assert metric(again, "iskra_lost_by_retention_total", partition=0) == 50.0
        assert metric(again, "iskra_unaccounted_events", partition=0) == 0.0


def test_retention_that_passes_a_running_worker_is_counted_too(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready(session_timeout_ms=30_000)
        rig.send([b"x"] * 10)
        rig.wait_processed()
        worker.send(signal.SIGSTOP)
        rig.send([b"x"] * 100)
        _delete_before(rig, 60)
        worker.send(signal.SIGCONT)
        meta = rig.wait_processed()[0]
        # A fetch answered just before it froze may still hold records from before: they count as read.
        assert meta["counts"]["counted"] + meta["lost_by_retention"] == 110
        assert meta["gap"] == meta["lost_by_retention"]


def test_a_poisoned_record_is_refused_with_its_bytes_and_the_next_is_counted(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        rig.ready()
        rig.send([b"x", b"poison", b"x"], keys=1)
        meta = rig.wait_processed()[0]
        assert meta["counts"] == {"counted": 2, "rejected": 1}
        assert [(seen.key, seen.value) for seen in rig.read(REFUSED)] == [(b"k0", b"poison")]
        assert sorted(rig.counted()) == [(0, 0), (0, 2)]


def test_a_broker_that_stands_still_for_a_while_costs_nothing_but_time(broker: str, broker_process: Broker) -> None:
    with rig_on(broker) as rig:
        rig.ready()
        rig.send([b"x"] * 100)
        os.kill(broker_process.pid, signal.SIGSTOP)
        try:
            # Past the session timeout of two seconds: only the passing of time makes it a fault.
            until = time.monotonic() + 3.0
            eventually(lambda: time.monotonic() > until, within_s=5, what="three seconds pass")
        finally:
            os.kill(broker_process.pid, signal.SIGCONT)
        rig.send([b"x"] * 100)
        rig.wait_processed(within_s=30)
        rig.assert_exactly_once(200)


def _delete_before(rig: Rig, offset: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=rig.bootstrap)
    admin.delete_records({TopicPartition(rig.topic(NUMBERS), 0): offset})
    admin.close()
