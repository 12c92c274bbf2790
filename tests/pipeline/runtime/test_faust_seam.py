"""Every private name of Faust, mode and aiokafka that the runtime rests on is there, and behaves as it expects."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from typing import Any

import faust
import mode.worker
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState, TopicPartitionState
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.sender import Sender
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers import aiokafka as driver

from pipeline.runtime import faust_seam
from pipeline.runtime.contract import Stage
from pipeline.runtime.faust_seam import OVERRIDDEN, READ, IskraApp, LaneConsumer, LaneConsumerThread
from pipeline.runtime.options import KafkaOptions, RuntimeOptions
from pipeline.runtime.worker import build_app

NAMES = [(owner, name) for owner, names in (*OVERRIDDEN, *READ) for name in names]


@pytest.mark.parametrize(("owner", "name"), NAMES, ids=lambda value: getattr(value, "__name__", value))
def test_the_name_is_there(owner: type, name: str):
    assert hasattr(owner, name)


def source(function: Any) -> str:
    return textwrap.dedent(inspect.getsource(function))


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (driver.Consumer._drain_messages, ["self", "fetcher"]),
        (driver.Consumer._new_consumer_thread, ["self"]),
        (driver.Consumer.force_commit, ["self", "topics", "start_new_transaction"]),
        (driver.Consumer.on_partitions_revoked, ["self", "revoked"]),
        (driver.Consumer.perform_seek, ["self"]),
        (driver.Consumer.verify_all_partitions_active, ["self"]),
        (driver.Consumer._getmany, ["self", "active_partitions", "timeout"]),
        (driver.AIOKafkaConsumerThread._create_worker_consumer, ["self", "transport"]),
        (driver.AIOKafkaConsumerThread.seek_wait, ["self", "partitions"]),
        (TableManager.on_start, ["self"]),
        (mode.worker.Worker._schedule_shutdown, ["self", "signal"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_it_takes_what_it_took(function: Any, expected: list[str]):
    assert parameters(function) == expected


def test_our_overrides_take_what_faust_gives():
    for ours, theirs in ((LaneConsumer, driver.Consumer), (LaneConsumerThread, driver.AIOKafkaConsumerThread)):
        for name, member in vars(ours).items():
            if inspect.isfunction(member) and hasattr(theirs, name):
                assert parameters(member) == parameters(getattr(theirs, name)), name


def called_in_order(function: Any, *names: str) -> bool:
    """Whether the function calls these, first occurrences in this order."""
    text = source(function)
    places = [text.find(name) for name in names]
    return -1 not in places and places == sorted(places)


def test_partitions_are_opened_before_faust_seeks_and_resumes():
    assert called_in_order(Recovery._resume_streams, "on_rebalance_complete.send()", "perform_seek()", "resume_flow()")


def test_a_stop_ends_the_fetcher_before_the_last_checkpoint():
    assert called_in_order(faust.App.on_stop, "_stop_consumer()", "on_before_shutdown.send()")
    assert called_in_order(faust.App._stop_consumer, "stop_flow()", "_stop_fetcher()")


def test_a_commit_of_faust_goes_through_the_override():
    assert "self.force_commit(" in source(BaseConsumer.commit)
    assert "verify_all_partitions_active()" in source(BaseConsumer._commit_livelock_detector.fun)


def test_the_generation_is_set_before_the_assignment_is_told():
    assert called_in_order(
        driver.ConsumerRebalanceListener.on_partitions_assigned,
        "consumer_generation_id = generation",
        "_thread.on_partitions_assigned(",
    )


def test_faust_waits_a_second_for_tables_which_we_do_not():
    calls = [
        ast.unparse(node) for node in ast.walk(ast.parse(source(TableManager.on_start))) if isinstance(node, ast.Call)
    ]
    assert calls == ["self.sleep(1.0)", "self._update_channels()", "self.recovery.start()"]


def test_an_empty_set_of_partitions_means_all_to_aiokafka():
    # So nothing is fetched while no lane may be read.
    assert "if partitions and tp not in partitions" in source(Fetcher.fetched_records)
    assert "if not polled:" in source(LaneConsumer._turn)


def test_aiokafka_keeps_position_and_log_end_where_we_read_them():
    assert isinstance(inspect.getattr_static(TopicPartitionState, "position"), property)
    assert isinstance(inspect.getattr_static(TopicPartitionState, "has_valid_position"), property)
    assert {"state.position", "state.highwater", "state.timestamp"} <= set(
        source(faust_seam.observed).replace(",", " ").split()
    )
    assert "self._subscription = " in source(AIOKafkaConsumer.__init__)
    assert hasattr(SubscriptionState, "subscription")
    assert hasattr(Assignment, "state_value")
    for name in ("highwater", "timestamp"):
        assert f"self.{name} = None" in source(TopicPartitionState.__init__)


def test_aiokafka_never_moves_a_position_by_itself():
    # "none": out of range is an error that reaches us, not a silent reset.
    assert "OffsetResetStrategy.NONE" in source(Fetcher._proc_fetch_request)
    assert "OffsetOutOfRangeError({tp: fetch_offset})" in source(Fetcher._proc_fetch_request)


def test_a_dead_sender_is_seen_where_we_look():
    assert "self._sender = " in source(AIOKafkaProducer.__init__)
    assert isinstance(inspect.getattr_static(Sender, "sender_task"), property)


def test_batches_are_built_as_we_build_them():
    assert parameters(BatchBuilder.append) == ["self", "timestamp", "key", "value", "headers"]
    assert parameters(AIOKafkaProducer.send_batch) == ["self", "batch", "topic", "partition"]


async def test_the_app_is_set_as_the_runtime_needs_it():
    stage = Stage("scorer", "events.v1", "state.scorer.v1", (), lambda _: None)  # type: ignore[arg-type,return-value]  # never made
    kafka = KafkaOptions(bootstrap="a:1,b:2", topic_prefix="p")
    app = build_app("scorer", [stage], kafka, RuntimeOptions(session_timeout_ms=9_000), "scorer-0")
    assert isinstance(app, IskraApp)
    conf = app.conf
    assert (conf.id, conf.web_enabled, conf.stream_wait_empty, conf.table_standby_replicas) == (
        "p-scorer",
        False,
        False,
        0,
    )
    assert (conf.topic_disable_leader, conf.topic_allow_declare, conf.broker_session_timeout) == (True, False, 9.0)
    assert [str(url) for url in conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert app.static_member == "p-scorer-0"
    assert {name for topic in app.topics for name in topic.topics} == {"p.events.v1"}
    services = list(app.boot_strategy.server())
    assert app.producer not in services
    assert not [service for service in services if "web" in type(service).__module__]


@pytest.mark.parametrize(
    ("member", "static"), [("scorer-0", "p-scorer-0"), ("scorer-12", "p-scorer-12"), ("scorer", None)]
)
async def test_numbered_members_are_static(member: str, static: str | None):
    stage = Stage("scorer", "events.v1", "state.scorer.v1", (), lambda _: None)  # type: ignore[arg-type,return-value]  # never made
    app = build_app("scorer", [stage], KafkaOptions(topic_prefix="p"), RuntimeOptions(), member)
    assert isinstance(app, IskraApp)
    assert app.static_member == static


def test_two_stages_on_one_topic_are_refused():
    stage = Stage("scorer", "events.v1", "state.scorer.v1", (), lambda _: None)  # type: ignore[arg-type,return-value]  # never made
    with pytest.raises(ValueError, match="two stages"):
        build_app("scorer", [stage, stage], KafkaOptions(), RuntimeOptions(), "scorer-0")


def test_the_front_of_the_package_imports_neither_faust_nor_a_client():
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import pipeline.runtime, sys; print([m for m in ('faust', 'mode', 'aiokafka', 'aiohttp') if m in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "[]\n"
