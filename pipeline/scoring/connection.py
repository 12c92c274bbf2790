"""The state of one connection: a ring of panes as a whole and per seam, and what happens to it when a pane ends.

The one mutable value of the scoring, owned by one processor and changed only here. Which panes have closed, what is
published and who speaks is decided by the scorer.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from schemas.registry import DeltaRegistry, DeltaRow, LinkState, Outcome
from schemas.types import Instant, Level, Millis, join_subject

from .chaos import walk_links
from .evidence import PICO, SILENT, Link, Weight, harm_of
from .panes import Order
from .rules import ScoreRules
from .track import Track
from .voices import MUTE, VoiceMemory, dump_memory, load_memory

__all__ = ["ConnectionState", "Fate", "Published", "Silence", "Stepped", "silence_of"]


class Published(NamedTuple):
    """A score record that was published: enough to replace it, and to see whether a score moved."""

    revision: int
    pain: float
    chaos: float
    trust: float


@dataclass(frozen=True, slots=True)
class Silence:
    """What our own ``agent_silent`` weighs, and the tools of stepping from pane to pane."""

    weight: Weight
    omega: float
    dimension: int
    decay: float

    @staticmethod
    def order(end: Instant) -> Order:
        """Where it stands in the pane that ends here. It has no id and no offset: nobody sent it."""
        return (end - 1, "", -1)


def silence_of(registry: DeltaRegistry, rules: ScoreRules) -> Silence:
    """The registry's ``agent_silent``, weighed; a registry without it gets the built-in numbers."""
    row = registry.rows.get(SILENT)
    if row is None:
        row = DeltaRow(SILENT, 0.5, Outcome.FAILURE, LinkState.DOWN, 2, 0.7, "continue_monitoring", "general_operation")
    severity = row.severity if row.severity >= rules.noise_floor else 0.0
    weight = Weight(
        kind=SILENT,
        harm=harm_of(severity, row.omega, row.dimension, rules) if severity > 0.0 else 0.0,
        success=0,
        failure=round(row.omega * PICO),
        succeeded=False,
        failed=True,
        anomaly=True,
        omega=round(row.omega * PICO),
        link=Link.DOWN,
        beat=False,
        neutral=False,
        real=False,
    )
    return Silence(weight, row.omega, row.dimension, rules.decay)


class Hearsay(NamedTuple):
    """An ``agent_silent`` that somebody else sent: which seam it is on may still turn out differently."""

    number: int
    order: Order
    seam: str
    omega: float
    dimension: int
    weight: Weight


class Fate(Enum):
    """What a pane's end made of a connection."""

    ALIVE = "alive"
    CLOSED = "closed"
    FORGOTTEN = "forgotten"


class Stepped(NamedTuple):
    """What a pane's end, judged now, changed."""

    fate: Fate
    seams: tuple[str, ...]
    """Seams on which an ``agent_silent`` was put in or taken out."""
    withdrawn: bool
    """Whether one was taken out for good: somebody spoke after all."""


_ALIVE = Stepped(Fate.ALIVE, (), withdrawn=False)
_CLOSED = Stepped(Fate.CLOSED, (), withdrawn=False)


