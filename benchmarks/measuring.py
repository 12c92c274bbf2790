"""From samples of a running system to figures. Pure.

A sample says, at one moment of the monotonic clock, how far the system's group had *committed* and what had been used
until then. Work that is not committed is not counted: it would be done again after a crash.

*Steady* is from the first commit that was seen to the commit that reached the end: the start of the process and of its
clients is left out, the last commit is not. *Wall* is from the start of the process to the last commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Figures", "Sample", "Spread", "figures_of", "percentile", "spread_of"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment of a run. Units: seconds, bytes."""

    at: float
    position: int
    """Records committed, over all partitions."""
    cpu: float
    """CPU used by the system under test since its start."""
    broker_cpu: float
    rss: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One run in numbers. Units: events per second; CPU seconds per million events; bytes; seconds."""

    events: int
    """Committed in the steady part."""
    rate: float
    cpu_per_million: float
    broker_cpu_per_million: float
    rss_peak: int
    wall: float
    """From start to the last commit."""
    wall_rate: float
    """All events over ``wall``: start-up included."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Several runs in three numbers."""

    median: float
    least: float
    most: float
    runs: int

    @property
    def relative(self) -> float:
        """Half of the distance between least and most, as a share of the median."""
        return (self.most - self.least) / 2 / self.median if self.median else 0.0


def figures_of(samples: Sequence[Sample], end: int, *, after: int = 0) -> Figures:
    """The figures of a run that reached ``end``.

    Shape: samples in order of time, the first one taken at the start of the process; ``after``: the steady part begins
    at the first commit beyond this position.
    Errors: ValueError when the end was not reached, or no commit was seen before it.
    """
    last = next((sample for sample in samples if sample.position >= end), None)
    if last is None:
        message = f"the run committed {samples[-1].position if samples else 0} of {end} records"
        raise ValueError(message)
    first = next(sample for sample in samples if sample.position > after)
    events = last.position - first.position
    if events <= 0:
        message = f"no commit was seen between {after} and the end, {end}: more records, or samples, are needed"
        raise ValueError(message)
    wall = last.at - samples[0].at
    return Figures(
        events=events,
        rate=events / (last.at - first.at),
        cpu_per_million=(last.cpu - first.cpu) / events * 1e6,
        broker_cpu_per_million=(last.broker_cpu - first.broker_cpu) / events * 1e6,
        rss_peak=max(sample.rss for sample in samples),
        wall=wall,
        wall_rate=last.position / wall,
    )


def spread_of(values: Sequence[float]) -> Spread:
    """Median, least and most of at least one value."""
    return Spread(median(values), min(values), max(values), len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed. Shape: at least one value."""
    ordered = sorted(values)
    index = max(0, -(-len(ordered) * round(share * 1e6) // 1_000_000) - 1)
    return ordered[min(index, len(ordered) - 1)]
