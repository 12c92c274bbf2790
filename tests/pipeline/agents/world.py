"""A world in virtual time around the agent's machines: timers, a peer, and what must hold after every step."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.agents.core import link as links
from pipeline.agents.core import process
from pipeline.agents.core.dice import Rng
from pipeline.agents.core.evidence import Evidence, Source
from pipeline.agents.core.facts import Fact
from pipeline.agents.core.link import Endpoint, LinkPlan, LinkState, Phase
from pipeline.agents.core.options import AgentOptions
from pipeline.agents.core.process import ProcessState
from pipeline.agents.core.signals import (
    ClearTimer,
    CloseTransport,
    CutTransport,
    Due,
    Emit,
    LinkEvent,
    LinksCounted,
    Lost,
    Opened,
    OpenFailed,
    OpenTransport,
    Ponged,
    ProcessDue,
    ProcessEvent,
    SendPing,
    SetProcessTimer,
    SetTimer,
    Tell,
    Timer,
    ToLink,
    Wanted,
)

__all__ = ["Dice", "Peer", "Seat", "World", "plan"]

_LIVE = {Phase.CONNECTING, Phase.PROVING, Phase.CONNECTED}


class Dice:
    """Dice that always show the same: waits can be reckoned by hand."""

    def __init__(self, always: float = 0.5) -> None:
        self._always = always

    def random(self) -> float:
        return self._always


def plan(link_id: str = "a", *, urls: int = 1, loopback: bool = False, options: AgentOptions | None = None) -> LinkPlan:
    endpoints = tuple(
        Endpoint(f"wss://{place}.example/", f"{place}.example:443", f"wss://{place}.example/", loopback)
        for place in ("one", "two", "three")[:urls]
    )
    return LinkPlan(link_id, f"test/{link_id}", f"test.0/{link_id}", endpoints, options or AgentOptions())


class Peer:
    """A good peer: opens after 20 ms, answers each ping after 40 ms. Subclasses are worse."""

    open_ms = 20
    pong_ms = 40

    def opening(self, world: World, seat: Seat, attempt: int, url: str) -> None:
        world.later(self.open_ms, seat, Opened(attempt))

    def pinged(self, world: World, seat: Seat, attempt: int, number: int) -> None:
        world.later(self.pong_ms, seat, Ponged(attempt, number, float(self.pong_ms)))

    def closing(self, world: World, seat: Seat, attempt: int, code: int) -> None:
        world.later(self.pong_ms, seat, Lost(attempt, Evidence(Source.PEER_CLOSE, code=code)))


@dataclass(eq=False)
class Seat:
    """One link in the world."""

    state: LinkState
    timers: dict[Timer, tuple[int, int]] = field(default_factory=dict)
    open_attempts: set[int] = field(default_factory=set)
    opened: set[int] = field(default_factory=set)
    opened_at: list[int] = field(default_factory=list)
    heard_at: int | None = None
    facts: list[tuple[int, Fact]] = field(default_factory=list)
    proofs: set[int] = field(default_factory=set)

    @property
    def told(self) -> list[tuple[float, str]]:
        """Seconds and deltas, in order."""
        return [(at / 1000, fact.delta) for at, fact in self.facts]

    @property
    def deltas(self) -> list[str]:
        return [fact.delta for _, fact in self.facts]


class World:
    """Links, their process, a peer, and time that moves only when told."""

    def __init__(
        self, *plans: LinkPlan, peer: Peer | None = None, rng: Rng | None = None, options: AgentOptions | None = None
    ) -> None:
        self.now = 0
        self.peer = peer or Peer()
        self.rng = rng or Dice()
        self.lag_ms = 0
        self.blocked = False
        self.process = ProcessState("agent:test", options or AgentOptions())
        self.process_due: int | None = None
        self.process_facts: list[tuple[int, Fact]] = []
        self.seats = {made.link_id: Seat(links.new_link(made)) for made in (plans or (plan(),))}
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._queue: list[tuple[Seat, LinkEvent]] = []
        self._turning = False
        self.tell(LinksCounted(len(self.seats)))

    @property
    def seat(self) -> Seat:
        """The only one, or the first."""
        return next(iter(self.seats.values()))

    def want(self) -> World:
        for seat in self.seats.values():
            self.feed(seat, Wanted())
        return self

    def at(self, moment: int, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (moment, self._count, action))

    def later(self, after_ms: int, seat: Seat, event: LinkEvent) -> None:
        self.at(self.now + after_ms, lambda: self.come(seat, event))

    def come(self, seat: Seat, event: LinkEvent) -> None:
        """Something from the network, if its socket still is."""
        if not isinstance(event, (Opened, OpenFailed, Lost, Ponged)) or event.attempt not in seat.open_attempts:
            return
        if isinstance(event, Opened):
            seat.opened.add(event.attempt)
        if isinstance(event, (OpenFailed, Lost)):
            seat.open_attempts.discard(event.attempt)
        if isinstance(event, Ponged):
            seat.heard_at = self.now
            seat.proofs.add(event.attempt)
        self.feed(seat, event)

    def run(self, until_s: float) -> World:
        """Let time pass."""
        until = round(until_s * 1000)
        while self._heap and self._heap[0][0] <= until:
            moment, _, action = heapq.heappop(self._heap)
            self.now = max(self.now, moment)
            action()
        self.now = until
        return self

    def next_moment(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def feed(self, seat: Seat, event: LinkEvent) -> None:
        self._queue.append((seat, event))
        if self._turning:
            return
        self._turning = True
        while self._queue:
            self._turn(*self._queue.pop(0))
        self._turning = False

    def _turn(self, seat: Seat, event: LinkEvent) -> None:
        seat.state, effects = links.step(seat.state, event, self.now, self.rng)
        for effect in effects:
            match effect:
                case Emit(fact):
                    seat.facts.append((self.now, fact))
                case SetTimer(timer, moment):
                    assert moment >= self.now, f"{timer} is set into the past"
                    self._count += 1
                    mark = (moment, self._count)
                    seat.timers[timer] = mark
                    self.at(moment, lambda timer=timer, mark=mark: self._fire(seat, timer, mark))  # type: ignore[misc]  # bound now, called later
                case ClearTimer(timer):
                    seat.timers.pop(timer, None)
                case OpenTransport(attempt, url):
                    seat.open_attempts.add(attempt)
                    seat.opened_at.append(self.now)
                    seat.heard_at = None
                    self.peer.opening(self, seat, attempt, url)
                case SendPing(attempt, number):
                    assert attempt in seat.opened & seat.open_attempts, "a ping on a socket that is not open"
                    self.peer.pinged(self, seat, attempt, number)
                case CutTransport(attempt):
                    seat.open_attempts.discard(attempt)
                case CloseTransport(attempt, code):
                    self.peer.closing(self, seat, attempt, code)
                case Tell(told):
                    self.tell(told)
        self.check(seat)

    def _fire(self, seat: Seat, timer: Timer, mark: tuple[int, int]) -> None:
        if seat.timers.get(timer) == mark:
            del seat.timers[timer]
            self.feed(seat, Due(timer, heard_at=seat.heard_at, lag_ms=self.lag_ms, blocked=self.blocked))

    def tell(self, event: ProcessEvent) -> None:
        self.process, effects = process.step(self.process, event, self.now, self.rng)
        for effect in effects:
            match effect:
                case Emit(fact):
                    self.process_facts.append((self.now, fact))
                case ToLink(link_id, link_event):
                    self.feed(self.seats[link_id], link_event)
                case SetProcessTimer(moment):
                    self.process_due = moment
                    self.at(moment, self._process_fires)

    def _process_fires(self) -> None:
        if self.process_due is not None and self.process_due <= self.now:
            self.process_due = None
            self.tell(ProcessDue())

    def check(self, seat: Seat) -> None:
        """G1, G3, G4: after every step of every test."""
        state = seat.state
        assert len(seat.open_attempts) <= 1, "G1: two live attempts"
        if state.phase is Phase.CONNECTED:
            assert state.attempt in seat.open_attempts & seat.opened, "connected without a socket"
            assert state.attempt in seat.proofs, "G3: in service without a proof"
        if state.phase in {Phase.WAITING, Phase.SUSPENDED}:
            assert not seat.open_attempts, "a socket outlives its attempt"
            assert state.asking != (Timer.RETRY in seat.timers), "G4: nothing will wake the link"
        needed = {
            Phase.CONNECTING: {Timer.OPEN, Timer.REPORT},
            Phase.PROVING: {Timer.PROOF, Timer.REPORT},
            Phase.CONNECTED: {Timer.PING, Timer.REPORT},
            Phase.WAITING: {Timer.REPORT, Timer.SUSPEND},
            Phase.SUSPENDED: {Timer.REPORT},
            Phase.DRAINING: {Timer.DRAIN},
            Phase.FAILED: {Timer.REPORT},
        }.get(state.phase, set())
        assert needed <= set(seat.timers), f"G4: {state.phase} lacks {needed - set(seat.timers)}"
        if state.phase is Phase.FAILED:
            assert "connection_abandoned" in seat.deltas, "G4: gave up without a word"
        if state.phase in {Phase.IDLE, Phase.CLOSED, Phase.FAILED}:
            assert not seat.open_attempts, "a resting link has a socket"
