"""The report: what was measured as data, the same as a page of Markdown. Pure.

The data is what ``results/*.json`` holds; the page and the plot are made of it and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .latency import Latency
from .load import Load
from .measuring import Figures, Spread, spread_of
from .restoring import Restored

__all__ = ["Checked", "Measured", "Report", "Scaled", "Target", "markdown", "targets"]

_MIB = 1024 * 1024
_PANE = 30_000
_SPEED_NOTE = (
    "Events per second from the first commit seen to the commit that reached the end; what is not committed does not "
    "count. Wall: all events by the time from the start of the process to that commit. "
    "The peers do one mean per connection and window (`benchmarks/means.py`); iskra does its whole scoring."
)
_SCALED_NOTE = (
    "The same number of events per connection and pane in each row; measured from the moment when every connection had "
    "spoken once. Memory per connection holds the ids remembered of its events too."
)
_WORKERS_NOTE = (
    "On two cores the second worker can only share a core: with the first, or with the broker. What two cores of their "
    "own would give is not shown here; that the CPU per event does not rise with a second worker is what this machine "
    "can show."
)


@dataclass(frozen=True, slots=True)
class Checked:
    """The comparison with the oracle before timing."""

    events: int
    compared: int
    differences: int
    first: tuple[str, ...] = ()
    """Some of them, in words."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One system."""

    name: str
    version: str
    settings: str
    checked: Checked | None = None
    events: int = 0
    """Of the topic it was given per run."""
    runs: tuple[Figures, ...] = ()
    unavailable: str = ""
    """Why it was not measured; empty when it was."""

    def rate(self) -> Spread:
        """Events per second in the steady part."""
        return spread_of([run.rate for run in self.runs])


@dataclass(frozen=True, slots=True)
class Scaled:
    """This product with so many links."""

    connections: int
    figures: Figures
    restored: Restored
    bytes_per_link: float
    """Memory of the process started on the state of these links, less that of one without any, per link."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything measured in one go."""

    title: str
    command: str
    facts: Mapping[str, str]
    load: Load
    value_bytes: float
    systems: tuple[Measured, ...]
    dense: tuple[Measured, ...] = ()
    """The fast ones on a log as dense as live traffic."""
    dense_load: Load | None = None
    latency: Latency | None = None
    scaled: tuple[Scaled, ...] = ()
    workers: Mapping[str, Figures] = field(default_factory=dict)
    """The same load by one worker and by two, by how they were placed."""
    failures: tuple[str, ...] = ()
    """What could not be measured, and why."""


@dataclass(frozen=True, slots=True)
class Target:
    """What was promised, and what came out."""

    promise: str
    measured: str
    met: bool


def targets(report: Report) -> list[Target]:
    """The promises of runtime.md 4 that this report can judge."""
    found: list[Target] = []
    rates = {one.name: one.rate().median for one in report.systems if one.runs}
    ours = rates.get("iskra")
    if ours is not None:
        found.append(Target("≥ 150,000 events/s on one core", f"{ours:,.0f}", ours >= 150_000))
        live = [one.rate().median for one in report.dense if one.name == "iskra" and one.runs]
        found += [Target("the same at the density of live traffic", f"{rate:,.0f}", rate >= 150_000) for rate in live]
        for name, times in (("stock Faust", 50), ("Quix Streams", 10), ("Kafka Streams", 3)):
            if name in rates:
                ratio = ours / rates[name]
                found.append(Target(f"≥ {times} × {name}", f"{ratio:,.1f} ×", ratio >= times))
    if report.latency is not None:
        p50, p99 = report.latency.p50, report.latency.p99
        found.append(Target("event → Alarm p50 < 30 ms at half of the rate", f"{p50:.1f} ms", p50 < 30))
        found.append(Target("event → Alarm p99 < 100 ms at half of the rate", f"{p99:.1f} ms", p99 < 100))
    for row in report.scaled:
        if row.connections >= 1_000_000:
            seconds, weight = row.restored.opening, row.bytes_per_link
            found.append(Target("restore of 1,000,000 connections < 15 s", f"{seconds:.1f} s", seconds < 15))
            found.append(Target("≤ 1 KiB per idle connection", f"{weight:,.0f} bytes", weight <= 1_024))
    costs = [row.figures.cpu_per_million for row in report.scaled]
    if len(costs) > 1 and min(costs) > 0:  # a run shorter than a tick of the kernel's clock used "no" CPU
        ratio = max(costs) / min(costs)
        least, most = (f"{pick(row.connections for row in report.scaled):,}" for pick in (min, max))
        found.append(Target(f"cost per event flat within 25 % from {least} to {most}", f"× {ratio:.2f}", ratio <= 1.25))
    return found


