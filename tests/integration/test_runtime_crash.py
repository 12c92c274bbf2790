"""SIGKILL at every point of a checkpoint: everything counted once, whatever was under way."""

from __future__ import annotations

import signal

import pytest

from .runtime_rig import rig_on

pytestmark = pytest.mark.kafka

POINTS = (
    "producer.opened:1",
    "batch.received:2",
    "slice.applied:3",
    "tick.applied:5",
    "cut.taken:3",
    "transaction.begun:3",
    "outputs.some:4",
    "outputs.acked:3",
    "state.acked:3",
    "offsets.sent:3",
    "commit.sent:3",
    "commit.acked:3",
)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_anywhere_counts_each_record_once(broker: str, point: str) -> None:
    with rig_on(broker) as rig:
        dying = rig.start(crash_at=point)
        pieces = rig.send_until_dead(dying, [b"x"] * 20)
        assert dying.process.returncode == -signal.SIGKILL, dying.tail()
        rig.start()
        rig.wait_processed()
        rig.assert_exactly_once(20 * pieces)


def test_a_worker_killed_while_it_restores_leaves_no_half_restored_key(broker: str) -> None:
    with rig_on(broker) as rig:
        rig.send([b"x"] * 100)
        first = rig.ready()
        rig.wait_processed()
        first.kill()
        dying = rig.start(crash_at="restore.some:1")
        assert dying.process.wait(20) == -signal.SIGKILL, dying.tail()
        rig.send([b"x"] * 100)
        rig.start()
        rig.wait_processed()
        rig.assert_exactly_once(200)


def test_a_worker_killed_in_its_last_checkpoint_loses_nothing(broker: str) -> None:
    with rig_on(broker) as rig:
        # Long intervals: what is folded is still unwritten when it is told to stop.
        dying = rig.start(crash_at="revoke.checkpoint:1", checkpoint_ms=60_000, idle_checkpoint_ms=60_000)
        dying.wait_ready()
        rig.send([b"x"] * 100)
        dying.terminate()
        assert dying.process.returncode == -signal.SIGKILL, dying.tail()
        rig.start()
        rig.wait_processed()
        rig.assert_exactly_once(100)
