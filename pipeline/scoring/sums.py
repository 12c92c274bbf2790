"""What each connection adds to its seam's share of a closed pane, and what they add up to, exactly.

Sums do not depend on the order in which connections are looked at, and a revised one is taken out and put in again.
Which connection adds what, and how a share goes on the wire, is ``shares``'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from schemas.types import Instant, Level, Unit, join_subject

from .panes import Grain
from .rules import ScoreRules
from .scores import Causes
from .triad import Child

__all__ = [
    "EXACT_ONE",
    "FORGOTTEN",
    "NEVER_LAST",
    "NOT_GONE",
    "NOT_OVER",
    "NO_EVENTS",
    "RECOVERED",
    "Last",
    "Part",
    "Place",
    "Ranking",
    "SeamPane",
    "Standing",
    "exact",
    "exact_terms",
    "standing_of",
]

NOT_OVER: Final = (False, False, False)
"""Of a child that raises no voice."""

Standing: TypeAlias = tuple[float, Unit, str]
"""How bad a child is: −pain and trust, rounded, then the subject. The smallest is the worst."""

Last: TypeAlias = tuple[Instant | None, Instant | None, Instant | None, Instant | None]

_EXACT_BITS: Final = 256
EXACT_ONE: Final = 1 << _EXACT_BITS
_RANKED: Final = 16
"""More than are told, so that one may be taken out without a look at all members."""
FORGOTTEN: Final = 1
RECOVERED: Final = 2
NOT_GONE: Final = (0, 0, 0)
NO_EVENTS: Final = (0, 0, 0, 0)
NEVER_LAST: Final = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Place:
    """What a share is of and where it is made."""

    seam: str
    experiment_id: str | None
    source: int
    """Our partition."""
    links: bool
    """Whether all links are children of the seam."""
    rules: ScoreRules
    decay: float
    power: float

    @property
    def subject(self) -> str:
        """The seam's subject."""
        return join_subject(Level.SEAM, self.seam, self.experiment_id)

    def end(self, number: int) -> Instant:
        """The end of a pane."""
        return (number + 1) * self.rules.pane


class Part(NamedTuple):
    """What one connection adds to its seam's share of a closed pane."""

    subject: str
    child: Child | None
    """None: it is no child, but left the children with this pane, or is counted because it is a link."""
    gone: tuple[int, int, int]
    """Per threshold (pain, chaos, distrust): it was over it one pane earlier and is ``FORGOTTEN`` or ``RECOVERED``."""
    last: Last
    """Of a child: times of its last success, harm, anomaly, failure."""
    counts: tuple[int, int, int, int]
    """Events of the pane: all, successes, failures, anomalies."""
    deltas: Mapping[str, int]
    causes: Causes | None
    harms: bool
    """Whether the causes are harms, else anomalies."""


class Ranking:
    """The heaviest grains of many, from which one may be taken out again. Mutable."""

    __slots__ = ("cut", "grains")

    def __init__(self, grains: Iterable[Grain] = (), *, cut: bool = False) -> None:
        self.grains = list(grains)
        self.cut = cut
        """Whether lighter ones were left out."""

    def take(self, grain: Grain) -> None:
        """Put one in its place, heaviest first."""
        grains = self.grains
        at = len(grains)
        while at > 0 and grains[at - 1] < grain:
            at -= 1
        grains.insert(at, grain)
        if len(self.grains) > _RANKED:
            self.grains.pop()
            self.cut = True

    def drop(self, grain: Grain) -> None:
        """Take one out; one that was left out is not there."""
        if grain in self.grains:
            self.grains.remove(grain)

    def short_of(self, most: int) -> bool:
        """Whether one that was left out may be missing among the first."""
        return self.cut and len(self.grains) < most


