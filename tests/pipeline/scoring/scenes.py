"""Scenes for the tests of scoring: events in seconds of a story, folded by a scorer, told as records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.runtime.contract import Assignment, Effects, LogRecord, Output
from pipeline.scorer import Scorer
from pipeline.scoring.rules import ScoreRules
from schemas.codec import decode_partial, decode_score, decode_voice
from schemas.registry import builtin_registry
from schemas.topics import EVENTS, PARTIALS, SCORES, VOICES
from schemas.types import Instant, VoiceName
from schemas.wire import PartialWire, ProgressWire, ScoreWire, VoiceWire

__all__ = [
    "ALL",
    "LINK",
    "START",
    "Scene",
    "Told",
    "at",
    "base",
    "beats",
    "blip",
    "fact",
    "make_scorer",
    "record_of",
    "slow_beats",
]

START: Instant = 1_700_000_010_000
"""Second 0 of every story: a multiple of 30 s."""

LINK = "c-1"
KEEPER = "keeper"
"""A connection whose beats move the watermark."""

ALL = ScoreRules(emit="all")

Fact = tuple[float, str, dict[str, Any]]
"""Second, delta, further fields of the event."""


def at(second: float) -> Instant:
    """A second of the story as an instant."""
    return START + round(second * 1_000)


def fact(second: float, delta: str, **fields: Any) -> Fact:
    """One event."""
    return (second, delta, fields)


def base() -> list[Fact]:
    """connection_established at 0."""
    return [fact(0, "connection_established")]


def beats(first: float, until: float, *, every: float = 30.0, latency: float | None = 120.0) -> list[Fact]:
    """heartbeat_success at ``first``, then every so many seconds, before ``until``."""
    data = {} if latency is None else {"data": {"latency_ms": latency}}
    found, second = [], first
    while second < until:
        found.append(fact(second, "heartbeat_success", **data))
        second += every
    return found


def slow_beats(latency: float, *, until: float) -> list[Fact]:
    """A link with this latency from the start."""
    return [*base(), *beats(30, until, latency=latency)]


def blip(second: float) -> list[Fact]:
    """Lost, and back two seconds later."""
    return [fact(second, "connection_lost"), fact(second + 2, "reconnection_success")]


def record_of(
    one: Fact, offset: int, *, link: str = LINK, append: float | None = None, partition: int = 0
) -> LogRecord:
    """The Kafka record of an event, appended when it happened unless said otherwise."""
    second, delta, fields = one
    value = json.dumps({"delta": delta, "ts": at(second), **fields}).encode()
    stamp = at(second if append is None else append)
    return LogRecord(EVENTS, partition, offset, stamp, link.encode(), value)


def make_scorer(rules: ScoreRules = ALL, *, partition: int = 0, peers: int = 1) -> Scorer:
    """A scorer with the built-in registry."""
    return Scorer(Assignment(partition, {EVENTS: 1, PARTIALS: peers}), rules, builtin_registry())


@dataclass
class Told:
    """What a scorer said, decoded."""

    scores: list[ScoreWire] = field(default_factory=list)
    voices: list[VoiceWire] = field(default_factory=list)
    partials: list[PartialWire] = field(default_factory=list)
    progress: list[ProgressWire] = field(default_factory=list)
    others: list[Output] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    urgent: bool = False

    def take(self, effects: Effects) -> Told:
        """Add what one step said."""
        self.urgent = self.urgent or effects.urgent
        for outcome, number in effects.counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + number
        for output in effects.outputs:
            assert output.value is not None
            if output.topic == SCORES:
                self.scores.append(_sure(decode_score(output.value), ScoreWire))
            elif output.topic == VOICES:
                self.voices.append(_sure(decode_voice(output.value), VoiceWire))
            elif output.topic == PARTIALS:
                one = decode_partial(output.value)
                if isinstance(one, PartialWire):
                    self.partials.append(one)
                else:
                    self.progress.append(_sure(one, ProgressWire))
            else:
                self.others.append(output)
        return self

    def last(self, link: str = LINK) -> dict[float, ScoreWire]:
        """The last word on a connection by window end, in seconds of the story."""
        subject = f"connection:{link}"
        return {(score.window_end - START) / 1_000: score for score in self.scores if score.subject == subject}

    def triad(self, second: float, link: str = LINK) -> tuple[float, float, float]:
        """Pain, chaos, trust of a connection at a pane's end."""
        score = self.last(link)[second]
        return score.pain, score.chaos, score.trust

    def said(self, link: str = LINK) -> list[tuple[float, str, str]]:
        """Second, what, voice: all that a connection said, in order."""
        return [
            ((v.window_end - START) / 1_000, v.delta.removeprefix("voice_"), v.voice.value)
            for v in self.voices
            if v.subject == f"connection:{link}"
        ]

    def speaker(self, second: float, link: str = LINK) -> VoiceName | None:
        """Who speaks at this pane's end."""
        speaker: VoiceName | None = None
        for voice in self.voices:
            if voice.subject == f"connection:{link}" and voice.window_end <= at(second):
                if voice.delta in ("voice_raised", "voice_changed"):
                    speaker = voice.voice
                elif voice.delta == "voice_cleared":
                    speaker = None
        return speaker


class Scene:
    """One scorer, one partition, one story."""

    def __init__(self, rules: ScoreRules = ALL, *, peers: int = 1) -> None:
        self.scorer = make_scorer(rules, peers=peers)
        self.told = Told()
        self.offset = 0
        self.now = 0.0
        """Newest append time, in seconds of the story."""

    def play(self, facts: Iterable[Fact], *, link: str = LINK, until: float | None = None) -> Told:
        """Fold events in the order of their times; then let panes close up to ``until``."""
        for one in sorted(facts, key=lambda one: one[0]):
            self.one(one, link=link)
        if until is not None:
            self.close(until)
        return self.told

    def one(self, one: Fact, *, link: str = LINK, append: float | None = None) -> Told:
        """Fold one event. What this step alone said."""
        return self.feed([record_of(one, self.offset, link=link, append=append)])

    def feed(self, records: Sequence[LogRecord]) -> Told:
        """Fold records. What this step alone said."""
        return Told().take(self._fold(records))

    def _fold(self, records: Sequence[LogRecord]) -> Effects:
        effects = self.scorer.apply(records, records[-1].timestamp)
        self.now = max(self.now, (records[-1].timestamp - START) / 1_000)
        self.offset += len(records)
        self.told.take(effects)
        return effects

    def close(self, second: float) -> Told:
        """Close every pane that ends up to this second, by beats of another connection."""
        told = Told()
        while self.now < second + 2:
            beat = fact(min(self.now + 30, second + 2), "heartbeat_success")
            told.take(self._fold([record_of(beat, self.offset, link=KEEPER)]))
        return told

    def tick(self, second: float, *, at_end: bool = True) -> Told:
        """Let the worker's clock go on."""
        effects = self.scorer.tick(at(second), at_end=at_end)
        self.told.take(effects)
        return Told().take(effects)


def _sure(one: Any, kind: type[Any]) -> Any:
    assert isinstance(one, kind)
    return one


def interleaved(*stories: tuple[str, Sequence[Fact]]) -> Iterator[LogRecord]:
    """Several links' events as one log, in the order of their times."""
    lines = sorted((one[0], link, index, one) for link, facts in stories for index, one in enumerate(facts))
    for offset, (_, link, _, one) in enumerate(lines):
        yield record_of(one, offset, link=link)
