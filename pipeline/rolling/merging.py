"""What the shares of all sources add up to: the scores of a seam or of the ecosystem at one pane's end.

The same operator on both levels. Knows no state: the caller says which shares count and how many links are alive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msgspec import structs

from pipeline.scoring.power_mean import EMPTY, PowerSum, certainty, mean, merge
from pipeline.scoring.rules import ScoreRules
from pipeline.scoring.voices import mostly_well
from schemas.types import Instant, Level, Unit
from schemas.wire import (
    CountsWire,
    GoneWire,
    OverWire,
    PartialContributorWire,
    PartialWire,
    PowerTermsWire,
    WorstChildWire,
)

__all__ = [
    "LATEST",
    "Certainties",
    "Gones",
    "LevelScore",
    "Triple",
    "add_up",
    "carried",
    "heaviest",
    "is_sound",
    "painless",
]

_LARGEST = 1e15
"""No sum of a sound share is larger; a float is exact up to here."""

LATEST: Instant = 10**14
"""No pane ends later; the bound of event times (reliability.md 7.1, E15)."""


class Triple(NamedTuple):
    """Pain, chaos and trust."""

    pain: Unit
    chaos: Unit
    trust: Unit

    def rounded(self) -> Triple:
        """As published and compared."""
        return Triple(round(self.pain, 6) + 0.0, round(self.chaos, 6) + 0.0, round(self.trust, 6) + 0.0)


class Certainties(NamedTuple):
    """The Ω of each score, not rounded."""

    pain: Unit
    chaos: Unit
    trust: Unit


class Gones(NamedTuple):
    """Per score: of the children over its threshold one pane earlier, how many were forgotten or are no longer over."""

    pain: GoneWire
    chaos: GoneWire
    distrust: GoneWire


@dataclass(frozen=True, slots=True)
class LevelScore:
    """A seam or the ecosystem at the end of a pane. Scores and Ω are not rounded."""

    subject: str
    level: Level
    end: Instant
    scores: Triple
    omegas: Certainties
    children: int
    over: OverWire
    well: bool
    """Enough children are well for a Celebration."""
    worst: WorstChildWire | None
    counts: CountsWire
    contributors: tuple[PartialContributorWire, ...]
    """At most 5, the heaviest first."""
    shares: tuple[Unit, ...]
    """Of each contributor."""
    mass: float
    anomaly_mass: float
    deltas: dict[str, int]
    last_success: Instant | None
    last_harm: Instant | None
    last_anomaly: Instant | None
    last_failure: Instant | None
    gone: Gones

    @property
    def dimension(self) -> int:
        """The largest D of the contributors, plus one per level climbed, at most 10."""
        climbed = 2 if self.level is Level.ECOSYSTEM else 1
        return min(10, max((c.dimension for c in self.contributors), default=1) + climbed)

    @property
    def entropy(self) -> float:
        """Shannon entropy in bits of the deltas in the chaos window."""
        total = sum(self.deltas.values())
        if total <= 0:
            return 0.0
        bits = -math.fsum(n / total * math.log2(n / total) for n in self.deltas.values() if n > 0)
        return max(0.0, round(bits, 6))


def is_sound(share: PartialWire, pane: int) -> bool:
    """Whether a share can be added up at all: finite, not negative, of one whole pane."""
    numbers = (share.weight, share.mass, share.anomaly_mass, *_terms(share))
    counts = (share.children, share.healthy, share.over_pain, share.over_chaos, share.over_distrust, share.revision)
    counted = (share.events, share.successes, share.failures, share.anomalies, *share.deltas.values())
    gone = (share.gone_pain, share.gone_chaos, share.gone_distrust)
    return (
        0 < share.window_end <= LATEST
        and share.window_end % pane == 0
        and "\x1f" not in share.parent
        and share.window_end - share.window_start == pane
        and all(0.0 <= number <= _LARGEST for number in numbers)
        and all(0 <= count <= _LARGEST for count in (*counts, *counted, share.live or 0))
        and all(0 <= g.forgotten <= _LARGEST and 0 <= g.recovered <= _LARGEST for g in gone)
        and all(0.0 <= c.mass <= _LARGEST and 0.0 <= c.omega <= 1.0 for c in share.contributors)
        and all(1 <= c.dimension <= 10 for c in share.contributors)
    )


def carried(share: PartialWire) -> PartialWire:
    """The share of a source that is passed over: its last children as they were, nothing new of them."""
    return structs.replace(
        share,
        events=0,
        successes=0,
        failures=0,
        anomalies=0,
        gone_pain=GoneWire(),
        gone_chaos=GoneWire(),
        gone_distrust=GoneWire(),
    )


def painless(share: PartialWire) -> PartialWire:
    """The share of a source not heard from in the open pane: its last children, counted with pain 0."""
    return structs.replace(carried(share), pain=PowerTermsWire(), contributors=(), mass=0.0, over_pain=0, worst=None)


def add_up(
    subject: str,
    level: Level,
    end: Instant,
    shares: Iterable[PartialWire],
    rules: ScoreRules,
    *,
    live: int | None = None,
) -> tuple[LevelScore | None, Gones]:
    """The scores that the shares come to, and who went; no scores below ``min_children`` or without evidence.

    Shape: shares in the order of their sources, so that sums of floats are the same in every run. ``live``: all links
    are children; those without evidence count with pain 0, chaos 0, trust 1.
    """
    heard = tuple(shares)
    gone = Gones(
        _gone(share.gone_pain for share in heard),
        _gone(share.gone_chaos for share in heard),
        _gone(share.gone_distrust for share in heard),
    )
    evident = sum(share.children for share in heard)
    weight = math.fsum(share.weight for share in heard)
    quiet = 0 if live is None else max(0, live - evident)
    children = evident + quiet
    if evident < 1 or children < rules.min_children or weight <= 0.0:
        return None, gone
    power = _powers(heard, weight + quiet)
    p = rules.power
    mass = math.fsum(share.mass for share in heard)
    anomaly_mass = math.fsum(share.anomaly_mass for share in heard)
    contributors = heaviest([c for share in heard for c in share.contributors], mass, rules.contributors)
    deltas: dict[str, int] = {}
    for share in heard:
        for delta, number in share.deltas.items():
            deltas[delta] = deltas.get(delta, 0) + number
    healthy = sum(share.healthy for share in heard) + quiet
    score = LevelScore(
        subject=subject,
        level=level,
        end=end,
        scores=Triple(mean(power[0], p), mean(power[1], p), 1.0 - mean(power[2], p)),
        omegas=Certainties(certainty(power[0]), certainty(power[1]), certainty(power[2])),
        children=children,
        over=OverWire(
            sum(share.over_pain for share in heard),
            sum(share.over_chaos for share in heard),
            sum(share.over_distrust for share in heard),
        ),
        well=mostly_well(healthy, children, rules.voices),
        worst=_worst(heard),
        counts=CountsWire(
            sum(share.events for share in heard),
            sum(share.successes for share in heard),
            sum(share.failures for share in heard),
            sum(share.anomalies for share in heard),
        ),
        contributors=contributors,
        shares=_parts(contributors, mass, anomaly_mass),
        mass=mass,
        anomaly_mass=anomaly_mass,
        deltas=dict(sorted(deltas.items())),
        last_success=_newest(share.last_success for share in heard),
        last_harm=_newest(share.last_harm for share in heard),
        last_anomaly=_newest(share.last_anomaly for share in heard),
        last_failure=_newest(share.last_failure for share in heard),
        gone=gone,
    )
    return score, gone


def heaviest(
    contributors: Sequence[PartialContributorWire], mass: float, most: int
) -> tuple[PartialContributorWire, ...]:
    """The first of these: by −ln(1 − h) if anything hurts, else anomalies by Ω, newest first."""
    if mass > 0.0:
        hurting = [c for c in contributors if c.mass > 0.0]
        return tuple(sorted(hurting, key=lambda c: (c.mass, *_order(c)), reverse=True)[:most])
    return tuple(sorted(contributors, key=lambda c: (c.omega, *_order(c)), reverse=True)[:most])


def _terms(share: PartialWire) -> tuple[float, ...]:
    parts = (share.pain, share.chaos, share.distrust)
    return tuple(number for part in parts for number in (part.sum, part.omega_sum))


def _powers(shares: Sequence[PartialWire], weight: float) -> tuple[PowerSum, PowerSum, PowerSum]:
    pain = chaos = distrust = EMPTY
    for share in shares:
        pain = merge(pain, PowerSum(0.0, share.pain.sum, share.pain.omega_sum))
        chaos = merge(chaos, PowerSum(0.0, share.chaos.sum, share.chaos.omega_sum))
        distrust = merge(distrust, PowerSum(0.0, share.distrust.sum, share.distrust.omega_sum))
    return pain._replace(weight=weight), chaos._replace(weight=weight), distrust._replace(weight=weight)


def _parts(contributors: Sequence[PartialContributorWire], mass: float, anomaly_mass: float) -> tuple[Unit, ...]:
    if mass > 0.0:
        return tuple(_part(c.mass, mass) for c in contributors)
    total = max(anomaly_mass, math.fsum(c.omega for c in contributors))
    return tuple(_part(c.omega, total) for c in contributors)


def _order(contributor: PartialContributorWire) -> tuple[Instant, str, int, int]:
    return contributor.time, contributor.event_id, contributor.offset, contributor.partition


def _part(of: float, total: float) -> Unit:
    return min(1.0, round(of / total, 6)) if total > 0.0 else 0.0


def _worst(shares: Sequence[PartialWire]) -> WorstChildWire | None:
    named = [share.worst for share in shares if share.worst is not None]
    return min(named, key=lambda w: (-round(w.pain, 6), round(w.trust, 6), w.subject)) if named else None


def _gone(many: Iterable[GoneWire]) -> GoneWire:
    listed = tuple(many)
    return GoneWire(sum(g.forgotten for g in listed), sum(g.recovered for g in listed))


def _newest(many: Iterable[Instant | None]) -> Instant | None:
    return max((moment for moment in many if moment is not None), default=None)
