"""The shell around the machines: one timer heap per process, one task per attempt and its socket, one look at the loop.

Everything here happens in one event loop. The machines decide; the driver gives them the time, dice and what the
sockets say, and carries out what they ask for.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from schemas.types import Instant, Millis

from .core import link as links
from .core import process
from .core.evidence import Evidence, Source
from .core.facts import Fact, Scalar
from .core.heartbeat import payload, read_payload
from .core.link import LinkPlan, LinkState, Phase
from .core.options import AgentOptions
from .core.process import ProcessState
from .core.signals import (
    ClearTimer,
    CloseTransport,
    CutTransport,
    Due,
    Emit,
    Heard,
    LinkEffect,
    LinkEvent,
    LinksCounted,
    Lost,
    Opened,
    OpenFailed,
    OpenTransport,
    Ponged,
    ProcessDue,
    ProcessEffect,
    ProcessEvent,
    Restate,
    SendPing,
    SetProcessTimer,
    SetTimer,
    Tell,
    Timer,
    ToLink,
    Wanted,
)
from .publisher import Publisher
from .speaker import Speaker
from .transports.base import AttemptError, Connector, Socket, SocketError

__all__ = ["Driver", "Seat", "wall_ms"]

_INBOX: Final = 1_000
_STALL_MEMORY: Final = 64


def wall_ms() -> Instant:
    """Now, for others to compare: the wall clock."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True, eq=False)
