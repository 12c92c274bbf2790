"""What the links of a process share: the connect budget and the memory of losses.

Pure. ``step`` is the only writer of its state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from schemas.types import Instant

from .dice import Rng
from .facts import Fact
from .options import AgentOptions
from .signals import (
    AttemptOver,
    ConnectWanted,
    Emit,
    Granted,
    LinksCounted,
    LossSeen,
    ProcessDue,
    ProcessEffect,
    ProcessEvent,
    SetProcessTimer,
    Spread,
    ToLink,
)

__all__ = ["Gate", "ProcessState", "step"]


@dataclass(frozen=True, slots=True)
class Gate:
    """The budget towards one host: tokens fill with time, attempts under way are bounded, first come, first served."""

    tokens: float
    filled_at: Instant
    queue: tuple[str, ...] = ()
    under_way: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ProcessState:
    """All that the links of one process share."""

    agent_connection_id: str
    options: AgentOptions
    links: int = 0
    gates: Mapping[str, Gate] = field(default_factory=lambda: MappingProxyType({}))
    losses: tuple[tuple[Instant, str], ...] = ()
    """Losses of the last second, oldest first."""
    burst: frozenset[str] = frozenset()
    """Links of the collective loss that is going on."""
    burst_ends_at: Instant | None = None
    grants_at: Instant | None = None
    """When the next token is there for a link that waits."""


def step(
    state: ProcessState, event: ProcessEvent, now: Instant, rng: Rng
) -> tuple[ProcessState, tuple[ProcessEffect, ...]]:
    """The state after an event, and what to do."""
    match event:
        case LinksCounted(links):
            return replace(state, links=links), ()
        case ConnectWanted(link_id, host):
            gate = _filled(state, host, now)
            known = link_id in gate.queue or link_id in gate.under_way
            return _grant(state, host, gate if known else replace(gate, queue=(*gate.queue, link_id)), now)
        case AttemptOver(link_id, host):
            gate = _filled(state, host, now)
            rest = tuple(waiting for waiting in gate.queue if waiting != link_id)
            return _grant(state, host, replace(gate, queue=rest, under_way=gate.under_way - {link_id}), now)
        case LossSeen(link_id):
            return _lost(state, link_id, now)
        case ProcessDue():  # pragma: no branch - the last of a closed list
            return _due(state, now)


def _filled(state: ProcessState, host: str, now: Instant) -> Gate:
    rate = state.options.budget.rate(state.links)
    gate = state.gates.get(host)
    if gate is None:
        return Gate(tokens=rate, filled_at=now)
    tokens = min(rate, gate.tokens + rate * max(0, now - gate.filled_at) / 1000)
    return replace(gate, tokens=tokens, filled_at=max(now, gate.filled_at))


def _grant(state: ProcessState, host: str, gate: Gate, now: Instant) -> tuple[ProcessState, tuple[ProcessEffect, ...]]:
    """Let go as many as the budget allows, and wake up when the next token is there."""
    room = max(0, state.options.budget.concurrent(state.links) - len(gate.under_way))
    # A token is there when its last thousandth is: time comes in whole milliseconds.
    going = gate.queue[: min(room, int(gate.tokens + 1e-6))]
    gate = replace(
        gate,
        tokens=max(0.0, gate.tokens - len(going)),
        queue=gate.queue[len(going) :],
        under_way=gate.under_way.union(going),
    )
    gates = MappingProxyType({**state.gates, host: gate})
    effects: list[ProcessEffect] = [ToLink(link_id, Granted()) for link_id in going]
    state, timer = _timed(replace(state, gates=gates), now)
    return state, (*effects, *timer)


def _timed(state: ProcessState, now: Instant) -> tuple[ProcessState, tuple[ProcessEffect, ...]]:
    """Set the timer for whatever comes first: a token somebody waits for, the end of a burst."""
    rate = state.options.budget.rate(state.links)
    most = state.options.budget.concurrent(state.links)
    moments = [
        now + max(1, -int(-1000 * (1 - gate.tokens) // rate))
        for gate in state.gates.values()
        if gate.queue and len(gate.under_way) < most
    ]
    grants_at = min(moments, default=None)
    state = replace(state, grants_at=grants_at)
    if state.burst_ends_at is not None:
        moments.append(state.burst_ends_at)
    return state, ((SetProcessTimer(min(moments)),) if moments else ())


def _lost(state: ProcessState, link_id: str, now: Instant) -> tuple[ProcessState, tuple[ProcessEffect, ...]]:
    backoff = state.options.backoff
    recent = tuple(loss for loss in state.losses if now - loss[0] < backoff.collective_window_ms)
    state = replace(state, losses=(*recent, (now, link_id)))
    lost_now = {link for _, link in state.losses}
    if state.burst_ends_at is None and len(lost_now) < backoff.collective_links:
        return state, ()
    joining = sorted((lost_now if state.burst_ends_at is None else {link_id}) - state.burst)
    state = replace(
        state, burst=state.burst.union(joining), burst_ends_at=now + backoff.collective_window_ms, losses=state.losses
    )
    state, timer = _timed(state, now)
    return state, (*(ToLink(link, Spread()) for link in joining), *timer)


def _due(state: ProcessState, now: Instant) -> tuple[ProcessState, tuple[ProcessEffect, ...]]:
    effects: list[ProcessEffect] = []
    if state.burst_ends_at is not None and state.burst_ends_at <= now:
        effects.append(Emit(Fact("correlated_loss", state.agent_connection_id, data={"links_lost": len(state.burst)})))
        state = replace(state, burst=frozenset(), burst_ends_at=None, losses=())
    for host in tuple(state.gates):
        state, granted = _grant(state, host, _filled(state, host, now), now)
        effects += [effect for effect in granted if not isinstance(effect, SetProcessTimer)]
    state, timer = _timed(state, now)
    return state, (*effects, *timer)
