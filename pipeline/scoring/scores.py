"""Pain, chaos and trust of one track at the end of one pane, with their Ω and what explains them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.types import Unit

from .chaos import anomaly_kinds, chaos_of
from .evidence import PICO, mass_of
from .pain import counting_harms, pain_of, pain_omega
from .panes import Grain, Pane
from .rules import ScoreRules
from .track import Track
from .triad import Scores
from .trust import certainty_of, trust_of

__all__ = ["Causes", "Counted", "causes_at", "counted_at", "deltas_at", "pain_at", "scores_at"]


class Counted(NamedTuple):
    """Events of one pane."""

    events: int
    successes: int
    failures: int
    anomalies: int


class Causes(NamedTuple):
    """What explains a score: the heaviest few, and the weight of all that counts."""

    grains: tuple[Grain, ...]
    """By −ln(1 − h), newest first among equals; where the rounded pain is 0 the anomalies by Ω."""
    shares: tuple[Unit, ...]
    """Of each, 6 decimals."""
    mass: float
    """Sum of −ln(1 − h) over all harms that count."""
    anomaly_mass: float
    """Sum of Ω over all anomalies of the chaos window."""


def pain_at(track: Track, number: int, rules: ScoreRules) -> Unit:
    """Pain alone, also of a pane that is still open."""
    if track.harm_pane <= number - rules.pain_panes:
        return 0.0
    return pain_of(counting_harms(track.window(number, rules.pain_panes), rules))


def scores_at(track: Track, number: int, rules: ScoreRules, decay: float) -> Scores:
    """The scores at the end of this pane."""
    known = track.scored
    if known is not None and known[0] == number:
        return known[1]
    past = track.upto(number, rules, decay)
    pain, pain_sure = 0.0, 1.0
    if track.harm_pane > number - rules.pain_panes:
        harms = counting_harms(track.window(number, rules.pain_panes), rules)
        pain, pain_sure = pain_of(harms), pain_omega(harms)
    chaos, chaos_sure = 0.0, 1.0
    if max(track.unrest_pane, track.change_pane) > number - rules.chaos_panes:
        panes = list(track.window(number, rules.chaos_panes))
        chaos = chaos_of(anomaly_kinds(panes), sum(pane.changes for pane in panes), rules)
        count = sum(pane.anomalies for pane in panes)
        if count:
            chaos_sure = min(1.0, sum(pane.doubt for pane in panes) / PICO / count)
    scores = Scores(
        pain,
        chaos,
        trust_of(past.success, past.failure, rules),
        min(1.0, pain_sure),
        chaos_sure,
        certainty_of(past.success, past.failure, rules),
    )
    track.scored = (number, scores)
    return scores


def counted_at(track: Track, number: int) -> Counted:
    """The events of this pane itself."""
    pane = track.pane(number)
    if pane is None:
        return Counted(0, 0, 0, 0)
    return Counted(pane.events, pane.successes, pane.failures, pane.anomalies)


def deltas_at(track: Track, number: int, rules: ScoreRules) -> Mapping[str, int]:
    """Events of the chaos window by delta; true until the next call."""
    known = track.deltas
    if known is not None and known[0] == number:
        return known[1]
    if known is not None and known[0] == number - 1:
        # One pane on: what comes in, what goes out. A window of ten is not counted again.
        total = known[1]
        entered, left = track.pane(number), track.pane(number - rules.chaos_panes)
        if left is not None:
            for delta, count in left.deltas.items():
                rest = total[delta] - count
                if rest:
                    total[delta] = rest
                else:
                    del total[delta]
        panes: Iterable[Pane] = () if entered is None else (entered,)
    else:
        total, panes = {}, track.window(number, rules.chaos_panes)
    for pane in panes:
        for delta, count in pane.deltas.items():
            total[delta] = total.get(delta, 0) + count
    track.remember_deltas(number, total)
    return total


def causes_at(track: Track, number: int, rules: ScoreRules) -> Causes:
    """What explains the scores at the end of this pane."""
    harms: list[Grain] = []
    if track.harm_pane > number - rules.pain_panes:
        harms = counting_harms(track.window(number, rules.pain_panes), rules)
        harms.sort(reverse=True)
    anomalies: list[Grain] = []
    anomaly_mass = 0.0
    if track.unrest_pane > number - rules.chaos_panes:
        panes = list(track.window(number, rules.chaos_panes))
        anomaly_mass = sum(pane.doubt for pane in panes) / PICO
        anomalies = [grain for pane in panes for grain in pane.tops or ()]
    masses = [mass_of(grain.weight) for grain in harms]
    mass = math.fsum(masses)
    if round(-math.expm1(-mass), 6) > 0.0:
        top = harms[: rules.contributors]
        return Causes(tuple(top), tuple(_share(m, mass) for m in masses[: len(top)]), mass, anomaly_mass)
    anomalies.sort(reverse=True)
    top = anomalies[: rules.contributors]
    return Causes(tuple(top), tuple(_share(grain.weight, anomaly_mass) for grain in top), mass, anomaly_mass)


def _share(part: float, total: float) -> Unit:
    return min(1.0, round(part / total, 6)) if total > 0.0 else 0.0
