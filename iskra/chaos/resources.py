"""I12: after warm-up a process neither grows nor gathers descriptors, tasks or series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import fmean, linear_regression, median

from schemas.types import Millis

from .evidence import Evidence
from .judging import Finding, Judgement
from .ledger import Limits, Sample
from .states import States

__all__ = ["resources"]

_JUDGED: Millis = 120_000
"""Of samples after warm-up, at least; of less a trend says nothing."""
_MINUTE: Millis = 60_000
_SPREAD = 0.05
"""By so much, and by 2, a count may wander."""


def resources(evidence: Evidence, states: States) -> Judgement:
    """Whether any process that lived long enough has a trend."""
    lives: dict[str, list[Sample]] = defaultdict(list)
    for sample in evidence.samples:
        lives[sample.process].append(sample)
    limits = evidence.run.limits
    findings: list[Finding] = []
    judged = 0
    for process, samples in sorted(lives.items()):
        warm = [sample for sample in samples if sample.at >= samples[0].at + limits.warm_up]
        if len(warm) < 6 or warm[-1].at - warm[0].at < _JUDGED:
            continue
        judged += 1
        findings += _trends(process, warm, limits)
    doubts = () if judged else ("no process was watched for two minutes after its warm-up",)
    return Judgement(tuple(findings), doubts, {"processes_judged": judged})


def _trends(process: str, samples: Sequence[Sample], limits: Limits) -> Iterator[Finding]:
    slope, _ = linear_regression([one.at / _MINUTE for one in samples], [float(one.rss) for one in samples])
    growth = slope / fmean(one.rss for one in samples)
    if growth > limits.growth:
        yield Finding(f"{process} grows by {growth:.1%} a minute, allowed are {limits.growth:.1%}")
    third = len(samples) // 3
    for what in ("descriptors", "tasks", "series"):
        counts = [number for one in samples if (number := getattr(one, what)) is not None]
        if len(counts) < len(samples):
            continue
        early, late = median(counts[:third]), median(counts[-third:])
        if late - early > max(2, _SPREAD * early):
            yield Finding(f"{process} has {late:.0f} {what}, it had {early:.0f}")
