"""One partition's share of a seam: the partial sums over the connections that are its children here.

Sums are exact, so the order in which connections are looked at plays no part and a revised one is taken out and put
in again. What several partitions' shares add up to is the roll-up's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from schemas.ids import record_id
from schemas.types import Instant, Level, Unit, join_subject
from schemas.wire import GoneWire, PartialContributorWire, PartialWire, PowerTermsWire, WorstChildWire

from .connection import ConnectionState
from .evidence import mass_of
from .pain import counting_harms, pain_omega
from .panes import Grain
from .rules import ScoreRules
from .scores import Causes, causes_at, deltas_at, pain_at, scores_at
from .track import Track
from .triad import Child, Scores

__all__ = ["Part", "Place", "SeamPane", "child_at", "early_share", "part_of", "share_of", "sum_up", "touched_after"]

NOT_OVER: Final = (False, False, False)
"""Of a child that raises no voice."""

Standing: TypeAlias = tuple[float, Unit, str]
"""How bad a child is: −pain and trust, rounded, then the subject. The smallest is the worst."""

_Last: TypeAlias = tuple[Instant | None, Instant | None, Instant | None, Instant | None]

_EXACT_BITS: Final = 256
_EXACT_ONE: Final = 1 << _EXACT_BITS
_RANKED: Final = 16
"""More than are told, so that one may be taken out without a look at all members."""
_FORGOTTEN: Final = 1
_RECOVERED: Final = 2
_NOT_GONE: Final = (0, 0, 0)
_NO_EVENTS: Final = (0, 0, 0, 0)
_NEVER: Final = (None, None, None, None)


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
    last: _Last
    """Of a child: times of its last success, harm, anomaly, failure."""
    counts: tuple[int, int, int, int]
    """Events of the pane: all, successes, failures, anomalies."""
    deltas: Mapping[str, int]
    causes: Causes | None
    harms: bool
    """Whether the causes are harms, else anomalies."""


class _Ranking:
    """The heaviest grains of many, from which one may be taken out again. Mutable."""

    __slots__ = ("cut", "grains")

    def __init__(self, grains: Iterable[Grain] = (), *, cut: bool = False) -> None:
        self.grains = list(grains)
        self.cut = cut
        """Whether lighter ones were left out."""

    def take(self, grain: Grain) -> None:
        grains = self.grains
        at = len(grains)
        while at > 0 and grains[at - 1] < grain:
            at -= 1
        grains.insert(at, grain)
        if len(self.grains) > _RANKED:
            self.grains.pop()
            self.cut = True

    def drop(self, grain: Grain) -> None:
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
        self.harms = _Ranking()
        self.anomalies = _Ranking()
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
            standing = _standing(part.subject, part.child)
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
            if old.child is not None and _standing(old.subject, old.child) == self.worst:
                child = None if new is None else new.child
                if child is None or _standing(old.subject, child) > self.worst:
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
        sums.harms = _Ranking((Grain(*grain) for grain in harms[0]), cut=harms[1])
        sums.anomalies = _Ranking((Grain(*grain) for grain in anomalies[0]), cut=anomalies[1])
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
        if part.gone != _NOT_GONE:
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


def child_of(scores: Scores, rules: ScoreRules) -> Child:
    """These scores as those of a child of a level."""
    pain, chaos, trust = rounded = scores.rounded()
    voices = rules.voices
    over = (
        pain > voices.alarm_pain_above,
        chaos > voices.curiosity_chaos_above,
        trust < voices.concern_trust_below,
    )
    return Child(scores, rounded, over)


def child_at(state: ConnectionState, track: Track, number: int, rules: ScoreRules, decay: float) -> Child | None:
    """A connection as a child by evidence of a seam, or None where it is none."""
    for view in track.views:
        if view[0] == number:
            return view[1]
    child = None
    if state.alive_at(number, rules, decay):
        touched = track.upto(number, rules, decay).touched_at
        if touched is not None and (number + 1) * rules.pane - touched < rules.touch:
            child = child_of(scores_at(track, number, rules, decay), rules)
    track.remember_view(number, child)
    return child


def part_of(place: Place, state: ConnectionState, number: int) -> Part | None:
    """What a connection adds to the share of the pane ``number``, which is closed; None: nothing."""
    rules, decay = place.rules, place.decay
    track = state.seams[place.seam]
    before = child_at(state, track, number - 1, rules, decay)
    child = child_at(state, track, number, rules, decay)
    gone = _NOT_GONE
    if before is not None and before.over != NOT_OVER:
        gone = _gone(state, before, child, number, place)
    counted = child is not None or (place.links and state.alive_at(number, rules, decay))
    if not counted:
        return None if gone == _NOT_GONE else Part(state.subject, None, gone, _NEVER, _NO_EVENTS, {}, None, harms=False)
    last: _Last = _NEVER
    causes, harms = None, False
    if child is not None:
        past = track.upto(number, rules, decay)
        last = (past.success_at, past.harm_at, past.anomaly_at, past.failure_at)
        if child.scores.pain > 0.0 or track.unrest_pane > number - rules.chaos_panes:
            causes = causes_at(track, number, rules)
            harms = _are_harms(causes)
    pane = track.pane(number)
    counts = _NO_EVENTS if pane is None else (pane.events, pane.successes, pane.failures, pane.anomalies)
    deltas = deltas_at(track, number, rules)
    return Part(state.subject, child, gone, last, counts, deltas, causes, harms)


def sum_up(place: Place, members: Iterable[ConnectionState], number: int) -> SeamPane:
    """What all members of a seam add up to at the end of the closed pane ``number``."""
    sums = SeamPane()
    for state in members:
        part = part_of(place, state, number)
        if part is not None:
            sums.take(part, place)
    return sums


def share_of(place: Place, sums: SeamPane, number: int, revision: int) -> PartialWire:
    """The share of a closed pane as it goes on the wire."""
    return _partial(
        place,
        number,
        revision,
        children=sums.children,
        healthy=sums.healthy,
        over=sums.over,
        terms=sums.terms,
        worst=sums.worst,
        contributors=_contributors(sums.harms, sums.anomalies, place),
        counts=sums.counts,
        deltas=sums.deltas,
        last=sums.last,
        gone=sums.gone,
    )


def early_share(
    place: Place,
    sums: SeamPane,
    members: Iterable[ConnectionState],
    number: int,
    closed: int,
    revision: int,
    live: int,
) -> PartialWire:
    """The share of the open pane ``number``, for an Alarm that cannot wait for its end.

    Children are those of the last closed pane, of which ``sums`` tells, and every new one, with their present pain;
    chaos and trust are those of that pane. ``live``: known, unclosed connections of the key space by now.

    Shape: ``members`` are all that may hurt or be new: whoever is in none of both changes nothing here.
    """
    rules, decay = place.rules, place.decay
    children, healthy, over = sums.children, sums.healthy, [0, *sums.over[1:]]
    terms = [0, 0, *sums.terms[2:6], 0, 0]
    harms, anomalies = _Ranking(), _Ranking()
    fresh = child_of(Scores(0.0, 0.0, rules.base_rate, 1.0, 1.0, 0.0), rules)
    worst: Standing | None = None
    for state in members:
        track = state.seams[place.seam]
        child = child_at(state, track, closed, rules, decay)
        if child is None:
            if state.forgotten is not None or not touched_after(track, closed):
                continue
            child = fresh
            children += 1
            healthy += child.rounded[2] > rules.voices.celebration_trust_above
            over = [count + above for count, above in zip(over, child.over, strict=True)]
            terms = [have + more for have, more in zip(terms, (*exact_terms(child, place.power), 0, 0), strict=True)]
        pain = pain_at(track, number, rules)
        if pain > 0.0:
            omega = pain_omega(counting_harms(track.window(number, rules.pain_panes), rules))
            child = child_of(child.scores._replace(pain=pain, pain_omega=omega), rules)
            over[0] += child.over[0]
            hurt = exact_terms(child, place.power)
            causes = causes_at(track, number, rules)
            for index, term in ((0, hurt[0]), (1, hurt[1]), (6, exact(causes.mass)), (7, exact(causes.anomaly_mass))):
                terms[index] += term
            for grain in causes.grains:
                (harms if _are_harms(causes) else anomalies).take(grain)
            standing = _standing(state.subject, child)
            if worst is None or standing < worst:
                worst = standing
    return _partial(
        place,
        number,
        revision,
        children=children,
        healthy=healthy,
        over=over,
        terms=terms,
        # While nobody hurts the last pane's is as good an explanation as any.
        worst=sums.worst if worst is None else worst,
        contributors=_contributors(harms, anomalies, place),
        early=True,
        live=live if place.links else None,
    )


def touched_after(track: Track, closed: int) -> bool:
    """Whether an event that is not neutral is in a pane after ``closed``."""
    for pane in reversed(track.panes):
        if pane.number <= closed:
            return False
        if pane.touched_at is not None:
            return True
    return False


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


def _are_harms(causes: Causes) -> bool:
    return causes.mass > 0.0 and round(-math.expm1(-causes.mass), 6) > 0.0


def _standing(subject: str, child: Child) -> Standing:
    return (-child.rounded[0], child.rounded[2], subject)


def _gone(state: ConnectionState, before: Child, now: Child | None, number: int, place: Place) -> tuple[int, int, int]:
    """A child over a threshold one pane earlier: forgotten (or aged out), or no longer over it, or closed as wanted."""
    was = before.over
    still = NOT_OVER if now is None else now.over
    forgotten = now is None and (
        (state.forgotten is not None and state.forgotten <= number)
        or not state.closed_at(number, place.rules, place.decay)
    )
    how = _FORGOTTEN if forgotten else _RECOVERED
    pain, chaos, distrust = (how if was[index] and not still[index] else 0 for index in range(3))
    return (pain, chaos, distrust)


def _contributors(harms: _Ranking, anomalies: _Ranking, place: Place) -> tuple[PartialContributorWire, ...]:
    """The heaviest: harms if there are any, else anomalies."""
    ranking = harms if harms.grains else anomalies
    return tuple(
        PartialContributorWire(
            event_id=grain.event_id,
            delta=grain.delta,
            partition=place.source,
            offset=grain.offset,
            mass=mass_of(grain.weight) if ranking is harms else 0.0,
            omega=grain.omega,
            time=grain.time,
            dimension=grain.dimension,
        )
        for grain in ranking.grains[: place.rules.contributors]
    )


def _partial(
    place: Place,
    number: int,
    revision: int,
    *,
    children: int,
    healthy: int,
    over: Sequence[int],
    terms: Sequence[int],
    worst: Standing | None,
    contributors: tuple[PartialContributorWire, ...],
    counts: Sequence[int] = _NO_EVENTS,
    deltas: Mapping[str, int] | None = None,
    last: Sequence[Instant | None] = _NEVER,
    gone: Sequence[int] = (0,) * 6,
    early: bool = False,
    live: int | None = None,
) -> PartialWire:
    end, rules = place.end(number), place.rules
    pain, pain_omega, chaos, chaos_omega, distrust, distrust_omega, mass, anomaly_mass = (
        term / _EXACT_ONE for term in terms
    )
    last_success, last_harm, last_anomaly, last_failure = last
    return PartialWire(
        id=record_id("partial", place.subject, place.source, end, "early" if early else "closed", revision),
        parent=place.subject,
        level=Level.SEAM,
        source=place.source,
        window_start=end - rules.pane,
        window_end=end,
        revision=revision,
        early=early,
        children=children,
        weight=float(children),
        pain=PowerTermsWire(pain, pain_omega),
        chaos=PowerTermsWire(chaos, chaos_omega),
        distrust=PowerTermsWire(distrust, distrust_omega),
        over_pain=over[0],
        over_chaos=over[1],
        over_distrust=over[2],
        healthy=healthy,
        worst=None if worst is None else WorstChildWire(worst[2], 0.0 - worst[0], worst[1]),
        dimension=min(10, max((contributor.dimension for contributor in contributors), default=1)),
        events=counts[0],
        successes=counts[1],
        failures=counts[2],
        anomalies=counts[3],
        contributors=contributors,
        mass=mass,
        anomaly_mass=anomaly_mass,
        deltas=dict(deltas or {}),
        last_success=last_success,
        last_harm=last_harm,
        last_anomaly=last_anomaly,
        last_failure=last_failure,
        gone_pain=GoneWire(*gone[0:2]),
        gone_chaos=GoneWire(*gone[2:4]),
        gone_distrust=GoneWire(*gone[4:6]),
        live=live,
    )
