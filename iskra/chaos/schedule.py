"""When what is broken: a seed becomes a schedule of faults and quiet phases.

Pure. A fault comes every 3 to 8 s, never more than two at once, never more than one of a kind that takes brokers away;
each two minutes end in a quiet phase in which everything must catch up. Carrying it out is ``nemesis.py``'s.

Source: reliability.md 2 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from schemas.types import Millis

__all__ = ["POINTS", "ROWS", "Fault", "Kind", "rows_run", "schedule", "storm"]

ROUND: Final[Millis] = 120_000
QUIET: Final[Millis] = 35_000
FIRST: Final[Millis] = 4_000
_STORM_QUIET: Final[Millis] = 4_000
_GAP: Final[tuple[Millis, Millis]] = (3_000, 8_000)
_BACK_WITHIN: Final[Millis] = 4_000
"""A killed process is thought of as back after so long, for the sake of counting what goes on at once."""


class Kind(StrEnum):
    """What is done."""

    KILL = "kill"
    """SIGKILL at a random moment."""
    CRASH = "crash"
    """SIGKILL at a crash point: the process is restarted with the point armed."""
    PAUSE = "pause"
    """SIGSTOP past the session timeout, then SIGCONT: a zombie."""
    TERM = "term"
    JOIN = "join"
    """A worker more joins the group and leaves it."""
    FORGET = "forget"
    """All workers of a role end, the group is deleted with its offsets, they start again."""
    BROKER_KILL = "broker_kill"
    BROKER_PAUSE = "broker_pause"
    TWO_DOWN = "two_down"
    ALL_DOWN = "all_down"
    LATE = "latency"
    NARROW = "bandwidth"
    SLICE = "slicer"
    SWALLOW = "swallow"
    SWALLOW_THERE = "swallow_there"
    SWALLOW_BACK = "swallow_back"
    RESET = "cut"
    LIMIT = "limit"
    DOWN = "down"
    QUIET = "quiet"


ROWS: Final[Mapping[int, tuple[Kind, ...]]] = {
    1: (Kind.RESET, Kind.LIMIT, Kind.DOWN),
    3: (Kind.BROKER_KILL,),
    4: (Kind.TWO_DOWN,),
    5: (Kind.BROKER_PAUSE,),
    6: (Kind.ALL_DOWN,),
    9: (Kind.LATE, Kind.NARROW, Kind.SLICE, Kind.SWALLOW, Kind.RESET, Kind.LIMIT),
    10: (Kind.DOWN, Kind.SWALLOW_THERE, Kind.SWALLOW_BACK),
    11: (Kind.KILL, Kind.CRASH),
    12: (Kind.PAUSE,),
    13: (Kind.JOIN, Kind.TERM, Kind.FORGET),
    15: (Kind.TWO_DOWN, Kind.ALL_DOWN),
}
"""Rows of the failure model, and what of it is done here."""

POINTS: Final = (
    "batch.received", "slice.applied", "cut.taken", "transaction.begun", "outputs.some", "outputs.acked", "state.acked",
    "offsets.sent", "commit.sent", "commit.acked", "producer.opened", "restore.some", "tick.applied",
    "revoke.checkpoint",
)  # fmt: skip
"""Crash points that every worker passes."""
_DISPATCHER_POINTS: Final = (*POINTS, "sending.committed", "reply.ok")
_RARE: Final = frozenset({"producer.opened", "restore.some", "revoke.checkpoint"})
"""Passed at opening and closing only: they are armed for the first time they are passed."""

_BROKERS: Final = (Kind.BROKER_KILL, Kind.BROKER_PAUSE, Kind.TWO_DOWN, Kind.ALL_DOWN)
_LINKS: Final = (
    Kind.LATE, Kind.NARROW, Kind.SLICE, Kind.SWALLOW, Kind.SWALLOW_THERE, Kind.SWALLOW_BACK, Kind.RESET, Kind.LIMIT,
    Kind.DOWN,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is done to one target, or a quiet phase. Times since the beginning of the run."""

    at: Millis
    kind: Kind
    target: str
    lasts: Millis = 0
    """0: over as soon as the process is back."""
    point: str = ""
    """Of a crash: ``name:n``."""


def storm(seed: int, length: Millis, workers: Sequence[str], *, points: Sequence[str] = POINTS) -> tuple[Fault, ...]:
    """Kills and crashes only, one every 1.5 to 3 s, then a little quiet: for a short run on one node."""
    dice = Random(seed)  # noqa: S311 a fault run wants the same dice again
    faults: list[Fault] = []
    at = 2_500
    while at < length:
        target = dice.choice(workers)
        if dice.random() < 0.5:
            faults.append(Fault(at, Kind.KILL, target))
        else:
            faults.append(Fault(at, Kind.CRASH, target, point=_point(dice, points)))
        at += dice.randrange(1_500, 3_000)
    return (*faults, Fault(max(at, length), Kind.QUIET, "all", _STORM_QUIET))


