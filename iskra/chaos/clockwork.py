"""I5: after each checkpoint the group stands where the state does; event time neither falls nor runs ahead."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby

from schemas.topics import EVENTS
from schemas.types import Instant

from .evidence import Evidence
from .judging import Finding, Judgement, Place
from .states import Cut, States

__all__ = ["clockwork", "event_time", "group_offsets", "group_positions"]


def clockwork(evidence: Evidence, states: States) -> Judgement:
    """Both halves."""
    offsets, times = group_offsets(evidence, states), event_time(evidence, states)
    return Judgement((*offsets.findings, *times.findings), (*offsets.doubts, *times.doubts))


def group_offsets(evidence: Evidence, states: States) -> Judgement:
    """Whether every checkpoint committed both, in the same order, and nothing else committed either."""
    findings: list[Finding] = []
    if not evidence.commits:
        return Judgement(doubts=("no group offsets were seen",))
    for source in states.sources():
        for partition, cuts in states.of(source).items():
            own = [one.offset for one in evidence.commits if (one.topic, one.partition) == (source, partition)]
            ours, theirs = _steps(own), _steps([cut.position for cut in cuts])
            if ours == theirs:
                continue
            number = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)
            if number is None:
                number = min(len(ours), len(theirs))
            group = ours[number] if number < len(ours) else None
            state = theirs[number] if number < len(theirs) else None
            text = f"the group's offset went to {group}, the state's position to {state}"
            bad = min(offset for offset in (group, state) if offset is not None)
            findings.append(Finding(text, Place(source, partition, bad)))
    return Judgement(tuple(findings))


def group_positions(evidence: Evidence, states: States) -> Judgement:
    """Whether each group stands where a checkpoint left it. For a running cluster: only its present offsets are known.

    Shape: the commits of the evidence are those present offsets, read before the state was.
    """
    findings: list[Finding] = []
    for one in evidence.commits:
        cuts = states.of(one.topic).get(one.partition, ())
        if one.offset not in {cut.position for cut in cuts}:
            last = cuts[-1].position if cuts else None
            text = f"the group {one.group} stands at {one.offset}, where no checkpoint ended; the last is {last}"
            findings.append(Finding(text, Place(one.topic, one.partition, one.offset)))
    return Judgement(tuple(findings))


def _steps(offsets: Sequence[int]) -> list[int]:
    """Without repeats: a checkpoint that only the clock asked for commits the same position again."""
    return [offset for offset, _ in groupby(offsets)]


def event_time(evidence: Evidence, states: States) -> Judgement:
    """Whether the watermark never falls and never passes the broker's clock."""
    findings: list[Finding] = []
    doubts: list[str] = []
    for partition, cuts in states.of(EVENTS).items():
        if cuts[-1].time is None:
            doubts.append(f"the event time of scorer partition {partition} cannot be read")
        findings += _falling(partition, cuts)
        findings += _ahead(evidence, partition, cuts)
    return Judgement(tuple(findings), tuple(doubts))


def _falling(partition: int, cuts: tuple[Cut, ...]) -> Iterator[Finding]:
    before: Instant | None = None
    for cut in cuts:
        if cut.time is None:
            continue
        if before is not None and cut.time.watermark < before:
            yield Finding(f"the watermark of {partition} fell from {before} to {cut.time.watermark}", cut.place)
            return
        before = cut.time.watermark


def _ahead(evidence: Evidence, partition: int, cuts: tuple[Cut, ...]) -> Iterator[Finding]:
    """The broker's clock at a cut is at least the append time of what was read; at most that of what came next.

    A cut with nothing behind it is held against the instant at which the broker took its group offset.
    """
    log = evidence.log(EVENTS, partition)
    offsets = [record.offset for record in log]
    newest: list[Instant] = []
    for record in log:
        newest.append(max(record.timestamp, newest[-1] if newest else record.timestamp))
    taken = [one for one in evidence.commits if (one.topic, one.partition) == (EVENTS, partition)]
    committed: dict[int, Instant] = {}
    for one in taken:
        committed[one.offset] = max(one.at, committed.get(one.offset, one.at))
    for cut in cuts:
        if cut.time is None or cut.time.watermark <= 0:
            continue
        number = bisect_left(offsets, cut.position)
        read = newest[number - 1] if number else None
        after = log[number].timestamp if number < len(log) else None
        clock = max((at for at in (read, after, committed.get(cut.position)) if at is not None), default=None)
        if after is None and cut.position not in committed:
            clock = max(clock or 0, evidence.run.ended)
        if clock is not None and cut.time.watermark > clock:
            ahead = cut.time.watermark - clock
            text = f"the watermark of {partition} is {cut.time.watermark}, {ahead} ms ahead of the broker"
            yield Finding(text, Place(EVENTS, partition, max(0, cut.position - 1)))
            return
