"""What a processor is to the runtime: records in, effects out, state as records.

Pure. A processor is synchronous, owns one input partition, reads no clock and does no IO. The runtime owns
offsets, transactions, bytes and retries. Nothing a record contains may raise out of a processor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from schemas.types import Headers, Instant

__all__ = [
    "REFUSED_OUTCOME",
    "Answer",
    "Assignment",
    "Call",
    "CallingProcessor",
    "Effects",
    "LogRecord",
    "Output",
    "Perform",
    "Processor",
    "ProcessorFactory",
    "Record",
    "Refuse",
    "RememberingProcessor",
    "Stage",
    "StateRecord",
]

REFUSED_OUTCOME = "rejected"
"""What a record counts as on which a processor raised; the same name as processors use for what they refuse."""


class Record(Protocol):
    """One Kafka record as read. aiokafka's ConsumerRecord fits as it is, so nothing is copied on the hot path."""

    @property
    def topic(self) -> str:
        """Its topic, as the cluster calls it."""
        ...

    @property
    def partition(self) -> int:
        """Its partition."""
        ...

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def timestamp(self) -> Instant:
        """The broker's or the sender's clock, by the topic's setting."""
        ...

    @property
    def key(self) -> bytes | None:
        """Its key."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its value; None is a tombstone."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Its headers, in order."""
        ...


class LogRecord(NamedTuple):
    """A record made by hand: for tests, simulation and replay."""

    topic: str
    partition: int
    offset: int
    timestamp: Instant
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class StateRecord(NamedTuple):
    """One record of the processor's compacted state topic. ``value`` None deletes the key.

    Keys that begin with ``!`` belong to the runtime (its meta record is ``!meta``).
    """

    key: bytes
    value: bytes | None


class Output(NamedTuple):
    """A record to produce in the checkpoint's transaction."""

    topic: str
    """Logical name from ``schemas.topics`` without prefix: ``scores.v1``."""
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp: Instant | None = None
    partition: int | None = None
    """None: by the standard murmur2 partitioner on the key."""


class Call(NamedTuple):
    """A request to the outside, started only after the checkpoint that recorded it is committed."""

    call_id: str
    destination: str
    """One call is in flight per destination."""
    payload: bytes


class Answer(NamedTuple):
    """What became of a call; given back to the processor that made it."""

    call_id: str
    destination: str
    payload: bytes


@dataclass(slots=True)
class Effects:
    """What one step of a processor asks the runtime to do.

    ``counts`` says what became of each record of the batch (scored, rejected, late, duplicate, tombstone; for
    other processors any closed set): one count per record read, so that the runtime can prove conservation.
    """

    outputs: list[Output] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    urgent: bool = False
    """Commit now instead of at the next interval."""


class Processor(Protocol):
    """One instance per input partition; pure and synchronous."""

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        """Take the state as last committed: every live key once, in any order. Called once, before anything else.

        Raises ValueError, naming the state's format, when it is newer than this processor can read.
        """

    def apply(self, batch: Sequence[Record], now: Instant) -> Effects:
        """Fold records in offset order. Any cut into batches gives the same outputs in sum."""

    def tick(self, now: Instant, *, at_end: bool) -> Effects:
        """Let time pass. Called every 100 ms or so; ``at_end`` while the worker reads well at the end of the log."""

    def snapshot(self) -> Iterable[StateRecord]:
        """What changed since the last snapshot. A cut of the state as of the last step, clock steps included."""


@runtime_checkable
class CallingProcessor(Processor, Protocol):
    """A processor that calls the outside through ``Effects.calls``."""

    def answered(self, answer: Answer, now: Instant) -> Effects:
        """Take the answer of a call of this life of the processor. After a restart open calls have no answer."""


@runtime_checkable
class RememberingProcessor(Processor, Protocol):
    """A calling processor whose state can be rebuilt: its calls' ends stand in a topic that it has written itself."""

    def remember(self, ledger: Iterable[Record]) -> None:
        """What became of the calls. Called once, after ``restore`` and before the first ``apply`` of a rebuild.

        From then on ``apply`` and ``tick`` only lead to the state that a worker goes on from: no call is made again.
        """


class Assignment(NamedTuple):
    """What a processor may know of its place."""

    partition: int
    partitions: Mapping[str, int]
    """Partition counts by logical topic name, of all topics the stage reads or writes."""


ProcessorFactory: TypeAlias = Callable[[Assignment], Processor]
Perform: TypeAlias = Callable[[Call], Awaitable[Answer]]
Refuse: TypeAlias = Callable[[Record, str], Output]
"""A record on which the processor raised, and the digest of where; the record that keeps it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One processor class on one input topic. A role (``scorer``, ``router``…) runs one stage or several."""

    name: str
    """``scorer``, ``rollup``, ``intake``, ``router``, ``dispatcher``."""
    source: str
    """Logical input topic."""
    state: str
    """Logical compacted state topic, as many partitions as the source."""
    outputs: tuple[str, ...]
    """Logical topics it may write; checked at start."""
    factory: ProcessorFactory
    perform: Perform | None = None
    """Carries out its calls, if it makes any; never raises."""
    ledger: str | None = None
    """Logical topic in which it writes what became of its calls: a ``RememberingProcessor`` is rebuilt from it."""
    refuse: Refuse | None = None
    """Keeps a record on which the processor raised; None: it stays in the source only, and in the log by its place."""
