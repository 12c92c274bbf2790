"""I3: outcomes and published scores equal what the oracle makes of the same log, by brute force.

Only the last word on a pane counts. Records the log itself calls an ``internal_error`` were not folded, so the oracle
leaves them out as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import NamedTuple

from pydantic import ValidationError

from schemas.codec import decode_event
from schemas.hot import HotEvent
from schemas.rejects import Rejected, RejectReason
from schemas.scores import ScoreRecord
from schemas.topics import EVENTS, EVENTS_LATE, EVENTS_REJECTED, PARTIALS, SCORES
from schemas.types import Instant, Level, Millis, Origin

from .evidence import Evidence
from .judging import Finding, Judgement, Place
from .oracle import OracleEvent, OracleResult, OracleRules, OracleScore, Verdict, evaluate
from .states import Cut, States, clock_steps

__all__ = ["WARM_UP", "exactness", "oracle_rules"]

CLOSE = 1.000001e-6
"""One unit of the sixth decimal: both sides round, and sums may be added in another order."""

WARM_UP: Millis = 2 * 60 * 60_000
"""So long before what is judged the oracle must read: by then trust's masses are 2^-40 of what they were."""

_PANE: Millis = 30_000

_SHOWN = 20
"""Findings of one kind beyond these are counted only."""


class _Read(NamedTuple):
    """One partition as the oracle is given it."""

    events: list[OracleEvent]
    refused: dict[int, RejectReason]
    """Rejected for what they are."""
    broken: frozenset[int]
    """Rejected because folding raised."""
    tombstones: int


class _Published(NamedTuple):
    place: Place
    record: ScoreRecord


def oracle_rules(evidence: Evidence) -> OracleRules:
    """The oracle's numbers: its own, and what the run had set otherwise."""
    known = {one.name for one in fields(OracleRules)}
    given = {name: value for name, value in evidence.run.rules.items() if name in known}
    return replace(OracleRules(evidence.registry), **given)


def exactness(evidence: Evidence, states: States) -> Judgement:
    """Whether state and scores are those of every accepted event once, in order."""
    scorers = states.of(EVENTS)
    if not scorers:
        return Judgement(doubts=("no scorer has committed any state",))
    rules = oracle_rules(evidence)
    unknown = [*_unknown_past(evidence, scorers), *_unknown_steps(evidence, scorers)]
    partitions = range(max(evidence.partitions(EVENTS), default=-1) + 1)
    reads = [_read(evidence, states, partition) for partition in partitions]
    steps = {partition: clock_steps(cuts, rules.lag) for partition, cuts in scorers.items()}
    result = evaluate([one.events for one in reads], rules, clock=steps)
    findings: list[Finding] = []
    for partition in scorers:
        findings += _outcomes(evidence, states, partition, reads[partition], result)
    published, bad = _published(evidence)
    findings += _scores(evidence, states, published, result)
    numbers = {"panes": len(published)}
    if findings and unknown:
        # The oracle was not given all that the workers had, so it is no witness against them.
        differ = f"{len(findings)} differences from the oracle, the first {findings[0]}"
        return Judgement(tuple(bad), (differ, *unknown), numbers)
    return Judgement((*bad, *findings), (), numbers)


def _unknown_past(evidence: Evidence, scorers: Mapping[int, tuple[Cut, ...]]) -> Iterator[str]:
    """What the workers have read and the oracle cannot."""
    for partition, cuts in scorers.items():
        log = evidence.log(EVENTS, partition)
        whole = evidence.begin(EVENTS, partition) <= cuts[0].base
        if not whole and (not evidence.since or (log and log[0].timestamp > evidence.since - WARM_UP + _PANE)):
            yield f"{EVENTS}-{partition} was not read from its beginning, nor long enough before what is judged"


def _unknown_steps(evidence: Evidence, scorers: Mapping[int, tuple[Cut, ...]]) -> Iterator[str]:
    """Idle phases whose steps of the clock cannot be known: their cuts are compacted away, or cannot be read."""
    idle = evidence.run.rules.get("idle", 10_000)
    for partition, cuts in scorers.items():
        if cuts[-1].time is None:
            yield f"the event time of scorer partition {partition} cannot be read"
            continue
        times = [record.timestamp for record in evidence.log(EVENTS, partition)]
        first = cuts[0].at
        if any(after - before >= idle and after <= first for before, after in pairwise(times)):
            yield f"partition {partition} was idle before its first state record that is kept ({first})"


