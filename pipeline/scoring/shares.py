"""One partition's share of a seam: which connections are its children here, what each adds, how it goes on the wire.

What they add up to is ``sums``'s, what several partitions' shares add up to the roll-up's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from schemas.ids import record_id
from schemas.types import Instant, Level
from schemas.wire import GoneWire, PartialContributorWire, PartialWire, PowerTermsWire, WorstChildWire

from .connection import ConnectionState
from .evidence import mass_of
from .pain import counting_harms, pain_omega
from .rules import ScoreRules
from .scores import Causes, causes_at, deltas_at, pain_at, scores_at
from .sums import (
    EXACT_ONE,
    FORGOTTEN,
    NEVER_LAST,
    NO_EVENTS,
    NOT_GONE,
    NOT_OVER,
    RECOVERED,
    Last,
    Part,
    Place,
    Ranking,
    SeamPane,
    Standing,
    exact,
    exact_terms,
    standing_of,
)
from .track import Track
from .triad import Child, Scores

__all__ = ["child_at", "child_of", "early_share", "part_of", "share_of", "sum_up", "touched_after"]


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
    gone = NOT_GONE
    if before is not None and before.over != NOT_OVER:
        gone = _gone(state, before, child, number, place)
    counted = child is not None or (place.links and state.alive_at(number, rules, decay))
    if not counted:
        return (
            None if gone == NOT_GONE else Part(state.subject, None, gone, NEVER_LAST, NO_EVENTS, {}, None, harms=False)
        )
    last: Last = NEVER_LAST
    causes, harms = None, False
    if child is not None:
        past = track.upto(number, rules, decay)
        last = (past.success_at, past.harm_at, past.anomaly_at, past.failure_at)
        if child.scores.pain > 0.0 or track.unrest_pane > number - rules.chaos_panes:
            causes = causes_at(track, number, rules)
            harms = _are_harms(causes)
    pane = track.pane(number)
    counts = NO_EVENTS if pane is None else (pane.events, pane.successes, pane.failures, pane.anomalies)
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
    harms, anomalies = Ranking(), Ranking()
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
            standing = standing_of(state.subject, child)
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


def _are_harms(causes: Causes) -> bool:
    return causes.mass > 0.0 and round(-math.expm1(-causes.mass), 6) > 0.0


def _gone(state: ConnectionState, before: Child, now: Child | None, number: int, place: Place) -> tuple[int, int, int]:
    """A child over a threshold one pane earlier: forgotten (or aged out), or no longer over it, or closed as wanted."""
    was = before.over
    still = NOT_OVER if now is None else now.over
    forgotten = now is None and (
        (state.forgotten is not None and state.forgotten <= number)
        or not state.closed_at(number, place.rules, place.decay)
    )
    how = FORGOTTEN if forgotten else RECOVERED
    pain, chaos, distrust = (how if was[index] and not still[index] else 0 for index in range(3))
    return (pain, chaos, distrust)


def _contributors(harms: Ranking, anomalies: Ranking, place: Place) -> tuple[PartialContributorWire, ...]:
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
    counts: Sequence[int] = NO_EVENTS,
    deltas: Mapping[str, int] | None = None,
    last: Sequence[Instant | None] = NEVER_LAST,
    gone: Sequence[int] = (0,) * 6,
    early: bool = False,
    live: int | None = None,
) -> PartialWire:
    end, rules = place.end(number), place.rules
    pain, pain_omega, chaos, chaos_omega, distrust, distrust_omega, mass, anomaly_mass = (
        term / EXACT_ONE for term in terms
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
