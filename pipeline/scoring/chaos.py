"""Chaos, instability: how many different things go wrong and how often the link changes (semantics.md 3.4)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.types import Unit

from .evidence import PICO, Link
from .panes import Order, Pane
from .rules import ScoreRules

__all__ = ["UNPROVED", "LinkPath", "anomaly_kinds", "chaos_of", "entropy_of", "walk_links"]


def anomaly_kinds(panes: Iterable[Pane]) -> dict[str, int]:
    """Sum of Ω of the anomalies by kind, in 10⁻¹²."""
    total: dict[str, int] = {}
    for pane in panes:
        if pane.kinds:
            for kind, omega in pane.kinds.items():
                total[kind] = total.get(kind, 0) + omega
    return total


def chaos_of(kinds: Mapping[str, int], changes: int, rules: ScoreRules) -> Unit:
    """1 − exp(−(0.2·V + 0.1·F)) with V = Σ over kinds (1 − 2^(−ΣΩ)).

    Source: semantics.md 3.4; one failure of Ω .8 gives .081607.
    """
    variety = math.fsum(1.0 - 2.0 ** (-omega / PICO) for omega in kinds.values())
    return -math.expm1(-(rules.variety_weight * variety + rules.flap_weight * changes))


def entropy_of(deltas: Mapping[str, int]) -> float:
    """Shannon entropy of the deltas in bits, rounded to 6 decimals: an explanation, never a score."""
    total = sum(deltas.values())
    if len(deltas) < 2:
        return 0.0
    return round(-math.fsum(n / total * math.log2(n / total) for n in deltas.values()), 6)


class LinkPath(NamedTuple):
    """Where following the link state has come to."""

    link: int | None = None
    """The last proved state, never closed: a wanted close is skipped. None: nothing was ever proved."""
    silent: bool = False
    """Whether the last proof was an ``agent_silent``; then a successful heartbeat proves up."""
    closed: bool = False
    """Whether the last proof by a real event was a wanted close."""
    changes: int = 0
    """Changes among up, degraded and down in the pane walked last. The first state ever is no change."""


UNPROVED = LinkPath()


def walk_links(pane: Pane | None, path: LinkPath) -> LinkPath:
    """Follow the link state through one more pane."""
    if pane is None or (not pane.proofs and not (path.silent and pane.beat_first)):
        return path if not path.changes else path._replace(changes=0)
    link, silent, closed, _ = path
    changes = 0
    after: Order | None = None
    for proof in (*(pane.proofs or ()), None):
        before: Order | None = None if proof is None else proof[:3]
        if silent and _beats_between(pane, after, before):
            changes += link not in (None, Link.UP)
            link, silent, closed = int(Link.UP), False, False
        if proof is not None:
            if proof.link != Link.CLOSED:
                changes += link is not None and link != proof.link
                link = proof.link
            silent = not proof.real
            if proof.real:
                closed = proof.link == Link.CLOSED
        after = before
    return LinkPath(link, silent, closed, changes)


def _beats_between(pane: Pane, after: Order | None, before: Order | None) -> bool:
    """Whether a successful heartbeat lies between two proofs: then it proves up."""
    return any(
        beat is not None and (after is None or beat > after) and (before is None or beat < before)
        for beat in (pane.beat_first, pane.beat_last)
    )
