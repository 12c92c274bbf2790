"""Scorers and roll-ups connected in memory: what a cluster does with a weather of links, without a cluster.

The harness drives the processors through their protocol only. Time is an argument; a minute of it costs milliseconds.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.rollup import RollUp
from pipeline.runtime.contract import Assignment, Effects, LogRecord, Processor, StateRecord
from pipeline.runtime.producing import partition_for
from pipeline.scorer import Scorer
from pipeline.scoring.rules import ScoreRules
from schemas.codec import decode_score, decode_voice
from schemas.registry import DeltaRegistry, builtin_registry
from schemas.topics import EVENTS, PARTIALS, SCORES, VOICES
from schemas.types import Instant, Level, Millis
from schemas.wire import ScoreWire, VoiceWire

__all__ = ["MINUTE", "SECOND", "START", "Cluster", "Line", "beats", "flaps"]

SECOND: Millis = 1_000
MINUTE: Millis = 60_000
START: Instant = 1_700_000_010_000
"""Second 0 of every story; a multiple of 30 s."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One event of a story. Units: seconds of the story."""

    ts: float
    """When it happened."""
    link: str
    delta: str
    sent: float | None = None
    """When it reached the broker; at once if not said."""
    experiment: str | None = None

    @property
    def append_ts(self) -> Instant:
        """The broker's time."""
        return START + round(1_000 * (self.ts if self.sent is None else self.sent))

    @property
    def value(self) -> bytes:
        """The event's bytes."""
        event: dict[str, object] = {"delta": self.delta, "ts": START + round(1_000 * self.ts)}
        if self.delta == "heartbeat_success":
            event["data"] = {"latency_ms": 120}
        if self.experiment:
            event["experiment_id"] = self.experiment
        return json.dumps(event).encode()


def beats(link: str, since: float, until: float, *, every: float = 30.0) -> Iterator[Line]:
    """Heartbeats from ``since`` on, up to and without ``until``."""
    at = since
    while at < until:
        yield Line(at, link, "heartbeat_success")
        at += every


def flaps(link: str, since: float, until: float, *, every: float) -> Iterator[Line]:
    """Lost each so many seconds, back two seconds later."""
    at = since
    while at < until:
        yield Line(at, link, "connection_lost")
        yield Line(at + 2, link, "reconnection_success")
        at += every