def _read(evidence: Evidence, states: States, partition: int) -> _Read:
    """The records the scorer has passed, decoded."""
    broken = {
        kept.source.offset
        for kept in evidence.kept(EVENTS_REJECTED)
        if not isinstance(kept, Place) and kept.source.partition == partition
        and kept.said is not None and kept.said.reason == RejectReason.INTERNAL_ERROR
    }  # fmt: skip
    events: list[OracleEvent] = []
    refused: dict[int, RejectReason] = {}
    tombstones = 0
    position = states.position(EVENTS, partition)
    for record in evidence.log(EVENTS, partition):
        if record.offset >= position:
            break
        event: HotEvent | None = None
        if record.value is None:
            tombstones += 1
        elif record.offset not in broken:
            origin = Origin(record.key, partition, record.offset, record.timestamp)
            decoded = decode_event(record.value, origin, evidence.registry)
            if isinstance(decoded, Rejected):
                refused[record.offset] = decoded.reason
            else:
                event = decoded
        events.append(OracleEvent(record.offset, record.timestamp, event, record.value or b""))
    return _Read(events, refused, frozenset(broken), tombstones)


def _outcomes(
    evidence: Evidence, states: States, partition: int, read: _Read, result: OracleResult
) -> Iterator[Finding]:
    """Outcome by outcome, beside the oracle's verdicts."""
    verdicts = {event.offset: verdict for event, verdict in zip(read.events, result.verdicts[partition], strict=True)}
    judged = {event.offset for event in read.events if event.append_ts >= evidence.since}
    expected: dict[str, dict[int, str]] = {
        "rejected": {offset: reason.value for offset, reason in read.refused.items()}
        | dict.fromkeys(read.broken, RejectReason.INTERNAL_ERROR.value)
        | {o: RejectReason.ID_CONFLICT.value for o, verdict in verdicts.items() if verdict is Verdict.ID_CONFLICT},
        "late": {offset: "late" for offset, verdict in verdicts.items() if verdict is Verdict.LATE},
    }
    position = states.position(EVENTS, partition)
    for outcome, topic in (("rejected", EVENTS_REJECTED), ("late", EVENTS_LATE)):
        there = {
            kept.source.offset: kept.said.reason if kept.said is not None else "late"
            for kept in evidence.kept(topic)
            if not isinstance(kept, Place) and kept.source.partition == partition and kept.source.offset < position
        }
        for offset in sorted(judged & (there.keys() | expected[outcome].keys())):
            ours, theirs = there.get(offset, "nothing of the kind"), expected[outcome].get(offset)
            if ours != theirs:
                by_oracle = theirs or verdicts[offset].value
                yield Finding(f"the log says {ours}, the oracle {by_oracle}", Place(EVENTS, partition, offset))
    cut = states.of(EVENTS)[partition][-1]
    if evidence.begin(EVENTS, partition) > cut.base or evidence.since:
        return
    told = Counter(verdicts.values())
    reckoned = {
        "scored": told[Verdict.SCORED] + told[Verdict.UNSCORED],
        "duplicate": told[Verdict.DUPLICATE],
        "tombstone": read.tombstones,
    }
    for outcome, number in reckoned.items():
        if cut.counts.get(outcome, 0) != number:
            text = f"{cut.counts.get(outcome, 0)} {outcome} by the state, {number} by the oracle"
            yield Finding(text, cut.place)


