"""Groups that churn or are gone, records on which a processor raises, outputs that no broker takes, damaged state."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from .counting import COUNTED, REFUSED
from .log_reading import committed
from .processes import eventually
from .runtime_rig import metric, probe, rig_on
from .test_runtime_refusals import put_state, refusal

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def test_members_that_come_and_go_leave_no_gap(broker: str) -> None:
    with rig_on(broker, partitions=4) as rig:
        rig.ready("counting-0")
        sent = 0
        for turn in range(8):
            other = rig.start("counting")  # no number: it joins anew and leaves the group at once
            rig.send([b"x"] * 50)
            sent += 50
            if turn % 2:
                other.wait_ready()
                other.terminate()
            else:
                eventually(other.events, within_s=20, what=other.tail)
                other.kill()
        rig.wait_processed(within_s=60)
        rig.assert_exactly_once(sent)


def test_without_its_group_a_worker_goes_on_from_its_state(broker: str) -> None:
    with rig_on(broker) as rig:
        worker = rig.ready("counting")
        rig.send([b"x"] * 50)
        rig.wait_processed()
        assert worker.terminate() == 0
        assert rig.groups() != {}
        admin = KafkaAdminClient(bootstrap_servers=broker)
        eventually(lambda: _delete_group(admin, f"{rig.prefix}-counting"), within_s=20, what="the group is empty")
        admin.close()
        assert rig.groups() == {}
        rig.send([b"x"] * 50)
        rig.ready("counting")
        rig.wait_processed()
        rig.assert_exactly_once(100)
        assert rig.groups() == {partition: meta["position"] for partition, meta in rig.metas().items()}


def _delete_group(admin: KafkaAdminClient, group: str) -> bool:
    results = admin.delete_groups([group])
    return str(results.get(group)) in {"OK", "None"} or not [
        one for one in admin.list_groups() if one["group_id"] == group
    ]


def test_a_record_on_which_the_processor_raises_is_refused_and_its_neighbours_are_counted(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready()
        rig.send([b"x", b"x", b"raise", b"x", b"raise", b"x"], keys=1)
        meta = rig.wait_processed()[0]
        assert meta["counts"] == {"counted": 4, "rejected": 2}
        assert sorted(rig.counted()) == [(0, 0), (0, 1), (0, 3), (0, 5)]
        assert rig.state() == {b"k0": 4}
        refused = committed(broker, rig.topic(REFUSED))
        assert [(one.key, one.value) for one in refused] == [(b"k0", b"raise")] * 2
        raised = [event for event in worker.events() if event["event"] == "record_raised"]
        assert {event["offset"] for event in raised} == {2, 4}
        assert {dict(one.headers)["stack_digest"].decode() for one in refused} == {raised[0]["stack_digest"]}
        assert "told to raise" not in "\n".join(worker.lines)
        assert metric(worker, "iskra_records_raised_total", stage="counting") == 2.0
        assert metric(worker, "iskra_unaccounted_events", partition=0) == 0.0
        assert worker.process.poll() is None


def test_an_output_that_no_broker_takes_is_never_skipped_and_written_once_it_is_taken(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready()
        rig.send([b"x"] * 5)
        rig.wait_processed()
        rig.send([b"huge", b"x"])
        told: set[str] = set()

        def ended() -> bool:
            if worker.process.poll() is None:
                status, text = probe(worker, "/readyz")
                told.update([text] if status == 503 else [])
            return worker.process.poll() is not None

        eventually(_quietly(ended), within_s=30, what=worker.tail)
        assert worker.process.returncode == 5, worker.tail()
        assert any("the last checkpoint failed: MessageSizeTooLargeError" in text for text in told), told
        failed = [event["in_a_row"] for event in worker.events() if event["event"] == "checkpoint_failed"]
        assert failed == [1, 2, 3]
        assert rig.metas()[0]["position"] == 5
        assert rig.groups() == {0: 5}
        assert len(rig.counted()) == 5

        admin = KafkaAdminClient(bootstrap_servers=broker)
        larger = ConfigResource(ConfigResourceType.TOPIC, rig.topic(COUNTED), {"max.message.bytes": "4000000"})
        admin.alter_configs([larger], incremental=True)
        admin.close()
        rig.ready()
        meta = rig.wait_processed()[0]
        assert meta["counts"] == {"counted": 7}
        assert [len(seen.value or b"") > 2_000_000 for seen in rig.read(COUNTED)] == [False] * 5 + [True, False]


def _quietly(check: Callable[[], bool]) -> Callable[[], bool]:
    """The probes of a worker that ends refuse their connection."""

    def asked() -> bool:
        try:
            return check()
        except OSError:
            return False

    return asked


def test_a_record_that_a_processor_forgets_shows_in_the_gauge(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready()
        rig.send([b"x", b"forgotten", b"x"])
        rig.wait_processed()
        eventually(
            lambda: metric(worker, "iskra_unaccounted_events", partition=0) == 1.0, within_s=5, what="the gauge shows 1"
        )


def test_state_behind_what_the_group_committed_is_refused(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready("counting")
        rig.send([b"x"] * 5)
        old = rig.wait_processed()[0]
        rig.send([b"x"] * 5)
        rig.wait_processed()
        assert worker.terminate() == 0
        put_state(rig, b"!meta", json.dumps(old).encode())
        assert "goes on at offset 5, behind offset 10 that the group" in refusal(rig.start("counting"))


def test_a_state_record_that_cannot_be_read_is_refused(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready("counting")
        rig.send([b"x"] * 5)
        rig.wait_processed()
        assert worker.terminate() == 0
        put_state(rig, b"k0", b'["not", "a", "total"]')
        assert "cannot be read: AttributeError in tests.integration.counting" in refusal(rig.start("counting"))


def test_lag_is_told_in_records_and_in_seconds(broker: str) -> None:
    with rig_on(broker, partitions=1) as rig:
        worker = rig.ready()
        rig.send([b"x"] * 5)
        rig.wait_processed()

        def settled() -> bool:
            names = ("iskra_lag_records", "iskra_lag_seconds", "iskra_position")
            return [metric(worker, name, stage="counting", partition=0) for name in names][:2] == [0.0, 0.0]

        eventually(settled, within_s=5, what=lambda: probe(worker, "/metrics")[1])
