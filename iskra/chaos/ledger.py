"""The files of a proof run: what was sent, what went wrong, what stands in the log, what people received.

Generator, nemesis and taps write them, the checker reads them, and nothing else passes between the two. One directory
a run, one JSON object a line; bytes are base64. Topics are called by their logical name (``events.v1``), partitions
and offsets are the cluster's own; every instant is milliseconds since the epoch, on one host and one clock.

    run.json                       Run: seed, limits, what must be judged
    sent.jsonl                     Sent: one line per event, written (and fsynced) by the generator
    faults.jsonl                   FaultSeen: one line per fault or quiet phase, written by the nemesis when it is over
    tapped.jsonl                   Tapped: one line per partition that was read, with its bounds
    log/<topic>-<partition>.jsonl  Logged: every committed record of the partition, in offset order
    commits.jsonl                  Committed: group offsets as the broker's own log has them, in its order
    samples.jsonl                  Sample: memory and the like of each process, every few seconds
    received.jsonl                 Received: what ``alerts.sinks`` was asked and answered, written by it
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, TypeVar

import msgspec

from schemas.types import Instant, Millis

__all__ = [
    "COMMITS",
    "FAULTS",
    "ID_HEADER",
    "RECEIVED",
    "RUN",
    "SAMPLES",
    "SENT",
    "TAPPED",
    "Committed",
    "FaultSeen",
    "LedgerError",
    "Limits",
    "Lines",
    "Logged",
    "Received",
    "Run",
    "Sample",
    "Sent",
    "SentStatus",
    "Tapped",
    "log_file",
    "read_lines",
    "read_run",
    "write_lines",
    "write_run",
    "writing",
]

RUN = "run.json"
SENT = "sent.jsonl"
FAULTS = "faults.jsonl"
TAPPED = "tapped.jsonl"
COMMITS = "commits.jsonl"
SAMPLES = "samples.jsonl"
RECEIVED = "received.jsonl"

ID_HEADER = "ledger-id"
"""Header of every generated record: ``Sent.id``. Without it a record is found by the sha256 of its value."""

SentStatus: TypeAlias = Literal["ok", "fail", "unknown"]
"""``ok`` acknowledged with acks=all, ``fail`` certainly not in the log, ``unknown`` perhaps."""


class LedgerError(ValueError):
    """A file of the ledger that cannot be used; names file and line. Not retriable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One event the generator tried to publish."""

    id: str
    """Unique in the run; also the header ``ID_HEADER`` of the record."""
    key: str | None
    seq: int
    sha256: str
    """Of the value's bytes, in hex; empty for a tombstone."""
    status: SentStatus
    partition: int | None = None
    offset: int | None = None
    """Where the broker put it, when it said so."""
    kind: str = "good"
    """``good``, or the class of bad input that was made on purpose."""
    at: Instant = 0
    """When it was handed to the producer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSeen:
    """One fault, or one quiet phase (kind ``quiet``), as it really went."""

    at: Instant
    kind: str
    """``kill``, ``term``, ``pause``, ``broker_kill``, ``broker_pause``, ``cut``, ``slow``, ``quiet``…"""
    target: str
    """A process or link: ``scorer-0``, ``broker-2``, ``dispatcher-0``; of a quiet phase ``all``."""
    until: Instant
    """When it was over: process running again, link whole, quiet phase ended."""
    bit: bool = True
    """Whether it had its effect: a pause outlived the session, a cut met a request in flight."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tapped:
    """One partition that was read, from its log start to its end."""

    topic: str
    partition: int
    begin: int
    """Log start when the reading began; more than 0 means that records are gone."""
    end: int
    """The end that was read to (last stable offset); every committed record below it is in the log file."""
    records: int
    """How many lines the log file has."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One committed record of a partition."""

    offset: int
    timestamp: Instant
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """One group offset, as the broker's own log has it (committed records of ``__consumer_offsets`` only)."""

    at: Instant
    """The broker's clock."""
    group: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at a process."""

    at: Instant
    process: str
    """Name and life, as ``scorer-0#3``: a restarted worker begins anew."""
    rss: int
    """Bytes."""
    descriptors: int | None = None
    tasks: int | None = None
    """Threads or asyncio tasks, always the same thing in one run."""
    series: int | None = None
    """Lines of /metrics."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request to a sink and its answer. ``status`` 0: the connection was cut."""

    at: float
    """Seconds since the epoch, as the sinks write it."""
    endpoint: str
    status: int
    request: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run must reach to be worth a verdict, and what it may cost."""

    min_events: int = 1
    """Acknowledged events; fewer are inconclusive."""
    must_bite: tuple[str, ...] = ()
    """Kinds of fault of which at least one must have had its effect."""
    recovery: Millis = 30_000
    """After a fault is over: everything that was in the log then is processed within this time."""
    growth: float = 0.01
    """Memory per minute after warm-up, as a share."""
    warm_up: Millis = 60_000
    """Of a process; samples before are not judged."""
    delivery: Millis = 120_000
    """From an intent to its outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. Written at its end, or at its beginning and again at its end."""

    seed: int | None
    """None: of an audit, which no seed made."""
    began: Instant
    ended: Instant
    prefix: str = "iskra"
    invariants: tuple[str, ...] = ("I1", "I2", "I3", "I4", "I5", "I8", "I10", "I11")
    """Which are judged; the others are left out."""
    limits: Limits = field(default_factory=Limits)
    rules: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the oracle that differ from its defaults, by their name there; ``emit`` and ``idle`` too."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What the harness counted itself, to be printed: workers, restarts, brokers…"""


_Record = TypeVar("_Record")


def log_file(directory: Path, topic: str, partition: int) -> Path:
    """Where the records of a partition stand."""
    return directory / "log" / f"{topic}-{partition}.jsonl"


class Lines:
    """An open file of records. ``sync`` makes sure that what was written survives this process and the machine."""

    def __init__(self, file: IO[bytes]) -> None:
        """Write to this file."""
        self._file = file

    def write(self, record: object) -> None:
        """Add one line."""
        self._file.write(msgspec.json.encode(record) + b"\n")

    def sync(self) -> None:
        """Everything written so far is on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def writing(path: Path) -> Iterator[Lines]:
    """Append records to a file of the ledger; synced at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        lines = Lines(file)
        try:
            yield lines
        finally:
            lines.sync()


def write_lines(path: Path, records: Iterable[object]) -> int:
    """Write a whole file of records anew; the answer is how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = 0
    with path.open("wb") as file:
        for number, record in enumerate(records, start=1):  # noqa: B007 the last number is the answer
            file.write(msgspec.json.encode(record) + b"\n")
    return number


def read_lines(path: Path, kind: type[_Record]) -> Iterator[_Record]:
    """The records of a file; none when there is no such file.

    Errors: LedgerError with file and line. A last line without its end (a writer that was killed) is left out.
    """
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(kind)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                message = f"{path.name}:{number}: {error}"
                raise LedgerError(message) from None


def write_run(directory: Path, run: Run) -> None:
    """Write ``run.json``, whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    new = directory / f"{RUN}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(run)) + b"\n")
    new.replace(directory / RUN)


def read_run(directory: Path) -> Run:
    """What ``run.json`` says. Errors: LedgerError, also when there is none."""
    path = directory / RUN
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except FileNotFoundError:
        message = f"{directory}: no {RUN}, so no run was recorded here"
        raise LedgerError(message) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"{RUN}: {error}"
        raise LedgerError(message) from None
