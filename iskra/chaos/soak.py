"""Tier T2: a broker of one node or three, all workers, minutes of faults, then the checker's verdict and what was met.

Everything lies below one directory; the ledger and the workers' logs stay there, the broker's data does not.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from iskra.apps import broker
from iskra.problems import Problem
from pipeline.runtime.options import KafkaOptions

from .backstage import Backstage
from .checker import Report, as_data, as_lines, check
from .ledger import RECEIVED, Limits
from .schedule import Kind, rows_run, schedule
from .trial import WORKERS, Carried, Plan, carry_out

__all__ = ["ELSEWHERE", "Soaked", "ground", "plan_of", "soak"]

_LOOPBACK: Final = "127.0.0.1"
_MINUTE: Final = 60_000
_LEAST_EVENTS_A_MINUTE: Final = 10_000
_HEAP_MB: Final = 320
_CLOCK_DIVISOR: Final = 5
"""Outages of a broker last tens of seconds: on a faster clock they would be longer than a level can be revised."""

ELSEWHERE: Final[Mapping[str, str]] = {
    "2 (publisher stopped, killed)": "tests/pipeline/agents/test_publisher.py",
    "6 (log directory full)": "not run: needs a file system of 64 MiB, which only root can mount",
    "6 (all down for 2 min)": "here 20 to 40 s: a round is 2 min",
    "7 (topics missing, changed)": "tests/integration/test_runtime_refusals.py",
    "8 (retention)": "tests/integration/test_runtime_refusals.py",
    "9 (silence below TCP)": "not run: needs a network namespace, so root",
    "14 (the fold raises)": "tests of the scorer and the runtime",
    "15 (ACL deny)": "not run: the local broker has no ACLs; here by brokers that are away",
    "16, 18, 22, 24": "tests of the runtime and the scorer",
}
"""Rows of the failure model that a soak does not meet, or not in full, and where they are."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it."""

    report: Report
    carried: Carried
    nodes: int

    @property
    def exit_code(self) -> int:
        """0 is green."""
        return self.report.exit_code

    def as_data(self) -> dict[str, Any]:
        """As one JSON object."""
        carried = self.carried
        return {
            **as_data(self.report),
            "nodes": self.nodes,
            "ledger": str(carried.directory),
            "events": dict(carried.events),
            "faults_done": dict(carried.faults),
            "faults_bit": dict(carried.bit),
            "rows": {str(row): times for row, times in rows_run(carried.bit).items()},
            "elsewhere": dict(ELSEWHERE),
            "slowest_back_s": round(carried.slowest_s, 1),
            "starts": dict(carried.lives),
            "seconds": round(carried.seconds, 1),
        }

    def as_lines(self) -> list[str]:
        """For people."""
        carried = self.carried
        rows = [f"{row} ({times})" for row, times in rows_run(carried.bit).items() if times]
        missed = [str(row) for row, times in rows_run(carried.bit).items() if not times]
        done = ", ".join(f"{kind} {carried.bit.get(kind, 0)}/{times}" for kind, times in sorted(carried.faults.items()))
        return [
            *as_lines(self.report),
            f"faults that bit of those done: {done}",
            f"slowest from killed or stopped to ready: {carried.slowest_s:.1f} s",
            f"rows of the failure model met (times): {', '.join(rows) or 'none'}",
            *([f"rows not met in this run: {', '.join(missed)}"] if missed else []),
            *(f"row {row}: {where}" for row, where in ELSEWHERE.items()),
            f"ledger in {carried.directory}, workers' logs beside it",
        ]


def plan_of(seed: int, minutes: int, nodes: int) -> Plan:
    """The plan of a soak: a function of its seed and size."""
    length = minutes * _MINUTE
    bite: tuple[Kind, ...] = (Kind.KILL, Kind.CRASH, Kind.PAUSE) if minutes >= 3 else (Kind.KILL,)
    if nodes > 1 and minutes >= 8:
        bite += (Kind.BROKER_KILL, Kind.BROKER_PAUSE)
    return Plan(
        seed=seed,
        faults=schedule(seed, length, WORKERS, nodes=nodes),
        length=length,
        clock_divisor=_CLOCK_DIVISOR,
        limits=Limits(min_events=_LEAST_EVENTS_A_MINUTE * minutes, must_bite=tuple(kind.value for kind in bite)),
    )


def soak(*, seed: int, minutes: int, nodes: int, home: Path, say: Callable[[str], None]) -> Soaked:
    """Run it and judge it.

    Errors: Problem when something cannot be started, or another soak runs there.
    """
    plan = plan_of(seed, minutes, nodes)
    with ground(home, nodes, say) as (stage, running):
        kafka = KafkaOptions(bootstrap=running.bootstrap, topic_prefix=plan.prefix)
        broker_dir = running.dir if nodes > 1 else None
        carried = carry_out(plan, kafka, home, stage=stage, broker_dir=broker_dir, say=say)
    say("checking")
    report = check(carried.directory, say)
    return Soaked(report, carried, nodes)


@contextmanager
def ground(home: Path, nodes: int, say: Callable[[str], None]) -> Iterator[tuple[Backstage, broker.Broker]]:
    """Receivers and a broker, with a proxy before each node if there are three; gone afterwards."""
    home = home.absolute()
    if broker.status(home / "broker") is not None:
        message = f"a broker runs in {home / 'broker'}: iskra broker stop --dir {home / 'broker'}"
        raise Problem(message)
    shutil.rmtree(home, ignore_errors=True)
    (home / "ledger").mkdir(parents=True, mode=0o700)
    ports = broker.free_ports(nodes) if nodes > 1 else []
    with Backstage(home / "ledger" / RECEIVED, [(_LOOPBACK, port) for port in ports]) as stage:
        try:
            running = broker.start(
                home / "broker",
                nodes=nodes,
                ports=ports,
                advertised=stage.proxy.ports,
                tied=True,
                heap_mb=_HEAP_MB if nodes > 1 else 384,
                say=say,
            )
            say(f"Kafka at {running.bootstrap}, {nodes} {'nodes behind proxies' if nodes > 1 else 'node'}")
            yield stage, running
        finally:
            broker.stop(home / "broker")
            shutil.rmtree(home / "broker", ignore_errors=True)