def schedule(
    seed: int, length: Millis, workers: Sequence[str], *, nodes: int = 1, session: Millis = 6_000
) -> tuple[Fault, ...]:
    """Faults and quiet phases of a run, in the order of their beginnings.

    Shape: ``workers`` by member name; with three ``nodes`` also brokers (``broker-1``) and the links to them.
    """
    dice = Random(seed)  # noqa: S311 a fault run wants the same dice again
    deck: list[Kind] = []
    faults: list[Fault] = []
    begin = 0
    while begin < length:
        end = min(begin + ROUND, length)
        quiet = max(begin, end - QUIET)
        at = begin + FIRST
        while at < quiet:
            fault = _next(dice, deck, faults, at, quiet, workers, nodes, session)
            if fault is not None:
                faults.append(fault)
            at += dice.randrange(*_GAP)
        faults.append(Fault(quiet, Kind.QUIET, "all", end - quiet))
        begin = end
    return tuple(faults)


def rows_run(kinds: Mapping[str, int]) -> dict[int, int]:
    """How often each row of the failure model was met, by how often each kind bit."""
    return {row: sum(kinds.get(kind, 0) for kind in those) for row, those in ROWS.items()}


def _next(
    dice: Random,
    deck: list[Kind],
    before: Sequence[Fault],
    at: Millis,
    quiet: Millis,
    workers: Sequence[str],
    nodes: int,
    session: Millis,
) -> Fault | None:
    """The first of the deck that fits here; it is taken out of it. None when nothing may begin now."""
    going = [
        fault for fault in before if fault.kind is not Kind.QUIET and at < fault.at + max(fault.lasts, _BACK_WITHIN)
    ]
    if len(going) >= 2:
        return None
    if len(deck) < 8:
        deck += _dealt(dice, nodes)
    for place, kind in enumerate(deck):
        lasts = _lasts(dice, kind, session)
        if at + lasts > quiet:
            continue
        if kind in _BROKERS and any(fault.kind in (*_BROKERS, *_LINKS) for fault in going):
            continue
        if kind in _LINKS and any(fault.kind in _BROKERS for fault in going):
            continue
        targets = [name for name in _targets(kind, workers, nodes) if all(name != fault.target for fault in going)]
        if not targets:
            continue
        del deck[place]
        target = dice.choice(targets)
        points = _DISPATCHER_POINTS if target.startswith("dispatcher") else POINTS
        return Fault(at, kind, target, lasts, _point(dice, points) if kind is Kind.CRASH else "")
    return None


def _dealt(dice: Random, nodes: int) -> list[Kind]:
    """A fresh deck: what matters most comes most often, and everything comes."""
    cards = [Kind.KILL] * 8 + [Kind.CRASH] * 5 + [Kind.PAUSE] * 3 + [Kind.TERM] * 2 + [Kind.JOIN] * 2 + [Kind.FORGET]
    if nodes > 1:
        cards += [Kind.BROKER_KILL] * 2 + [Kind.BROKER_PAUSE, Kind.TWO_DOWN, Kind.ALL_DOWN] + list(_LINKS)
    dice.shuffle(cards)
    return cards


def _targets(kind: Kind, workers: Sequence[str], nodes: int) -> list[str]:
    if kind in (Kind.KILL, Kind.CRASH, Kind.TERM):
        return list(workers)
    if kind is Kind.PAUSE:  # of a role with a second member, which takes over
        roles = [name.partition("-")[0] for name in workers]
        return [name for name, role in zip(workers, roles, strict=True) if roles.count(role) > 1]
    if kind is Kind.JOIN:
        return ["scorer"]
    if kind is Kind.FORGET:
        return ["scorers"]
    if kind in (Kind.TWO_DOWN, Kind.ALL_DOWN):
        return ["brokers"]
    return [f"broker-{number}" for number in range(1, nodes + 1)]


def _lasts(dice: Random, kind: Kind, session: Millis) -> Millis:
    if kind in (Kind.KILL, Kind.CRASH, Kind.TERM, Kind.FORGET):
        return 0
    if kind is Kind.PAUSE:
        return session + dice.randrange(3_000, 6_000)
    if kind is Kind.JOIN:
        return dice.randrange(5_000, 8_000)
    if kind is Kind.BROKER_KILL:
        return dice.randrange(5_000, 12_000)
    if kind is Kind.BROKER_PAUSE:
        return dice.randrange(20_000, 40_000)
    if kind is Kind.TWO_DOWN:
        return dice.randrange(12_000, 20_000)
    if kind is Kind.ALL_DOWN:
        return dice.randrange(20_000, 40_000)
    return dice.randrange(5_000, 12_000)


def _point(dice: Random, points: Sequence[str]) -> str:
    name = dice.choice(points)
    return f"{name}:{1 if name in _RARE else dice.randint(1, 8)}"
