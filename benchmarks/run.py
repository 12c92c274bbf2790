"""``python -m benchmarks.run``: fill, compare with oracles, measure in turn, write the report.

Every process started here ends with this one. What is written while it works lies below ``.iskra/bench``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from kafka.errors import KafkaError

from iskra.apps.broker import KAFKA_VERSION
from schemas import topics

from . import machine
from .ground import Filled, Ground, ground
from .latency import Latency, Plan, live
from .load import Load
from .measuring import Figures, figures_of
from .report import Checked, Measured, Report, Scaled, markdown
from .restoring import restored, until_ready
from .running import RunFailedError, group_position, one_run, running, until_committed
from .sizes import FULL, PARTS, QUICK, Sizes
from .systems import environment
from .systems.bytewax import Bytewax
from .systems.contract import Agreement, System, Unavailable
from .systems.kafka_streams.system import KafkaStreams
from .systems.ours import Ours, counts_of
from .systems.quix import Quix
from .systems.stock_faust import StockFaust

__all__ = ["main"]

_ROOT = Path(__file__).resolve().parents[1]
_WORK = _ROOT / ".iskra" / "bench"
_ENVIRONMENT = _WORK / "venv"
_RESULTS = Path(__file__).parent / "results"
_FOR_EVER = {"retention.ms": "-1"}
_SENDER_LATE_MS = 500.0
"""A live load that is sent so late is another load."""
_AWAY = {"ISKRA_SCORING__IDLE_TIMEOUT_S": "3600"}
"""The check compares with an oracle that knows no clock: an hour's idleness is beyond it."""

_began = time.monotonic()


def say(text: str) -> None:
    """Progress, with the seconds since the start."""
    print(f"[{time.monotonic() - _began:6.1f}] {text}", file=sys.stderr, flush=True)


class _Timed(NamedTuple):
    """The runs of one system on one topic."""

    events: int
    """Of the topic it was given per run."""
    runs: list[Figures]