def markdown(report: Report, *, plot: str | None = None) -> str:
    """The page. Shape: ``plot`` is the picture's name beside it."""
    load = report.load
    lines = [
        f"# {report.title}",
        "",
        f"Command: `{report.command}`",
        "",
        ", ".join(f"{name} {value}" for name, value in report.facts.items()) + ".",
        "",
        _load(load, report.value_bytes),
        "",
    ]
    if plot is not None:
        lines += [f"![events per second and core]({plot})", ""]
    lines += ["## Speed", "", *_speed(report.systems), ""]
    lines += [
        _SPEED_NOTE,
        "",
        *(f"- {one.name} {one.version}: {one.settings}" for one in report.systems if one.runs or not one.unavailable),
        *(f"- {one.name}: {_missing(one)}: {one.unavailable}" for one in report.systems if one.unavailable),
        "",
        "## Right before fast",
        "",
        *_checks(report.systems),
        "",
    ]
    if report.dense and report.dense_load is not None:
        lines += [
            "## At the density of live traffic",
            "",
            _dense(report.dense_load, load),
            "",
            *_speed(report.dense),
            "",
        ]
    if report.latency is not None:
        lines += ["## Event to Alarm", "", *_latency(report.latency), ""]
    if report.scaled:
        lines += ["## Connections", "", *_scaled(report.scaled), ""]
    if report.workers:
        lines += ["## Workers", "", *_workers(report.workers), ""]
    if report.failures:
        lines += ["## Not measured", "", *(f"- {failure}" for failure in report.failures), ""]
    promised = targets(report)
    if promised:
        lines += [
            "## Targets", "", "| target | measured | |", "|---|---|---|",
            *(f"| {one.promise} | {one.measured} | {'met' if one.met else '**missed**'} |" for one in promised), "",
        ]  # fmt: skip
    return "\n".join(lines)


def _load(load: Load, value_bytes: float) -> str:
    return (
        f"Load: {load.events:,} events of {value_bytes:.0f} bytes (lz4), {load.connections:,} connections, "
        f"{load.partitions} partitions, {load.span / 1000:,.0f} s of event time, seed {load.seed}, "
        f"{_percent(load.out_of_order)} out of order, {_percent(load.late)} late, {_percent(load.poison)} poison; "
        "the topic was filled beforehand. The broker and the benchmark itself have one core, the system under test the "
        "other."
    )


def _missing(one: Measured) -> str:
    return "a run failed" if one.runs else "not measured"


def _dense(load: Load, sparse: Load) -> str:
    rate = load.connections * 1000 / load.beat
    return (
        f"{load.events:,} events of {load.connections:,} connections in {load.span / 1000:,.0f} s of event time, as if "
        f"{rate:,.0f} came per second: {_per_pane(load)} events per connection and pane, where the log above has "
        f"{_per_pane(sparse)}."
    )


def _per_pane(load: Load) -> str:
    return f"{_PANE / load.beat:,.0f}"


def _speed(systems: Iterable[Measured]) -> list[str]:
    rows = [
        "| system | events/s | least – most | runs | events | CPU s per million | the broker's | memory | wall |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in systems:
        if not one.runs:
            continue
        rate = one.rate()
        cpu = spread_of([run.cpu_per_million for run in one.runs]).median
        broker = spread_of([run.broker_cpu_per_million for run in one.runs]).median
        wall = spread_of([run.wall_rate for run in one.runs]).median
        memory = max(run.rss_peak for run in one.runs) / _MIB
        rows.append(
            f"| {one.name} | **{rate.median:,.0f}** | {rate.least:,.0f} – {rate.most:,.0f} | {rate.runs} "
            f"| {one.events:,} | {cpu:.2f} | {broker:.2f} | {memory:,.0f} MiB | {wall:,.0f} |"
        )
    return rows


def _checks(systems: Iterable[Measured]) -> list[str]:
    rows = ["| system | events compared | values compared | differences |", "|---|---|---|---|"]
    rows += [
        f"| {one.name} | {one.checked.events:,} | {one.checked.compared:,} | {one.checked.differences:,} |"
        for one in systems
        if one.checked is not None
    ]
    for one in systems:
        if one.checked is not None and one.checked.first:
            rows += ["", f"{one.name} differs, for example:", "", *(f"    {line}" for line in one.checked.first)]
    return rows


def _latency(latency: Latency) -> list[str]:
    return [
        f"{latency.marked:,} marked events among {latency.rate:,.0f} events/s; {latency.lost} not seen.",
        "",
        "| p50 | p95 | p99 | most |",
        "|---|---|---|---|",
        f"| {latency.p50:.1f} ms | {latency.p95:.1f} ms | {latency.p99:.1f} ms | {latency.most:.1f} ms |",
        "",
        f"From sending the event to the voice at a committed reader; the sender was ≤ {latency.behind_ms:.0f} ms late.",
    ]


def _scaled(scaled: Sequence[Scaled]) -> list[str]:
    return [
        "| connections | events/s | CPU s per million | restore | to ready | memory after | per connection |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {row.connections:,} | {row.figures.rate:,.0f} | {row.figures.cpu_per_million:.2f} "
            f"| {row.restored.opening:.1f} s | {row.restored.ready:.1f} s | {row.restored.rss / _MIB:,.0f} MiB "
            f"| {row.bytes_per_link:,.0f} bytes |"
            for row in scaled
        ),
        "",
        _SCALED_NOTE,
    ]


def _workers(workers: Mapping[str, Figures]) -> list[str]:
    return [
        "| workers | events/s | CPU s per million |",
        "|---|---|---|",
        *(f"| {name} | {run.rate:,.0f} | {run.cpu_per_million:.2f} |" for name, run in workers.items()),
        "",
        _WORKERS_NOTE,
    ]


def _percent(share: float) -> str:
    return f"{share * 100:g} %"
