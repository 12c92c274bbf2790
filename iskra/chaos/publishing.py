"""Publishes what the generator says and keeps the books: each event ends ``ok``, ``fail`` or ``unknown``, on file.

A thread of its own at a steady rate. ``fail`` only where the record certainly never left or was refused by name;
whatever else went wrong is ``unknown``: it may be in the log.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from .generator import Said
from .ledger import ID_HEADER, SENT, Lines, Sent, writing

__all__ = ["Publisher"]

_SYNC_EVERY_S = 0.2
_DELIVERY_MS = 90_000
_AHEAD_S = 0.01
_FATAL_IN_A_ROW = 20


@dataclass(frozen=True, slots=True)
class _Outcome:
    sent: Sent
    error: BaseException | None
    where: Any = None


class Publisher:
    """``start()``, look at ``counts`` meanwhile, ``stop()``: afterwards ``sent.jsonl`` holds a line for every event."""

    def __init__(self, bootstrap: str, topic: str, said: Iterator[Said], *, events_a_s: float, into: Path) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._said = said
        self._rate = events_a_s
        self._into = into / SENT
        self._stopping = threading.Event()
        self._outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        self._pending: dict[str, Sent] = {}
        self._thread = threading.Thread(target=self._run, name="publisher")
        self.counts: Counter[str] = Counter()
        """``tried``, and by how they ended."""
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more, wait until each event has an end.

        Errors: what ended the thread early, if anything did.
        """
        self._stopping.set()
        self._thread.join()
        if self.failed is not None:
            raise self.failed

    @property
    def ended(self) -> bool:
        """Whether everything there was to say is said and has an end."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with writing(self._into) as lines:
                self._publish(lines)
        except BaseException as error:  # noqa: BLE001 - told to whoever stops it
            self.failed = error

    def _publish(self, lines: Lines) -> None:
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it tells each attempt; the books tell the outcome
        producer = self._producer()
        begun = synced = time.monotonic()
        in_a_row = 0
        for number, said in enumerate(self._said):
            ahead = begun + number / self._rate - time.monotonic()
            if ahead > _AHEAD_S and self._stopping.wait(ahead):
                break
            if ahead < -2.0:  # a broker was away: go on at the rate, do not hurry after it
                begun -= ahead
            if self._stopping.is_set():
                break
            in_a_row = 0 if self._send(producer, said, number) else in_a_row + 1
            if in_a_row >= _FATAL_IN_A_ROW:  # an idempotent producer that lost its thread takes nothing any more
                producer.close(timeout=5)
                producer = self._producer()
                in_a_row = 0
            if time.monotonic() - synced > _SYNC_EVERY_S:
                self._write(lines)
                synced = time.monotonic()
        producer.flush(timeout=_DELIVERY_MS / 1000 + 30)
        producer.close(timeout=10)
        self._write(lines)
        for sent in self._pending.values():  # nobody said what became of them
            self.counts[sent.status] += 1
            lines.write(sent)

    def _producer(self) -> Any:
        from kafka import KafkaProducer

        return KafkaProducer(
            bootstrap_servers=self._bootstrap.split(","),
            acks="all",
            linger_ms=5,
            allow_auto_create_topics=False,
            request_timeout_ms=8_000,
            delivery_timeout_ms=_DELIVERY_MS,
            max_block_ms=_DELIVERY_MS,
            reconnect_backoff_max_ms=1_000,
            metadata_max_age_ms=10_000,
            bootstrap_timeout_ms=30_000,
        )

    def _send(self, producer: Any, said: Said, number: int) -> bool:
        now = time.time_ns() // 1_000_000
        value = said.told(now)
        sent = Sent(
            id=said.id,
            key=None if said.key is None else said.key.decode(),
            seq=number,
            sha256="" if value is None else sha256(value).hexdigest(),
            status="unknown",
            kind=said.kind,
            at=now,
        )
        self.counts["tried"] += 1
        self._pending[sent.id] = sent
        try:
            future = producer.send(self._topic, key=said.key, value=value, headers=[(ID_HEADER, said.id.encode())])
        except Exception as error:  # noqa: BLE001 - any error of a client is an outcome of this event
            self._outcomes.put(_Outcome(sent, error))
            return False
        future.add_callback(self._told(sent))
        future.add_errback(self._told(sent))
        return True

    def _told(self, sent: Sent) -> Callable[[Any], None]:
        def heard(answer: Any) -> None:
            error = answer if isinstance(answer, BaseException) else None
            self._outcomes.put(_Outcome(sent, error, None if error else answer))

        return heard

    def _write(self, lines: Lines) -> None:
        """Everything that has an end by now, then make sure it is on disk."""
        with contextlib.suppress(Empty):
            while True:
                sent = _ended(self._outcomes.get_nowait())
                del self._pending[sent.id]
                self.counts[sent.status] += 1
                lines.write(sent)
        lines.sync()


def _ended(outcome: _Outcome) -> Sent:
    from kafka import errors

    if outcome.error is None:
        where = outcome.where
        return replace(outcome.sent, status="ok", partition=where.partition, offset=where.offset)
    refused = (
        errors.MessageSizeTooLargeError,
        errors.RecordListTooLargeError,
        errors.InvalidTopicError,
        errors.TopicAuthorizationFailedError,
    )
    return replace(outcome.sent, status="fail" if isinstance(outcome.error, refused) else "unknown")
