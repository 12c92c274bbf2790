"""Vocabulary of the roll-up's tests: children, the shares a scorer would write of them, a roll-up to feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pipeline.rollup import RollUp
from pipeline.runtime.contract import Assignment, Effects, LogRecord, Output, StateRecord
from pipeline.scoring.power_mean import EMPTY, PowerSum, add
from pipeline.scoring.rules import ScoreRules
from schemas.codec import decode_partial, decode_score, decode_voice, encode
from schemas.ids import record_id
from schemas.registry import DeltaRegistry, builtin_registry
from schemas.rejects import Rejected
from schemas.types import Instant, Level
from schemas.wire import (
    GoneWire,
    PartialContributorWire,
    PartialWire,
    PowerTermsWire,
    ProgressWire,
    ScoreWire,
    VoiceWire,
    WorstChildWire,
)

PANE = 30_000
RULES = ScoreRules()
REGISTRY = builtin_registry()
NETWORK = "seam:network_infrastructure"
CONTRACT = "seam:data_contract"


class Child(NamedTuple):
    """A connection on a seam at a pane's end."""

    name: str
    pain: float = 0.0
    chaos: float = 0.0
    trust: float = 0.8
    omega: float = 1.0


def links(number: int, *, down: int = 0, prefix: str = "c") -> list[Child]:
    """So many connections, the first of them fully hurt."""
    return [
        Child(f"connection:{prefix}-{i:05}", *((1.0, 0.4, 0.2) if i < down else (0.0, 0.0, 0.8))) for i in range(number)
    ]


def share(
    children: Sequence[Child],
    end: Instant,
    *,
    source: int = 0,
    parent: str = NETWORK,
    revision: int = 0,
    early: bool = False,
    live: int | None = None,
    gone: Mapping[str, GoneWire] | None = None,
    success: Instant | None = None,
    rules: ScoreRules = RULES,
) -> PartialWire:
    """What a scorer partition with these children writes. An event of D 2 stands behind each child that hurts."""
    rounded = [c._replace(pain=round(c.pain, 6), chaos=round(c.chaos, 6), trust=round(c.trust, 6)) for c in children]
    p = rules.power
    pain = chaos = distrust = EMPTY
    for child in children:
        pain = add(pain, child.pain, child.omega, p=p)
        chaos = add(chaos, child.chaos, child.omega, p=p)
        distrust = add(distrust, 1.0 - child.trust, child.omega, p=p)
    hurt = sorted((c for c in children if c.pain > 0), key=lambda c: (c.pain, c.name), reverse=True)
    worst = min(rounded, key=lambda c: (-c.pain, c.trust, c.name), default=None)
    return PartialWire(
        id=record_id("partial", parent, source, end, revision, str(early)),
        parent=parent,
        level=Level.SEAM,
        source=source,
        window_start=end - PANE,
        window_end=end,
        revision=revision,
        early=early,
        children=len(children),
        weight=float(len(children)),
        pain=_terms(pain),
        chaos=_terms(chaos),
        distrust=_terms(distrust),
        over_pain=sum(c.pain > 0.7 for c in rounded),
        over_chaos=sum(c.chaos > 0.5 for c in rounded),
        over_distrust=sum(c.trust < 0.3 for c in rounded),
        healthy=sum(c.trust > 0.7 for c in rounded),
        worst=WorstChildWire(worst.name, worst.pain, worst.trust) if worst else None,
        events=len(children),
        successes=len(children) - len(hurt),
        failures=len(hurt),
        anomalies=len(hurt),
        contributors=tuple(
            PartialContributorWire(c.name, "connection_failed", source, i, 3.0 * c.pain, c.omega, end - 1_000, 2)
            for i, c in enumerate(hurt[:5])
        ),
        mass=sum(3.0 * c.pain for c in hurt),
        anomaly_mass=sum(c.omega for c in hurt),
        deltas={"connection_failed": len(hurt), "heartbeat_success": len(children)},
        last_success=success,
        last_harm=end - 1_000 if hurt else None,
        last_anomaly=end - 1_000 if hurt else None,
        last_failure=end - 1_000 if hurt else None,
        gone_pain=(gone or {}).get("pain", GoneWire()),
        gone_chaos=(gone or {}).get("chaos", GoneWire()),
        gone_distrust=(gone or {}).get("distrust", GoneWire()),
        live=live,
    )


