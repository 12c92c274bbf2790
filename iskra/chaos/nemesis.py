"""Carries the schedule out: kills, pauses, cuts, and undoes it when its time is over; says of each whether it bit.

One thread owns it and calls ``step`` often; nothing here waits for long. A fault is over when what it hit is whole and
its process is ready again; only then its line is written.

When a fault bit:
a kill when records that were in the log by then were not committed yet (its successor opened before them) · a pause
when the zombie was fenced · a stop, a guest and a deleted group when the process came back ready and went on · a broker
when its process ended or stood still · a link when the proxy held back, lost or reset something.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kafka import TopicPartition
from kafka.errors import KafkaError

from iskra.apps import broker, cluster
from iskra.problems import Problem
from pipeline.runtime.options import KafkaOptions
from schemas.topics import ALL
from schemas.types import Instant

from .backstage import Backstage
from .crew import Crew, Life
from .ledger import FaultSeen, Lines
from .proxy import Way
from .schedule import Fault, Kind

__all__ = ["Nemesis"]

_OVER_WITHIN_S = 45.0
"""A fault whose process is not ready again by then is written down as it is."""
_AT_ONCE = 2
_AT_WORK_S = 1.0
_PATIENCE_S = 40.0
_CRASHES_WITHIN_S = 8.0
"""A crash point that was not passed by then is given up, and the process is killed instead."""
_SOURCES = {topic.name.split(".")[1]: topic.source for topic in ALL if topic.source is not None}
"""What each stage reads."""

_Place = tuple[str, int]


@dataclass(slots=True)
class _Going:
    """A fault that is going on."""

    fault: Fault
    began: Instant
    due: float
    """When it is undone, by the monotonic clock."""
    undone: bool = False
    hit: list[Life] = field(default_factory=list)
    killed_at: Instant = 0
    """When a process was killed at random."""
    told: bool = False
    """Whether a process whose point lies on the way out was told to stop."""
    touched: int = 0
    nodes: tuple[int, ...] = ()
    note: str = ""


class Nemesis:
    """``step`` until ``done``."""

    def __init__(
        self,
        faults: Sequence[Fault],
        crew: Crew,
        stage: Backstage,
        kafka: KafkaOptions,
        broker_dir: Path | None,
        lines: Lines,
    ) -> None:
        """``broker_dir`` is that of a broker of three nodes whose nodes may be killed."""
        self._faults = list(faults)
        self._crew = crew
        self._stage = stage
        self._kafka = kafka
        self._broker_dir = broker_dir
        self._lines = lines
        self._going: list[_Going] = []
        self._begun = time.monotonic()
        self.counts: Counter[str] = Counter()
        """Faults that were over, by kind."""
        self.bit: Counter[str] = Counter()
        self.slowest_s = 0.0
        """The longest from a kill to ready again."""

    @property
    def done(self) -> bool:
        """Whether everything was done and is over."""
        return not self._faults and not self._going

    @property
    def going(self) -> list[str]:
        """What goes on now."""
        return [f"{one.fault.kind} {one.fault.target}" for one in self._going]

    def begin(self) -> None:
        """The schedule's time starts now."""
        self._begun = time.monotonic()

    def step(self) -> None:
        """Begin what is due, undo what has lasted, write down what is over."""
        now = time.monotonic()
        for fault in [one for one in self._faults if now - self._begun >= one.at / 1000]:
            late_s = now - self._begun - fault.at / 1000
            if fault.kind is Kind.QUIET:
                if self._going or fault is not self._faults[0]:
                    break
                self._begun += late_s  # what comes after a quiet phase keeps its distance from it
            elif not self._may_begin(fault, late_s):
                continue
            self._faults.remove(fault)
            self._start(fault, now)
        for one in tuple(self._going):
            if not one.undone and now >= one.due:
                self._undo(one)
                one.undone = True
            late = now - one.due > _OVER_WITHIN_S
            if one.undone and (late or self._is_over(one, now)):
                self._going.remove(one)
                self._write(one, late=late)

    # ------------------------------------------------------------------------------------------------- beginnings

    def _may_begin(self, fault: Fault, late_s: float) -> bool:
        """Two faults at once, one for one process, and it should be at work, or the fault would not bite.

        So a slow machine gets the same faults in the same order, only further apart.
        """
        if len(self._going) >= _AT_ONCE or any(one.fault.target == fault.target for one in self._going):
            return False
        if fault.kind in (Kind.KILL, Kind.CRASH, Kind.PAUSE, Kind.TERM) and late_s < _PATIENCE_S:
            life = self._crew.life(fault.target)
            if life is None:  # it just died of the crash before: the next life gets the next point
                return fault.kind is Kind.CRASH
            return life.ready_at is not None and time.monotonic() - life.ready_at > _AT_WORK_S
        return True

    def _start(self, fault: Fault, now: float) -> None:
        one = _Going(fault, _now(), now + fault.lasts / 1000)
        self._going.append(one)
        kind, target = fault.kind, fault.target
        life = self._crew.life(target)
        one.hit = [life] if life is not None else []
        match kind:
            case Kind.QUIET:
                pass
            case Kind.KILL:
                one.killed_at = one.began
                self._crew.send(target, signal.SIGKILL)
            case Kind.CRASH:
                self._crew.arm(target, fault.point)
                one.hit = []
            case Kind.PAUSE:
                self._crew.send(target, signal.SIGSTOP)
            case Kind.TERM:
                self._crew.send(target, signal.SIGTERM)
            case Kind.JOIN:
                self._crew.add(target)
            case Kind.FORGET:
                role = target.removesuffix("s")
                one.hit = [life for life in self._crew.running() if life.member.startswith(f"{role}-")]
                self._crew.dismiss([life.member for life in one.hit])
            case Kind.BROKER_KILL | Kind.BROKER_PAUSE | Kind.TWO_DOWN | Kind.ALL_DOWN:
                self._strike_brokers(one)
            case _:
                self._strike_link(one, _number(target) - 1)

    def _strike_brokers(self, one: _Going) -> None:
        running = broker.status(self._broker_dir) if self._broker_dir is not None else None
        if running is None:
            one.note = "no broker of ours"
            return
        numbers = [node.number for node in running.nodes]
        if one.fault.kind in (Kind.BROKER_KILL, Kind.BROKER_PAUSE):
            numbers = [_number(one.fault.target)]
        elif one.fault.kind is Kind.TWO_DOWN:
            numbers = numbers[:2]
        number = signal.SIGSTOP if one.fault.kind is Kind.BROKER_PAUSE else signal.SIGKILL
        hit = [node for node in running.nodes if node.number in numbers]
        for node in hit:
            os.kill(node.pid, number)
        one.nodes = tuple(node.number for node in hit)
        one.note = f"nodes {', '.join(map(str, one.nodes))}"

    def _strike_link(self, one: _Going, link: int) -> None:
        proxy = self._stage.proxy
        one.touched = proxy.touched[link]
        links = [link]
        strike = {
            Kind.LATE: lambda: proxy.delay(links, each_way_ms=200, jitter_ms=100),
            Kind.NARROW: lambda: proxy.narrow(links, bits_a_s=64_000),
            Kind.SLICE: lambda: proxy.slice(links),
            Kind.SWALLOW: lambda: proxy.swallow(links),
            Kind.SWALLOW_THERE: lambda: proxy.swallow(links, Way.THERE),
            Kind.SWALLOW_BACK: lambda: proxy.swallow(links, Way.BACK),
            Kind.RESET: lambda: proxy.cut(links),
            Kind.LIMIT: lambda: proxy.limit(links, after_bytes=20_000),
            Kind.DOWN: lambda: proxy.down(links),
        }
        self._stage.call(strike[one.fault.kind])

    # ----------------------------------------------------------------------------------------------------- endings

    def _undo(self, one: _Going) -> None:
        fault = one.fault
        match fault.kind:
            case Kind.PAUSE:
                for life in one.hit:
                    if life.code is None:
                        self._crew.send(fault.target, signal.SIGCONT)
            case Kind.JOIN:
                guest = self._crew.life(fault.target)
                one.hit = [guest] if guest is not None else []
                one.note = "was ready" if guest is not None and guest.ready_at is not None else "was not ready in time"
                self._crew.dismiss([fault.target])
            case Kind.BROKER_KILL | Kind.TWO_DOWN | Kind.ALL_DOWN:
                for number in one.nodes:
                    if self._broker_dir is not None:
                        broker.start_node(self._broker_dir, number, tied=True)
            case Kind.BROKER_PAUSE:
                self._continue_broker()
            case Kind.QUIET | Kind.KILL | Kind.CRASH | Kind.TERM | Kind.FORGET:
                pass
            case _:
                link = _number(fault.target) - 1
                one.touched = self._stage.proxy.touched[link] - one.touched
                self._stage.call(lambda: self._stage.proxy.heal([link]))
                self._stage.wait_for(self._stage.proxy.up([link]))

    def _continue_broker(self) -> None:
        running = broker.status(self._broker_dir) if self._broker_dir is not None else None
        for node in running.nodes if running is not None else ():
            os.kill(node.pid, signal.SIGCONT)

    def _is_over(self, one: _Going, now: float) -> bool:
        fault = one.fault
        if fault.kind is Kind.CRASH:
            return self._crashed(one, now)
        if fault.kind is Kind.PAUSE:
            # A zombie may need a moment to find out. One that nobody replaced goes on, and is over all the same.
            ended = all(life.code is not None for life in one.hit)
            return self._ready(fault.target) if ended else now - one.due > 10.0
        if fault.kind in (Kind.KILL, Kind.TERM):
            return all(life.code is not None for life in one.hit) and self._ready(fault.target)
        if fault.kind is Kind.JOIN:
            return all(life.code is not None for life in one.hit)
        if fault.kind is Kind.FORGET:
            return self._forgotten(one)
        if one.nodes and self._broker_dir is not None:
            running = broker.status(self._broker_dir)
            return running is not None and len(running.nodes) == running.size and self._crew.all_ready
        return True

    def _crashed(self, one: _Going, now: float) -> bool:
        """A crash is two lives: the one that is killed to arm the point, and the one that passes it."""
        name, point = one.fault.target, one.fault.point
        armed = [life for life in self._crew.lives() if life.member == name and life.point == point]
        armed = [life for life in armed if life not in one.hit or life.code is None]
        current = self._crew.life(name)
        if current is not None and current.point == point:
            ready_for = 0.0 if current.ready_at is None else now - current.ready_at
            if point.startswith("revoke.") and ready_for > _AT_WORK_S and not one.told:
                one.told = True
                self._crew.send(name, signal.SIGTERM)  # passed on the way out only
            if ready_for > _CRASHES_WITHIN_S and not one.note:
                one.note = f"{point} was not passed in {_CRASHES_WITHIN_S:.0f} s, killed at random"
                one.killed_at = _now()
                self._crew.send(name, signal.SIGKILL)
            if not one.hit:
                one.hit = [current]
            return False
        one.hit = one.hit or armed[-1:]
        died = bool(one.hit) and all(life.code is not None for life in one.hit)
        return died and (self._ready(name) or (current is None and self._crash_is_due(name, now)))

    def _crash_is_due(self, name: str, now: float) -> bool:
        """Whether the next thing for this process is another crash: it need not be ready in between."""
        due = (one for one in self._faults if one.target == name and now - self._begun >= one.at / 1000)
        following = next(due, None)
        return following is not None and following.kind is Kind.CRASH

    def _forgotten(self, one: _Going) -> bool:
        """Once all have ended the group is deleted, then they are wanted again."""
        names = [life.member for life in one.hit]
        if not one.note:
            if any(life.code is None for life in one.hit):
                return False
            one.note = self._delete_group(one.fault.target.removesuffix("s"))
            self._crew.want(names)
        return all(self._ready(name) for name in names)

    def _delete_group(self, role: str) -> str:
        group = f"{self._kafka.topic_prefix}-{role}"
        try:
            with cluster.admin(self._kafka) as admin:
                admin.delete_groups([group])
        except (Problem, OSError, RuntimeError) as error:
            return f"group {group} was not deleted: {type(error).__name__}"
        return f"group {group} deleted"

    def _ready(self, name: str) -> bool:
        life = self._crew.life(name)
        return life is not None and life.ready_at is not None

    # ------------------------------------------------------------------------------------------------ what it was

    def _write(self, one: _Going, *, late: bool) -> None:
        fault = one.fault
        bit, note = self._judged(one)
        if late:
            note = f"{note}; not whole after {_OVER_WITHIN_S:.0f} s".removeprefix("; ")
        until = _now()
        self._lines.write(
            FaultSeen(at=one.began, kind=fault.kind, target=fault.target, until=until, bit=bit, note=note)
        )
        self._lines.sync()
        self.counts[fault.kind] += 1
        self.bit[fault.kind] += bit
        if fault.kind in (Kind.KILL, Kind.TERM):
            self.slowest_s = max(self.slowest_s, (until - one.began) / 1000)

    def _judged(self, one: _Going) -> tuple[bool, str]:
        """Whether it bit, and what there is to say of it."""
        fault = one.fault
        match fault.kind:
            case Kind.QUIET:
                return True, one.note
            case Kind.KILL:
                work = self._in_flight(one)
                return work > 0, f"{work} records in flight"
            case Kind.CRASH:
                died = any(life.code == -signal.SIGKILL and not life.killed for life in one.hit)
                bit = died or self._in_flight(one) > 0
                return bit, one.note or f"died at {fault.point}"
            case Kind.PAUSE:
                fenced = any(life.code is not None and life.said("fenced") for life in one.hit)
                return fenced, f"fenced, {_codes(one.hit)}" if fenced else f"came back unfenced, {_codes(one.hit)}"
            case Kind.TERM | Kind.JOIN:
                return [life.code for life in one.hit] == [0], f"{one.note} {_codes(one.hit)}".strip()
            case Kind.FORGET:
                return one.note.endswith(" deleted"), one.note
            case Kind.BROKER_KILL | Kind.BROKER_PAUSE | Kind.TWO_DOWN | Kind.ALL_DOWN:
                return bool(one.nodes), one.note
            case _:
                return one.touched > 0, f"met {one.touched} pieces or connections"

    def _in_flight(self, one: _Going) -> int:
        """Records that were in the log when the process was killed, behind where its successors opened."""
        if not one.killed_at:
            return 0
        opened: dict[_Place, int] = {}
        for life in self._crew.lives():
            for said in life.events():
                if said.get("event") == "partition_opened" and _time_of(said) >= one.killed_at:
                    opened.setdefault((str(said["stage"]), int(said["partition"])), int(said["position"]))
        places = {place for life in one.hit for place in _partitions(life)} & opened.keys()
        try:
            ends = self._ends_at(one.killed_at, places)
        except (Problem, KafkaError) as error:
            one.note = f"what was in flight could not be read: {type(error).__name__}"
            return 0
        return sum(max(0, end - opened[place]) for place, end in ends.items())

    def _ends_at(self, at: Instant, places: Collection[_Place]) -> dict[_Place, int]:
        """Where each stage's input ended at this moment."""
        with cluster.consumer(self._kafka) as consumer:
            asked = {place: TopicPartition(self._kafka.topic(_SOURCES[place[0]]), place[1]) for place in places}
            found = consumer.offsets_for_times(dict.fromkeys(asked.values(), at)) if asked else {}
            ends = consumer.end_offsets(list(asked.values())) if asked else {}
        return {place: found[tp].offset if found.get(tp) is not None else ends[tp] for place, tp in asked.items()}


def _partitions(life: Life) -> set[_Place]:
    """What this process read, by stage, at its end."""
    owned: set[_Place] = set()
    for said in life.events():
        if said.get("event") in ("ready", "rebalanced"):
            owned = {(stage, int(number)) for stage, numbers in said["partitions"].items() for number in numbers}
    return owned


def _codes(lives: Sequence[Life]) -> str:
    return f"exit {', '.join(str(life.code) for life in lives)}"


def _time_of(said: Mapping[str, object]) -> Instant:
    return round(datetime.fromisoformat(str(said["ts"])).timestamp() * 1000)


def _number(target: str) -> int:
    return int(target.rpartition("-")[2])


def _now() -> Instant:
    return time.time_ns() // 1_000_000
