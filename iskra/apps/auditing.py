"""The audit: what the log alone can prove, over the real topics of a cluster, changing nothing.

No group, no commit, committed records only. Of state topics only books, event time and waiting intents are kept in
memory. Judged are the events appended, and the panes that lie, between two instants; the oracle begins to read two
hours earlier. While workers go on working, panes that may still be revised are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from iskra.chaos.checker import INVARIANTS, Invariant
from iskra.chaos.clockwork import event_time, group_positions
from iskra.chaos.deliveries import lifecycle
from iskra.chaos.evidence import SOURCES, Evidence, is_book
from iskra.chaos.exactness import WARM_UP
from iskra.chaos.judging import Judgement, joined
from iskra.chaos.ledger import Committed, Logged, Run, Tapped
from iskra.chaos.oracle_settings import oracle_settings
from iskra.chaos.repeats import record_repeats
from iskra.chaos.states import States, read_states
from iskra.problems import Problem
from iskra.settings import Settings
from pipeline.runtime.options import KafkaOptions
from schemas.registry import DeltaRegistry
from schemas.topics import ALL, EVENTS, PARTIALS, by_name
from schemas.types import Instant, Millis

__all__ = ["AUDITED", "read_cluster"]

MAX_EVENTS: Final = 2_000_000
"""Of which the oracle, which is slow on purpose, makes hours."""

_OUTPUT_MARGIN: Millis = 5 * 60_000
"""Outputs are looked for from so long before: their clock is the workers', events have the broker's."""
_POLL_MS = 250
_STALLED_S = 30.0
_GROUPS: Mapping[str, str] = {"intake": "router"}
"""Role of a stage that is not called like it."""


def _time(evidence: Evidence, states: States) -> Judgement:
    return joined((event_time(evidence, states), group_positions(evidence, states)))


def _lifecycle(evidence: Evidence, states: States) -> Judgement:
    """Having told nobody of anything is no doubt here, as it is of a proof run."""
    return Judgement(lifecycle(evidence, states).findings)


_ONLY = {"I5": _time, "I8": record_repeats, "I9": _lifecycle}

AUDITED: Final[tuple[Invariant, ...]] = tuple(
    replace(one, judge=_ONLY.get(one.name, one.judge))
    for one in INVARIANTS
    if one.name in ("I1", "I3", "I4", "I5", "I7", "I8", "I9", "I10")
)
"""What needs neither the senders' nor the receivers' word."""


def read_cluster(
    consumer: Any,
    admin: Any,
    settings: Settings,
    registry: DeltaRegistry,
    *,
    since: Instant | None,
    until: Instant | None,
    progress: Callable[[str], None],
) -> Evidence:
    """Everything the audit judges.

    Errors: Problem when the range has more events than the oracle can reckon, or the broker stops to deliver.
    """
    now = time.time_ns() // 1_000_000
    options = settings.kafka.options()
    reader = _Reader(consumer, options, progress)
    commits = _group_offsets(admin, options, now)
    for topic in SOURCES:
        reader.read(topic, since=None, keep=is_book)
    states = read_states(Evidence(run=_run(settings, now), logs=reader.logs, tapped=reader.tapped))
    reader.read(EVENTS, since=None if since is None else since - WARM_UP, limit=MAX_EVENTS)
    for one in ALL:
        if one.name not in (EVENTS, *SOURCES):
            reader.read(one.name, since=None if since is None else since - _OUTPUT_MARGIN)
    rules = settings.scoring.rules(settings.clock_divisor)
    moving = any(
        reader.ends(topic) != {number: reader.tapped[topic, number].end for number in reader.partitions(topic)}
        for topic, source in SOURCES.items()
        if source in (EVENTS, PARTIALS)
    )
    if moving or until is not None:
        marks = [cut.time.watermark for cuts in states.of(EVENTS).values() for cut in cuts[-1:] if cut.time is not None]
        settled = min(marks, default=now) - rules.late_horizon - 2 * rules.pane
        until = min(settled, now if until is None else until)
    return Evidence(
        run=_run(settings, now),
        logs=reader.logs,
        tapped=reader.tapped,
        commits=commits,
        registry=registry,
        since=since or 0,
        until=until,
    )


def _run(settings: Settings, now: Instant) -> Run:
    rules = settings.scoring.rules(settings.clock_divisor)
    return Run(
        seed=None,
        began=now,
        ended=now,
        prefix=settings.kafka.topic_prefix,
        invariants=tuple(one.name for one in AUDITED),
        rules=oracle_settings(rules),
    )


def _group_offsets(admin: Any, options: KafkaOptions, now: Instant) -> list[Committed]:
    """Where the groups stand now, of the stages' own input topics."""
    names = {options.topic(source): source for source in SOURCES.values()}
    stages = {source: state.removeprefix("state.").removesuffix(".v1") for state, source in SOURCES.items()}
    found: list[Committed] = []
    # Asking about a group that is not there would make a fresh broker create its topic of groups.
    there = {group["group_id"] for group in admin.list_groups()}
    ours = {f"{options.topic_prefix}-{_GROUPS.get(stage, stage)}" for stage in stages.values()}
    for group in sorted(there & ours):
        for place, entry in admin.list_group_offsets(group)[group].items():
            if place.topic in names and entry.offset >= 0:
                topic = names[place.topic]
                found.append(
                    Committed(at=now, group=group, topic=topic, partition=place.partition, offset=entry.offset)
                )
    return found


