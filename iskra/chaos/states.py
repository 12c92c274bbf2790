"""What the workers committed about themselves: every cut of every stage, read from the log of its state topic.

A cut is what one checkpoint wrote there: the meta record with position and books, and of a scorer its event time. The
log has all cuts as long as it is not compacted, which begins a minute after they were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pipeline.runtime.meta import META_KEY, MetaError, decode_meta
from schemas.topics import STATE_SCORER
from schemas.types import Instant

from .evidence import SOURCES, Evidence
from .judging import Place
from .oracle import ClockStep

__all__ = ["Cut", "EventTime", "States", "clock_steps", "read_states"]

_CORE_KEY = b"core"
_CORE_FORMATS = frozenset({1, 2})
"""Of the scorer's ``core`` record in which the third value is its event time, as ``PartitionTime.dump`` writes it."""


@dataclass(frozen=True, slots=True)
class EventTime:
    """How far a scorer partition had come at a cut. Instants of before everything are negative."""

    watermark: Instant
    highest: Instant
    """Highest event time accepted."""
    last_append: Instant | None
    held_since: Instant | None
    clock: Instant
    """The append time a record written then would have had."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One committed checkpoint of one input partition."""

    place: Place
    """Of its meta record in the state topic."""
    at: Instant
    """The worker's clock."""
    base: int
    position: int
    counts: Mapping[str, int]
    gap: int
    lost_by_retention: int
    time: EventTime | None = None
    """Of a scorer."""

    @property
    def counted(self) -> int:
        """Records with an outcome."""
        return sum(self.counts.values())

    @property
    def unaccounted(self) -> int:
        """What the books lack; must be 0."""
        return self.position - self.base - self.counted - self.gap


@dataclass(frozen=True, slots=True)
class States:
    """All cuts, by source topic and partition, in the order of the log."""

    cuts: Mapping[tuple[str, int], tuple[Cut, ...]]
    faults: tuple[str, ...]
    """State records that cannot be read."""

    def of(self, source: str) -> Mapping[int, tuple[Cut, ...]]:
        """The cuts of the stage that reads this topic; empty when the stage never ran."""
        return {partition: cuts for (topic, partition), cuts in self.cuts.items() if topic == source and cuts}

    def sources(self) -> list[str]:
        """Topics whose stage has run."""
        return sorted({topic for (topic, _), cuts in self.cuts.items() if cuts})

    def position(self, source: str, partition: int) -> int:
        """The next offset of the stage; 0 when it never came to it."""
        cuts = self.cuts.get((source, partition), ())
        return cuts[-1].position if cuts else 0


def read_states(evidence: Evidence) -> States:
    """Every cut that the log still has."""
    faults: list[str] = []
    cuts: dict[tuple[str, int], tuple[Cut, ...]] = {}
    for state, source in SOURCES.items():
        for partition in evidence.partitions(state):
            found: list[Cut] = []
            time: EventTime | None = None
            for record in evidence.log(state, partition):
                place = Place(state, partition, record.offset)
                if state == STATE_SCORER and record.key == _CORE_KEY and record.value is not None:
                    time = _event_time(place, record.value, faults)
                if record.key != META_KEY or record.value is None:
                    continue
                try:
                    meta = decode_meta(record.value)
                except MetaError as error:
                    faults.append(f"{place}: {error}")
                    continue
                found.append(
                    Cut(
                        place,
                        record.timestamp,
                        meta.base,
                        meta.position,
                        meta.counts,
                        meta.gap,
                        meta.lost_by_retention,
                        time,
                    )
                )
            cuts[source, partition] = tuple(found)
    return States(cuts, tuple(faults))


def _event_time(place: Place, value: bytes, faults: list[str]) -> EventTime | None:
    try:
        written: Any = msgspec.msgpack.decode(value)
        if written[0] in _CORE_FORMATS:
            watermark, highest, last_append, held_since, clock = written[2]
            return EventTime(watermark, highest, last_append, held_since, clock)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, ValueError, IndexError, KeyError):
        pass
    faults.append(f"{place}: the scorer's event time cannot be read from its core record")
    return None


def clock_steps(cuts: tuple[Cut, ...], lag: int) -> list[ClockStep]:
    """The steps that the clock drove a scorer partition by, as far as its cuts tell.

    A watermark beyond what the highest accepted event allows was moved by the clock; a hold that is gone without a
    new record was ended by it. Such a step is only taken when no record has come for the whole idle timeout, so it
    stands before the records of its cut; in the first cut that is kept it can only follow them. A step that records
    of the same cut have overtaken leaves no trace.
    """
    steps: list[ClockStep] = []
    before: Cut | None = None
    for cut in cuts:
        now, then = cut.time, None if before is None else before.time
        if now is not None:
            reached = then.watermark if then is not None else None
            moved = (reached is None or now.watermark > reached) and now.watermark > max(now.highest - lag, 0)
            freed = then is not None and then.held_since is not None and now.held_since is None
            if moved or (freed and before is not None and before.position == cut.position):
                after = (cut.position if before is None else before.position) - 1
                steps.append(ClockStep(after, now.watermark if moved else None, now.clock))
        before = cut
    return steps
