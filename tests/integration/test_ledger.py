"""Tier T1: real workers on one node, killed at every crash point and at random, paused past their session; then judged.

The workers run on the harness's entry point, which arms the points; everything else is the product's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from iskra.chaos.backstage import Backstage
from iskra.chaos.checker import as_lines, check
from iskra.chaos.judging import Verdict
from iskra.chaos.ledger import FAULTS, RECEIVED, FaultSeen, Limits, read_lines
from iskra.chaos.schedule import POINTS, Fault, Kind
from iskra.chaos.trial import Plan, carry_out
from pipeline.runtime.options import KafkaOptions

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

WORKERS = ("scorer-0", "scorer-1", "rollup-0", "rollup-1")
EVENTS = 20_000
RATE = 250.0
QUIET_MS = 8_000
SCORERS_POINTS = tuple(
    f"{name}:{1 if name in {'producer.opened', 'restore.some', 'revoke.checkpoint'} else 3}" for name in POINTS
)


def _faults() -> tuple[Fault, ...]:
    """Every crash point once on a scorer, some of them beside one on a roll-up; kills and pauses between them."""
    faults: list[Fault] = []
    at = 3_000
    for number, point in enumerate(SCORERS_POINTS):
        faults.append(Fault(at, Kind.CRASH, f"scorer-{number % 2}", point=point))
        if number % 4 == 0:
            faults.append(Fault(at, Kind.CRASH, "rollup-0", point=SCORERS_POINTS[number // 2]))
        if number % 5 == 4:
            faults.append(Fault(at + 1_500, Kind.KILL, f"scorer-{(number + 1) % 2}"))
        at += 3_000
    faults += [Fault(8_000, Kind.PAUSE, "rollup-1", 9_000), Fault(28_500, Kind.PAUSE, "scorer-1", 9_000)]
    return (*sorted(faults, key=lambda fault: fault.at), Fault(at + 1_000, Kind.QUIET, "all", QUIET_MS))


def test_twenty_thousand_events_survive_every_crash_point_and_zombies(broker: str, tmp_path: Path) -> None:
    faults = _faults()
    plan = Plan(
        seed=4,
        faults=faults,
        length=max(round(EVENTS / RATE * 1_000), faults[-1].at + faults[-1].lasts),
        prefix="ledger",
        workers=WORKERS,
        partitions=4,
        events_a_s=RATE,
        limits=Limits(min_events=EVENTS, must_bite=("crash", "kill", "pause")),
        invariants=("I1", "I2", "I3", "I4", "I5", "I8", "I10", "I11"),
    )
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    with Backstage(ledger / RECEIVED) as stage:
        carry_out(plan, KafkaOptions(bootstrap=broker, topic_prefix=plan.prefix), tmp_path, stage=stage)
    report = check(ledger)
    assert report.verdict is Verdict.GREEN, "\n".join(as_lines(report))
    seen = list(read_lines(ledger / FAULTS, FaultSeen))
    died = {
        one.note.removeprefix("died at ") for one in seen if one.kind == "crash" and one.note.startswith("died at ")
    }
    assert died >= set(SCORERS_POINTS)