class Seat:
    """One link in the driver: its state, timers, socket and the messages nobody has taken yet."""

    state: LinkState
    headers: tuple[tuple[str, str], ...]
    keep_messages: bool
    """False: payloads are counted and discarded."""
    timers: dict[Timer, tuple[Instant, int]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    socket: Socket | None = None
    pings: set[asyncio.Task[None]] = field(default_factory=set)
    inbox: deque[str | bytes] = field(default_factory=deque)
    waiters: set[asyncio.Future[None]] = field(default_factory=set)
    """Who waits for a change of phase or a message."""
    room: asyncio.Event = field(default_factory=asyncio.Event)
    heard_at: Instant | None = None
    blocked_since: Instant | None = None
    received: int = 0

    def notify(self) -> None:
        """Wake all that wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()

    async def change(self) -> None:
        """Wait for the next change of phase or message."""
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.add(waiter)
        try:
            await waiter
        finally:
            self.waiters.discard(waiter)


_Due: TypeAlias = tuple[Instant, int, Seat | None, Timer | None]


class _SeatEars:
    """What one attempt's socket says to its seat. Of older attempts nobody hears any more."""

    def __init__(self, driver: Driver, seat: Seat, attempt: int) -> None:
        self._driver = driver
        self._seat = seat
        self._attempt = attempt

    def heard(self) -> None:
        if self._seat.state.attempt == self._attempt:
            self._seat.heard_at = self._driver.now()

    def ponged(self, payload: bytes) -> None:
        read = read_payload(payload)
        if read is not None:
            number, sent_ns = read
            rtt_ms = max(0, time.monotonic_ns() - sent_ns) / 1e6
            self._driver.feed(self._seat, Ponged(self._attempt, number, rtt_ms))


class Driver:
    """Drives all links of a process."""

    def __init__(
        self,
        options: AgentOptions,
        speaker: Speaker,
        publisher: Publisher,
        connector: Connector,
        *,
        agent_connection_id: str,
        rng: random.Random,
        on_phase: Callable[[LinkState], None] | None = None,
    ) -> None:
        self._options = options
        self._speaker = speaker
        self._publisher = publisher
        self._connector = connector
        self._agent_connection_id = agent_connection_id
        self._rng = rng
        self._on_phase = on_phase
        self._process = ProcessState(agent_connection_id, options)
        self.seats: dict[str, Seat] = {}
        self._queue: deque[tuple[Seat, LinkEvent]] = deque()
        self._turning = False
        self._heap: list[_Due] = []
        self._counter = 0
        self._process_due: Instant | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._handle_at: Instant | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._tick_at: Instant = 0
        self._report_at: Instant = 0
        self._stalls: deque[tuple[Instant, Millis]] = deque(maxlen=_STALL_MEMORY)
        # The machines' clock: steady, and close to the wall clock so that it may be read by people.
        self._anchor_ms = wall_ms()
        self._anchor_ns = time.monotonic_ns()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.emitted: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> Instant:
        """Now, for the machines."""
        return self._anchor_ms + (time.monotonic_ns() - self._anchor_ns) // 1_000_000

    # Life

    def start(self) -> None:
        """Begin, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._report_at = self.now() + self._options.telemetry.report_ms
        self._say(Fact("agent_started", self._agent_connection_id, data={"links": len(self.seats)}))
        self._next_tick()

    def stop(self) -> None:
        """End: no timers, no sockets. Links should be closed before."""
        for handle in (self._tick, self._handle):
            if handle is not None:
                handle.cancel()
        for seat in self.seats.values():
            self._cut(seat)
        self._say(Fact("agent_stopped", self._agent_connection_id, data={"links": len(self.seats)}))

    def add(self, plan: LinkPlan, *, headers: tuple[tuple[str, str], ...], keep_messages: bool) -> Seat:
        """Take a link and want it."""
        seat = Seat(links.new_link(plan), headers, keep_messages)
        self.seats[plan.link_id] = seat
        self._feed_process(LinksCounted(len(self.seats)))
        self.feed(seat, Wanted())
        return seat

    def forget(self, link_id: str) -> None:
        """Let go of a closed link."""
        self.seats.pop(link_id, None)
        self._feed_process(LinksCounted(len(self.seats)))

    # Machines

    def feed(self, seat: Seat, event: LinkEvent) -> None:
        """Pass an event to a link and do what it asks for, and what that leads to, before returning."""
        self._queue.append((seat, event))
        if self._turning:
            return
        self._turning = True
        try:
            while self._queue:
                self._turn(*self._queue.popleft())
        finally:
            self._turning = False

    def _turn(self, seat: Seat, event: LinkEvent) -> None:
        before = seat.state.phase
        seat.state, effects = links.step(seat.state, event, self.now(), self._rng)
        for effect in effects:
            self._carry_out(seat, effect)
        if seat.state.phase is not before:
            seat.notify()
            if self._on_phase is not None:
                self._on_phase(seat.state)

    def _carry_out(self, seat: Seat, effect: LinkEffect) -> None:
        match effect:
            case Emit(fact):
                self._say(fact)
            case SetTimer(timer, at):
                self._counter += 1
                seat.timers[timer] = (at, self._counter)
                self._push((at, self._counter, seat, timer))
            case ClearTimer(timer):
                seat.timers.pop(timer, None)
            case OpenTransport(attempt, url):
                self._open(seat, attempt, url)
            case SendPing(attempt, number):
                self._ping(seat, attempt, number)
            case CutTransport():
                self._cut(seat)
            case CloseTransport(_, code):
                self._close(seat, code)
            case Tell(process_event):
                self._feed_process(process_event)

    def _feed_process(self, event: ProcessEvent) -> None:
        self._process, effects = process.step(self._process, event, self.now(), self._rng)
        for effect in effects:
            self._carry_out_for_process(effect)

    def _carry_out_for_process(self, effect: ProcessEffect) -> None:
        match effect:
            case Emit(fact):
                self._say(fact)
            case ToLink(link_id, event):
                seat = self.seats.get(link_id)
                if seat is not None:
                    self.feed(seat, event)
            case SetProcessTimer(at):
                self._counter += 1
                self._process_due = at
                self._push((at, self._counter, None, None))

    def _say(self, fact: Fact) -> None:
        self.emitted[fact.delta] += 1
        self._speaker.say(fact)

    # Timers

    def _push(self, due: _Due) -> None:
        heapq.heappush(self._heap, due)
        self._arm()

    def _arm(self) -> None:
        if not self._heap or self._loop is None:
            return
        at = self._heap[0][0]
        if self._handle is not None:
            if self._handle_at is not None and self._handle_at <= at:
                return
            self._handle.cancel()
        self._handle_at = at
        self._handle = self._loop.call_later(max(0, at - self.now()) / 1000, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = self.now()
        while self._heap and self._heap[0][0] <= now:
            at, counter, seat, timer = heapq.heappop(self._heap)
            if seat is None or timer is None:
                if self._process_due is not None and self._process_due <= now:
                    self._process_due = None
                    self._feed_process(ProcessDue())
            elif seat.timers.get(timer) == (at, counter):
                del seat.timers[timer]
                self.feed(seat, self._due(seat, timer, at, now))
        self._arm()

    def _due(self, seat: Seat, timer: Timer, at: Instant, now: Instant) -> Due:
        """The timer, and what may excuse what it is about to find."""
        window = self._options.heartbeat.pong_timeout_most_ms
        lag = max((lag for when, lag in self._stalls if when >= at - window), default=0)
        blocked = seat.blocked_since is not None
        return Due(timer, heard_at=seat.heard_at, lag_ms=max(lag, now - at), blocked=blocked)

    # The loop's own pulse

    def _next_tick(self) -> None:
        if self._loop is not None:
            tick_ms = self._options.heartbeat.lag_tick_ms
            self._tick_at = self.now() + tick_ms
            self._tick = self._loop.call_later(tick_ms / 1000, self._ticked)

    def _ticked(self) -> None:
        now = self.now()
        lag = now - self._tick_at
        if lag >= self._options.heartbeat.lag_limit_ms:
            self._stalls.append((now, lag))
            self._say(Fact("local_stall_detected", self._agent_connection_id, data={"lag_ms": lag}))
        self._announce()
        if now >= self._report_at:
            self._report(now)
        self._next_tick()

    def _announce(self) -> None:
        """Say what was dropped or late, now that events flow again; then each link says how it is."""
        dropped = self._publisher.take_dropped()
        if dropped is not None:
            ranges = ", ".join(f"{first}-{last}" for first, last in dropped.ranges)
            data: dict[str, Scalar] = {"dropped": dropped.total, "seq_ranges": ranges}
            data |= {f"dropped_{delta}": count for delta, count in dropped.counts.items()}
            self._say(Fact("telemetry_dropped", self._agent_connection_id, data=data))
        if self._publisher.take_stale() or dropped is not None:
            for seat in tuple(self.seats.values()):
                self.feed(seat, Restate())

    def _report(self, now: Instant) -> None:
        phases = Counter(seat.state.phase.value for seat in self.seats.values())
        data: Mapping[str, Scalar] = MappingProxyType(
            {
                "links": len(self.seats),
                **{f"links_{phase}": count for phase, count in sorted(phases.items())},
                "messages_received": sum(seat.received for seat in self.seats.values()),
            }
        )
        self._say(Fact("agent_report", self._agent_connection_id, data=data))
        report_ms = self._options.telemetry.report_ms
        self._report_at = max(self._report_at + report_ms, now)

    # Sockets

    def _open(self, seat: Seat, attempt: int, url: str) -> None:
        self._cut(seat)
        seat.heard_at = None
        seat.task = asyncio.create_task(self._live(seat, attempt, url), name=f"link {seat.state.plan.link_id}")
        self._keep(seat.task)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self, seat: Seat, attempt: int, url: str) -> None:
        """One attempt and, if it opens, its socket until the end."""
        ears = _SeatEars(self, seat, attempt)
        try:
            socket = await self._connector(url, ears, self._options.connect, headers=seat.headers, wall=wall_ms)
        except AttemptError as failed:
            self.feed(seat, OpenFailed(attempt, failed.evidence))
            return
        except Exception as error:  # noqa: BLE001 - a bug or an odd library: the link must not stop without a word
            self.feed(seat, OpenFailed(attempt, Evidence(Source.UNKNOWN, reason=type(error).__name__)))
            return
        seat.socket = socket
        try:
            self.feed(seat, Opened(attempt))
            await self._read(seat, attempt, socket)
        except SocketError as lost:
            seat.socket = None
            self.feed(seat, Lost(attempt, lost.evidence))
        except Exception as error:  # noqa: BLE001 - as above
            seat.socket = None
            self.feed(seat, Lost(attempt, Evidence(Source.UNKNOWN, reason=type(error).__name__)))
        finally:
            # Whatever ends the task, cancellation too, leaves no socket behind.
            socket.abort()

    async def _read(self, seat: Seat, attempt: int, socket: Socket) -> None:
        while True:
            message = await socket.receive()
            seat.received += 1
            if seat.state.phase is Phase.PROVING:
                self.feed(seat, Heard(attempt))
            if not seat.keep_messages:
                continue
            while len(seat.inbox) >= _INBOX:
                # Nobody takes messages: stop reading, and let the peer feel it, rather than grow.
                seat.blocked_since = self.now()
                seat.room.clear()
                await seat.room.wait()
            seat.blocked_since = None
            seat.inbox.append(message)
            seat.notify()

    def _ping(self, seat: Seat, attempt: int, number: int) -> None:
        if seat.socket is None or seat.state.attempt != attempt:
            return
        task = asyncio.create_task(seat.socket.ping(payload(number, time.monotonic_ns())))
        seat.pings.add(task)
        task.add_done_callback(seat.pings.discard)

    def _cut(self, seat: Seat) -> None:
        for ping in tuple(seat.pings):
            ping.cancel()
        if seat.socket is not None:
            seat.socket.abort()
            seat.socket = None
        if seat.task is not None and seat.task is not asyncio.current_task():
            seat.task.cancel()
        seat.task = None
        seat.blocked_since = None

    def _close(self, seat: Seat, code: int) -> None:
        if seat.socket is not None:
            self._keep(asyncio.create_task(seat.socket.close(code)))