@dataclass(slots=True)
class _Bench:
    """What one go of the benchmark knows."""

    sizes: Sizes
    ground: Ground
    systems: Sequence[System]
    logs: Path
    checked: dict[str, Checked] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """Parts that could not be measured, and why."""

    def able(self) -> list[System]:
        """Those that can be measured."""
        return [system for system in self.systems if system.name not in self.unavailable]

    def filled(self, prefix: str, load: Load) -> Filled:
        """A fresh topic with a load."""
        topic = f"{prefix}.{topics.EVENTS}"
        self.ground.create([(topic, load.partitions, topics.by_name(topics.EVENTS).config() | _FOR_EVER)])
        return self.ground.fill(topic, load, say)

    def prepare(self) -> None:
        """Build every system; say which cannot be had."""
        for system in self.systems:
            try:
                system.prepare()
                say(f"{system.name} {system.version()} is ready")
            except Unavailable as reason:
                self.unavailable[system.name] = str(reason)
                say(f"{system.name} cannot be measured: {reason}")

    def check(self, filled: Filled) -> None:
        """Let each system work through the small topic and compare what it wrote with its oracle."""
        for system in self.able():
            checking = Ours(emit="all", **_AWAY) if isinstance(system, Ours) else system
            try:
                one_run(
                    checking,
                    self.ground,
                    filled,
                    sum(filled.ends),
                    self._log(system, "check"),
                    within=self.sizes.run_within,
                )
                found = checking.agreement(self.ground, filled)
            except RunFailedError as failure:
                self._failed(system, failure)
                continue
            self.checked[system.name] = _checked(found)
            say(f"oracle: {_words(system, found)}")
            for line in found.differences[:5]:
                say(f"    {line}")

    def time(self, filled: Filled, runs: int) -> dict[str, _Timed]:
        """Every system once per round, in an order that turns, so that no one is always first."""
        total, found = sum(filled.ends), dict[str, _Timed]()
        books: dict[str, int] | None = None
        for turn in range(runs):
            order = [system for system in self.able() if turn < self.sizes.fewer_runs.get(system.name, runs)]
            for system in order[turn % len(order) :] + order[: turn % len(order)] if order else ():
                end = round(total * self.sizes.shares.get(system.name, 1.0))
                log = self._log(system, f"run-{turn}")
                try:
                    samples = one_run(system, self.ground, filled, end, log, within=self.sizes.run_within)
                    figures = figures_of(samples, end)
                    if isinstance(system, Ours):
                        books = self._same_books(filled, books)
                except (RunFailedError, ValueError) as failure:
                    self._failed(system, failure)
                    continue
                found.setdefault(system.name, _Timed(end, [])).runs.append(figures)
                say(f"run {turn + 1} of {runs}: {_figures(system.name, figures)}")
        return found

    def _failed(self, system: System, failure: Exception) -> None:
        self.unavailable[system.name] = f"it failed: {_first_line(failure)}"
        say(f"{system.name} failed: {failure}")

    def _same_books(self, filled: Filled, before: dict[str, int] | None) -> dict[str, int]:
        """Every record of the topic has one outcome, and every run the same number of each."""
        books = counts_of(self.ground, filled)
        if sum(books.values()) != sum(filled.ends) or (before is not None and books != before):
            message = (
                f"the books of this run are {books}, {sum(filled.ends):,} records were read, before it was {before}"
            )
            raise RunFailedError(message)
        say(f"    books: {books}")
        return books

    def measured(self, timed: Mapping[str, _Timed]) -> tuple[Measured, ...]:
        """For the report."""
        found = []
        for system in self.systems:
            reason = self.unavailable.get(system.name, "")
            try:
                version = system.version()
            except Unavailable:
                version = ""
            events, runs = timed.get(system.name, _Timed(0, []))
            checked = self.checked.get(system.name)
            found.append(Measured(system.name, version, system.settings(), checked, events, tuple(runs), reason))
        return tuple(found)

    def dense(self) -> tuple[Measured, ...]:
        """The fast systems on a log as dense as live traffic."""
        filled = self.filled("dense", self.sizes.dense)
        fast = [system for system in self.systems if isinstance(system, Ours | KafkaStreams)]
        only = replace(self, systems=fast)
        return only.measured(only.time(filled, self.sizes.dense_runs))

    def latency(self, rate: int) -> Latency:
        """The live load at this rate."""
        plan = Plan(
            rate,
            self.sizes.live_seconds,
            self.sizes.live_warm_up,
            self.sizes.load.connections,
            self.sizes.load.partitions,
        )
        ours, filled = Ours(), Filled(f"live.{topics.EVENTS}", plan.load(), (), 0.0, 0.0)
        self.ground.create([(filled.topic, plan.partitions, topics.by_name(topics.EVENTS).config() | _FOR_EVER)])
        ours.reset(self.ground, filled)
        launch = ours.launch(self.ground, filled)
        with running(ours.name, [(launch, self.ground.cores.system)], self.logs / "live.log") as started:
            until_ready(started, self.sizes.run_within)
            found = asyncio.run(live(self.ground.bootstrap, "live", plan, say))
            started.check()
        say(
            f"event → Alarm at {found.rate:,.0f} events/s: p50 {found.p50:.1f}, p95 {found.p95:.1f}, "
            f"p99 {found.p99:.1f}, most {found.most:.1f} ms; {found.marked} marked, {found.lost} lost; "
            f"sender ≤ {found.behind_ms:.0f} ms late"
        )
        if found.behind_ms > _SENDER_LATE_MS:
            self.failures.append(f"latency: the sender was {found.behind_ms:.0f} ms late, so its figures mean nothing")
        return found

    def workers(self, filled: Filled, found: dict[str, Figures]) -> None:
        """One worker, then two in two placements; each is put into ``found``."""
        cores = self.ground.cores
        placements = {
            "1, core of its own": (cores.system,),
            "2, sharing that core": (cores.system, cores.system),
            "2, the second on the broker's core": (cores.system, cores.broker),
        }
        end = sum(filled.ends)
        for name, placed in placements.items():
            systems = [Ours(member=f"scorer-{number}") for number in range(len(placed))]
            systems[0].reset(self.ground, filled)
            launches = [
                (system.launch(self.ground, filled), core) for system, core in zip(systems, placed, strict=True)
            ]
            group = launches[0][0].group
            with running("iskra", launches, self.logs / f"workers-{len(found)}.log") as started:
                position = group_position(self.ground, group, filled)
                samples = until_committed(started, self.ground, position, end, within=self.sizes.run_within)
            found[name] = figures_of(samples, end)
            say(f"workers: {_figures(name, found[name])}")

    def scaling(self, rows: list[Scaled]) -> None:
        """The cost of an event, and of a start, by the number of connections; each is put into ``rows``."""
        ours = Ours()
        empty = Filled(f"empty.{topics.EVENTS}", self.sizes.load, (), 0.0, 0.0)
        self.ground.create([(empty.topic, self.sizes.load.partitions, topics.by_name(topics.EVENTS).config())])
        ours.reset(self.ground, empty)
        nothing = self._restored_empty(ours, empty)
        for load in self.sizes.scaled:
            filled = self.filled(f"links-{load.connections}", load)
            samples = one_run(
                ours,
                self.ground,
                filled,
                sum(filled.ends),
                self.logs / f"links-{load.connections}.log",
                within=self.sizes.run_within,
            )
            figures = figures_of(samples, sum(filled.ends), after=load.connections)
            again = restored(ours, self.ground, filled, self.logs / f"restore-{load.connections}.log")
            rows.append(Scaled(load.connections, figures, again, (again.rss - nothing) / load.connections))
            say(
                f"{load.connections:,} connections: {_figures('', figures)}; restore {again.opening:.1f} s, "
                f"ready {again.ready:.1f} s, {rows[-1].bytes_per_link:,.0f} bytes each"
            )
            self.ground.delete(
                topic for topic in self.ground.topics() if topic.startswith(f"links-{load.connections}.")
            )

    def _restored_empty(self, ours: Ours, empty: Filled) -> int:
        return restored(ours, self.ground, empty, self.logs / "restore-none.log").rss

    def _log(self, system: System, what: str) -> Path:
        return self.logs / f"{system.name.lower().replace(' ', '-')}-{what}.log"


