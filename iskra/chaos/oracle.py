"""The second opinion: every score and voice once more, by brute force, straight from the formulas.

It reads the log of a run (records in offset order, per partition) and says what must have come of it. Nothing is
kept from pane to pane: each number is reckoned anew from the raw list of accepted events. It is written from the
semantics alone, imports only what `schemas` knows as data, and is slow on purpose. Left to others: decoding
(records come decoded, or as None when they were rejected), revisions on the way (only the last word counts) and
the order of early voices (a voice is decided at its pane's close, from final data).

Source: semantics.md 3, 4, 5; reliability.md 3, 4, 7.1 (E17, E18). Readings where the text leaves room stand in
docs/decisions/0030 to 0034.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from math import exp, exp2, inf, log, log2
from typing import Literal, NamedTuple, TypeAlias

from schemas.hot import HotEvent
from schemas.registry import DeltaRegistry, LinkState, Outcome, Population
from schemas.types import Instant, Level, Millis, Unit, VoiceName, join_subject

__all__ = [
    "ClockStep",
    "OracleContributor",
    "OracleCounts",
    "OracleEvent",
    "OracleOver",
    "OracleResult",
    "OracleRules",
    "OracleScore",
    "OracleTriple",
    "OracleVoice",
    "Verdict",
    "VoiceLine",
    "evaluate",
]

SILENT = "agent_silent"
UNKNOWN = "unknown"
ECOSYSTEM = "iskra"


# ---------------------------------------------------------------------------------------------- what goes in


@dataclass(frozen=True, slots=True)
class OracleEvent:
    """One record of an input partition, in offset order. ``event`` is None for a tombstone or a rejected record."""

    offset: int
    append_ts: Instant
    """The broker's timestamp."""
    event: HotEvent | None
    value: bytes = b""
    """The record's bytes: what tells a repeat from a conflict of ids."""


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A step that the clock drove, as the worker recorded it: taken after the record at ``after_offset``."""

    after_offset: int
    """-1: before the first record."""
    watermark: Instant | None = None
    """What the idle clock made of the watermark; None when it only ended a hold."""
    now: Instant | None = None
    """The clock at that moment, on the scale of append times; None when unknown."""


@dataclass(frozen=True, slots=True)
class OracleRules:
    """The numbers of the semantics. Units: lengths of time in milliseconds."""

    registry: DeltaRegistry
    claims: Literal["honour", "ignore"] = "honour"
    pane: Millis = 30_000
    pain_panes: int = 4
    chaos_panes: int = 10
    half_life_panes: float = 6.0
    prior: float = 4.0
    base_rate: Unit = 0.5
    success_cap: float = 1.0
    failure_cap: float = 4.0
    failure_weight: float = 2.0
    noise_floor: Unit = 0.35
    severity_cap: Unit = 0.999
    harms_per_pane: int = 3
    variety_weight: float = 0.2
    flap_weight: float = 0.1
    lag: Millis = 2_000
    grace: Millis = 10_000
    saved_behind: Millis = 300_000
    hole: Millis = 90_000
    hold: Millis = 90_000
    dedup_horizon: Millis = 3_600_000
    silence_after: Millis = 90_000
    forget_after: Millis = 3_600_000
    forget_closed_after: Millis = 300_000
    evidence_for: Millis = 900_000
    alarm_share: Unit = 0.05
    max_seams: int = 64
    min_children: int = 1
    configured_seams: frozenset[str] = frozenset()
    seam_weights: Mapping[str, float] = field(default_factory=dict)
    alarm_pain_above: Unit = 0.7
    alarm_clear_pain: Unit = 0.5
    alarm_clear_pain_levels: Unit = 0.6
    concern_trust_below: Unit = 0.3
    concern_clear_trust: Unit = 0.45
    curiosity_chaos_above: Unit = 0.5
    curiosity_clear_chaos: Unit = 0.3
    curiosity_doubt_omega: Unit = 0.5
    celebration_trust_above: Unit = 0.7
    celebration_share: Unit = 0.95
    celebration_calm: Millis = 300_000
    waits: Mapping[VoiceName, Millis] = field(
        default_factory=lambda: {
            VoiceName.ALARM: 60_000,
            VoiceName.CONCERN: 240_000,
            VoiceName.CURIOSITY: 180_000,
            VoiceName.CELEBRATION: 300_000,
        }
    )

    @property
    def power(self) -> float:
        """The exponent of the power mean: a level alarms when ``alarm_share`` of its children hurt fully."""
        return log(self.alarm_share) / log(self.alarm_pain_above)

    def pane_end(self, time: Instant) -> Instant:
        """The end of the pane that holds this instant."""
        return (time // self.pane + 1) * self.pane


# --------------------------------------------------------------------------------------------- what comes out


class Verdict(StrEnum):
    """What became of one record."""

    SCORED = "scored"
    DUPLICATE = "duplicate"
    ID_CONFLICT = "id_conflict"
    LATE = "late"
    UNSCORED = "unscored"
    """An ``agent_silent`` from outside about a connection that is not known."""
    NO_EVENT = "no_event"
    """A tombstone or a record rejected before."""


class OracleTriple(NamedTuple):
    """One number per score, 0..1."""

    pain: Unit
    chaos: Unit
    trust: Unit


class OracleCounts(NamedTuple):
    """Events of the pane itself; of a level: summed over its children."""

    events: int
    successes: int
    failures: int
    anomalies: int


class OracleOver(NamedTuple):
    """Children over each threshold: pain > .7, chaos > .5, trust < .3."""

    pain: int
    chaos: int
    distrust: int


class OracleContributor(NamedTuple):
    """An event that explains a score. An ``agent_silent`` of our own has the offset -1 and no id."""

    event_id: str
    delta: str
    share: Unit
    partition: int
    offset: int
    dimension: int


@dataclass(frozen=True, slots=True)
class OracleScore:
    """The last word on one subject at the end of one pane. All scores and Ω are rounded to 6 decimals."""

    subject: str
    level: Level
    window_end: Instant
    pain: Unit
    chaos: Unit
    trust: Unit
    omega: OracleTriple
    dimension: int
    counts: OracleCounts
    contributors: tuple[OracleContributor, ...]
    entropy: float
    link_state: str | None = None
    """up, degraded, down, closed or unknown; None on levels."""
    children: int | None = None
    children_over: OracleOver | None = None
    worst_child: str | None = None


class VoiceLine(StrEnum):
    """What a voice record says: its delta."""

    RAISED = "voice_raised"
    CHANGED = "voice_changed"
    CLEARED = "voice_cleared"
    CELEBRATED = "voice_celebrated"
    HELD = "voice_held"


@dataclass(frozen=True, slots=True)
class OracleVoice:
    """One voice record."""

    subject: str
    level: Level
    window_end: Instant
    delta: VoiceLine
    voice: VoiceName
    since: Instant
    """Pane end at which this voice began to hold."""
    previous: VoiceName | None = None
    reason: str | None = None
    """On a clear: recovered, faded or forgotten."""
    also_held: tuple[VoiceName, ...] = ()


@dataclass(frozen=True, slots=True)
class OracleResult:
    """All that must have come of a log."""

    scores: Mapping[tuple[str, Instant], OracleScore]
    """By subject and window_end, of every pane that closed."""
    voices: tuple[OracleVoice, ...]
    """By window_end, level, subject."""
    verdicts: tuple[tuple[Verdict, ...], ...]
    """Per partition, one per record."""
    watermarks: tuple[Instant | None, ...]
    """Per partition at the end of its log; None when it never had one."""


def evaluate(
    partitions: Sequence[Sequence[OracleEvent]],
    rules: OracleRules,
    *,
    clock: Mapping[int, Sequence[ClockStep]] | None = None,
) -> OracleResult:
    """What a log must have come to.

    Shape: one sequence per input partition in offset order (also empty ones); clock steps per partition in the
    order they were taken. A level has a pane once every partition that has accepted an event has closed it.
    """
    steps = clock or {}
    readings = [_read(records, steps.get(number, ()), rules) for number, records in enumerate(partitions)]
    scores: dict[tuple[str, Instant], OracleScore] = {}
    voices: list[OracleVoice] = []
    children: list[_Child] = []
    for reading in readings:
        for who, accepted in reading.by_connection().items():
            for life in _lives(accepted, reading.watermark, rules):
                subject = join_subject(Level.CONNECTION, who.connection_id, who.experiment_id)
                moments: list[_Moment] = []
                for end in life.panes:
                    view = _score(life.before(end), end, rules)
                    moments.append(_moment_of(view, end))
                    scores[subject, end] = _connection_score(subject, view, life.link_state(end), end)
                voices += _speak(subject, Level.CONNECTION, moments, rules, forgotten_at=life.forgotten_at)
                children += _children_of(subject, who.experiment_id, life, rules)
    final = min((reading.watermark for reading in readings if reading.accepted), default=-inf)
    for experiment_id in sorted({child.experiment_id for child in children}, key=lambda name: name or ""):
        own = [child for child in children if child.experiment_id == experiment_id and child.end <= final]
        for level_scores, level_voices in _levels(own, experiment_id, rules):
            scores |= level_scores
            voices += level_voices
    order = list(Level)
    voices.sort(key=lambda voice: (voice.window_end, order.index(voice.level), voice.subject))
    return OracleResult(
        scores=scores,
        voices=tuple(voices),
        verdicts=tuple(tuple(reading.verdicts) for reading in readings),
        watermarks=tuple(None if r.watermark == -inf else int(r.watermark) for r in readings),
    )


# ----------------------------------------------------------------------- 3.1 what one event is evidence of


class _Who(NamedTuple):
    connection_id: str
    experiment_id: str | None


@dataclass(frozen=True, slots=True)
class _Evidence:
    """One event, weighed."""

    time: Instant
    event_id: str
    delta: str
    kind: str
    """The delta, or ``unknown`` for all that the registry does not have."""
    seam: str
    dimension: int
    omega: Unit
    severity: Unit
    harm: Unit
    outcome: Outcome
    """SUCCESS, FAILURE or NEUTRAL."""
    share: Unit
    """How much of a success or failure it is."""
    anomaly: bool
    state: LinkState | None
    heartbeat: bool
    real: bool
    """Not an agent_silent."""
    partition: int
    offset: int

    @property
    def order(self) -> tuple[Instant, str, int]:
        return (self.time, self.event_id, self.offset)

    @property
    def neutral(self) -> bool:
        return self.outcome is Outcome.NEUTRAL and self.severity == 0 and not self.anomaly

    @property
    def mass(self) -> float:
        return -log(1 - self.harm)


def _latency_severity(latency_ms: float) -> Unit:
    if latency_ms <= 500:
        return 0.0
    if latency_ms <= 1000:
        return 0.05 + 0.25 * (latency_ms - 500) / 500
    if latency_ms <= 4000:
        return 0.30 + 0.20 * (latency_ms - 1000) / 3000
    return 0.5


def _latency_outcome(latency_ms: float) -> tuple[Outcome, Unit]:
    if latency_ms <= 185:
        return Outcome.SUCCESS, 1.0
    if latency_ms <= 500:
        return Outcome.SUCCESS, 0.5
    if latency_ms <= 1000:
        return Outcome.FAILURE, 0.25
    return Outcome.FAILURE, 0.5


def _harm(severity: Unit, omega: Unit, dimension: int, rules: OracleRules) -> Unit:
    """Harm of one event. s .7, Ω 1, D 1 gives .700000; D 2 gives .719410."""
    s = min(severity, rules.severity_cap)
    exponent: float = 1 + 0.5 * (dimension - 1) / 9
    return omega * (1 - float((1 - s) ** exponent))


def _weigh(event: HotEvent, seam: str, rules: OracleRules) -> _Evidence:
    row = rules.registry.rows.get(event.delta)
    honour = rules.claims == "honour"
    claimed_pain = event.voice_pain if honour else None
    claimed_chaos = event.voice_chaos if honour else None
    claimed_trust = event.voice_trust if honour else None
    heartbeat = row is not None and row.outcome is Outcome.LATENCY

    if claimed_pain is not None:
        severity = claimed_pain if claimed_pain >= rules.noise_floor else 0.0
    elif row is None:
        severity = 0.0
    elif heartbeat:
        severity = 0.0 if event.latency_ms is None else _latency_severity(event.latency_ms)
    else:
        severity = row.severity if row.severity >= rules.noise_floor else 0.0

    share = 1.0
    if claimed_trust is not None:
        outcome = Outcome.NEUTRAL
        if claimed_trust >= 0.7:
            outcome = Outcome.SUCCESS
        elif claimed_trust <= 0.3:
            outcome = Outcome.FAILURE
        failed = outcome is Outcome.FAILURE
    elif row is None:
        outcome, failed = Outcome.NEUTRAL, False
    elif heartbeat:
        outcome, share = (Outcome.SUCCESS, 1.0) if event.latency_ms is None else _latency_outcome(event.latency_ms)
        failed = False
    else:
        outcome, failed = row.outcome, row.outcome is Outcome.FAILURE

    return _Evidence(
        time=event.time,
        event_id=event.event_id,
        delta=event.delta,
        kind=UNKNOWN if row is None else event.delta,
        seam=seam,
        dimension=event.dimension,
        omega=event.omega,
        severity=severity,
        harm=_harm(severity, event.omega, event.dimension, rules),
        outcome=outcome,
        share=share,
        anomaly=failed or (claimed_chaos is not None and claimed_chaos > 0.5),
        state=None if row is None else row.state,
        heartbeat=heartbeat,
        real=event.delta != SILENT,
        partition=event.partition,
        offset=event.offset,
    )


def _own_silence(end: Instant, seam: str, partition: int, rules: OracleRules) -> _Evidence:
    """The agent_silent that the scorer says of a connection in the pane that ends here."""
    row = rules.registry.rows[SILENT]
    return _Evidence(
        time=end - 1,
        event_id="",
        delta=SILENT,
        kind=SILENT,
        seam=seam,
        dimension=row.dimension,
        omega=row.omega,
        severity=row.severity,
        harm=_harm(row.severity, row.omega, row.dimension, rules),
        outcome=Outcome.FAILURE,
        share=1.0,
        anomaly=True,
        state=row.state,
        heartbeat=False,
        real=False,
        partition=partition,
        offset=-1,
    )


# --------------------------------------------- 3.2 what is accepted: repeats, lateness, watermark, idle, hold


_Mark: TypeAlias = float
"""A watermark; -inf before there is one."""


@dataclass(slots=True)
class _Reading:
    """One partition, read to its end."""

    accepted: list[tuple[_Who, _Evidence]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    watermark: _Mark = -inf

    def by_connection(self) -> dict[_Who, list[_Evidence]]:
        found: dict[_Who, list[_Evidence]] = defaultdict(list)
        for who, evidence in self.accepted:
            found[who].append(evidence)
        return dict(sorted(found.items(), key=lambda item: (item[0].connection_id, item[0].experiment_id or "")))


def _read(records: Sequence[OracleEvent], steps: Sequence[ClockStep], rules: OracleRules) -> _Reading:
    """Who is accepted, in offset order, with the clock's steps between.

    A hold that has run its time ends before the record (or step) that shows it, and what came in meanwhile takes
    effect; then that record's own hole may begin another.
    """
    reading = _Reading()
    first_by_id: dict[tuple[str, str], tuple[Instant, bytes]] = {}
    newest: dict[_Who, Instant] = {}
    places: set[str] = set()
    highest: _Mark = -inf
    last_append: Instant | None = None
    held_since: Instant | None = None
    waiting = list(steps)

    def release(now: Instant) -> None:
        nonlocal held_since
        if held_since is not None and now >= held_since + rules.hold:
            held_since = None
            reading.watermark = max(reading.watermark, highest - rules.lag)

    def take_steps(upto: float) -> None:
        while waiting and waiting[0].after_offset < upto:
            step = waiting.pop(0)
            if step.now is not None:
                release(step.now)
            if step.watermark is not None and held_since is None:
                reading.watermark = max(reading.watermark, step.watermark)

    for record in records:
        take_steps(record.offset)
        release(record.append_ts)
        if held_since is None and last_append is not None and record.append_ts - last_append > rules.hole:
            held_since = record.append_ts
        last_append = record.append_ts if last_append is None else max(last_append, record.append_ts)

        event = record.event
        if event is None:
            reading.verdicts.append(Verdict.NO_EVENT)
            continue
        who = _Who(event.connection_id, event.experiment_id)
        identity = (event.connection_id, event.event_id)
        verdict = _verdict(event, record.value, first_by_id.get(identity), newest.get(who), reading.watermark, rules)
        if verdict is Verdict.SCORED and event.delta == SILENT and not _known(reading, who, rules):
            verdict = Verdict.UNSCORED
        reading.verdicts.append(verdict)
        if verdict is not Verdict.SCORED:
            continue
        first_by_id[identity] = (event.time, record.value)
        newest[who] = max(newest.get(who, event.time), event.time)
        seam = SILENT if event.delta == SILENT else _seam_of(event.seam_id, places, rules)
        reading.accepted.append((who, _weigh(event, seam, rules)))
        highest = max(highest, event.time)
        if held_since is None:
            reading.watermark = max(reading.watermark, highest - rules.lag)
    take_steps(inf)
    return reading


def _verdict(
    event: HotEvent,
    value: bytes,
    first: tuple[Instant, bytes] | None,
    newest: Instant | None,
    watermark: _Mark,
    rules: OracleRules,
) -> Verdict:
    if first is not None and first[0] > watermark - rules.dedup_horizon:
        return Verdict.DUPLICATE if first[1] == value else Verdict.ID_CONFLICT
    if rules.pane_end(event.time) + rules.grace <= watermark:
        in_order = newest is None or event.time >= newest
        if not (in_order and event.time >= watermark - rules.saved_behind):
            return Verdict.LATE
    return Verdict.SCORED


def _known(reading: _Reading, who: _Who, rules: OracleRules) -> bool:
    """Whether a connection is known now: something real was accepted of it and it is not forgotten."""
    evidence = [evidence for name, evidence in reading.accepted if name == who]
    lives = _lives(evidence, reading.watermark, rules)
    return bool(lives) and lives[-1].forgotten_at is None


def _seam_of(seam: str, places: set[str], rules: OracleRules) -> str:
    """The seam that an event is counted under: surplus seams are ``other``."""
    named = (set(rules.registry.seams) | rules.configured_seams) - {"other"}
    if seam == "other" or seam in named or seam in places:
        return seam
    if len(named) + len(places) < rules.max_seams:
        places.add(seam)
        return seam
    return "other"


# ----------------------------------------------------- 3.6 the life of a connection: silence, closing, forgetting


@dataclass(frozen=True, slots=True)
class _Life:
    """A connection from its first event until it is forgotten."""

    events: tuple[_Evidence, ...]
    """In the order of the semantics, our own agent_silent included."""
    panes: tuple[Instant, ...]
    """Ends of the closed panes in which it is known."""
    closed_at: frozenset[Instant]
    """Those of these panes at whose end it is closed."""
    forgotten_at: Instant | None

    def before(self, end: Instant) -> list[_Evidence]:
        return [event for event in self.events if event.time < end]

    def link_state(self, end: Instant) -> str:
        if end in self.closed_at:
            return LinkState.CLOSED.value
        states = [state for _, state in _proofs(self.before(end)) if state is not LinkState.CLOSED]
        return states[-1].value if states else "unknown"


def _proofs(events: Iterable[_Evidence]) -> list[tuple[_Evidence, LinkState]]:
    """Which event proved which link state. A good heartbeat proves up when the last proof was an agent_silent."""
    found: list[tuple[_Evidence, LinkState]] = []
    for event in events:
        state = event.state
        good_heartbeat = event.heartbeat and event.outcome is Outcome.SUCCESS
        if state is None and good_heartbeat and found and found[-1][0].delta == SILENT:
            state = LinkState.UP
        if state is not None:
            found.append((event, state))
    return found


def _is_closed(events: Sequence[_Evidence]) -> bool:
    real = [state for event, state in _proofs(events) if event.real]
    return bool(real) and real[-1] is LinkState.CLOSED


def _lives(accepted: Iterable[_Evidence], watermark: _Mark, rules: OracleRules) -> list[_Life]:
    """Walk the panes that have closed, one by one."""
    lives: list[_Life] = []
    rest = sorted(accepted, key=lambda event: event.order)
    while rest:
        if not rest[0].real:  # said of a connection that is not known
            rest.pop(0)
            continue
        life: list[_Evidence] = []
        panes: list[Instant] = []
        closed_at: set[Instant] = set()
        forgotten_at: Instant | None = None
        end = rules.pane_end(rest[0].time)
        while end <= watermark and forgotten_at is None:
            while rest and rest[0].time < end:
                event = rest.pop(0)
                life.append(event if event.real else replace(event, seam=_last_real(life).seam))
            last_real = _last_real(life)
            closed = _is_closed(life)
            if closed:
                gone = end >= max(event.time for event in life) + rules.forget_closed_after
            else:
                gone = end >= last_real.time + rules.forget_after
            if gone:
                forgotten_at = end
                break
            if closed:
                closed_at.add(end)
            elif end - last_real.time >= rules.silence_after:
                life.append(_own_silence(end, last_real.seam, last_real.partition, rules))
                life.sort(key=lambda event: event.order)
            panes.append(end)
            end += rules.pane
        lives.append(_Life(tuple(life), tuple(panes), frozenset(closed_at), forgotten_at))
        if forgotten_at is None:  # what is left lies in panes that are still open
            break
    return lives


def _last_real(events: Sequence[_Evidence]) -> _Evidence:
    return [event for event in events if event.real][-1]


# ---------------------------------------------------------------------- 3.3 to 3.5, 3.7 scores of a list of events


@dataclass(frozen=True, slots=True)
class _Scored:
    """Pain, chaos and trust of a list of events at a pane's end, not rounded."""

    pain: Unit
    chaos: Unit
    trust: Unit
    omega: OracleTriple
    counts: OracleCounts
    counted: tuple[_Evidence, ...]
    """The harms that count, heaviest first."""
    anomalies: tuple[_Evidence, ...]
    """Of the chaos window, most certain first."""
    deltas: Mapping[str, int]
    """Events of the chaos window."""
    last_success: tuple[Instant, str, int] | None
    last_harm: tuple[Instant, str, int] | None
    last_failure: tuple[Instant, str, int] | None
    last_anomaly: tuple[Instant, str, int] | None

    @property
    def rounded(self) -> OracleTriple:
        return OracleTriple(round(self.pain, 6), round(self.chaos, 6), round(self.trust, 6))


