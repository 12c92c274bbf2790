"""The publisher against a client that fails in every way a Kafka client can."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.agents.core.facts import Fact, Stamp, describe
from pipeline.agents.core.options import KafkaTarget, TelemetryOptions
from pipeline.agents.publisher import KafkaPublisher, Outcome, StreamPublisher
from pipeline.agents.ring import Dropped
from schemas.events import ConnectionEvent

OPTIONS = TelemetryOptions(ring_events=100, window=5, stale_after_ms=60_000)


def event(seq: int, delta: str = "connection_lost", link: str = "a/b") -> ConnectionEvent:
    return describe(Fact(delta, link), 1_800_000_000_000, Stamp("a.1", seq))


def eventually(check: Callable[[], Any], within_s: float = 8.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)


class Future:
    """Calls back whoever asks, before or after it is resolved, as a Kafka client's future does."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.done = False
        self.error: BaseException | None = None
        self.good: list[Callable[..., Any]] = []
        self.bad: list[Callable[..., Any]] = []

    def add_callback(self, f: Callable[..., Any]) -> None:
        with self.lock:
            self.good.append(f)
            call = self.done and self.error is None
        if call:
            f(None)

    def add_errback(self, f: Callable[..., Any]) -> None:
        with self.lock:
            self.bad.append(f)
            call = self.done and self.error is not None
        if call:
            f(self.error)

    def resolve(self, error: BaseException | None) -> None:
        with self.lock:
            self.done, self.error = True, error
            callbacks = tuple(self.good if error is None else self.bad)
        for callback in callbacks:
            callback(error)


class Broker:
    """What all clients of one test write to, and what it does to them."""

    def __init__(self) -> None:
        self.log: list[int] = []
        self.sent: list[tuple[int, int]] = []
        """Client number and seq, in the order of sending."""
        self.clients = 0
        self.down = False
        self.hold = False
        self.failing: dict[int, BaseException] = {}
        """Seq → error, once."""
        self.raising: dict[int, BaseException] = {}
        self.pending: list[tuple[Future, int]] = []
        self.lock = threading.Lock()

    def factory(self, target: KafkaTarget) -> Client:
        if self.down:
            message = "NoBrokersAvailable"
            raise RuntimeError(message)
        self.clients += 1
        return Client(self, self.clients)

    def resolve(self) -> None:
        with self.lock:
            pending, self.pending = self.pending, []
        for future, seq in pending:
            error = self.failing.pop(seq, None)
            if error is None:
                self.log.append(seq)
            future.resolve(error)


class Client:
    def __init__(self, broker: Broker, number: int) -> None:
        self.broker = broker
        self.number = number

    def send(self, topic: str, value: bytes, key: bytes) -> Future:
        seq = json.loads(value)["seq"]
        error = self.broker.raising.pop(seq, None)
        if error is not None:
            raise error
        future = Future()
        with self.broker.lock:
            self.broker.sent.append((self.number, seq))
            self.broker.pending.append((future, seq))
        if not self.broker.hold:
            threading.Timer(0.01, self.broker.resolve).start()
        return future

    def close(self, timeout: float) -> None:
        pass


@pytest.fixture
def broker() -> Broker:
    return Broker()


def publisher(broker: Broker, options: TelemetryOptions = OPTIONS) -> tuple[KafkaPublisher, list[tuple[int, Outcome]]]:
    outcomes: list[tuple[int, Outcome]] = []
    made = KafkaPublisher(
        KafkaTarget(), options, factory=broker.factory, hook=lambda seq, out: outcomes.append((seq, out))
    )
    made.start()
    return made, outcomes


def test_events_arrive_once_and_in_order(broker):
    made, outcomes = publisher(broker)
    for seq in range(40):
        made.publish(event(seq))
    assert made.stop(5_000) == 0
    assert broker.log == list(range(40))
    assert sorted(outcomes) == [(seq, Outcome.OK) for seq in range(40)]


def test_an_agent_starts_without_kafka_and_nothing_is_lost_when_it_comes(broker):
    broker.down = True
    made, _ = publisher(broker)
    for seq in range(10):
        made.publish(event(seq))
    time.sleep(0.1)
    broker.down = False
    eventually(lambda: broker.log == list(range(10)))
    assert made.stop(1_000) == 0


def test_publishing_never_waits_for_a_client_that_blocks(broker):
    gate = threading.Event()

    def blocked(target: KafkaTarget) -> Client:
        gate.wait(5)
        client: Client = broker.factory(target)
        return client

    made = KafkaPublisher(KafkaTarget(), OPTIONS, factory=blocked)
    made.start()
    started = time.monotonic()
    for seq in range(1_000):
        made.publish(event(seq))
    assert time.monotonic() - started < 2
    gate.set()
    eventually(lambda: len(broker.log) == 100)
    assert made.stop(2_000) == 0