@dataclass
class Cluster:
    """All partitions of both stages, one worker's clock, one log of partials."""

    scorers: int = 2
    rollups: int = 2
    rules: ScoreRules = field(default_factory=ScoreRules)
    registry: DeltaRegistry = field(default_factory=builtin_registry)
    scores: list[ScoreWire] = field(default_factory=list)
    voices: list[VoiceWire] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    """Of the events read."""
    merged: Counter[str] = field(default_factory=Counter)
    """Outcomes of the partials read."""
    keep: Callable[[ScoreWire], bool] = lambda _: True
    """Which score records to keep."""

    def __post_init__(self) -> None:
        self._states: dict[tuple[str, int], dict[bytes, bytes]] = {}
        self._scorers, self._rollups = self._started()
        self._offsets = [0] * self.scorers
        self._partials: list[list[LogRecord]] = [[] for _ in range(self.rollups)]
        self._written = [0] * self.rollups
        self._now: Instant = START

    def live(
        self,
        story: Sequence[Line],
        until: float,
        *,
        step: float = 1.0,
        down: tuple[float, float] | None = None,
        restart_every: float | None = None,
    ) -> None:
        """Play a story up to second ``until``.

        From ``down[0]`` to ``down[1]`` nobody can read or write; every so many seconds all workers are replaced.
        """
        queue = [(line.append_ts, index, line) for index, line in enumerate(story)]
        heapq.heapify(queue)
        end = START + round(until * 1_000)
        while self._now < end:
            self._now += round(step * 1_000)
            second = (self._now - START) / 1_000
            if down is not None and down[0] <= second < down[1]:
                self._step(at_end=False)
                continue
            batches: list[list[LogRecord]] = [[] for _ in range(self.scorers)]
            while queue and queue[0][0] <= self._now:
                append_ts, _, line = heapq.heappop(queue)
                key = line.link.encode()
                to = partition_for(key, self.scorers)
                batches[to].append(LogRecord(EVENTS, to, self._offsets[to], append_ts, key, line.value))
                self._offsets[to] += 1
            for scorer, batch in zip(self._scorers, batches, strict=True):
                if batch:
                    effects = scorer.apply(batch, self._now)
                    self.outcomes.update(effects.counts)
                    self._take(effects)
            self._step(at_end=True)
            if restart_every is not None and second % restart_every == 0:
                self.restart()

    def restart(self) -> None:
        """Commit everything, end every worker, start others from the state."""
        old = [*(("scorer", n, p) for n, p in enumerate(self._scorers))]
        old += [("rollup", n, p) for n, p in enumerate(self._rollups)]
        for name, number, processor in old:
            state = self._states.setdefault((name, number), {})
            for key, value in processor.snapshot():
                if value is None:
                    state.pop(key, None)
                else:
                    state[key] = value
        self._scorers, self._rollups = self._started()
        for name, processors in (("scorer", self._scorers), ("rollup", self._rollups)):
            for number, processor in enumerate(processors):
                processor.restore([StateRecord(*item) for item in self._states[name, number].items()])

    def words(self, subject: str) -> list[tuple[str, str, float]]:
        """What a subject said, without repetitions: delta without ``voice_``, voice, second of the pane's end."""
        return [
            (voice.delta.removeprefix("voice_"), voice.voice.value, (voice.window_end - START) / 1_000)
            for voice in self.voices
            if voice.subject == subject and voice.delta != "voice_held"
        ]

    def last(self, subject: str) -> dict[float, ScoreWire]:
        """The newest revision of each score record of a subject, by second of the pane's end."""
        return {(s.window_end - START) / 1_000: s for s in self.scores if s.subject == subject}

    def speakers(self) -> set[str]:
        """Who said anything."""
        return {voice.subject for voice in self.voices}

    def _started(self) -> tuple[list[Processor], list[Processor]]:
        partitions = {EVENTS: self.scorers, PARTIALS: self.rollups, SCORES: 1, VOICES: 1}
        scorers = [Scorer(Assignment(n, partitions), self.rules, self.registry) for n in range(self.scorers)]
        rollups = [RollUp(Assignment(n, partitions), self.rules, self.registry) for n in range(self.rollups)]
        return [*scorers], [*rollups]

    def _step(self, *, at_end: bool) -> None:
        for scorer in self._scorers:
            self._take(scorer.tick(self._now, at_end=at_end))
        self._drain()
        for rollup in self._rollups:
            self._take(rollup.tick(self._now, at_end=at_end))
        self._drain()

    def _drain(self) -> None:
        """Let the roll-ups read until nothing is left: they write to their own topic."""
        while any(self._partials):
            for number, rollup in enumerate(self._rollups):
                batch, self._partials[number] = self._partials[number], []
                if batch:
                    effects = rollup.apply(batch, self._now)
                    self.merged.update(effects.counts)
                    self._take(effects)

    def _take(self, effects: Effects) -> None:
        for topic, key, value, headers, _, partition in effects.outputs:
            if topic == SCORES and value is not None:
                score = decode_score(value)
                assert isinstance(score, ScoreWire), score
                if score.level is not Level.CONNECTION or self.keep(score):
                    self.scores.append(score)
            elif topic == VOICES and value is not None:
                voice = decode_voice(value)
                assert isinstance(voice, VoiceWire), voice
                self.voices.append(voice)
            elif topic == PARTIALS:
                assert key is not None
                to = partition_for(key, self.rollups) if partition is None else partition
                self._partials[to].append(LogRecord(PARTIALS, to, self._written[to], self._now, key, value, headers))
                self._written[to] += 1
