"""Many short runs in a row on one broker, workers killed all through each: "never lost, never twice" by count.

Each run has topics of its own, three workers and a few thousand events; they are killed with SIGKILL every two seconds,
half the time at a crash point. A run in which no worker with work in flight was killed is inconclusive.
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from iskra.apps import broker, cluster
from iskra.problems import Problem
from pipeline.runtime.options import KafkaOptions
from schemas.topics import ALL

from .checker import check
from .generator import Speech
from .judging import Verdict
from .ledger import Limits
from .schedule import storm
from .soak import ground
from .trial import Carried, Plan, carry_out

__all__ = ["Killed", "Series", "kills", "plan_of"]

_WORKERS: Final = ("scorer-0", "scorer-1", "rollup-0")
_LENGTH: Final = 10_000
_RATE: Final = 250.0
_LEAST_EVENTS: Final = 2_000
_JUDGED: Final = ("I1", "I2", "I3", "I4", "I5", "I8", "I10", "I11")


@dataclass(frozen=True, slots=True)
class Killed:
    """One run."""

    number: int
    seed: int
    verdict: Verdict
    kills: int
    """SIGKILLs that met work in flight: at a random moment, or at a crash point."""
    idle_kills: int
    """The others."""
    ok: int
    unknown: int
    lost: int
    repeated: int
    seconds: float
    said: tuple[str, ...] = ()
    """What was broken or doubtful."""


@dataclass(slots=True)
class Series:
    """All runs so far."""

    seed: int
    runs: list[Killed] = field(default_factory=list)

    @property
    def green(self) -> bool:
        """Whether there were runs and every one is green."""
        return bool(self.runs) and all(run.verdict is Verdict.GREEN for run in self.runs)

    def as_data(self) -> dict[str, Any]:
        """As one JSON object, with what it ran on."""
        verdicts = Counter(run.verdict.value for run in self.runs)
        return {
            "command": f"iskra chaos kills --runs {len(self.runs)} --seed {self.seed}",
            "runs": len(self.runs),
            "verdicts": dict(verdicts),
            "kills_with_work_in_flight": sum(run.kills for run in self.runs),
            "other_kills": sum(run.idle_kills for run in self.runs),
            "events_acked": sum(run.ok for run in self.runs),
            "events_lost": sum(run.lost for run in self.runs),
            "records_seen_twice": sum(run.repeated for run in self.runs),
            "seconds": round(sum(run.seconds for run in self.runs), 1),
            "iskra": version("iskra-voices"),
            "kafka": broker.KAFKA_VERSION,
            "python": platform.python_version(),
            "invariants": list(_JUDGED),
            "each": [
                {
                    "run": run.number, "seed": run.seed, "verdict": run.verdict.value, "kills": run.kills,
                    "other_kills": run.idle_kills, "ok": run.ok, "unknown": run.unknown, "lost": run.lost,
                    "seen_twice": run.repeated, "seconds": run.seconds, "said": list(run.said),
                }
                for run in self.runs
            ],
        }  # fmt: skip

    def as_markdown(self) -> str:
        """The same to read."""
        data = self.as_data()
        head = [
            f"# {data['runs']} runs of kill -9",
            "",
            f"`{data['command']}` · iskra {data['iskra']}, Kafka {data['kafka']}, Python {data['python']}",
            "",
            *(f"- {verdict.value}: {data['verdicts'].get(verdict.value, 0)}" for verdict in Verdict),
            f"- SIGKILLs that met work in flight: {data['kills_with_work_in_flight']}, others: {data['other_kills']}",
            f"- acked events: {data['events_acked']}, lost: {data['events_lost']}",
            f"- records seen twice: {data['records_seen_twice']}",
            f"- judged: {', '.join(_JUDGED)}; {data['seconds']:.0f} s in all",
            "",
            "| run | seed | verdict | kills in flight | other kills | acked | unknown | lost | seen twice | s |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        rows = [
            f"| {run.number} | {run.seed} | {run.verdict} | {run.kills} | {run.idle_kills} | {run.ok} | {run.unknown} "
            f"| {run.lost} | {run.repeated} | {run.seconds:.0f} |"
            for run in self.runs
        ]
        said = [f"- run {run.number}: {text}" for run in self.runs for text in run.said]
        return "\n".join([*head, *rows, *(["", *said] if said else []), ""])


def plan_of(seed: int, number: int) -> Plan:
    """One run of a series."""
    own = seed * 1_000 + number
    return Plan(
        seed=own,
        faults=storm(own, _LENGTH, _WORKERS),
        length=_LENGTH,
        prefix=f"kills-{number}",
        workers=_WORKERS,
        partitions=3,
        events_a_s=_RATE,
        speech=Speech(links=60, storm_every=1_500, storm_events=600),
        limits=Limits(min_events=_LEAST_EVENTS),
        invariants=_JUDGED,
    )


def kills(*, runs: int, seed: int, home: Path, say: Callable[[str], None], written: Path | None) -> Series:
    """All runs, one line each; the summary is written anew after each run, if it is to be written.

    Errors: Problem when something cannot be started. A red run's ledger and logs stay in ``run-N``.
    """
    series = Series(seed)
    with ground(home, 1, say) as (stage, running):
        for number in range(1, runs + 1):
            plan = plan_of(seed, number)
            kafka = KafkaOptions(bootstrap=running.bootstrap, topic_prefix=plan.prefix)
            place = home.absolute() / f"run-{number}"
            begun = time.monotonic()
            try:
                carried = carry_out(plan, kafka, place, stage=stage)
                run = _judged(number, plan, carried, begun)
            except Problem as problem:
                seconds = round(time.monotonic() - begun, 1)
                said = (str(problem),)
                run = Killed(number, plan.seed, Verdict.INCONCLUSIVE, 0, 0, 0, 0, 0, 0, seconds, said)
            series.runs.append(run)
            say(_line(run, runs))
            _forget(kafka)
            if run.verdict is Verdict.GREEN:
                shutil.rmtree(place, ignore_errors=True)
            if written is not None:
                _write(series, written)
    return series


def _judged(number: int, plan: Plan, carried: Carried, begun: float) -> Killed:
    report = check(carried.directory)
    met = carried.bit.get("kill", 0) + carried.bit.get("crash", 0)
    done = carried.faults.get("kill", 0) + carried.faults.get("crash", 0)
    said = [
        f"{name}: {text}"
        for name, one in report.judgements.items()
        for text in (*map(str, one.findings[:3]), *one.doubts[:3])
    ]
    verdict = report.verdict
    if not met and verdict is Verdict.GREEN:
        verdict = Verdict.INCONCLUSIVE
        said.append("no worker with work in flight was killed")
    return Killed(
        number=number,
        seed=plan.seed,
        verdict=verdict,
        kills=met,
        idle_kills=done - met,
        ok=carried.events.get("ok", 0),
        unknown=carried.events.get("unknown", 0),
        lost=int(report.numbers.get("lost", 0)),
        repeated=int(report.numbers.get("repeats", 0)),
        seconds=round(time.monotonic() - begun, 1),
        said=(*report.doubts, *said),
    )


def _line(run: Killed, runs: int) -> str:
    more = f": {run.said[0]}" if run.said else ""
    return (
        f"{run.number}/{runs}  {run.verdict}  {run.kills} kills in flight, {run.idle_kills} others, {run.ok} acked, "
        f"{run.lost} lost, {run.repeated} seen twice, {run.seconds:.0f} s{more}"
    )


def _forget(kafka: KafkaOptions) -> None:
    """The topics of a run are not needed once they are read."""
    from kafka.errors import KafkaError

    try:
        with cluster.admin(kafka) as admin:
            admin.delete_topics([kafka.topic(topic.name) for topic in ALL])
    except (Problem, KafkaError):
        return


def _write(series: Series, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    (into / "kills.json").write_text(json.dumps(series.as_data(), indent=1) + "\n")
    (into / "kills.md").write_text(series.as_markdown())
