"""One partition's share of a seam: the partial sums over the connections that are its children here.

Sums are exactly rounded (``math.fsum``), so the order in which connections are looked at plays no part. What several
partitions' shares add up to is the roll-up's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.ids import record_id
from schemas.types import Instant, Level, join_subject
from schemas.wire import GoneWire, PartialContributorWire, PartialWire, PowerTermsWire, WorstChildWire

from .connection import ConnectionState
from .evidence import mass_of
from .pain import counting_harms, pain_omega
from .panes import Grain
from .rules import ScoreRules
from .scores import causes_at, counted_at, deltas_at, pain_at, scores_at
from .track import Track
from .triad import Scores

__all__ = ["Place", "child_at", "early_share", "over_thresholds", "share_at"]

_VIEWS_KEPT = 2


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


class _Sums:
    """What is added up over the children."""

    def __init__(self, power: float) -> None:
        self.power = power
        self.children = 0
        self.pain: list[float] = []
        self.pain_omega: list[float] = []
        self.chaos: list[float] = []
        self.chaos_omega: list[float] = []
        self.distrust: list[float] = []
        self.distrust_omega: list[float] = []
        self.over = [0, 0, 0]
        self.healthy = 0
        self.worst: tuple[float, float, str] | None = None
        self.grains: list[tuple[Grain, bool]] = []
        """What explains, and whether it is a harm (else an anomaly)."""
        self.masses: list[float] = []
        self.anomaly_masses: list[float] = []

    def add(self, subject: str, scores: Scores, rules: ScoreRules) -> None:
        self.children += 1
        pain, _, trust = scores.rounded()
        if scores.pain > 0.0:
            term = scores.pain**self.power
            self.pain.append(term)
            self.pain_omega.append(term * scores.pain_omega)
        if scores.chaos > 0.0:
            term = scores.chaos**self.power
            self.chaos.append(term)
            self.chaos_omega.append(term * scores.chaos_omega)
        term = max(0.0, 1.0 - scores.trust) ** self.power
        self.distrust.append(term)
        self.distrust_omega.append(term * scores.trust_omega)
        over = over_thresholds(scores, rules)
        for index in range(3):
            self.over[index] += over[index]
        self.healthy += trust > rules.voices.celebration_trust_above
        standing = (-pain, trust, subject)
        if self.worst is None or standing < self.worst:
            self.worst = standing

    def explain(self, track: Track, number: int, rules: ScoreRules) -> None:
        causes = causes_at(track, number, rules)
        if causes.mass > 0.0 or causes.grains:
            self.masses.append(causes.mass)
            self.anomaly_masses.append(causes.anomaly_mass)
            harms = causes.mass > 0.0 and round(-math.expm1(-causes.mass), 6) > 0.0
            self.grains += [(grain, harms) for grain in causes.grains]

    def contributors(self, source: int, most: int) -> tuple[PartialContributorWire, ...]:
        hurting = [pair for pair in self.grains if pair[1]]
        chosen = sorted(hurting or self.grains, key=lambda pair: pair[0], reverse=True)[:most]
        return tuple(
            PartialContributorWire(
                event_id=grain.event_id,
                delta=grain.delta,
                partition=source,
                offset=grain.offset,
                mass=mass_of(grain.weight) if harm else 0.0,
                omega=grain.omega,
                time=grain.time,
                dimension=grain.dimension,
            )
            for grain, harm in chosen
        )


def over_thresholds(scores: Scores, rules: ScoreRules) -> tuple[bool, bool, bool]:
    """Whether the rounded scores raise an Alarm, a Curiosity, a Concern: pain, chaos, distrust."""
    pain, chaos, trust = scores.rounded()
    voices = rules.voices
    return (
        pain > voices.alarm_pain_above,
        chaos > voices.curiosity_chaos_above,
        trust < voices.concern_trust_below,
    )


def child_at(state: ConnectionState, track: Track, number: int, rules: ScoreRules, decay: float) -> Scores | None:
    """The scores of a connection as a child by evidence of a seam, or None where it is none."""
    for seen, scores in track.views:
        if seen == number:
            return scores
    scores = None
    if state.alive_at(number, rules, decay):
        touched = track.upto(number, rules, decay).touched_at
        if touched is not None and (number + 1) * rules.pane - touched < rules.touch:
            scores = scores_at(track, number, rules, decay)
    track.views.append((number, scores))
    if len(track.views) > _VIEWS_KEPT:
        track.views.remove(min(track.views, key=lambda view: view[0]))
    return scores


def share_at(place: Place, members: Iterable[ConnectionState], number: int, revision: int) -> PartialWire:
    """The share of the pane ``number``, which is closed.

    Shape: ``members`` are the connections that have a track of the seam, forgotten ones included.
    """
    rules, decay = place.rules, place.decay
    sums = _Sums(place.power)
    counts = [0, 0, 0, 0]
    deltas: dict[str, int] = {}
    last: list[Instant | None] = [None, None, None, None]
    gone = ([0, 0], [0, 0], [0, 0])
    for state in members:
        track = state.seams[place.seam]
        before = child_at(state, track, number - 1, rules, decay)
        scores = child_at(state, track, number, rules, decay)
        if before is not None:
            _count_gone(gone, state, before, scores, number, place)
        if scores is not None:
            sums.add(state.subject, scores, rules)
            past = track.upto(number, rules, decay)
            for index, at in enumerate((past.success_at, past.harm_at, past.anomaly_at, past.failure_at)):
                known = last[index]
                if at is not None and (known is None or at > known):
                    last[index] = at
            if scores.pain > 0.0 or track.unrest_pane > number - rules.chaos_panes:
                sums.explain(track, number, rules)
        if scores is not None or (place.links and state.alive_at(number, rules, decay)):
            for index, count in enumerate(counted_at(track, number)):
                counts[index] += count
            for delta, count in deltas_at(track, number, rules).items():
                deltas[delta] = deltas.get(delta, 0) + count
    return _partial(
        place,
        sums,
        number,
        revision,
        counts=counts,
        deltas=deltas,
        last=last,
        gone=tuple(GoneWire(*pair) for pair in gone),
    )


def early_share(
    place: Place, members: Iterable[ConnectionState], number: int, closed: int, revision: int, live: int
) -> PartialWire:
    """The share of the open pane ``number``, for an Alarm that cannot wait for its end.

    Children are those of the last closed pane and every new one, with their present pain; chaos and trust are those
    of that pane. ``live``: known, unclosed connections of the key space by now.
    """
    rules, decay = place.rules, place.decay
    sums = _Sums(place.power)
    fresh = Scores(0.0, 0.0, rules.base_rate, 1.0, 1.0, 0.0)
    for state in members:
        track = state.seams[place.seam]
        scores = child_at(state, track, closed, rules, decay)
        if scores is None:
            if state.forgotten is not None or not _touched_after(track, closed):
                continue
            scores = fresh
        pain = pain_at(track, number, rules)
        if pain > 0.0:
            omega = pain_omega(counting_harms(track.window(number, rules.pain_panes), rules))
            sums.add(state.subject, scores._replace(pain=pain, pain_omega=omega), rules)
            sums.explain(track, number, rules)
        else:
            sums.add(state.subject, scores._replace(pain=0.0, pain_omega=1.0), rules)
    return _partial(place, sums, number, revision, early=True, live=live if place.links else None)


def _touched_after(track: Track, closed: int) -> bool:
    for pane in reversed(track.panes):
        if pane.number <= closed:
            return False
        if pane.touched_at is not None:
            return True
    return False


def _count_gone(
    gone: tuple[list[int], list[int], list[int]],
    state: ConnectionState,
    before: Scores,
    now: Scores | None,
    number: int,
    place: Place,
) -> None:
    """A child over a threshold one pane earlier: forgotten (or aged out), or no longer over it, or closed as wanted."""
    was = over_thresholds(before, place.rules)
    if not any(was):
        return
    still = (False, False, False) if now is None else over_thresholds(now, place.rules)
    forgotten = now is None and (
        (state.forgotten is not None and state.forgotten <= number)
        or not state.closed_at(number, place.rules, place.decay)
    )
    for index in range(3):
        if was[index] and not still[index]:
            gone[index][0 if forgotten else 1] += 1


def _partial(
    place: Place,
    sums: _Sums,
    number: int,
    revision: int,
    *,
    counts: Iterable[int] = (0, 0, 0, 0),
    deltas: dict[str, int] | None = None,
    last: Iterable[Instant | None] = (None, None, None, None),
    gone: Iterable[GoneWire] = (GoneWire(), GoneWire(), GoneWire()),
    early: bool = False,
    live: int | None = None,
) -> PartialWire:
    end, rules = place.end(number), place.rules
    events, successes, failures, anomalies = counts
    last_success, last_harm, last_anomaly, last_failure = last
    gone_pain, gone_chaos, gone_distrust = gone
    contributors = sums.contributors(place.source, rules.contributors)
    worst = sums.worst
    return PartialWire(
        id=record_id("partial", place.subject, place.source, end, "early" if early else "closed", revision),
        parent=place.subject,
        level=Level.SEAM,
        source=place.source,
        window_start=end - rules.pane,
        window_end=end,
        revision=revision,
        early=early,
        children=sums.children,
        weight=float(sums.children),
        pain=PowerTermsWire(math.fsum(sums.pain), math.fsum(sums.pain_omega)),
        chaos=PowerTermsWire(math.fsum(sums.chaos), math.fsum(sums.chaos_omega)),
        distrust=PowerTermsWire(math.fsum(sums.distrust), math.fsum(sums.distrust_omega)),
        over_pain=sums.over[0],
        over_chaos=sums.over[1],
        over_distrust=sums.over[2],
        healthy=sums.healthy,
        worst=None if worst is None else WorstChildWire(worst[2], 0.0 - worst[0], worst[1]),
        dimension=min(10, max((contributor.dimension for contributor in contributors), default=1)),
        events=events,
        successes=successes,
        failures=failures,
        anomalies=anomalies,
        contributors=contributors,
        mass=math.fsum(sums.masses),
        anomaly_mass=math.fsum(sums.anomaly_masses),
        deltas=deltas or {},
        last_success=last_success,
        last_harm=last_harm,
        last_anomaly=last_anomaly,
        last_failure=last_failure,
        gone_pain=gone_pain,
        gone_chaos=gone_chaos,
        gone_distrust=gone_distrust,
        live=live,
    )
