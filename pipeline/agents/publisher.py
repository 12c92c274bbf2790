"""From the agent to Kafka: a ring, one thread, kafka-python. A link never waits for any of it.

The Kafka client is built in the thread, because its constructor blocks and raises while no broker answers: an agent
starts without Kafka. Order per key holds through failures: on the first failed future nothing more is handed over, the
rest resolves, and what failed is put back by ``seq`` for a new client. A repeat keeps its ``event_id``.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final, Protocol, TextIO, TypeAlias

from schemas.codec import encode_event
from schemas.events import ConnectionEvent
from schemas.types import Millis

from .core.options import KafkaTarget, TelemetryOptions
from .ring import Dropped, Entry, Ring

__all__ = [
    "KafkaPublisher",
    "Outcome",
    "OutcomeHook",
    "ProducerFactory",
    "Publisher",
    "StreamPublisher",
    "kafka_producer",
]

_PAUSE_S: Final = 0.25
_PAUSE_MOST_S: Final = 5.0
_POLL_S: Final = 0.05


class Outcome(StrEnum):
    """What became of an event."""

    OK = "ok"
    """Acknowledged."""
    FAIL = "fail"
    """Certainly not in the log, and never will be."""
    UNKNOWN = "unknown"
    """Perhaps in the log: the process ended before the answer came."""


OutcomeHook: TypeAlias = Callable[[int, Outcome], None]
"""Called with seq and outcome, in the publisher's thread."""


class Publisher(Protocol):
    """Takes events and sees to them."""

    def start(self) -> None:
        """Begin. Does not wait for anybody."""

    def publish(self, event: ConnectionEvent) -> None:
        """Take an event. Never blocks, never raises for a broker."""

    def take_dropped(self) -> Dropped | None:
        """What was dropped and not yet announced, once events flow again."""

    def take_stale(self) -> bool:
        """Whether events were delayed so long that links should say again how they are. True once per delay."""

    def stop(self, within_ms: Millis) -> int:
        """Flush and end. How many events were left unacknowledged. Blocks at most that long, and a moment."""


