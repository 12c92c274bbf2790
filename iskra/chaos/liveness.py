"""I11: when the faults are over, everything that waits is done within the time allowed.

Judged in the quiet phases: what was in a stage's input when the quiet began must be behind its position in time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from schemas.types import Instant

from .evidence import Evidence
from .judging import Finding, Judgement, Place
from .ledger import FaultSeen
from .states import Cut, States

__all__ = ["liveness"]

_QUIET = "quiet"


def liveness(evidence: Evidence, states: States) -> Judgement:
    """Whether each stage caught up in each quiet phase, and how long the slowest took."""
    quiet = [one for one in evidence.faults if one.kind == _QUIET]
    faults = [one for one in evidence.faults if one.kind != _QUIET]
    doubts: list[str] = []
    if faults and not any(phase.at >= max(one.until for one in faults) for phase in quiet):
        doubts.append("no quiet phase follows the last fault")
    findings: list[Finding] = []
    slowest = 0
    phases = quiet or [FaultSeen(at=evidence.run.ended, until=evidence.run.ended, kind=_QUIET, target="all")]
    for phase in phases:
        for source in states.sources():
            for partition, cuts in states.of(source).items():
                took = _caught_up(evidence, source, partition, cuts, phase.at)
                limit = evidence.run.limits.recovery
                if isinstance(took, int):
                    slowest = max(slowest, took)
                    if took > limit:
                        text = f"{took / 1_000:.1f} s until the backlog of {source}-{partition} was done"
                        findings.append(Finding(text, _waiting(evidence, source, partition, cuts, phase.at)))
                elif not quiet or phase.until - phase.at >= limit:
                    findings.append(Finding("never done, although all was quiet", took))
                else:
                    doubts.append(f"a quiet phase of {(phase.until - phase.at) // 1_000} s was too short for {took}")
    return Judgement(tuple(findings), tuple(doubts), {"slowest_recovery_s": round(slowest / 1_000, 1)})


def _caught_up(
    evidence: Evidence, source: str, partition: int, cuts: tuple[Cut, ...], quiet_from: Instant
) -> int | Place:
    """How long it took, in ms, or the first record that never had its turn."""
    log = evidence.log(source, partition)
    waiting = bisect_right([record.timestamp for record in log], quiet_from)
    if waiting == 0:
        return 0
    last = log[waiting - 1].offset
    done = next((at for at, position in _progress(evidence, source, partition, cuts) if position > last), None)
    if done is not None:
        return max(0, done - quiet_from)
    number = bisect_left([record.offset for record in log], cuts[-1].position)
    return Place(source, partition, log[min(number, len(log) - 1)].offset)


def _progress(evidence: Evidence, source: str, partition: int, cuts: tuple[Cut, ...]) -> Iterator[tuple[Instant, int]]:
    """Instants and positions, by the broker's clock where the group's offsets were seen, else by the worker's."""
    commits = [(one.at, one.offset) for one in evidence.commits if (one.topic, one.partition) == (source, partition)]
    yield from commits or ((cut.at, cut.position) for cut in cuts)


def _waiting(evidence: Evidence, source: str, partition: int, cuts: tuple[Cut, ...], quiet_from: Instant) -> Place:
    """The first offset that still waited when the quiet began."""
    before = [position for at, position in _progress(evidence, source, partition, cuts) if at <= quiet_from]
    return Place(source, partition, before[-1] if before else cuts[0].base)