def _published(evidence: Evidence) -> tuple[dict[tuple[str, Instant], _Published], list[Finding]]:
    """The last word on each pane, and records that are none, or that only make sense with one that is not there."""
    last: dict[tuple[str, Instant], _Published] = {}
    revisions: dict[tuple[str, Instant], set[int]] = defaultdict(set)
    bad: list[Finding] = []
    for place, record in evidence.records(SCORES):
        try:
            score = ScoreRecord.model_validate_json(record.value or b"")
        except ValidationError:
            bad.append(Finding("no score record", place))
            continue
        key = (score.subject, score.window_end)
        revisions[key].add(score.revision)
        if key not in last or score.revision >= last[key].record.revision:
            last[key] = _Published(place, score)
    for (subject, end), seen in revisions.items():
        place, newest = last[subject, end]
        if newest.window_start >= evidence.since and len(seen) <= newest.revision:
            missing = next(number for number in range(newest.revision) if number not in seen)
            bad.append(Finding(f"{subject} at {end}: revision {newest.revision} is there, {missing} is not", place))
    return last, bad


def _scores(
    evidence: Evidence,
    states: States,
    published: Mapping[tuple[str, Instant], _Published],
    result: OracleResult,
) -> Iterator[Finding]:
    """Published scores beside the oracle's.

    Of connections all that must be published, or those that are; a suppressed change may be as large as the setting
    says. Levels publish every pane.
    """
    run = evidence.run
    emit = run.rules.get("emit", "changed")
    slack = {"all": 0.0, "changed": float(run.rules.get("changed_by", 0.01))}.get(emit, 1.0)
    levels = set(Level) if PARTIALS in states.sources() else {Level.CONNECTION}
    keys = published.keys() | result.scores.keys()
    order = list(Level)
    pane = run.rules.get("pane", _PANE)
    shown = 0
    for key in sorted(keys, key=lambda one: (one[1], order.index(_level(one[0])), one[0])):
        subject, end = key
        if _level(subject) not in levels or end - pane < evidence.since or end > (evidence.until or end):
            continue
        ours, theirs = published.get(key), result.scores.get(key)
        if ours is None and (emit == "all" or _level(subject) is not Level.CONNECTION):
            text = f"{subject} at {end}: not published; the oracle says {_triple(theirs)}"
            place = _behind(theirs)
        elif ours is not None and theirs is None:
            text, place = f"{subject} at {end}: published, the oracle knows of no such pane", ours.place
        elif ours is not None and theirs is not None:
            different = _differences(ours.record, theirs, slack if _level(subject) is Level.CONNECTION else 0.0)
            if not different:
                continue
            text, place = f"{subject} at {end}: {', '.join(different)}", ours.place
        else:
            continue
        shown += 1
        if shown <= _SHOWN:
            yield Finding(text, place)
    if shown > _SHOWN:
        yield Finding(f"and {shown - _SHOWN} more panes differ")


def _level(subject: str) -> Level:
    return Level(subject.partition(":")[0])


def _triple(score: OracleScore | None) -> str:
    return "nothing" if score is None else f"{score.pain} {score.chaos} {score.trust}"


def _behind(score: OracleScore | None) -> Place | None:
    """An event that explains a score that was not published."""
    events = [] if score is None else [one for one in score.contributors if one.offset >= 0]
    return Place(EVENTS, events[0].partition, events[0].offset) if events else None


def _differences(record: ScoreRecord, score: OracleScore, slack: float) -> Sequence[str]:
    """What differs, in words. With slack only the three scores are held against each other."""
    rows: list[tuple[str, object, object]] = [
        ("pain", record.pain, score.pain),
        ("chaos", record.chaos, score.chaos),
        ("trust", record.trust, score.trust),
    ]
    if not slack:
        counts, over = record.counts, record.children_over
        rows += [
            ("omega", (record.omega.pain, record.omega.chaos, record.omega.trust), tuple(score.omega)),
            ("dimension", record.dimension, score.dimension),
            ("counts", (counts.events, counts.successes, counts.failures, counts.anomalies), tuple(score.counts)),
            ("link", record.link_state, score.link_state),
            ("children", record.children, score.children),
            (
                "over",
                None if over is None else (over.pain, over.chaos, over.distrust),
                None if score.children_over is None else tuple(score.children_over),
            ),
            ("worst", record.worst_child, score.worst_child),
        ]
    near = CLOSE + slack
    return [f"{name} is {ours}, by the oracle {theirs}" for name, ours, theirs in rows if not _same(ours, theirs, near)]


def _same(one: object, other: object, near: float) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= near
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return all(_same(a, b, near) for a, b in zip(one, other, strict=True))
    return one == other
