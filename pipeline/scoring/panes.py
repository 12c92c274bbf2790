"""What one pane of one subject holds: sums and top lists that come out the same in any order of arrival.

Units of masses: integers of 10⁻¹² (see ``evidence``). Everything is exact, so a withdrawn ``agent_silent`` leaves no
trace. The only lists that grow with traffic are capped where more of the same can change no score any more.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from schemas.types import Instant, Unit

from .evidence import SILENT, Weight
from .rules import ScoreRules

__all__ = ["Grain", "Order", "Pane", "Proof", "dump_pane", "encode_pane", "load_pane"]

Order: TypeAlias = tuple[Instant, str, int]
"""Event time, event id, offset: the order of the events of a connection. Arrival plays no part."""

_MOST_RUNS = 128
"""Runs of one pane beyond which middle ones are dropped: they only place an ``agent_silent`` that others sent."""

_MOST_PROOFS = 512
"""Proofs of one pane that are kept when there are twice as many: with so many changes chaos is 1.000000 anyway."""

_ROUTINE: Final = 13
"""How many values the first part of a stored pane has."""

_encoder: Final = msgspec.msgpack.Encoder()


class Grain(NamedTuple):
    """An event that hurt, or an anomaly, as one that explains a score. Compares by weight, then by order."""

    weight: Unit
    """Harm; in the list of anomalies Ω."""
    time: Instant
    event_id: str
    offset: int
    omega: Unit
    dimension: int
    delta: str


class Proof(NamedTuple):
    """An event that proved a link state. Compares by order."""

    time: Instant
    event_id: str
    offset: int
    link: int
    """A ``Link``."""
    real: bool
    """Not an ``agent_silent``."""


class Run(NamedTuple):
    """Real events in a row that concern one seam."""

    first: Order
    last: Order
    seam: str


class Pane:
    """Contents of one pane: events of one connection, or of one connection on one seam. Mutable."""

    __slots__ = (
        "anomalies",
        "anomaly_at",
        "beat_first",
        "beat_last",
        "changes",
        "deltas",
        "doubt",
        "encoded",
        "event_at",
        "events",
        "failure_at",
        "failure_mass",
        "failures",
        "harm_at",
        "harms",
        "kinds",
        "number",
        "proofs",
        "real",
        "real_first",
        "real_seam",
        "runs",
        "silent",
        "success_at",
        "success_mass",
        "successes",
        "tops",
        "touched_at",
    )

    def __init__(self, number: int) -> None:
        """An empty pane."""
        self.number = number
        self.events = 0
        self.successes = 0
        self.failures = 0
        self.anomalies = 0
        self.success_mass = 0
        self.failure_mass = 0
        self.doubt = 0
        """Sum of Ω of the anomalies."""
        self.deltas: dict[str, int] = {}
        self.kinds: dict[str, int] | None = None
        """Sum of Ω of the anomalies by kind."""
        self.harms: dict[str, list[Grain]] | None = None
        """The largest harms by kind, largest first."""
        self.tops: list[Grain] | None = None
        """The most certain anomalies, then the newest, first."""
        self.proofs: list[Proof] | None = None
        self.beat_first: Order | None = None
        """The first and the last successful heartbeat: they prove up after an ``agent_silent``."""
        self.beat_last: Order | None = None
        self.real_first: Order | None = None
        """The first and the last real event, and the seam of the last."""
        self.real: Order | None = None
        self.real_seam = ""
        self.runs: list[Run] | None = None
        """Which seam was spoken of from when to when; None while it was one."""
        self.event_at: Instant | None = None
        """Times of the last event, success, harm, failure, anomaly, and of the last real event that is not neutral."""
        self.success_at: Instant | None = None
        self.harm_at: Instant | None = None
        self.failure_at: Instant | None = None
        self.anomaly_at: Instant | None = None
        self.touched_at: Instant | None = None
        self.silent = False
        """Whether an ``agent_silent`` of our own is in it."""
        self.changes = 0
        """Changes of the link state in it, given the state before it; found when the past is walked."""
        self.encoded: bytes | None = None
        """As it was stored last, while that is still true: most panes of a ring never change again."""

    def add(
        self, weight: Weight, order: Order, delta: str, omega: Unit, dimension: int, seam: str, rules: ScoreRules
    ) -> None:
        """Take one event. Most are routine: in order, on one seam, without harm; they only count and move ends."""
        time = order[0]
        self.encoded = None
        self.events += 1
        deltas = self.deltas
        deltas[delta] = deltas.get(delta, 0) + 1
        if self.event_at is None or time > self.event_at:
            self.event_at = time
        if weight.real:
            last = self.real
            if last is not None and self.runs is None and seam == self.real_seam and order > last:
                self.real = order
            else:
                self._add_real(order, seam)
            if not weight.neutral and (self.touched_at is None or time > self.touched_at):
                self.touched_at = time
        if weight.succeeded:
            self.successes += 1
            self.success_mass += weight.success
            if self.success_at is None or time > self.success_at:
                self.success_at = time
            if weight.beat:
                if self.beat_first is None or order < self.beat_first:
                    self.beat_first = order
                if self.beat_last is None or order > self.beat_last:
                    self.beat_last = order
        elif weight.failed:
            self.failures += 1
            self.failure_mass += weight.failure
            if self.failure_at is None or time > self.failure_at:
                self.failure_at = time
        if weight.anomaly:
            self._add_anomaly(weight, Grain(omega, *order, omega, dimension, delta), rules)
        if weight.harm > 0.0:
            self._add_harm(weight, Grain(weight.harm, *order, omega, dimension, delta), rules)
        if weight.link is not None:
            self._add_proof(Proof(*order, weight.link, weight.real))

    def seam_before(self, order: Order) -> str | None:
        """The seam of the last real event before ``order``; None if there is none in this pane."""
        for run in reversed(self.runs or ()):
            if run.first < order:
                return run.seam
        if self.runs is None and self.real_first is not None and self.real_first < order:
            return self.real_seam
        return None

    def fall_silent(self, weight: Weight, order: Order, omega: Unit, dimension: int, rules: ScoreRules) -> None:
        """Put our own ``agent_silent`` in."""
        self.add(weight, order, SILENT, omega, dimension, "", rules)
        self.silent = True

    def speak_after_all(self, weight: Weight, order: Order) -> None:
        """Take our own ``agent_silent`` out again: the silence turned out not to be one."""
        self.silent = False
        self.remove_silence(weight, order)

    def remove_silence(self, weight: Weight, order: Order) -> None:
        """Take an ``agent_silent`` out again, our own or one that belongs to another seam."""
        self.encoded = None
        self.events -= 1
        self.deltas[SILENT] -= 1
        if not self.deltas[SILENT]:
            del self.deltas[SILENT]
        self.successes -= weight.succeeded
        self.success_mass -= weight.success
        self.failures -= weight.failed
        self.failure_mass -= weight.failure
        if weight.anomaly and self.kinds is not None:
            self.anomalies -= 1
            self.doubt -= weight.omega
            self.kinds[weight.kind] -= weight.omega
            if not self.kinds[weight.kind]:
                del self.kinds[weight.kind]
        if weight.harm > 0.0 and self.harms is not None:
            left = [grain for grain in self.harms[weight.kind] if grain[1:4] != order]
            self.harms[weight.kind] = left
            if not left:
                del self.harms[weight.kind]
        self.tops = [grain for grain in self.tops or () if grain[1:4] != order]
        self.proofs = [proof for proof in self.proofs or () if proof[:3] != order]
        self._recount_times(order[0])

    def _add_real(self, order: Order, seam: str) -> None:
        if self.real is None or self.real_first is None:
            self.real_first = self.real = order
            self.real_seam = seam
            return
        if self.runs is None:
            if seam == self.real_seam:
                self.real_first = min(self.real_first, order)
                self.real = max(self.real, order)
                return
            self.runs = [Run(self.real_first, self.real, self.real_seam)]
        _extend_runs(self.runs, order, seam)
        self.real_first, self.real, self.real_seam = self.runs[0].first, self.runs[-1].last, self.runs[-1].seam

    def _add_anomaly(self, weight: Weight, grain: Grain, rules: ScoreRules) -> None:
        self.anomalies += 1
        self.doubt += weight.omega
        if self.anomaly_at is None or grain.time > self.anomaly_at:
            self.anomaly_at = grain.time
        if self.kinds is None:
            self.kinds = {}
        self.kinds[weight.kind] = self.kinds.get(weight.kind, 0) + weight.omega
        if self.tops is None:
            self.tops = []
        # One more than is shown, so that a withdrawn agent_silent does not leave a gap.
        _keep_largest(self.tops, grain, rules.contributors + 1)

    def _add_harm(self, weight: Weight, grain: Grain, rules: ScoreRules) -> None:
        if self.harm_at is None or grain.time > self.harm_at:
            self.harm_at = grain.time
        if self.harms is None:
            self.harms = {}
        kept = rules.heartbeat_harms_kept if weight.beat else rules.harms_kept
        _keep_largest(self.harms.setdefault(weight.kind, []), grain, kept + (weight.kind == SILENT))

    def _add_proof(self, proof: Proof) -> None:
        if self.proofs is None:
            self.proofs = []
        insort(self.proofs, proof)
        if len(self.proofs) > 2 * _MOST_PROOFS:
            self.proofs = _thinned(self.proofs)

    def _recount_times(self, withdrawn: Instant) -> None:
        """After a withdrawal: the last times that it may have set, from what is left.

        Only the kept lists can tell, so what left them (more than the caps in one pane) is forgotten by these times;
        they explain why a voice ended and move no score.
        """
        tops = [grain.time for grain in self.tops or ()]
        harms = [grain.time for grains in (self.harms or {}).values() for grain in grains]
        real = [] if self.real is None else [self.real[0]]
        self.anomaly_at = _without(withdrawn, self.anomaly_at, tops)
        self.failure_at = _without(withdrawn, self.failure_at, tops)
        self.harm_at = _without(withdrawn, self.harm_at, harms)
        self.success_at = _without(withdrawn, self.success_at, [] if self.beat_last is None else [self.beat_last[0]])
        self.event_at = _without(withdrawn, self.event_at, [*real, *tops])


def encode_pane(pane: Pane) -> bytes:
    """The pane as it is stored; what did not change since is not encoded again."""
    encoded = pane.encoded
    if encoded is None:
        encoded = pane.encoded = _encoder.encode(dump_pane(pane))
    return encoded


def dump_pane(pane: Pane) -> list[Any]:
    """The pane as plain values.

    Shape: first what every pane has, with ``True`` for a time or order that is the one named before it; a second part
        only if anything but routine is in it.
    """
    real, event_at = pane.real, pane.event_at
    routine = [
        pane.number,
        pane.events,
        pane.deltas,
        real,
        _same(pane.real_first, real),
        pane.real_seam,
        pane.successes,
        pane.success_mass,
        _same(event_at, None if real is None else real[0]),
        _same(pane.success_at, event_at),
        _same(pane.touched_at, event_at),
        _same(pane.beat_last, real),
        _same(pane.beat_first, pane.beat_last),
    ]
    if not (pane.failures or pane.anomalies or pane.harms or pane.proofs or pane.runs or pane.silent):
        return routine
    return [
        *routine,
        pane.failures,
        pane.anomalies,
        pane.failure_mass,
        pane.doubt,
        pane.kinds or None,
        pane.harms or None,
        pane.tops or None,
        pane.proofs or None,
        pane.runs,
        pane.harm_at,
        pane.failure_at,
        pane.anomaly_at,
        pane.silent,
    ]


def load_pane(dumped: Sequence[Any]) -> Pane:
    """The inverse of :func:`dump_pane`."""
    pane = Pane(dumped[0])
    pane.events, deltas, real, real_first = dumped[1:5]
    pane.deltas = dict(deltas)
    pane.real = None if real is None else _order(real)
    pane.real_first = pane.real if real_first is True or real_first is None else _order(real_first)
    pane.real_seam, pane.successes, pane.success_mass, event_at, success_at, touched_at, last, first = dumped[5:13]
    pane.event_at = real[0] if event_at is True else event_at
    pane.success_at = pane.event_at if success_at is True else success_at
    pane.touched_at = pane.event_at if touched_at is True else touched_at
    if last is not None:
        pane.beat_last = pane.real if last is True else _order(last)
        pane.beat_first = pane.beat_last if first is True else _order(first)
    if len(dumped) > _ROUTINE:
        _load_trouble(pane, dumped[_ROUTINE:])
    return pane


def _load_trouble(pane: Pane, dumped: Sequence[Any]) -> None:
    pane.failures, pane.anomalies, pane.failure_mass, pane.doubt, kinds, harms, tops, proofs, runs = dumped[:9]
    pane.harm_at, pane.failure_at, pane.anomaly_at, pane.silent = dumped[9:]
    if kinds is not None:
        pane.kinds = dict(kinds)
    if harms is not None:
        pane.harms = {kind: [Grain(*grain) for grain in grains] for kind, grains in harms.items()}
    if tops is not None:
        pane.tops = [Grain(*grain) for grain in tops]
    if proofs is not None:
        pane.proofs = [Proof(*proof) for proof in proofs]
    if runs is not None:
        pane.runs = [Run(_order(first), _order(last), seam) for first, last, seam in runs]


def _without(withdrawn: Instant, known: Instant | None, left: list[Instant]) -> Instant | None:
    return max(left, default=None) if known == withdrawn else known


def _same(value: Any, named: Any) -> Any:
    return True if value is not None and value == named else value


def _order(dumped: Sequence[Any]) -> Order:
    return (dumped[0], dumped[1], dumped[2])


def _extend_runs(runs: list[Run], order: Order, seam: str) -> None:
    """Put a real event in its place among the runs, which are in order and do not overlap."""
    at = len(runs)
    while at > 0 and runs[at - 1].first > order:
        at -= 1
    before = runs[at - 1] if at > 0 else None
    after = runs[at] if at < len(runs) else None
    if before is not None and before.seam == seam:
        runs[at - 1] = before._replace(last=max(before.last, order))
    elif before is not None and before.last > order:
        # In the midst of another's run, of which only the ends are known.
        ends = (Run(before.first, before.first, before.seam), Run(before.last, before.last, before.seam))
        runs[at - 1 : at] = [ends[0], Run(order, order, seam), ends[1]]
    elif after is not None and after.seam == seam:
        runs[at] = after._replace(first=order)
    else:
        runs.insert(at, Run(order, order, seam))
    if len(runs) > _MOST_RUNS:
        del runs[_MOST_RUNS // 2]


def _keep_largest(grains: list[Grain], grain: Grain, kept: int) -> None:
    """Put a grain in its place among the largest, largest first."""
    if len(grains) >= kept:
        if grain <= grains[-1]:
            return
        grains.pop()
    at = len(grains)
    while at > 0 and grains[at - 1] < grain:
        at -= 1
    grains.insert(at, grain)


def _thinned(proofs: list[Proof]) -> list[Proof]:
    """Fewer proofs with the same ends: first the middle of equal runs goes, then the middle of everything."""
    runs = [
        proof
        for at, proof in enumerate(proofs)
        if at in (0, len(proofs) - 1) or not proofs[at - 1].link == proof.link == proofs[at + 1].link
    ]
    if len(runs) > _MOST_PROOFS:
        del runs[_MOST_PROOFS // 2 : len(runs) - _MOST_PROOFS // 2]
    return runs