class _Reader:
    """Reads partitions to the end they have when it comes to them."""

    def __init__(self, consumer: Any, options: KafkaOptions, progress: Callable[[str], None]) -> None:
        self._consumer = consumer
        self._options = options
        self._progress = progress
        self.logs: dict[tuple[str, int], list[Logged]] = {}
        self.tapped: dict[tuple[str, int], Tapped] = {}

    def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic."""
        return sorted(self._consumer.partitions_for_topic(self._options.topic(topic)) or ())

    def ends(self, topic: str) -> dict[int, int]:
        """The present end of each partition, for a reader of committed records."""
        places = self._places(topic)
        return {place.partition: end for place, end in self._consumer.end_offsets(places).items()}

    def read(
        self,
        topic: str,
        *,
        since: Instant | None,
        keep: Callable[[bytes | None], bool] = lambda _: True,
        limit: int | None = None,
    ) -> None:
        """Read a topic from its first record, or from the first one of this instant."""
        places = self._places(topic)
        ends = self._consumer.end_offsets(places)
        begins = self._consumer.beginning_offsets(places)
        if since is not None:
            for place, found in self._consumer.offsets_for_times(dict.fromkeys(places, max(0, since))).items():
                begins[place] = ends[place] if found is None else max(found.offset, begins[place])
        total = sum(ends[place] - begins[place] for place in places)
        self._progress(f"reading {by_name(topic).name}: {total} offsets")
        if limit is not None and total > limit:
            message = f"{total} events are more than the oracle reckons ({limit}): choose a shorter range with --from"
            raise Problem(message)
        for place in places:
            self.logs[topic, place.partition] = []
        self._consumer.assign(places)
        for place in places:
            self._consumer.seek(place, begins[place])
        self._poll(topic, ends, keep)
        for place in places:
            records = self.logs[topic, place.partition]
            self.tapped[topic, place.partition] = Tapped(
                topic=topic,
                partition=place.partition,
                begin=begins[place],
                end=ends[place],
                records=len(records),
            )

    def _poll(self, topic: str, ends: Mapping[Any, int], keep: Callable[[bytes | None], bool]) -> None:
        moved = time.monotonic()
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            batches = self._consumer.poll(timeout_ms=_POLL_MS, max_records=5_000)
            for place, records in batches.items():
                moved = time.monotonic()
                self.logs[topic, place.partition] += [
                    Logged(
                        one.offset,
                        one.timestamp,
                        one.key,
                        one.value,
                        tuple((name, value or b"") for name, value in one.headers),
                    )
                    for one in records
                    if one.offset < ends[place] and keep(one.key)
                ]
            if time.monotonic() - moved > _STALLED_S:
                message = f"{self._options.topic(topic)} delivers nothing for {_STALLED_S:.0f} s: look at the brokers"
                raise Problem(message)

    def _places(self, topic: str) -> list[Any]:
        from kafka import TopicPartition

        return [TopicPartition(self._options.topic(topic), number) for number in self.partitions(topic)]