class _ThreadedPublisher:
    """A ring and a thread that empties it."""

    def __init__(self, options: TelemetryOptions, hook: OutcomeHook | None = None) -> None:
        self._options = options
        self._hook = hook
        self._ring = Ring(options.ring_events, options.ring_bytes)
        self._wake = threading.Event()
        self._stop_at: float | None = None
        self._flowing = True
        self._delayed = False
        self._stale = False
        self.outcomes: Counter[Outcome] = Counter()
        self._thread = threading.Thread(target=self._run, name="iskra-publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def publish(self, event: ConnectionEvent) -> None:
        if event.seq is None or event.connection_id is None:
            message = "an agent's event has seq and connection_id"
            raise ValueError(message)
        value = encode_event(event)
        self._ring.put(Entry(event.seq, event.connection_id.encode(), value, event.delta, _monotonic_ms()))
        self._wake.set()

    def take_dropped(self) -> Dropped | None:
        return self._ring.take_dropped() if self._flowing else None

    def take_stale(self) -> bool:
        stale, self._stale = self._stale, False
        return stale

    def stop(self, within_ms: Millis) -> int:
        self._stop_at = time.monotonic() + within_ms / 1000
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(within_ms / 1000 + 1)
        return len(self._ring)

    def _run(self) -> None:
        raise NotImplementedError

    def _stopping(self) -> bool:
        """Whether the thread should end: it was asked to, and all is written or the time is up."""
        if self._stop_at is None:
            return False
        return len(self._ring) == 0 or time.monotonic() >= self._stop_at

    def _nap(self, seconds: float) -> None:
        if self._stop_at is not None:
            seconds = min(seconds, max(0.0, self._stop_at - time.monotonic()), _POLL_S)
        self._wake.wait(seconds)
        self._wake.clear()

    def _settle(self, seq: int, outcome: Outcome) -> None:
        self.outcomes[outcome] += 1
        if self._hook is not None:
            self._hook(seq, outcome)

    def _acknowledged(self, entry: Entry) -> None:
        self._ring.acknowledge(entry.seq)
        self._flowing = True
        if _monotonic_ms() - entry.said_at > self._options.stale_after_ms:
            self._delayed = True
        if self._delayed and self._ring.waiting == 0:
            self._delayed, self._stale = False, True
        self._settle(entry.seq, Outcome.OK)


class StreamPublisher(_ThreadedPublisher):
    """Events as JSON lines on a stream: ``publisher="stdout"``, for a first look."""

    def __init__(
        self, options: TelemetryOptions, stream: TextIO | None = None, hook: OutcomeHook | None = None
    ) -> None:
        super().__init__(options, hook)
        self._stream = stream if stream is not None else sys.stdout

    def _run(self) -> None:
        while not self._stopping():
            taken = self._ring.take(self._options.window)
            try:
                for entry in taken:
                    self._stream.write(entry.value.decode() + "\n")
                if taken:
                    self._stream.flush()
            except (OSError, ValueError):
                # The reader has gone. There is nobody left to tell.
                for entry in taken:
                    self._ring.refuse(entry.seq)
                    self._settle(entry.seq, Outcome.FAIL)
                return
            for entry in taken:
                self._acknowledged(entry)
            if not taken:
                self._nap(1.0)


class _Future(Protocol):
    def add_callback(self, f: Callable[..., Any], *args: Any) -> Any: ...
    def add_errback(self, f: Callable[..., Any], *args: Any) -> Any: ...


class _Producer(Protocol):
    """What is used of ``KafkaProducer``."""

    def send(self, topic: str, value: bytes, key: bytes) -> _Future: ...
    def close(self, timeout: float) -> None: ...


ProducerFactory: TypeAlias = Callable[[KafkaTarget], _Producer]
"""Makes a client. May block for some seconds, may raise."""


def kafka_producer(target: KafkaTarget) -> _Producer:
    """A KafkaProducer as agents want it: acks of all replicas, idempotent, no topic made by accident."""
    from kafka import KafkaProducer

    optional = {
        "sasl_mechanism": target.sasl_mechanism,
        "sasl_plain_username": target.sasl_username,
        "sasl_plain_password": target.sasl_password,
        "ssl_cafile": target.ssl_cafile,
    }
    producer: _Producer = KafkaProducer(
        bootstrap_servers=target.bootstrap.split(","),
        security_protocol=target.security_protocol,
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        linger_ms=20,
        request_timeout_ms=10_000,
        delivery_timeout_ms=30_000,
        max_block_ms=5_000,
        bootstrap_timeout_ms=5_000,
        reconnect_backoff_max_ms=2_000,
        **{name: value for name, value in optional.items() if value is not None},
    )
    return producer


class KafkaPublisher(_ThreadedPublisher):
    """Events to the events topic."""

    def __init__(
        self,
        target: KafkaTarget,
        options: TelemetryOptions,
        *,
        factory: ProducerFactory = kafka_producer,
        hook: OutcomeHook | None = None,
    ) -> None:
        super().__init__(options, hook)
        self._target = target
        self._factory = factory
        self._answers: queue.SimpleQueue[tuple[Entry, BaseException | None]] = queue.SimpleQueue()
        self._returned: list[int] = []
        self._pause_s = _PAUSE_S

    def _run(self) -> None:
        producer: _Producer | None = None
        while not self._stopping():
            if producer is None:
                producer = self._new_producer()
                if producer is None:
                    self._nap_at_least(self._pause_s)
                    continue
            self._take_answers()
            if not self._returned:
                self._hand_over(producer)
            if self._returned and self._ring.handed == len(self._returned):
                # All is resolved: what failed goes to a client that knows nothing of this one's sequence numbers.
                self._ring.give_back(self._returned)
                self._returned = []
                _close(producer, 0)
                producer = None
                self._nap_at_least(self._pause_s)
                continue
            self._nap(_POLL_S if self._ring.handed else 1.0)
        if producer is not None:
            _close(producer, 0.5)
        self._take_answers()
        for seq in self._ring.handed_seqs():
            self._settle(seq, Outcome.UNKNOWN)

    def _new_producer(self) -> _Producer | None:
        try:
            producer = self._factory(self._target)
        except Exception:  # noqa: BLE001 - whatever a client says while it is built means: not now
            self._failed()
            return None
        return producer

    def _failed(self) -> None:
        self._flowing = False
        self._pause_s = min(_PAUSE_MOST_S, self._pause_s * 2)

    def _nap_at_least(self, seconds: float) -> None:
        """A pause that new events do not cut short; only the end does."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._stopping():
            self._nap(_POLL_S)

    def _hand_over(self, producer: _Producer) -> None:
        for entry in self._ring.take(self._options.window - self._ring.handed):
            if self._returned:
                self._returned.append(entry.seq)
                continue
            try:
                future = producer.send(self._target.topic, value=entry.value, key=entry.key)
            except Exception as error:  # noqa: BLE001 - send raises what it likes; each event still gets its outcome
                self._resolve(entry, error)
                continue
            future.add_callback(lambda _metadata, entry=entry: self._answer(entry, None))
            future.add_errback(lambda error, entry=entry: self._answer(entry, error))

    def _answer(self, entry: Entry, error: BaseException | None) -> None:
        """In the client's thread."""
        self._answers.put((entry, error))
        self._wake.set()

    def _take_answers(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._resolve(*self._answers.get_nowait())

    def _resolve(self, entry: Entry, error: BaseException | None) -> None:
        if error is None:
            self._pause_s = _PAUSE_S
            self._acknowledged(entry)
        elif _is_hopeless(error):
            self._ring.refuse(entry.seq)
            self._settle(entry.seq, Outcome.FAIL)
        else:
            self._failed()
            self._returned.append(entry.seq)


def _is_hopeless(error: BaseException) -> bool:
    """Whether the record itself is at fault, so that sending it again cannot help."""
    return isinstance(error, (AssertionError, TypeError, ValueError)) or type(error).__name__ in {
        "MessageSizeTooLargeError",
        "RecordListTooLargeError",
        "InvalidRecordError",
        "CorruptRecordError",
    }


def _close(producer: _Producer, timeout: float) -> None:
    with suppress(Exception):
        producer.close(timeout=timeout)


def _monotonic_ms() -> Millis:
    return time.monotonic_ns() // 1_000_000