def progress(
    end: Instant,
    *,
    source: int = 0,
    held: bool = False,
    live: Mapping[str, int] | None = None,
    level: Level = Level.SEAM,
) -> ProgressWire:
    """That a source has closed the pane that ends here."""
    return ProgressWire(
        id=record_id("progress", level.value, source, end),
        level=level,
        source=source,
        window_end=end,
        watermark=end,
        held=held,
        live=dict(live or {}),
    )


class Said(NamedTuple):
    """What a step wrote, read back."""

    scores: tuple[ScoreWire, ...]
    voices: tuple[VoiceWire, ...]
    shares: tuple[PartialWire, ...]
    progress: tuple[ProgressWire, ...]

    def on(self, subject: str) -> Said:
        """Only of this subject."""
        return Said(
            tuple(score for score in self.scores if score.subject == subject),
            tuple(voice for voice in self.voices if voice.subject == subject),
            tuple(partial for partial in self.shares if partial.parent == subject),
            self.progress,
        )

    def and_then(self, later: Said) -> Said:
        """This, and what came of a later step."""
        return Said(
            self.scores + later.scores,
            self.voices + later.voices,
            self.shares + later.shares,
            self.progress + later.progress,
        )

    def words(self) -> list[tuple[str, str, int]]:
        """The voices in short: delta without ``voice_``, voice, pane."""
        return [(v.delta.removeprefix("voice_"), v.voice.value, v.window_end // PANE) for v in self.voices]


def read(outputs: Iterable[Output]) -> Said:
    """Outputs as records."""
    scores: list[ScoreWire] = []
    voices: list[VoiceWire] = []
    shares: list[PartialWire] = []
    told: list[ProgressWire] = []
    for output in outputs:
        assert output.value is not None
        if output.topic == "scores.v1":
            score = decode_score(output.value)
            assert isinstance(score, ScoreWire)
            scores.append(score)
        elif output.topic == "voices.v1":
            voice = decode_voice(output.value)
            assert isinstance(voice, VoiceWire)
            voices.append(voice)
        else:
            partial = decode_partial(output.value)
            assert not isinstance(partial, Rejected)
            if isinstance(partial, PartialWire):
                shares.append(partial)
            else:
                told.append(partial)
    return Said(tuple(scores), tuple(voices), tuple(shares), tuple(told))


class Bench:
    """A roll-up and the log it reads. Its own share of the ecosystem is fed back when ``loop`` is on."""

    def __init__(
        self,
        *,
        scorers: int = 1,
        rollups: int = 1,
        partition: int = 0,
        rules: ScoreRules = RULES,
        registry: DeltaRegistry = REGISTRY,
        loop: bool = False,
    ) -> None:
        self._made_of = (Assignment(partition, {"events.v1": scorers, "partials.v1": rollups}), rules, registry)
        self.rollup = RollUp(*self._made_of)
        self.loop = loop
        self.outputs: list[Output] = []
        self.counts: dict[str, int] = {}
        self.state: dict[bytes, bytes] = {}
        self.offset = 0

    def record(self, value: msgspec.Struct | bytes | None) -> LogRecord:
        """The next record of the log."""
        self.offset += 1
        encoded = encode(value) if isinstance(value, msgspec.Struct) else value
        return LogRecord("partials.v1", 0, self.offset - 1, 0, None, encoded)

    def feed(self, *values: msgspec.Struct | bytes | None) -> Said:
        """Let it read these, as one batch."""
        said = self._took(self.rollup.apply([self.record(value) for value in values], 0))
        if self.loop and (said.shares or said.progress):
            said = said.and_then(self.feed(*said.shares, *said.progress))
        return said

    def tick(self, now: Instant, *, at_end: bool = True) -> Said:
        """Let time pass."""
        return self._took(self.rollup.tick(now, at_end=at_end))

    def idle(self, since: Instant, until: Instant, *, at_end: bool = True) -> Said:
        """Let time pass second by second."""
        before = len(self.outputs)
        for now in range(since, until + 1, 1_000):
            self.tick(now, at_end=at_end)
        return read(self.outputs[before:])

    def save(self) -> None:
        """Commit."""
        for key, value in self.rollup.snapshot():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value

    def restart(self) -> None:
        """Commit, die, and start again from the state."""

        self.save()
        self.rollup = RollUp(*self._made_of)
        self.rollup.restore([StateRecord(key, value) for key, value in self.state.items()])

    def _took(self, effects: Effects) -> Said:
        self.outputs += effects.outputs
        for outcome, number in effects.counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + number
        return read(effects.outputs)


def _terms(total: PowerSum) -> PowerTermsWire:
    return PowerTermsWire(total.sum, total.omega_sum)