def _score(events: Sequence[_Evidence], end: Instant, rules: OracleRules) -> _Scored:
    """The scores of events (in order, all before ``end``) at the end of a pane."""
    pain_window = [e for e in events if e.time >= end - rules.pain_panes * rules.pane]
    chaos_window = [e for e in events if e.time >= end - rules.chaos_panes * rules.pane]
    own_pane = [e for e in events if e.time >= end - rules.pane]

    per_cell: dict[tuple[Instant, str], list[_Evidence]] = defaultdict(list)
    for event in pain_window:
        if event.harm > 0:
            per_cell[rules.pane_end(event.time), event.kind].append(event)
    counted: list[_Evidence] = []
    for cell in per_cell.values():
        cell.sort(key=lambda e: (e.harm, e.order), reverse=True)
        counted += cell[: 1 if cell[0].heartbeat else rules.harms_per_pane]
    counted.sort(key=lambda e: (e.harm, e.order), reverse=True)
    pain = 1 - exp(-sum(e.mass for e in counted))
    harm_sum = sum(e.harm for e in counted)
    omega_pain = sum(e.harm * e.omega for e in counted) / harm_sum if counted else 1.0

    anomalies = sorted((e for e in chaos_window if e.anomaly), key=lambda e: (e.omega, e.order), reverse=True)
    per_kind: dict[str, float] = defaultdict(float)
    for event in anomalies:
        per_kind[event.kind] += event.omega
    variety = sum(1 - 2**-mass for mass in per_kind.values())
    chaos = 1 - exp(-(rules.variety_weight * variety + rules.flap_weight * _changes(events, end, rules)))
    omega_chaos = sum(e.omega for e in anomalies) / len(anomalies) if anomalies else 1.0

    r, f = _masses(events, end, rules)
    trust = (r + rules.base_rate * rules.prior) / (r + f + rules.prior)
    uncertainty = rules.prior / (r + f + rules.prior)

    deltas: dict[str, int] = defaultdict(int)
    for event in chaos_window:
        deltas[event.delta] += 1
    return _Scored(
        pain=pain,
        chaos=chaos,
        trust=trust,
        omega=OracleTriple(omega_pain, omega_chaos, 1 - uncertainty),
        counts=OracleCounts(
            events=len(own_pane),
            successes=sum(e.outcome is Outcome.SUCCESS for e in own_pane),
            failures=sum(e.outcome is Outcome.FAILURE for e in own_pane),
            anomalies=sum(e.anomaly for e in own_pane),
        ),
        counted=tuple(counted),
        anomalies=tuple(anomalies),
        deltas=deltas,
        last_success=_latest(events, lambda e: e.outcome is Outcome.SUCCESS),
        last_harm=_latest(events, lambda e: e.harm > 0),
        last_failure=_latest(events, lambda e: e.outcome is Outcome.FAILURE),
        last_anomaly=_latest(events, lambda e: e.anomaly),
    )