class SeamPane:
    """What the children of a seam add up to at the end of one closed pane. Mutable, part of the state.

    Terms are kept as whole numbers of 2⁻²⁵⁶, so one connection can be taken out and put in again without a trace:
    a late event costs its own connection, not all of its seam.
    """

    __slots__ = (
        "anomalies",
        "children",
        "counts",
        "deltas",
        "gone",
        "harms",
        "healthy",
        "last",
        "over",
        "stale",
        "terms",
        "worst",
    )

    def __init__(self) -> None:
        """No child."""
        self.children = 0
        self.healthy = 0
        self.over = [0, 0, 0]
        self.gone = [0, 0, 0, 0, 0, 0]
        """Forgotten and recovered, for pain, chaos, distrust."""
        self.counts = [0, 0, 0, 0]
        self.deltas: dict[str, int] = {}
        self.terms = [0] * 8
        """Pain, pain·Ω, chaos, chaos·Ω, distrust, distrust·Ω, mass of harms, mass of anomalies."""
        self.last: list[Instant | None] = [None, None, None, None]
        self.worst: Standing | None = None
        self.harms = Ranking()
        self.anomalies = Ranking()
        self.stale = False
        """An extreme was taken out whose successor is not known: to be filled again from all members."""

    def take(self, part: Part, place: Place) -> None:
        """Put a connection in."""
        self._count(part, place, 1)
        for index, at in enumerate(part.last):
            if at is not None:
                known = self.last[index]
                if known is None or at > known:
                    self.last[index] = at
        if part.child is not None:
            standing = standing_of(part.subject, part.child)
            if self.worst is None or standing < self.worst:
                self.worst = standing
        if part.causes is not None:
            ranking = self.harms if part.harms else self.anomalies
            for grain in part.causes.grains:
                ranking.take(grain)

    def swap(self, old: Part | None, new: Part | None, place: Place) -> None:
        """Put a connection in anew, as it is after a revision."""
        if old is not None:
            self._count(old, place, -1)
            later = (None,) * 4 if new is None else new.last
            for index, at in enumerate(old.last):
                after = later[index]
                if at is not None and at == self.last[index] and (after is None or after < at):
                    self.stale = True
            if old.child is not None and standing_of(old.subject, old.child) == self.worst:
                child = None if new is None else new.child
                if child is None or standing_of(old.subject, child) > self.worst:
                    self.stale = True
            if old.causes is not None:
                ranking = self.harms if old.harms else self.anomalies
                for grain in old.causes.grains:
                    ranking.drop(grain)
        if new is not None:
            self.take(new, place)
        most = place.rules.contributors
        if self.harms.short_of(most) or (not self.harms.grains and self.anomalies.short_of(most)):
            self.stale = True

    def dump(self) -> list[Any]:
        """Plain values, for the state record."""
        return [
            self.children,
            self.healthy,
            self.over,
            self.gone,
            self.counts,
            sorted(self.deltas.items()),
            [f"{term:x}" for term in self.terms],
            self.last,
            self.worst,
            [self.harms.grains, self.harms.cut],
            [self.anomalies.grains, self.anomalies.cut],
            self.stale,
        ]

    @classmethod
    def load(cls, dumped: list[Any]) -> SeamPane:
        """The inverse of ``dump``, decoded."""
        sums = cls()
        sums.children, sums.healthy, sums.over, sums.gone, sums.counts, deltas, terms, sums.last, worst = dumped[:9]
        sums.deltas = dict(deltas)
        sums.terms = [int(term, 16) for term in terms]
        sums.worst = None if worst is None else (worst[0], worst[1], worst[2])
        harms, anomalies, sums.stale = dumped[9:]
        sums.harms = Ranking((Grain(*grain) for grain in harms[0]), cut=harms[1])
        sums.anomalies = Ranking((Grain(*grain) for grain in anomalies[0]), cut=anomalies[1])
        return sums

    def _count(self, part: Part, place: Place, sign: int) -> None:
        """Add (1) or take away (−1) what is a sum."""
        for index, number in enumerate(part.counts):
            if number:
                self.counts[index] += sign * number
        deltas = self.deltas
        for delta, count in part.deltas.items():
            rest = deltas.get(delta, 0) + sign * count
            if rest:
                deltas[delta] = rest
            else:
                del deltas[delta]
        if part.gone != NOT_GONE:
            for index, how in enumerate(part.gone):
                if how:
                    self.gone[2 * index + how - 1] += sign
        child = part.child
        if child is None:
            return
        self.children += sign
        if child.rounded[2] > place.rules.voices.celebration_trust_above:
            self.healthy += sign
        if child.over != NOT_OVER:
            for index in range(3):
                self.over[index] += sign * child.over[index]
        terms = self.terms
        for index, term in enumerate(exact_terms(child, place.power)):
            if term:
                terms[index] += sign * term
        if part.causes is not None:
            terms[6] += sign * exact(part.causes.mass)
            terms[7] += sign * exact(part.causes.anomaly_mass)


def exact(term: float) -> int:
    """A term as a whole number of 2⁻²⁵⁶, so that what was added can be taken away; one is a pain of 10⁻⁹."""
    return int(math.ldexp(term, _EXACT_BITS)) if term else 0


def exact_terms(child: Child, power: float) -> tuple[int, int, int, int, int, int]:
    """x^p and x^p·Ω of pain, chaos and distrust."""
    pain, chaos, trust, pain_omega, chaos_omega, trust_omega = child.scores
    hurt = lost = 0.0
    if pain > 0.0:
        hurt = pain**power
    if chaos > 0.0:
        lost = chaos**power
    distrust = max(0.0, 1.0 - trust) ** power
    return (
        exact(hurt),
        exact(hurt * pain_omega),
        exact(lost),
        exact(lost * chaos_omega),
        exact(distrust),
        exact(distrust * trust_omega),
    )


def standing_of(subject: str, child: Child) -> Standing:
    """How bad this child is."""
    return (-child.rounded[0], child.rounded[2], subject)