def main() -> int:
    """Measure and write; 1 when an oracle differed, a voice was lost, or a run of ours or a part failed."""
    chosen = _arguments()
    sizes = QUICK if chosen.quick else FULL
    if chosen.events or chosen.connections:
        load = replace(
            sizes.load,
            events=chosen.events or sizes.load.events,
            connections=chosen.connections or sizes.load.connections,
        )
        sizes = replace(sizes, load=load)
    runs = chosen.runs or sizes.runs
    shutil.rmtree(_WORK / "logs", ignore_errors=True)
    cores = machine.cores()
    say("building the environment of the peers")
    python = environment.build(_ENVIRONMENT)
    systems: list[System] = [
        Ours(),
        KafkaStreams(_WORK),
        Quix(python, _WORK),
        Bytewax(python, _WORK),
        StockFaust(python, _WORK),
    ]
    if chosen.only:
        systems = [system for system in systems if _short(system.name) in chosen.only]
    with tempfile.TemporaryDirectory(prefix="iskra-bench-") as box, ground(Path(box), cores) as there:
        say(f"Apache Kafka {KAFKA_VERSION} on core {cores.broker}, systems on core {cores.system}")
        bench = _Bench(sizes, there, systems, _WORK / "logs")
        bench.prepare()
        report = _report(bench, chosen, runs)
    _write(report, python, chosen)
    wrong = [one.name for one in report.systems if one.checked is not None and one.checked.differences]
    lost = report.latency.lost if report.latency is not None else 0
    failed = [one.name for one in report.systems if one.name == Ours.name and one.unavailable]
    return 1 if wrong or lost or failed or report.failures else 0


