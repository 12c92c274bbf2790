"""I1: every offset a stage has passed has exactly one outcome.

The books in the state must balance in themselves, and must agree with the log: as many records read as the broker has
delivered, each rejected and late one under its own offset in its topic, each intent settled or waiting.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping

from schemas.topics import EVENTS, EVENTS_LATE, EVENTS_REJECTED, INTENTS, NOTIFICATIONS, STATE_DISPATCHER

from .evidence import Evidence, content
from .judging import Finding, Judgement, Place
from .states import Cut, States

__all__ = ["conservation"]

_SIDE_TOPICS = {"rejected": EVENTS_REJECTED, "late": EVENTS_LATE}
_WAITING = b"wait|"


def conservation(evidence: Evidence, states: States) -> Judgement:
    """Whether anything was lost, or counted twice, on the way through a stage."""
    findings: list[Finding] = []
    doubts = list(states.faults)
    for source in states.sources():
        for partition in evidence.partitions(source):
            cuts = states.of(source).get(partition, ())
            log = evidence.log(source, partition)
            if not cuts:
                if log:
                    place = Place(source, partition, log[0].offset)
                    findings.append(Finding(f"{len(log)} records and no state of {partition}", place))
                continue
            findings += _unbalanced(source, partition, cuts)
            findings += _against_the_log(evidence, source, partition, cuts, doubts)
    if EVENTS in states.sources():
        for outcome, topic in _SIDE_TOPICS.items():
            findings += _side_topic(evidence, states.of(EVENTS), outcome, topic, doubts)
    if INTENTS in states.sources():
        findings += _intents(evidence, states.of(INTENTS))
    if not states.sources():
        doubts.append("no stage has committed any state")
    return Judgement(tuple(findings), tuple(doubts), _totals(states))


def _totals(states: States) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for cuts in states.of(EVENTS).values():
        counts.update(cuts[-1].counts)
    return {name: counts[name] for name in ("scored", "rejected", "late", "duplicate", "tombstone")}


def _unbalanced(source: str, partition: int, cuts: tuple[Cut, ...]) -> Iterator[Finding]:
    """The first cut whose books do not balance, and whether that healed."""
    before = cuts[0].base
    for cut in cuts:
        if cut.unaccounted:
            what = "without an outcome" if cut.unaccounted > 0 else "more outcomes than records"
            text = f"{abs(cut.unaccounted)} {what} among the offsets up to {cut.position - 1} (by {cut.place})"
            yield Finding(text, Place(source, partition, before))
            return
        before = cut.position


def _against_the_log(
    evidence: Evidence, source: str, partition: int, cuts: tuple[Cut, ...], doubts: list[str]
) -> Iterator[Finding]:
    """The first stretch between cuts of which the log has another number of records than were counted."""
    begin, tapped = evidence.begin(source, partition), evidence.tapped.get((source, partition))
    offsets = [record.offset for record in evidence.log(source, partition)]
    if tapped is not None and cuts[-1].position > tapped.end:
        doubts.append(f"{source}-{partition} was read to {tapped.end}, its state stands at {cuts[-1].position}")
    at, counted = cuts[0].base, 0
    place = 0
    for cut in cuts:
        if at >= begin:
            while place < len(offsets) and offsets[place] < at:
                place += 1
            first = place
            while place < len(offsets) and offsets[place] < cut.position:
                place += 1
            there, taken = place - first, cut.counted - counted
            if there != taken and (tapped is None or cut.position <= tapped.end):
                text = f"the log has {there} records from here to {cut.position - 1}, {taken} were given an outcome"
                yield Finding(text, Place(source, partition, at))
                return
        at, counted = cut.position, cut.counted


def _side_topic(
    evidence: Evidence, scorers: Mapping[int, tuple[Cut, ...]], outcome: str, topic: str, doubts: list[str]
) -> Iterator[Finding]:
    """Rejected and late records, offset by offset, beside what was counted."""
    if not evidence.since and any(evidence.begin(topic, partition) for partition in evidence.partitions(topic)):
        doubts.append(f"{topic} has lost its beginning to retention: what was counted cannot be compared")
        return
    sources: dict[int, list[int]] = {}
    seen: set[Place] = set()
    for kept in evidence.kept(topic):
        if isinstance(kept, Place):
            yield Finding("its headers do not say where it came from", kept)
            continue
        if kept.source in seen:
            yield Finding(f"{outcome} once more at {kept.place}", kept.source)
        seen.add(kept.source)
        sources.setdefault(kept.source.partition, []).append(kept.source.offset)
    for partition, cuts in scorers.items():
        offsets = sorted(sources.get(partition, ()))
        before, counted = cuts[0].base, 0
        start = next((one.offset for one in evidence.log(EVENTS, partition) if one.timestamp >= evidence.since), 0)
        for cut in cuts:
            there = bisect_left(offsets, cut.position) - bisect_left(offsets, before)
            taken = cut.counts.get(outcome, 0) - counted
            if there != taken and before >= (start if evidence.since else 0):
                text = f"{taken} {outcome} were counted from here to {cut.position - 1}, {there} stand in {topic}"
                yield Finding(text, Place(EVENTS, partition, before))
                break
            before, counted = cut.position, cut.counts.get(outcome, 0)


def _intents(evidence: Evidence, dispatchers: Mapping[int, tuple[Cut, ...]]) -> Iterator[Finding]:
    """The balance of notifications: accepted = settled + waiting."""
    settled = {(record.key or b"").decode(errors="replace") for _, record in evidence.records(NOTIFICATIONS)}
    for partition, cuts in dispatchers.items():
        waiting: set[str] = set()
        for record in evidence.log(STATE_DISPATCHER, partition):
            if record.key is None or not record.key.startswith(_WAITING):
                continue
            name = record.key.rpartition(b"|")[2].decode(errors="replace")
            (waiting.discard if record.value is None else waiting.add)(name)
        for record in evidence.log(INTENTS, partition):
            intent = content(record) or {}
            name = str(intent.get("notification_id", ""))
            if record.offset >= cuts[-1].position or not name:
                continue
            place = Place(INTENTS, partition, record.offset)
            if name in settled and name in waiting and evidence.until is None:
                yield Finding("settled, and waiting still", place)
            elif name not in settled and name not in waiting:
                yield Finding("neither settled nor waiting", place)
