"""The checker: a table of invariants, held against the files of a run.

It reads nothing else: no worker is asked, no broker. A run is green when every invariant that applies held and the run
was worth judging; violated when one was broken; else inconclusive, which is no better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeAlias

from .acknowledged import acknowledged
from .clockwork import clockwork
from .conservation import conservation
from .deliveries import completeness, lifecycle, soundness
from .evidence import Evidence, read_evidence
from .exactness import exactness
from .judging import Finding, Judgement, Verdict
from .ledger import LedgerError
from .liveness import liveness
from .ordering import ordering
from .repeats import repeats
from .resources import resources
from .roundtrip import roundtrip
from .states import States, read_states
from .timeline import timeline

__all__ = ["INVARIANTS", "Invariant", "Report", "as_data", "as_lines", "check", "judge"]

Judge: TypeAlias = Callable[[Evidence, States], Judgement]


@dataclass(frozen=True, slots=True)
class Invariant:
    """One row of the table."""

    name: str
    promise: str
    judge: Judge


INVARIANTS: Final[tuple[Invariant, ...]] = (
    Invariant("I1", "conservation", conservation),
    Invariant("I2", "no acked loss", acknowledged),
    Invariant("I3", "exactly once in effect", exactness),
    Invariant("I4", "order", ordering),
    Invariant("I5", "time", clockwork),
    Invariant("I6", "completeness", completeness),
    Invariant("I7", "soundness", soundness),
    Invariant("I8", "no repeats", repeats),
    Invariant("I9", "lifecycle", lifecycle),
    Invariant("I10", "round trip", roundtrip),
    Invariant("I11", "liveness", liveness),
    Invariant("I12", "resources", resources),
)
"""Source: reliability.md 3."""

_ROWS: Final[tuple[tuple[str, ...], ...]] = (
    ("attempt", "ok", "unknown", "fail"),
    ("scored", "rejected", "late", "duplicate", "tombstone"),
    ("lost", "unexpected"),
    ("repeats/repeats_budget", "decisions", "delivered", "extra/extra_budget"),
    ("slowest_recovery_s",),
)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a check."""

    verdict: Verdict
    seed: int | None
    """None where nothing was made by chance."""
    judgements: Mapping[str, Judgement]
    """By the invariant's name, of those that apply, in the order of the table."""
    doubts: tuple[str, ...]
    """About the run as a whole."""
    numbers: Mapping[str, int | float]
    faults: Mapping[str, int]
    """Faults that had their effect, by kind."""
    around: str
    """The place the timeline is about; empty when nothing was broken."""
    timeline: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 is green."""
        return 0 if self.verdict is Verdict.GREEN else 1


def check(directory: Path, progress: Callable[[str], None] | None = None) -> Report:
    """Judge the run whose files are here. A file that cannot be read leaves the run inconclusive."""
    try:
        evidence = read_evidence(directory, progress)
    except LedgerError as error:
        return Report(Verdict.INCONCLUSIVE, None, {}, (str(error),), {}, {}, "", ())
    return judge(evidence, progress)


def judge(
    evidence: Evidence,
    progress: Callable[[str], None] | None = None,
    *,
    table: Sequence[Invariant] = INVARIANTS,
) -> Report:
    """Hold every invariant of the table that applies against the evidence."""
    states = read_states(evidence)
    judgements: dict[str, Judgement] = {}
    for invariant in table:
        if invariant.name not in evidence.run.invariants:
            continue
        if progress is not None:
            progress(f"{invariant.name} {invariant.promise}")
        judgements[invariant.name] = invariant.judge(evidence, states)
    bitten = Counter(one.kind for one in evidence.faults if one.bit)
    doubts = tuple(_worthless(evidence, bitten, judgements))
    verdicts = [one.verdict for one in judgements.values()]
    verdict = Verdict.GREEN
    if Verdict.VIOLATED in verdicts:
        verdict = Verdict.VIOLATED
    elif doubts or Verdict.INCONCLUSIVE in verdicts:
        verdict = Verdict.INCONCLUSIVE
    first = _first_bad(chain.from_iterable(one.findings for one in judgements.values()))
    numbers: dict[str, int | float] = {}
    for one in judgements.values():
        numbers |= one.numbers
    return Report(
        verdict=verdict,
        seed=evidence.run.seed,
        judgements=judgements,
        doubts=doubts,
        numbers=numbers,
        faults=dict(sorted(bitten.items())),
        around="" if first is None else str(first.place),
        timeline=() if first is None or first.place is None else tuple(timeline(evidence, states, first.place)),
    )


def _worthless(evidence: Evidence, bitten: Counter[str], judgements: Mapping[str, Judgement]) -> Iterable[str]:
    """Why a run says nothing, whatever held in it."""
    unknown = sorted(set(evidence.run.invariants) - {one.name for one in INVARIANTS})
    if unknown:
        yield f"there is no invariant {unknown[0]}"
    if not judgements:
        yield "no invariant applies"
    limits = evidence.run.limits
    ok = sum(one.status == "ok" for one in evidence.sent)
    if "I2" in judgements and ok < limits.min_events:
        yield f"{ok} acknowledged events, at least {limits.min_events} are needed"
    for kind in limits.must_bite:
        if not bitten[kind]:
            yield f"no {kind} had its effect"


def _first_bad(findings: Iterable[Finding]) -> Finding | None:
    """The finding of the first invariant that names a place: the first cause comes first in the table."""
    return next((one for one in findings if one.place is not None), None)


def as_lines(report: Report) -> list[str]:
    """The report for people."""
    lines = [f"{report.verdict}  seed {report.seed}" if report.seed is not None else f"{report.verdict}"]
    lines += [f"  {doubt}" for doubt in report.doubts]
    promises = {one.name: one.promise for one in INVARIANTS}
    for name, judgement in report.judgements.items():
        lines.append(f"{name:<4}{promises[name]:<24}{judgement.verdict}")
        said = [str(one) for one in judgement.findings] + list(judgement.doubts)
        lines += [f"      {text}" for text in said[:_SHOWN]]
        if len(said) > _SHOWN:
            lines.append(f"      and {len(said) - _SHOWN} more")
    for row in _ROWS:
        shown = [text for name in row if (text := _number(report.numbers, name)) is not None]
        if shown:
            lines.append("  ".join(shown))
    if report.faults:
        lines.append("faults that bit: " + "  ".join(f"{kind} {number}" for kind, number in report.faults.items()))
    if report.around:
        lines += [f"around {report.around}:", *(f"  {line}" for line in report.timeline)]
    return lines


def _number(numbers: Mapping[str, int | float], name: str) -> str | None:
    first, _, budget = name.partition("/")
    if first not in numbers:
        return None
    value = f"{numbers[first]}/{numbers.get(budget, 0)}" if budget else f"{numbers[first]}"
    return f"{first.removesuffix('_s').replace('_', ' ')} {value}{' s' if first.endswith('_s') else ''}"


def as_data(report: Report) -> dict[str, Any]:
    """The report as one JSON object."""
    return {
        "verdict": report.verdict.value,
        "seed": report.seed,
        "invariants": {
            name: {
                "verdict": one.verdict.value,
                "findings": [
                    {"text": finding.text, "place": None if finding.place is None else str(finding.place)}
                    for finding in one.findings
                ],
                "doubts": list(one.doubts),
            }
            for name, one in report.judgements.items()
        },
        "doubts": list(report.doubts),
        "numbers": dict(report.numbers),
        "faults": dict(report.faults),
        "around": report.around or None,
        "timeline": list(report.timeline),
    }
