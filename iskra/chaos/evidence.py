"""Everything there is to judge a run by, parsed: the ledger of one directory, or the topics of a cluster.

Knows what stands in the files, and nothing of what must hold. Topics by their logical name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from schemas.registry import DeltaRegistry, builtin_registry
from schemas.rejected import RejectedRecord, read_rejected
from schemas.topics import ALL, EVENTS, EVENTS_REJECTED
from schemas.types import Instant

from .judging import Place
from .ledger import (
    COMMITS,
    FAULTS,
    RECEIVED,
    SAMPLES,
    SENT,
    TAPPED,
    Committed,
    FaultSeen,
    LedgerError,
    Logged,
    Received,
    Run,
    Sample,
    Sent,
    Tapped,
    log_file,
    read_lines,
    read_run,
)

__all__ = ["SOURCES", "Evidence", "Kept", "content", "is_book", "read_evidence"]

SOURCES: Mapping[str, str] = {topic.name: topic.source for topic in ALL if topic.source is not None}
"""Which topic a state topic's stage reads."""


_BOOKS = frozenset({b"!meta", b"core"})
_WAITING = b"wait|"


def is_book(key: bytes | None) -> bool:
    """Whether a record of a state topic says something of the whole partition, or of an intent that waits.

    The rest, a record for each connection and checkpoint, is most of what a run writes, and nobody here reads it.
    """
    return key is not None and (key in _BOOKS or key.startswith(_WAITING))


class Kept(NamedTuple):
    """A record of the rejected or the late topic, and where it says it came from."""

    place: Place
    source: Place
    """Of the input record."""
    record: Logged
    said: RejectedRecord | None
    """Of a rejected one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a run. Empty where nothing was recorded."""

    run: Run
    logs: Mapping[tuple[str, int], Sequence[Logged]]
    """By topic and partition, in offset order; of state topics the books alone."""
    tapped: Mapping[tuple[str, int], Tapped] = field(default_factory=dict)
    sent: Sequence[Sent] = ()
    faults: Sequence[FaultSeen] = ()
    commits: Sequence[Committed] = ()
    samples: Sequence[Sample] = ()
    received: Sequence[Received] = ()
    registry: DeltaRegistry = field(default_factory=builtin_registry)
    since: Instant = 0
    """Only what was appended, and panes that began, from here on are judged; what is before only leads up to it."""
    until: Instant | None = None
    """Panes that end after this are not judged."""

    def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic that were read."""
        return sorted(number for name, number in self.logs if name == topic)

    def log(self, topic: str, partition: int) -> Sequence[Logged]:
        """One partition."""
        return self.logs.get((topic, partition), ())

    def records(self, topic: str) -> Iterator[tuple[Place, Logged]]:
        """A whole topic, partition after partition."""
        for partition in self.partitions(topic):
            for record in self.log(topic, partition):
                yield Place(topic, partition, record.offset), record

    def begin(self, topic: str, partition: int) -> int:
        """The first offset that was there to be read."""
        tapped = self.tapped.get((topic, partition))
        return 0 if tapped is None else tapped.begin

    def kept(self, topic: str) -> Iterator[Kept | Place]:
        """The records of the rejected or the late topic; of one whose headers say nothing, its place alone."""
        for place, record in self.records(topic):
            try:
                if topic == EVENTS_REJECTED:
                    said = read_rejected(record.headers)
                    yield Kept(place, Place(EVENTS, said.partition, said.offset), record, said)
                else:
                    headers = dict(record.headers)
                    origin = Place(EVENTS, int(headers["iskra.partition"]), int(headers["iskra.offset"]))
                    yield Kept(place, origin, record, None)
            except (ValueError, KeyError):
                yield place


def content(record: Logged) -> dict[str, Any] | None:
    """The value as a JSON object; None when it is none."""
    if record.value is None:
        return None
    try:
        value = msgspec.json.decode(record.value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None


def read_evidence(directory: Path, progress: Callable[[str], None] | None = None) -> Evidence:
    """The ledger of a run.

    Errors: LedgerError naming the file and line that cannot be read, and when a log file lacks lines that its tap
    says it has.
    """
    run = read_run(directory)
    tapped = {(one.topic, one.partition): one for one in read_lines(directory / TAPPED, Tapped)}
    logs: dict[tuple[str, int], Sequence[Logged]] = {}
    for (topic, partition), tap in sorted(tapped.items()):
        if progress is not None:
            progress(f"reading {topic}-{partition}")
        path = log_file(directory, topic, partition)
        lines, records = 0, []
        for record in read_lines(path, Logged):
            lines += 1
            if topic not in SOURCES or is_book(record.key):
                records.append(record)
        if lines != tap.records:
            message = f"log/{path.name}: {lines} lines, its tap counted {tap.records}"
            raise LedgerError(message)
        logs[topic, partition] = records
    return Evidence(
        run=run,
        logs=logs,
        tapped=tapped,
        sent=tuple(read_lines(directory / SENT, Sent)),
        faults=tuple(read_lines(directory / FAULTS, FaultSeen)),
        commits=tuple(read_lines(directory / COMMITS, Committed)),
        samples=tuple(read_lines(directory / SAMPLES, Sample)),
        received=tuple(read_lines(directory / RECEIVED, Received)),
    )