def _report(bench: _Bench, chosen: argparse.Namespace, runs: int) -> Report:
    sizes, parts = bench.sizes, chosen.parts or bench.sizes.parts
    if "speed" in parts:
        bench.check(bench.filled("check", sizes.check))
    filled = bench.filled("bench", sizes.load)
    timed = bench.time(filled, runs) if "speed" in parts else {}
    dense: list[tuple[Measured, ...]] = []
    latency: list[Latency] = []
    workers: dict[str, Figures] = {}
    scaled: list[Scaled] = []
    measuring: dict[str, Callable[[], None]] = {
        "dense": lambda: dense.append(bench.dense()),
        "latency": lambda: latency.append(
            bench.latency(_rate(dense[0] if dense else bench.measured(timed), chosen) // 2)
        ),
        "workers": lambda: bench.workers(filled, workers),
        "scaling": lambda: bench.scaling(scaled),
    }
    for part, measure in measuring.items():
        if part in parts:
            # What was measured in an hour must not be lost by what fails in its last minute.
            try:
                measure()
            except (RuntimeError, ValueError, TimeoutError, KafkaError) as failure:
                bench.failures.append(f"{part}: {_first_line(failure)}")
                say(f"{part} failed: {failure}")
    return Report(
        title=sizes.title,
        command=" ".join(["python -m benchmarks.run", *sys.argv[1:]]),
        facts=machine.facts() | {"Kafka": KAFKA_VERSION},
        load=sizes.load,
        value_bytes=filled.value_bytes,
        systems=bench.measured(timed),
        dense=dense[0] if dense else (),
        dense_load=sizes.dense,
        latency=latency[0] if latency else None,
        scaled=tuple(scaled),
        workers=workers,
        failures=tuple(bench.failures),
    )


def _rate(measured: Sequence[Measured], chosen: argparse.Namespace) -> int:
    """Our maximum on the log most like live traffic that was measured."""
    rates = [one.rate().median for one in measured if one.name == Ours.name and one.runs]
    return round(rates[0]) if rates else int(chosen.rate)


def _write(report: Report, python: Path, chosen: argparse.Namespace) -> None:
    chosen.out.mkdir(parents=True, exist_ok=True)
    name = "quick" if chosen.quick else "full"
    data, picture = chosen.out / f"{name}.json", chosen.out / f"{name}.png"
    data.write_text(json.dumps(asdict(report), indent=1) + "\n")
    drawn = subprocess.run(
        [str(python), str(Path(__file__).with_name("plot.py")), str(data), str(picture)], check=False
    )
    page = markdown(report, plot=picture.name if drawn.returncode == 0 else None)
    (chosen.out / f"{name}.md").write_text(page)
    if chosen.json:
        print(data.read_text())
    else:
        print(page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="at most five minutes instead of about an hour")
    parser.add_argument(
        "--only", nargs="+", metavar="SYSTEM", help="iskra, kafka-streams, quix-streams, bytewax, stock-faust"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="all; with --quick: speed latency scaling")
    parser.add_argument("--events", type=int, help="of the main load")
    parser.add_argument("--connections", type=int, help="of the main load")
    parser.add_argument("--runs", type=int, help="of each system")
    parser.add_argument("--rate", type=int, default=50_000, help="taken for the maximum when speed is not measured")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="where the report goes")
    parser.add_argument("--json", action="store_true", help="print the raw numbers instead of the page")
    return parser.parse_args()


def _short(name: str) -> str:
    return name.lower().replace(" ", "-")


def _first_line(failure: Exception) -> str:
    return str(failure).partition("\n")[0].rstrip(":")


def _checked(found: Agreement) -> Checked:
    return Checked(found.events, found.compared, len(found.differences), tuple(found.differences[:5]))


def _words(system: System, found: Agreement) -> str:
    verdict = "all equal" if not found.differences else f"{len(found.differences):,} DIFFER"
    return f"{system.name}: {found.compared:,} values of {found.events:,} events compared, {verdict}"


def _figures(name: str, run: Figures) -> str:
    return (
        f"{name} {run.rate:,.0f} events/s, {run.cpu_per_million:.2f} CPU s per million (broker "
        f"{run.broker_cpu_per_million:.2f}), {run.rss_peak / 1024 / 1024:,.0f} MiB, {run.events:,} events"
    ).strip()


if __name__ == "__main__":
    sys.exit(main())