def test_order_per_key_holds_through_a_failure_and_the_failed_go_to_a_new_client(broker):
    broker.failing = {2: TimeoutError("delivery")}
    broker.hold = True
    made, outcomes = publisher(broker)
    for seq in range(9):
        made.publish(event(seq))
    eventually(lambda: len(broker.pending) == 5)
    broker.resolve()
    broker.hold = False
    eventually(lambda: sorted(broker.log) == list(range(9)))
    assert made.stop(1_000) == 0
    # The window's other four were in flight already; nothing was handed over after the failure was known.
    assert broker.sent == [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 2), (2, 5), (2, 6), (2, 7), (2, 8)]
    assert sorted(outcomes) == [(seq, Outcome.OK) for seq in range(9)]


def test_a_send_that_raises_stops_the_handing_over_at_once(broker):
    broker.raising = {1: RuntimeError("no metadata")}
    made, _ = publisher(broker)
    for seq in range(4):
        made.publish(event(seq))
    eventually(lambda: broker.log == [0, 1, 2, 3])
    assert made.stop(1_000) == 0
    assert [seq for _, seq in broker.sent] == [0, 1, 2, 3]


def test_an_event_that_can_never_be_written_fails_and_is_announced(broker):
    broker.raising = {1: ValueError("not bytes")}
    made, outcomes = publisher(broker)
    for seq in range(3):
        made.publish(event(seq))
    eventually(lambda: broker.log == [0, 2])
    assert made.take_dropped() == Dropped({"connection_lost": 1}, ((1, 1),))
    assert made.stop(1_000) == 0
    assert sorted(outcomes) == [(0, Outcome.OK), (1, Outcome.FAIL), (2, Outcome.OK)]


def test_what_a_full_ring_dropped_is_announced_only_when_events_flow_again(broker):
    broker.down = True
    made, _ = publisher(broker, TelemetryOptions(ring_events=3, stale_after_ms=60_000))
    for seq in range(5):
        made.publish(event(seq, "heartbeat_summary" if seq == 3 else "connection_lost"))
    eventually(lambda: made.take_dropped() is None)
    time.sleep(0.1)
    assert made.take_dropped() is None
    broker.down = False
    eventually(lambda: broker.log == [1, 2, 4])
    assert made.take_dropped() == Dropped({"connection_lost": 1, "heartbeat_summary": 1}, ((0, 0), (3, 3)))
    made.stop(1_000)


def test_a_delay_makes_links_speak_again_once_all_is_written(broker):
    broker.down = True
    made, _ = publisher(broker, TelemetryOptions(stale_after_ms=50))
    made.publish(event(0))
    time.sleep(0.15)
    assert not made.take_stale()
    broker.down = False
    eventually(made.take_stale)
    assert not made.take_stale()
    made.stop(1_000)


def test_a_stop_without_kafka_ends_in_time_and_says_how_many_are_left(broker):
    broker.down = True
    made, outcomes = publisher(broker)
    for seq in range(7):
        made.publish(event(seq))
    started = time.monotonic()
    assert made.stop(300) == 7
    assert time.monotonic() - started < 2
    assert outcomes == []


def test_events_in_flight_at_the_end_are_unknown(broker):
    broker.hold = True
    made, outcomes = publisher(broker)
    for seq in range(7):
        made.publish(event(seq))
    eventually(lambda: len(broker.pending) == 5)
    assert made.stop(200) == 7
    assert sorted(outcomes) == [(seq, Outcome.UNKNOWN) for seq in range(5)]
    assert made.outcomes == {Outcome.UNKNOWN: 5}


def test_a_stream_gets_a_line_per_event():
    stream = io.StringIO()
    made = StreamPublisher(OPTIONS, stream)
    made.start()
    for seq in range(12):
        made.publish(event(seq))
    assert made.stop(2_000) == 0
    assert [json.loads(line)["seq"] for line in stream.getvalue().splitlines()] == list(range(12))


def test_a_stream_whose_reader_has_gone_loses_its_events_and_nothing_else():
    stream = io.StringIO()
    stream.close()
    outcomes: list[tuple[int, Outcome]] = []
    made = StreamPublisher(OPTIONS, stream, hook=lambda seq, out: outcomes.append((seq, out)))
    made.publish(event(0))
    made.start()
    eventually(lambda: outcomes == [(0, Outcome.FAIL)])
    assert made.stop(200) == 0


def test_an_event_that_is_not_an_agents_is_refused():
    made = StreamPublisher(OPTIONS, io.StringIO())
    with pytest.raises(ValueError, match="seq and connection_id"):
        made.publish(ConnectionEvent(delta="connection_lost"))
