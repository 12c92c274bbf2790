"""Topics that change under a running worker, and a broker that goes away: it waits, says for what, and goes on alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewPartitions, NewTopic

from iskra.apps.broker import Broker, missing_tool, start, stop

from .counting import COUNTED, NUMBERS, REFUSED
from .processes import WorkerProcess, eventually
from .runtime_rig import Rig, metric, probe, rig_on

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that this test may kill."""
    if missing_tool() is not None:
        pytest.skip(missing_tool() or "")
    yield start(tmp_path, tied=True)
    stop(tmp_path)


def kill(broker: Broker) -> None:
    """As a machine that loses power. Returns when its port is free."""
    os.kill(broker.pid, signal.SIGKILL)
    os.waitpid(broker.pid, 0)


def events(worker: WorkerProcess, name: str) -> list[str]:
    return [event["event"] for event in worker.events() if event["event"] == name]


def waits_for(worker: WorkerProcess, what: str, within_s: float = 30.0) -> None:
    """Until /readyz says 503 with this in its one line."""

    def told() -> bool:
        status, text = probe(worker, "/readyz")
        return status == 503 and what in text and text.count("\n") == 1

    eventually(told, within_s=within_s, what=lambda: f"{what}: {probe(worker, '/readyz')}\n{worker.tail()}")


def ready_again(worker: WorkerProcess, within_s: float = 40.0) -> None:
    eventually(
        lambda: probe(worker, "/readyz")[0] == 200,
        within_s=within_s,
        what=lambda: f"ready again: {probe(worker, '/readyz')}\n{worker.tail()}",
    )


def admin_of(rig: Rig) -> KafkaAdminClient:
    return KafkaAdminClient(bootstrap_servers=rig.bootstrap)


def test_an_output_topic_that_is_deleted_pauses_the_worker_until_it_is_there_again(broker: str) -> None:
    with rig_on(broker) as rig:
        worker = rig.ready()
        rig.send([b"x"] * 10)
        rig.wait_processed()
        admin = admin_of(rig)
        admin.delete_topics([rig.topic(REFUSED)])
        waits_for(worker, f"topics gone: {rig.topic(REFUSED)}")
        assert metric(worker, "iskra_waiting", on="topics") == 1.0
        rig.send([b"poison"] * 10)
        time.sleep(2)  # long enough for a worker that does not pause to fail three times
        assert worker.process.poll() is None
        assert rig.topic(REFUSED) not in admin.list_topics()
        admin.create_topics([NewTopic(rig.topic(REFUSED), rig.partitions, 1)])
        admin.close()
        ready_again(worker)
        rig.wait_processed()
        assert len(rig.read(REFUSED)) == 10
        assert len(events(worker, "topics_changed")) == len(events(worker, "resumed")) == 1
        assert worker.terminate() == 0


def test_partitions_added_to_the_input_pause_the_worker_and_nothing_is_counted_in_the_new_ones(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready()
        rig.send([b"x"] * 10)
        rig.wait_processed()
        admin = admin_of(rig)
        admin.create_partitions({rig.topic(NUMBERS): NewPartitions(2)})
        admin.close()
        waits_for(worker, f"partitions changed: {rig.topic(NUMBERS)} has 2, had 1")
        assert worker.process.poll() is None
        assert len(rig.counted()) == 10
        assert worker.terminate() == 0, worker.tail()
        again = rig.start()
        assert again.process.wait(20) == 2, again.tail()


def test_an_input_topic_that_is_deleted_is_told_and_not_made_anew(broker: str) -> None:
    with rig_on(broker) as rig:
        worker = rig.ready()
        rig.send([b"x"] * 10)
        rig.wait_processed()
        admin = admin_of(rig)
        admin.delete_topics([rig.topic(NUMBERS)])
        waits_for(worker, f"topics gone: {rig.topic(NUMBERS)}")
        assert worker.process.poll() is None
        assert rig.topic(NUMBERS) not in admin.list_topics()
        admin.create_topics([NewTopic(rig.topic(NUMBERS), rig.partitions, 1)])
        admin.close()
        # Another topic of the same name: the state does not belong to it, which only a person can settle.
        assert worker.process.wait(60) == 2, worker.tail()
        assert "the topic was cut or made anew" in worker.tail()


@pytest.mark.parametrize("outage_s", [3.0, 20.0])
def test_a_broker_that_is_killed_and_comes_back_costs_nothing_but_time(own_broker: Broker, outage_s: float) -> None:
    """The longer one outlasts session and transaction timeouts: the broker itself then ends what was open."""
    with rig_on(own_broker.bootstrap) as rig:
        worker = rig.ready(transaction_timeout_ms=4_000)
        rig.send([b"x"] * 500)
        kill(own_broker)
        began = time.monotonic()
        waits_for(worker, f"waiting for a broker at {own_broker.bootstrap}")
        assert metric(worker, "iskra_waiting", on="broker") == 1.0
        eventually(lambda: time.monotonic() - began > outage_s, within_s=60, what="the outage passes")
        assert worker.process.poll() is None, worker.tail()
        lines = len(worker.lines)
        assert len(events(worker, "broker_away")) == 1
        start(own_broker.dir, tied=True)
        ready_again(worker)
        rig.send([b"x"] * 500)
        rig.wait_processed(within_s=40)
        rig.assert_exactly_once(1_000)
        assert len(events(worker, "resumed")) == 1
        assert worker.terminate() == 0
        assert lines < 40, "\n".join(worker.lines)


def test_a_worker_that_starts_before_its_broker_waits_and_says_so_once(own_broker: Broker) -> None:
    with rig_on(own_broker.bootstrap) as rig:
        rig.send([b"x"] * 10)
        kill(own_broker)
        worker = rig.start()
        eventually(lambda: events(worker, "broker_away"), within_s=20, what=worker.tail)
        waits_for(worker, f"waiting for a broker at {own_broker.bootstrap}")
        start(own_broker.dir, tied=True)
        worker.wait_ready()
        rig.wait_processed()
        rig.assert_exactly_once(10)
        assert len(events(worker, "broker_away")) == len(events(worker, "resumed")) == 1


def test_what_is_counted_while_a_topic_is_missing_is_not_lost(broker: str) -> None:
    with rig_on(broker) as rig:
        worker = rig.ready()
        admin = admin_of(rig)
        admin.delete_topics([rig.topic(COUNTED)])
        rig.send([b"urgent"] * 50)
        waits_for(worker, f"topics gone: {rig.topic(COUNTED)}")
        admin.create_topics([NewTopic(rig.topic(COUNTED), rig.partitions, 1)])
        admin.close()
        ready_again(worker)
        rig.wait_processed()
        rig.assert_exactly_once(50)
