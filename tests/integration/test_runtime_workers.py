"""Workers that share, come, go, freeze and stop: everything counted once, and each says how it ended."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from .counting import NUMBERS, RECOUNTED, RECOUNTING_STATE
from .processes import eventually
from .runtime_rig import metric, probe, rig_on

pytestmark = pytest.mark.kafka


def test_a_worker_told_to_stop_writes_what_it_folded_and_exits_with_0(broker: str) -> None:
    with rig_on(broker) as rig:
        worker = rig.ready(checkpoint_ms=60_000, idle_checkpoint_ms=60_000)
        rig.send([b"x"] * 50)
        places = [(partition, offset) for partition, end in rig.sent.items() for offset in range(end)]
        eventually(
            lambda: sum(metric(worker, "iskra_position", partition=p) or 0 for p in rig.sent) == len(places),
            within_s=10,
            what="all folded",
        )
        assert rig.counted() == {}
        assert worker.terminate() == 0
        rig.assert_exactly_once(50)
        assert rig.groups() == rig.sent


def test_a_worker_told_to_stop_before_it_is_ready_exits_with_0(broker: str) -> None:
    with rig_on(broker) as rig:
        worker = rig.start()
        eventually(worker.events, within_s=10, what="started")
        assert worker.terminate() == 0, worker.tail()


def test_a_ready_worker_says_so_in_its_log_and_on_its_pages(broker: str) -> None:
    with rig_on(broker) as rig:
        worker = rig.ready()
        (ready,) = [event for event in worker.events() if event["event"] == "ready"]
        assert (ready["role"], ready["member"], ready["partitions"]) == ("counting", "counting-0", {"counting": [0, 1]})
        assert probe(worker, "/healthz") == (200, "ok\n")
        eventually(lambda: probe(worker, "/readyz") == (200, "ready\n"), within_s=5, what="ready")
        rig.send([b"x", b"poison", None])
        rig.wait_processed()
        eventually(
            lambda: metric(worker, "iskra_events_total", outcome="rejected") == 1.0, within_s=5, what="outcomes counted"
        )
        assert {metric(worker, "iskra_unaccounted_events", partition=p) for p in (0, 1)} == {0.0}


def test_two_workers_share_and_the_rest_goes_on_when_one_is_killed(broker: str) -> None:
    with rig_on(broker) as rig:
        first = rig.ready("counting")
        rig.send([b"x"] * 100)
        second = rig.ready("counting")
        eventually(
            lambda: (
                any(
                    event["event"] == "rebalanced" and event["partitions"] == {"counting": [0]}
                    for event in first.events()
                )
                or any(
                    event["event"] == "rebalanced" and event["partitions"] == {"counting": [1]}
                    for event in first.events()
                )
            ),
            within_s=10,
            what="the first keeps one partition",
        )
        rig.send([b"x"] * 100)
        second.kill()
        rig.send([b"x"] * 100)
        rig.wait_processed()
        rig.assert_exactly_once(300)


def test_workers_that_come_and_go_lose_and_double_nothing(broker: str) -> None:
    with rig_on(broker) as rig:
        rig.ready("counting")
        sent = 0
        for _ in range(3):
            rig.send([b"x"] * 100)
            guest = rig.ready("counting")
            rig.send([b"x"] * 100)
            sent += 200
            assert guest.terminate() == 0
        rig.wait_processed()
        rig.assert_exactly_once(sent)


def test_a_worker_frozen_past_its_session_is_fenced_and_writes_nothing(broker: str) -> None:
    with rig_on(broker) as rig:
        # It freezes with a transaction open, so it comes back with something to write.
        frozen = rig.start("counting", crash_at="outputs.some:2:stop")
        frozen.wait_ready()
        rig.send([b"x"] * 120)
        eventually(lambda: _stopped(frozen.process.pid), within_s=10, what="frozen")
        rig.ready("counting")
        rig.wait_processed()
        frozen.send(signal.SIGCONT)
        assert frozen.process.wait(15) == 4, frozen.tail()
        errors = [
            event for event in frozen.events() if event["logger"] == "iskra.counting" and event["level"] == "error"
        ]
        assert {event["event"] for event in errors} == {"fenced"}
        rig.assert_exactly_once(120)


def test_a_static_member_that_restarts_gets_its_partitions_back_at_once(broker: str) -> None:
    with rig_on(broker) as rig:
        rig.ready("counting-0", session_timeout_ms=30_000).kill()
        again = rig.start("counting-0", session_timeout_ms=30_000)
        again.wait_ready(within_s=10)
        rig.send([b"x"] * 10)
        rig.wait_processed()
        rig.assert_exactly_once(10)


def test_aborted_records_and_markers_are_gaps_not_losses(broker: str) -> None:
    async def send_in_transactions(topic: str) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker, transactional_id=topic)
        await producer.start()
        for commit in (True, False, True, False):
            await producer.begin_transaction()
            for _ in range(5):
                await producer.send_and_wait(topic, b"x", b"k0", partition=0)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        await producer.stop()

    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready(idle_checkpoint_ms=200)
        asyncio.run(send_in_transactions(rig.topic(NUMBERS)))
        eventually(lambda: rig.metas().get(0, {}).get("position") == 24, within_s=10, what=f"the end\n{worker.tail()}")
        meta = rig.metas()[0]
        assert (meta["counts"], meta["gap"]) == ({"counted": 10}, 14)
        assert metric(worker, "iskra_unaccounted_events", partition=0) == 0.0
        assert metric(worker, "iskra_lag_records", partition=0) == 0.0
        assert len(rig.counted()) == 10


def test_a_role_of_two_stages_runs_both_in_one_process(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        rig.recounting = True
        worker = rig.ready()
        (ready,) = [event for event in worker.events() if event["event"] == "ready"]
        assert ready["partitions"] == {"counting": [0], "recounting": [0]}
        rig.send([b"x"] * 30)
        eventually(lambda: len(rig.read(RECOUNTED)) == 30, within_s=10, what="counted twice")
        assert worker.terminate() == 0
        (meta,) = [json.loads(seen.value or b"") for seen in rig.read(RECOUNTING_STATE) if seen.key == b"!meta"][-1:]
        # What the first stage wrote stands in transactions: their markers are gaps to the second.
        assert meta["counts"] == {"counted": 30}
        assert meta["gap"] == meta["position"] - 30 > 0


def test_the_gauge_shows_a_record_without_an_outcome(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready()
        rig.send([b"x", b"forgotten", b"x"])
        eventually(
            lambda: metric(worker, "iskra_unaccounted_events", stage="counting", partition=0) == 1.0,
            within_s=10,
            what="the gauge shows 1",
        )


def test_an_idle_partition_writes_no_transaction(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready(idle_checkpoint_ms=100)
        rig.send([b"x"])
        rig.wait_processed()
        written = rig.read("state.counting.v1")
        until = time.monotonic() + 1.0  # ten idle intervals, ten ticks
        eventually(lambda: time.monotonic() > until, within_s=2, what="a second passes")
        assert rig.read("state.counting.v1") == written
        assert worker.process.poll() is None


def test_a_tick_at_the_end_of_the_log_may_write(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        rig.ready()
        rig.send([b"ticking"])
        eventually(lambda: any(seen.key == b"tick" for seen in rig.read("counted.v1")), within_s=10, what="ticked")


def test_calls_are_made_after_their_checkpoint_and_answered(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        rig.ready()
        rig.send([b"call:a", b"call:b", b"call:a"])
        called = eventually(
            lambda: (found := rig.read("called.v1")) and len(found) == 3 and found, within_s=10, what="three answers"
        )
        assert sorted((seen.key, seen.value) for seen in called) == [
            (b"0-0", b"answer to call:a"),
            (b"0-1", b"answer to call:b"),
            (b"0-2", b"answer to call:a"),
        ]


def _stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
