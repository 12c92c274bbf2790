"""Scorer and roll-up in memory, driven through the processor protocol only: logs in, published records out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from iskra.chaos.oracle import ClockStep
from pipeline.rollup import RollUp
from pipeline.runtime.contract import Assignment, Effects, LogRecord, Processor, Record
from pipeline.runtime.producing import partition_for
from pipeline.scorer import Scorer
from pipeline.scoring.rules import ScoreRules
from schemas.codec import decode_partial
from schemas.registry import DeltaRegistry
from schemas.scores import ScoreRecord
from schemas.topics import EVENTS, PARTIALS, SCORES, VOICES
from schemas.types import Instant, Millis
from schemas.voices import VoiceRecord
from schemas.wire import ProgressWire

from .weather import Delivered


@dataclass
class Published:
    """All that came out, in the order of its topics."""

    scores: list[ScoreRecord] = field(default_factory=list)
    voices: list[VoiceRecord] = field(default_factory=list)
    counts: list[dict[str, int]] = field(default_factory=list)
    """Outcomes of each scorer partition."""
    rollup_counts: dict[str, int] = field(default_factory=dict)

    def last(self) -> dict[tuple[str, Instant], ScoreRecord]:
        """The newest revision of each record."""
        return {(score.subject, score.window_end): score for score in self.scores}


@dataclass
class Works:
    """A running pipeline: scorers on the events, roll-ups on the partials."""

    scorers: list[Processor]
    rollups: list[Processor]
    published: Published = field(default_factory=Published)
    partials: list[list[LogRecord]] = field(default_factory=list)
    read: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, events: int, partials: int, rules: ScoreRules, registry: DeltaRegistry) -> Works:
        partitions = {EVENTS: events, PARTIALS: partials, SCORES: 1, VOICES: 1}
        return cls(
            scorers=[Scorer(Assignment(number, partitions), rules, registry) for number in range(events)],
            rollups=[RollUp(Assignment(number, partitions), rules, registry) for number in range(partials)],
            published=Published(counts=[{} for _ in range(events)]),
            partials=[[] for _ in range(partials)],
            read=[0] * partials,
        )

    def apply(self, number: int, batch: Sequence[Record], now: Instant) -> None:
        """Give one scorer a slice of its partition, then let the roll-ups read what there is."""
        effects = self.scorers[number].apply(batch, now)
        self._take(effects, now, self.published.counts[number])
        assert sum(effects.counts.values()) == len(batch)

    def tick_scorer(self, number: int, now: Instant) -> Instant | None:
        """Let time pass for one scorer at the end of its log. Its watermark, if that closed a pane."""
        effects = self.scorers[number].tick(now, at_end=True)
        self._take(effects, now, self.published.counts[number])
        told = [decode_partial(output.value) for output in effects.outputs if output.topic == PARTIALS and output.value]
        return max((one.watermark for one in told if isinstance(one, ProgressWire)), default=None)

    def tick_rollups(self, now: Instant) -> None:
        """Let time pass for the roll-ups at the end of their logs."""
        for rollup in self.rollups:
            self._take(rollup.tick(now, at_end=True), now, self.published.rollup_counts)
        self.settle(now)

    def settle(self, now: Instant) -> None:
        """Let the roll-ups read until nothing is left; they write to their own topic."""
        while any(self.read[n] < len(log) for n, log in enumerate(self.partials)):
            for number, rollup in enumerate(self.rollups):
                batch = self.partials[number][self.read[number] :]
                self.read[number] += len(batch)
                effects = rollup.apply(batch, now)
                assert sum(effects.counts.values()) == len(batch)
                self._take(effects, now, self.published.rollup_counts)

    def _take(self, effects: Effects, now: Instant, counts: dict[str, int]) -> None:
        for name, number in effects.counts.items():
            counts[name] = counts.get(name, 0) + number
        for output in effects.outputs:
            if output.topic == SCORES:
                assert output.value is not None
                self.published.scores.append(ScoreRecord.model_validate_json(output.value))
            elif output.topic == VOICES:
                assert output.value is not None
                self.published.voices.append(VoiceRecord.model_validate_json(output.value))
            elif output.topic == PARTIALS:
                assert output.key is not None
                to = output.partition if output.partition is not None else partition_for(output.key, len(self.partials))
                offset = len(self.partials[to])
                self.partials[to].append(LogRecord(PARTIALS, to, offset, now, output.key, output.value, output.headers))


def run(
    logs: list[list[Delivered]], rules: ScoreRules, registry: DeltaRegistry, *, partials: int, slice_ms: Millis
) -> Published:
    """Feed all logs side by side, in slices of this much append time."""
    works = Works.of(len(logs), partials, rules, registry)
    at = [0] * len(logs)
    now = min((log[0].append_ts for log in logs if log), default=0)
    while any(place < len(log) for place, log in zip(at, logs, strict=True)):
        now += slice_ms
        for number, log in enumerate(logs):
            end = at[number]
            while end < len(log) and log[end].append_ts <= now:
                end += 1
            batch = [
                LogRecord(EVENTS, number, offset, log[offset].append_ts, log[offset].key, log[offset].value)
                for offset in range(at[number], end)
            ]
            at[number] = end
            if batch:
                works.apply(number, batch, now)
        works.settle(now)
    return works.published


def run_by_the_clock(
    logs: list[list[Delivered]],
    rules: ScoreRules,
    registry: DeltaRegistry,
    *,
    partials: int,
    tick_ms: Millis,
    until: Instant,
) -> tuple[Published, dict[int, list[ClockStep]]]:
    """Feed all logs record by record, each the moment it is appended, with ticks at the end of the log between.

    Also gives the clock's steps, as the scorers' own progress tells them.
    """
    works = Works.of(len(logs), partials, rules, registry)
    steps: dict[int, list[ClockStep]] = {number: [] for number in range(len(logs))}
    read = [0] * len(logs)
    records = sorted(
        (record.append_ts, number, offset) for number, log in enumerate(logs) for offset, record in enumerate(log)
    )
    now = records[0][0] if records else until
    for append_ts, number, offset in [*records, (until, 0, -1)]:
        while now + tick_ms < append_ts:
            now += tick_ms
            for scorer in range(len(logs)):
                watermark = works.tick_scorer(scorer, now)
                steps[scorer].append(ClockStep(read[scorer] - 1, watermark, now))
            works.settle(now)
            works.tick_rollups(now)
        if offset >= 0:
            record = logs[number][offset]
            works.apply(number, [LogRecord(EVENTS, number, offset, append_ts, record.key, record.value)], append_ts)
            read[number] = offset + 1
            works.settle(append_ts)
    return works.published, steps