def _changes(events: Sequence[_Evidence], end: Instant, rules: OracleRules) -> int:
    """Changes among up, degraded and down in the chaos window; wanted closes are skipped, the first is no change."""
    proved = [(event, state) for event, state in _proofs(events) if state is not LinkState.CLOSED]
    since = end - rules.chaos_panes * rules.pane
    return sum(
        now_state is not before_state and event.time >= since
        for (_, before_state), (event, now_state) in pairwise(proved)
    )


def _masses(events: Sequence[_Evidence], end: Instant, rules: OracleRules) -> tuple[float, float]:
    """Success and failure masses, capped per pane, halved every 180 s."""
    success: dict[Instant, float] = defaultdict(float)
    failure: dict[Instant, float] = defaultdict(float)
    for event in events:
        if event.outcome is Outcome.SUCCESS:
            success[rules.pane_end(event.time)] += event.omega * event.share
        elif event.outcome is Outcome.FAILURE:
            failure[rules.pane_end(event.time)] += event.omega * event.share

    def weight(pane_end: Instant) -> float:
        return exp2(-((end - pane_end) // rules.pane) / rules.half_life_panes)

    r = sum(weight(pane) * min(rules.success_cap, mass) for pane, mass in success.items())
    f = sum(weight(pane) * min(rules.failure_cap, rules.failure_weight * mass) for pane, mass in failure.items())
    return r, f


def _latest(events: Sequence[_Evidence], wanted: Callable[[_Evidence], bool]) -> tuple[Instant, str, int] | None:
    return next((event.order for event in reversed(events) if wanted(event)), None)


def _entropy(deltas: Mapping[str, int]) -> float:
    total = sum(deltas.values())
    return round(-sum(n / total * log2(n / total) for n in deltas.values()), 6) + 0.0 if total else 0.0


def _contributors(
    pain: Unit, counted: Sequence[_Evidence], anomalies: Sequence[_Evidence]
) -> tuple[OracleContributor, ...]:
    """The top 5 by −ln(1 − h); without pain anomalies by Ω, newest first."""
    weighted = [(e, e.mass) for e in counted] if pain > 0 else [(e, e.omega) for e in anomalies]
    weighted.sort(key=lambda pair: (pair[1], pair[0].order), reverse=True)
    total = sum(weight for _, weight in weighted)
    return tuple(
        OracleContributor(
            event.event_id,
            event.delta,
            round(weight / total, 6) if total else 0.0,
            event.partition,
            event.offset,
            event.dimension,
        )
        for event, weight in weighted[:5]
    )


def _dimension(contributors: Sequence[OracleContributor], climbed: int) -> int:
    return min(10, max((c.dimension for c in contributors), default=1) + climbed)


def _rounded(triple: OracleTriple) -> OracleTriple:
    return OracleTriple(*(round(number, 6) for number in triple))


def _connection_score(subject: str, view: _Scored, link_state: str, end: Instant) -> OracleScore:
    pain, chaos, trust = view.rounded
    contributors = _contributors(pain, view.counted, view.anomalies)
    return OracleScore(
        subject=subject,
        level=Level.CONNECTION,
        window_end=end,
        pain=pain,
        chaos=chaos,
        trust=trust,
        omega=_rounded(view.omega),
        dimension=_dimension(contributors, 0),
        counts=view.counts,
        contributors=contributors,
        entropy=_entropy(view.deltas),
        link_state=link_state,
    )


# ------------------------------------------------------------------------------- 4. seams and the ecosystem


@dataclass(frozen=True, slots=True)
class _Child:
    """A connection at the end of one pane, as the seams see it. Closed ones are no children of any seam."""

    subject: str
    experiment_id: str | None
    end: Instant
    closed: bool
    forgotten: bool
    """It is forgotten at this pane's end; then it has no views."""
    views: Mapping[str, _Scored]
    """Its evidence on each seam of which it is a child by evidence."""
    counts: Mapping[str, OracleCounts]
    """Its events of this pane on every seam."""
    deltas: Mapping[str, Mapping[str, int]]
    """Its events of the chaos window on every seam."""

    @property
    def live(self) -> bool:
        return not (self.closed or self.forgotten)


def _children_of(subject: str, experiment_id: str | None, life: _Life, rules: OracleRules) -> list[_Child]:
    found: list[_Child] = []
    for end in life.panes:
        views: dict[str, _Scored] = {}
        counts: dict[str, OracleCounts] = {}
        deltas: dict[str, Mapping[str, int]] = {}
        closed = end in life.closed_at
        if not closed:
            by_seam: dict[str, list[_Evidence]] = defaultdict(list)
            for event in life.before(end):
                by_seam[event.seam].append(event)
            for seam, events in by_seam.items():
                if events[-1].time < end - rules.evidence_for:
                    continue
                view = _score(events, end, rules)
                counts[seam], deltas[seam] = view.counts, view.deltas
                if any(e.real and not e.neutral and end - e.time < rules.evidence_for for e in events):
                    views[seam] = view
        found.append(
            _Child(subject, experiment_id, end, closed, forgotten=False, views=views, counts=counts, deltas=deltas)
        )
    if life.forgotten_at is not None:
        found.append(
            _Child(
                subject, experiment_id, life.forgotten_at, closed=False, forgotten=True, views={}, counts={}, deltas={}
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Parent:
    """A seam or the ecosystem at the end of a pane."""

    score: OracleScore
    pain: Unit
    chaos: Unit
    trust: Unit
    omega: OracleTriple
    weight: float
    healthy: bool
    """At least 95 % of the children have trust > .7 (of the seams: are healthy themselves)."""
    counted: tuple[_Evidence, ...]
    anomalies: tuple[_Evidence, ...]
    deltas: Mapping[str, int]
    last: Mapping[str, tuple[Instant, str, int] | None]


class _Share(NamedTuple):
    """One child in a power mean."""

    name: str
    weight: float
    pain: Unit
    chaos: Unit
    trust: Unit
    omega: OracleTriple


def _power_mean(values: Iterable[tuple[float, Unit]], total: float, rules: OracleRules) -> Unit:
    """(Σ w·x^p / Σ w)^(1/p); ``total`` is Σ w, which may count children that give 0."""
    power = rules.power
    return float((sum(weight * x**power for weight, x in values) / total) ** (1 / power))


def _level_omega(values: Sequence[tuple[float, Unit, Unit]], rules: OracleRules) -> Unit:
    """Σ w·x^p·Ω / Σ w·x^p; 1 without any harm or anomaly."""
    below = sum(weight * x**rules.power for weight, x, _ in values)
    return sum(weight * x**rules.power * omega for weight, x, omega in values) / below if below > 0 else 1.0


def _mean(shares: Sequence[_Share], total: float, rules: OracleRules) -> tuple[Unit, Unit, Unit, OracleTriple]:
    """Pain, chaos, trust and their Ω of a parent."""
    pain = _power_mean([(s.weight, s.pain) for s in shares], total, rules)
    chaos = _power_mean([(s.weight, s.chaos) for s in shares], total, rules)
    trust = 1 - _power_mean([(s.weight, 1 - s.trust) for s in shares], total, rules)
    omega = OracleTriple(
        _level_omega([(s.weight, s.pain, s.omega.pain) for s in shares], rules),
        _level_omega([(s.weight, s.chaos, s.omega.chaos) for s in shares], rules),
        _level_omega([(s.weight, 1 - s.trust, s.omega.trust) for s in shares], rules),
    )
    return pain, chaos, trust, omega


def _over(shares: Sequence[_Share], rules: OracleRules) -> OracleOver:
    return OracleOver(
        pain=sum(round(s.pain, 6) > rules.alarm_pain_above for s in shares),
        chaos=sum(round(s.chaos, 6) > rules.curiosity_chaos_above for s in shares),
        distrust=sum(round(s.trust, 6) < rules.concern_trust_below for s in shares),
    )


def _worst(shares: Sequence[_Share]) -> str:
    return min(shares, key=lambda s: (-round(s.pain, 6), round(s.trust, 6), s.name)).name


def _summed(counts: Iterable[OracleCounts]) -> OracleCounts:
    listed = list(counts)
    return OracleCounts(*(sum(column) for column in zip(*listed, strict=True))) if listed else OracleCounts(0, 0, 0, 0)


def _added(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for one in many:
        for delta, number in one.items():
            total[delta] += number
    return total


def _newest(keys: Iterable[tuple[Instant, str, int] | None]) -> tuple[Instant, str, int] | None:
    return max((key for key in keys if key is not None), default=None)


def _seam_at(seam: str, present: Sequence[_Child], end: Instant, rules: OracleRules) -> _Parent | None:
    """A seam at the end of a pane, from all connections of its key space; None where it has no record."""
    by_evidence = [child for child in present if seam in child.views]
    if not by_evidence:
        return None
    live = [child for child in present if child.live]
    population = rules.registry.population(seam)
    children = live if population is Population.LINKS else by_evidence
    if len(children) < rules.min_children:
        return None
    experiment_id = by_evidence[0].experiment_id
    shares: list[_Share] = []
    for child in by_evidence:
        view = child.views[seam]
        shares.append(_Share(child.subject, 1.0, view.pain, view.chaos, view.trust, view.omega))
    pain, chaos, trust, omega = _mean(shares, float(len(children)), rules)
    quiet = len(children) - len(by_evidence)
    trusted = quiet + sum(round(s.trust, 6) > rules.celebration_trust_above for s in shares)
    counted = tuple(event for child in by_evidence for event in child.views[seam].counted)
    anomalies = tuple(event for child in by_evidence for event in child.views[seam].anomalies)
    deltas = _added(child.deltas.get(seam, {}) for child in children)
    contributors = _contributors(round(pain, 6), counted, anomalies)
    views = [child.views[seam] for child in by_evidence]
    return _Parent(
        score=OracleScore(
            subject=join_subject(Level.SEAM, seam, experiment_id),
            level=Level.SEAM,
            window_end=end,
            pain=round(pain, 6),
            chaos=round(chaos, 6),
            trust=round(trust, 6),
            omega=_rounded(omega),
            dimension=_dimension(contributors, 1),
            counts=_summed(child.counts[seam] for child in children if seam in child.counts),
            contributors=contributors,
            entropy=_entropy(deltas),
            children=len(children),
            children_over=_over(shares, rules),
            worst_child=_worst(shares),
        ),
        pain=pain,
        chaos=chaos,
        trust=trust,
        omega=omega,
        weight=rules.seam_weights.get(seam, 1.0),
        healthy=trusted >= rules.celebration_share * len(children),
        counted=counted,
        anomalies=anomalies,
        deltas=deltas,
        last={
            "success": _newest(view.last_success for view in views),
            "harm": _newest(view.last_harm for view in views),
            "failure": _newest(view.last_failure for view in views),
            "anomaly": _newest(view.last_anomaly for view in views),
        },
    )


def _ecosystem_at(
    seams: Mapping[str, _Parent], experiment_id: str | None, end: Instant, rules: OracleRules
) -> _Parent | None:
    if not seams:
        return None
    parents = list(seams.values())
    shares = [_Share(p.score.subject, p.weight, p.pain, p.chaos, p.trust, p.omega) for p in parents]
    pain, chaos, trust, omega = _mean(shares, sum(s.weight for s in shares), rules)
    counted = tuple(event for parent in parents for event in parent.counted)
    anomalies = tuple(event for parent in parents for event in parent.anomalies)
    deltas = _added(parent.deltas for parent in parents)
    contributors = _contributors(round(pain, 6), counted, anomalies)
    return _Parent(
        score=OracleScore(
            subject=join_subject(Level.ECOSYSTEM, ECOSYSTEM, experiment_id),
            level=Level.ECOSYSTEM,
            window_end=end,
            pain=round(pain, 6),
            chaos=round(chaos, 6),
            trust=round(trust, 6),
            omega=_rounded(omega),
            dimension=_dimension(contributors, 2),
            counts=_summed(parent.score.counts for parent in parents),
            contributors=contributors,
            entropy=_entropy(deltas),
            children=len(parents),
            children_over=_over(shares, rules),
            worst_child=_worst(shares),
        ),
        pain=pain,
        chaos=chaos,
        trust=trust,
        omega=omega,
        weight=1.0,
        healthy=sum(parent.healthy for parent in parents) >= rules.celebration_share * len(parents),
        counted=counted,
        anomalies=anomalies,
        deltas=deltas,
        last={name: _newest(p.last[name] for p in parents) for name in ("success", "harm", "failure", "anomaly")},
    )


_SETTLED = 16
"""Panes after which a level without children has told all it will tell."""

_Level: TypeAlias = tuple[dict[tuple[str, Instant], OracleScore], list[OracleVoice]]


def _levels(children: Sequence[_Child], experiment_id: str | None, rules: OracleRules) -> list[_Level]:
    """All seams of one key space and its ecosystem, over all panes."""
    by_end: dict[Instant, list[_Child]] = defaultdict(list)
    for child in children:
        by_end[child.end].append(child)
    if not by_end:
        return []
    # Every pane with children and some after it, in which a level without children settles; a log that begins with an
    # event of years ago has millions of panes in between in which nothing is.
    newest = max(by_end)
    ends = sorted(
        {end + n * rules.pane for end in list(by_end) for n in range(_SETTLED) if end + n * rules.pane <= newest}
    )
    names = sorted({seam for child in children for seam in child.views})
    parents: dict[Instant, dict[str, _Parent]] = {end: {} for end in ends}
    for end in ends:
        for seam in names:
            parent = _seam_at(seam, by_end[end], end, rules)
            if parent is not None:
                parents[end][seam] = parent

    done: list[_Level] = []
    gone_by_seam: dict[tuple[str, Instant], Mapping[VoiceName, _Gone]] = {}
    for seam in names:
        moments: list[_Moment] = []
        for end in ends:
            gone_by_seam[seam, end] = _gone(seam, by_end[end - rules.pane], by_end[end], rules)
            moments.append(_level_moment(parents[end].get(seam), end, gone_by_seam[seam, end]))
        subject = join_subject(Level.SEAM, seam, experiment_id)
        scores = {(subject, end): parents[end][seam].score for end in ends if seam in parents[end]}
        done.append((scores, _speak(subject, Level.SEAM, moments, rules, forgotten_at=None)))

    subject = join_subject(Level.ECOSYSTEM, ECOSYSTEM, experiment_id)
    whole = {end: _ecosystem_at(parents[end], experiment_id, end, rules) for end in ends}
    moments = []
    for end in ends:
        before = parents.get(end - rules.pane, {})
        gone = _gone_seams(before, parents[end], {seam: gone_by_seam[seam, end] for seam in names}, rules)
        moments.append(_level_moment(whole[end], end, gone))
    found = {(subject, end): parent.score for end, parent in whole.items() if parent is not None}
    done.append((found, _speak(subject, Level.ECOSYSTEM, moments, rules, forgotten_at=None)))
    return done


class _Gone(NamedTuple):
    """Of the children over a threshold one pane earlier: how many the seam has lost, how many are no longer over it.

    Lost is a child whose evidence is 15 minutes old (a connection leaves its seam long before its hour is over), or
    that is forgotten altogether. A wanted close is no loss.
    """

    forgotten: int
    recovered: int


def _thresholds(rules: OracleRules) -> dict[VoiceName, Callable[[OracleTriple], bool]]:
    """The raise conditions on rounded scores; exactly at a threshold nothing fires."""
    return {
        VoiceName.ALARM: lambda scores: scores.pain > rules.alarm_pain_above,
        VoiceName.CONCERN: lambda scores: scores.trust < rules.concern_trust_below,
        VoiceName.CURIOSITY: lambda scores: scores.chaos > rules.curiosity_chaos_above,
    }


def _gone(seam: str, before: Sequence[_Child], now: Sequence[_Child], rules: OracleRules) -> Mapping[VoiceName, _Gone]:
    today = {child.subject: child for child in now}
    found: dict[VoiceName, _Gone] = {}
    for voice, over in _thresholds(rules).items():
        was_over = [c for c in before if seam in c.views and over(c.views[seam].rounded)]
        forgotten = recovered = 0
        for child in was_over:
            later = today.get(child.subject)
            if later is None or (seam not in later.views and not later.closed):
                forgotten += 1
            elif later.closed or not over(later.views[seam].rounded):
                recovered += 1
        found[voice] = _Gone(forgotten, recovered)
    return found


def _gone_seams(
    before: Mapping[str, _Parent],
    now: Mapping[str, _Parent],
    by_seam: Mapping[str, Mapping[VoiceName, _Gone]],
    rules: OracleRules,
) -> Mapping[VoiceName, _Gone]:
    """A seam that is no longer over a threshold was forgotten when most of its children were."""
    found: dict[VoiceName, _Gone] = {}
    for voice, over in _thresholds(rules).items():
        forgotten = recovered = 0
        for seam, parent in before.items():
            scores = parent.score
            if not over(OracleTriple(scores.pain, scores.chaos, scores.trust)):
                continue
            later = now[seam].score if seam in now else None
            if later is not None and over(OracleTriple(later.pain, later.chaos, later.trust)):
                continue
            inside = by_seam[seam][voice]
            if inside.forgotten > inside.recovered:
                forgotten += 1
            else:
                recovered += 1
        found[voice] = _Gone(forgotten, recovered)
    return found


# ------------------------------------------------------------------------------------------------- 5. voices


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the voices of a subject are decided from at a pane's end."""

    end: Instant
    scores: OracleTriple | None
    """Rounded; None where the subject has no record: then nothing can hold."""
    chaos_omega: Unit
    trusted: bool
    """The condition on trust for a Celebration."""
    last: Mapping[str, tuple[Instant, str, int] | None]
    gone: Mapping[VoiceName, _Gone]


def _moment_of(view: _Scored, end: Instant) -> _Moment:
    return _Moment(
        end=end,
        scores=view.rounded,
        chaos_omega=round(view.omega.chaos, 6),
        trusted=False,
        last={
            "success": view.last_success,
            "harm": view.last_harm,
            "failure": view.last_failure,
            "anomaly": view.last_anomaly,
        },
        gone={},
    )


def _level_moment(parent: _Parent | None, end: Instant, gone: Mapping[VoiceName, _Gone]) -> _Moment:
    if parent is None:
        return _Moment(end, None, chaos_omega=1.0, trusted=False, last={}, gone=gone)
    score = parent.score
    return _Moment(
        end=end,
        scores=OracleTriple(score.pain, score.chaos, score.trust),
        chaos_omega=score.omega.chaos,
        trusted=parent.healthy,
        last=parent.last,
        gone=gone,
    )


_PRIORITY = (VoiceName.ALARM, VoiceName.CONCERN, VoiceName.CURIOSITY)
_CAUSE = {VoiceName.ALARM: "harm", VoiceName.CONCERN: "failure", VoiceName.CURIOSITY: "anomaly"}


def _speak(
    subject: str, level: Level, moments: Sequence[_Moment], rules: OracleRules, *, forgotten_at: Instant | None
) -> list[OracleVoice]:
    """Who speaks at each pane's end, in order, for one subject (one life of a connection)."""
    said: list[OracleVoice] = []
    since: dict[VoiceName, Instant] = {}
    ceased: dict[VoiceName, Instant] = {}
    in_a_row: dict[VoiceName, int] = dict.fromkeys(_PRIORITY, 0)
    has_spoken: set[VoiceName] = set()
    speaker: VoiceName | None = None
    claim = False
    grief_ended: Instant | None = None
    calm_in_a_row = 0
    over = _thresholds(rules)
    levels = level is not Level.CONNECTION

    def clears(voice: VoiceName, scores: OracleTriple) -> bool:
        if voice is VoiceName.ALARM:
            return scores.pain <= (rules.alarm_clear_pain_levels if levels else rules.alarm_clear_pain)
        if voice is VoiceName.CONCERN:
            return scores.trust >= rules.concern_clear_trust
        return scores.chaos <= rules.curiosity_clear_chaos

    def needed(voice: VoiceName, omega: Unit) -> int:
        if voice is VoiceName.ALARM:
            return 1
        if voice is VoiceName.CONCERN:
            return 2
        return 3 if omega < rules.curiosity_doubt_omega else 2

    def rests(voice: VoiceName, end: Instant) -> bool:
        return voice not in ceased or end - ceased[voice] >= rules.waits[voice]

    for moment in moments:
        end, scores = moment.end, moment.scores
        spoke_before, held_since = speaker, dict(since)
        for voice in _PRIORITY:
            raised = scores is not None and over[voice](scores)
            in_a_row[voice] = in_a_row[voice] + 1 if raised else 0
            if voice in since:
                if scores is None or clears(voice, scores):
                    del since[voice]
                    has_spoken.discard(voice)
                    ceased[voice] = end
                continue
            louder = spoke_before is not None and _PRIORITY.index(voice) < _PRIORITY.index(spoke_before)
            if raised and in_a_row[voice] >= needed(voice, moment.chaos_omega) and (rests(voice, end) or louder):
                since[voice] = end

        may_speak = [
            v for v in _PRIORITY if v in since and (v in has_spoken or (scores is not None and over[v](scores)))
        ]
        speaker = may_speak[0] if may_speak else None
        if speaker is not None:
            has_spoken.add(speaker)
        also = tuple(v for v in _PRIORITY if v in since and v is not speaker)
        if spoke_before is not speaker and spoke_before in {VoiceName.ALARM, VoiceName.CONCERN}:
            grief_ended = end

        if speaker is not None and spoke_before is None:
            said.append(OracleVoice(subject, level, end, VoiceLine.RAISED, speaker, since[speaker], also_held=also))
        elif speaker is not None and spoke_before is not None and speaker is not spoke_before:
            said.append(
                OracleVoice(
                    subject, level, end, VoiceLine.CHANGED, speaker, since[speaker], spoke_before, also_held=also
                )
            )
        elif speaker is not None and levels:
            said.append(OracleVoice(subject, level, end, VoiceLine.HELD, speaker, since[speaker], also_held=also))
        elif speaker is None and spoke_before is not None:
            reason = _why_cleared(spoke_before, moment)
            if reason == "forgotten":
                claim = False
            began = held_since[spoke_before]
            said.append(
                OracleVoice(subject, level, end, VoiceLine.CLEARED, spoke_before, began, reason=reason, also_held=also)
            )
        if speaker in {VoiceName.ALARM, VoiceName.CONCERN}:
            claim = True

        trusted = moment.trusted if levels else scores is not None and scores.trust > rules.celebration_trust_above
        calm = grief_ended is not None and end - grief_ended >= rules.celebration_calm
        calm_in_a_row = calm_in_a_row + 1 if trusted and calm and claim and not since and speaker is None else 0
        if calm_in_a_row >= 2 and rests(VoiceName.CELEBRATION, end):
            said.append(OracleVoice(subject, level, end, VoiceLine.CELEBRATED, VoiceName.CELEBRATION, end))
            claim, calm_in_a_row = False, 0
            ceased[VoiceName.CELEBRATION] = end

    if forgotten_at is not None and speaker is not None:
        also = tuple(v for v in _PRIORITY if v in since and v is not speaker)
        said.append(
            OracleVoice(
                subject,
                level,
                forgotten_at,
                VoiceLine.CLEARED,
                speaker,
                since[speaker],
                reason="forgotten",
                also_held=also,
            )
        )
    return said


def _why_cleared(voice: VoiceName, moment: _Moment) -> str:
    """Why the last speaker fell silent: forgotten, recovered (a success after the last cause) or faded."""
    gone = moment.gone.get(voice)
    if gone is not None and gone.forgotten > gone.recovered:
        return "forgotten"
    success, cause = moment.last.get("success"), moment.last.get(_CAUSE[voice])
    if success is not None and (cause is None or success > cause):
        return "recovered"
    return "faded"