class ConnectionState:
    """One connection of one key space. Mutable."""

    __slots__ = (
        "connection_id",
        "experiment_id",
        "first",
        "forgotten",
        "hearsay",
        "memory",
        "newest",
        "published",
        "recent",
        "recent_pane",
        "revision",
        "seams",
        "spoken",
        "subject",
        "whole",
    )

    def __init__(self, connection_id: str, experiment_id: str | None, first: int) -> None:
        """A connection whose first event is in the pane ``first``."""
        self.connection_id = connection_id
        self.experiment_id = experiment_id
        self.subject = join_subject(Level.CONNECTION, connection_id, experiment_id)
        self.first = first
        self.newest: Instant = 0
        """Newest event time accepted."""
        self.whole = Track(first)
        self.seams: dict[str, Track] = {}
        """While only one seam was ever touched, its track *is* the whole."""
        self.hearsay: list[Hearsay] = []
        self.memory: VoiceMemory = MUTE
        self.spoken = first - 1
        """Newest pane of which the voices were decided."""
        self.revision = 0
        """How often that pane was decided again."""
        self.forgotten: int | None = None
        """Pane at whose end it was forgotten; it is kept a while, for an event may show that it was not."""
        self.published: dict[int, Published] = {}
        """Score records by pane: the newest, and all that may still be revised."""
        self.recent = array("I")
        """Pain, chaos, trust of the last panes in 10⁻⁶, oldest first."""
        self.recent_pane = first - 1
        """The last of these panes."""

    def fold(
        self,
        number: int,
        seam: str,
        weight: Weight,
        order: Order,
        delta: str,
        omega: float,
        dimension: int,
        rules: ScoreRules,
    ) -> tuple[str, ...]:
        """Take one event into the pane ``number``. The other seams whose tracks it changed."""
        if number < self.first:  # noqa: PLR1730 - as below
            self.first = number
        if order[0] > self.newest:  # noqa: PLR1730 - hot path: max() costs four times as much
            self.newest = order[0]
        whole = self.whole
        track = self.seams.get(seam)
        if track is None:
            track = self._seam_track(seam, number)
        pane = whole.open_pane(number)
        pane.add(weight, order, delta, omega, dimension, seam, rules)
        if track is not whole:
            other = track.open_pane(number)
            other.add(weight, order, delta, omega, dimension, seam, rules)
            track.noticed(other)
        whole.noticed(pane)
        if not weight.real:
            self.hearsay.append(Hearsay(number, order, seam, omega, dimension, weight))
            return ()
        return self._settle(order, rules) if self.hearsay else ()

    def seam_of_last_real(self, order: Order, rules: ScoreRules) -> str | None:
        """The seam of the last real event before ``order``; None if there is none."""
        number = order[0] // rules.pane
        for pane in reversed(self.whole.panes):
            if pane.number <= number:
                seam = pane.seam_before(order)
                if seam is not None:
                    return seam
        base = self.whole.base
        return base.real_seam if base.real is not None else None

    def step(self, number: int, silence: Silence, rules: ScoreRules) -> Stepped:
        """Judge the end of a pane: forgotten, closed, silent. Puts an ``agent_silent`` in or takes it out."""
        whole, end = self.whole, (number + 1) * rules.pane
        past = whole.upto(number - 1, rules, silence.decay)
        pane = whole.pane(number)
        real, seam = past.real, past.real_seam
        if pane is not None and pane.real is not None and (real is None or pane.real > real):
            real, seam = pane.real, pane.real_seam
        closed = walk_links(pane, past.path).closed
        last_real = real[0] if real is not None else self.first * rules.pane
        had = None if pane is None or not pane.silent else self._silent_seam(number)
        gone = not closed and end >= last_real + rules.forget_after
        due = not closed and not gone and end - last_real >= rules.silence_after
        if had is not None and (not due or had != seam):
            self._withdraw(number, silence, end)
            pane = whole.pane(number)
        if due and had != seam:
            self._fall_silent(number, seam, silence, end, rules)
        if closed:
            last = max(past.event_at or 0, (pane.event_at if pane is not None else None) or 0)
            gone = end >= last + rules.forget_closed_after
        now = seam if due else None
        if had is None and now is None and not gone:
            return _CLOSED if closed else _ALIVE
        touched = () if had == now else tuple(name for name in (had, now) if name is not None)
        fate = Fate.FORGOTTEN if gone else Fate.CLOSED if closed else Fate.ALIVE
        return Stepped(fate, touched, had is not None and now is None)

    def next_life(self, forgotten: int) -> ConnectionState | None:
        """What was heard after the pane at whose end it was forgotten, as a connection that begins with it.

        Panes close late while the watermark is held, so a link may be back before it is known to have been gone.
        """
        whole = self.whole.after(forgotten)
        if whole is None:
            return None
        life = ConnectionState(self.connection_id, self.experiment_id, whole.panes[0].number)
        life.newest = self.newest
        life.whole = whole
        for seam, track in self.seams.items():
            later = whole if track is self.whole else track.after(forgotten)
            if later is not None:
                life.seams[seam] = later
        if len(life.seams) == 1:
            life.seams = dict.fromkeys(life.seams, whole)
        life.hearsay = [silence for silence in self.hearsay if silence.number > forgotten]
        return life

    def closed_at(self, number: int, rules: ScoreRules, decay: float) -> bool:
        """Whether it is closed at the end of this pane."""
        return self.whole.upto(number, rules, decay).path.closed

    def alive_at(self, number: int, rules: ScoreRules, decay: float) -> bool:
        """Whether it is known and not closed at the end of this pane."""
        if number < self.first or (self.forgotten is not None and number >= self.forgotten):
            return False
        return not self.closed_at(number, rules, decay)

    def tracks(self) -> Iterator[Track]:
        """The whole and every seam's, each once."""
        yield self.whole
        for track in self.seams.values():
            if track is not self.whole:
                yield track

    def trim(self, oldest: int, rules: ScoreRules, decay: float) -> None:
        """Drop what no score and no revision asks for any more."""
        for track in self.tracks():
            track.trim(oldest, rules, decay)
        if self.hearsay:
            self.hearsay = [silence for silence in self.hearsay if silence.number >= oldest]
        if len(self.published) > 1 and min(self.published) < oldest:
            newest = max(self.published)
            for number in [n for n in self.published if n < oldest and n != newest]:
                del self.published[number]

    def remember(self, number: int, scores: tuple[float, float, float], kept: int) -> None:
        """Keep the rounded scores of a pane for the ``recent`` of voice records; a revision replaces them."""
        micro = [round(score * 1e6) if score else 0 for score in scores]
        back = self.recent_pane - number
        if back < 0:
            if back < -1:
                self.recent = array("I")
            self.recent.extend(micro)
            self.recent_pane = number
            if len(self.recent) > 3 * kept:
                del self.recent[:3]
        else:
            at = len(self.recent) - 3 * (back + 1)
            if at >= 0:
                self.recent[at : at + 3] = array("I", micro)
            elif at == -3 and len(self.recent) < 3 * kept:
                self.recent[0:0] = array("I", micro)

    def moments(self, pane: Millis) -> list[tuple[Instant, float, float, float]]:
        """Window end, pain, chaos, trust of the last panes, oldest first."""
        count = len(self.recent) // 3
        first = self.recent_pane - count + 1
        scores = [micro / 1e6 for micro in self.recent]
        return [((first + i + 1) * pane, scores[3 * i], scores[3 * i + 1], scores[3 * i + 2]) for i in range(count)]

    def dump(self) -> list[Any]:
        """Plain values, for the state record."""
        shared = [seam for seam, track in self.seams.items() if track is self.whole]
        return [
            self.connection_id,
            self.experiment_id,
            self.first,
            self.newest,
            self.whole.dump(),
            shared[0] if shared else {seam: track.dump() for seam, track in self.seams.items()},
            None if self.memory is MUTE else dump_memory(self.memory),
            self.spoken,
            self.revision,
            self.forgotten,
            [[number, *record] for number, record in self.published.items()],
            list(self.recent),
            self.recent_pane,
            self.hearsay or None,
        ]

    @classmethod
    def load(cls, dumped: list[Any]) -> ConnectionState:
        """The inverse of ``dump``."""
        state = cls(dumped[0], dumped[1], dumped[2])
        state.newest = dumped[3]
        state.whole = Track.load(dumped[4])
        seams = dumped[5]
        if isinstance(seams, str):
            state.seams = {seams: state.whole}
        else:
            state.seams = {seam: Track.load(track) for seam, track in seams.items()}
        state.memory = MUTE if dumped[6] is None else load_memory(dumped[6])
        state.spoken, state.revision, state.forgotten = dumped[7:10]
        state.published = {number: Published(*record) for number, *record in dumped[10]}
        state.recent = array("I", dumped[11])
        state.recent_pane = dumped[12]
        for number, order, seam, omega, dimension, weight in dumped[13] or ():
            told = Weight(*weight)
            told = told._replace(link=None if told.link is None else Link(told.link))
            state.hearsay.append(Hearsay(number, (order[0], order[1], order[2]), seam, omega, dimension, told))
        return state

    def _settle(self, order: Order, rules: ScoreRules) -> tuple[str, ...]:
        """A real event may move every ``agent_silent`` of others behind it. The seams that changed."""
        changed: set[str] = set()
        for index, silence in enumerate(self.hearsay):
            if silence.order > order:
                changed |= self._move(index, rules)
        return tuple(sorted(changed))

    def _move(self, index: int, rules: ScoreRules) -> set[str]:
        """Put an ``agent_silent`` of others where it belongs by now: the seam of the last real event before it."""
        told = self.hearsay[index]
        seam = self.seam_of_last_real(told.order, rules)
        if seam is None or seam == told.seam:
            return set()
        old = self.seams[told.seam].open_pane(told.number)
        old.remove_silence(told.weight, told.order)
        if not old.events:
            self.seams[told.seam].panes.remove(old)
        track = self._seam_track(seam, told.number)
        pane = track.open_pane(told.number)
        pane.add(told.weight, told.order, SILENT, told.omega, told.dimension, seam, rules)
        track.noticed(pane)
        self.hearsay[index] = told._replace(seam=seam)
        return {told.seam, seam}

    def _seam_track(self, seam: str, number: int) -> Track:
        track = self.seams.get(seam)
        if track is not None:
            return track
        if not self.seams:
            self.seams[seam] = self.whole
            return self.whole
        for name, shared in self.seams.items():
            if shared is self.whole:
                self.seams[name] = shared.copy()
        track = self.seams[seam] = Track(number)
        return track

    def _silent_seam(self, number: int) -> str:
        """The seam on which the ``agent_silent`` of this pane was put."""
        panes = ((seam, track.pane(number)) for seam, track in self.seams.items())
        return next(seam for seam, pane in panes if pane is not None and pane.silent)

    def _fall_silent(self, number: int, seam: str, silence: Silence, end: Instant, rules: ScoreRules) -> None:
        track = self._seam_track(seam, number)
        for one in (self.whole,) if track is self.whole else (self.whole, track):
            pane = one.open_pane(number)
            pane.fall_silent(silence.weight, silence.order(end), silence.omega, silence.dimension, rules)
            one.noticed(pane)

    def _withdraw(self, number: int, silence: Silence, end: Instant) -> None:
        for track in self.tracks():
            pane = track.pane(number)
            if pane is not None and pane.silent:
                track.open_pane(number).speak_after_all(silence.weight, silence.order(end))
                if not pane.events:
                    track.panes.remove(pane)
