"""The page, from fixed numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.latency import Latency, latency_under
from benchmarks.load import Load
from benchmarks.measuring import Figures
from benchmarks.report import Checked, Measured, Report, Scaled, Target, markdown, targets
from benchmarks.restoring import Restored

GOLDEN = Path(__file__).with_name("report.md")


def figures(rate: float, cpu: float = 6.0) -> Figures:
    return Figures(2_900_000, rate, cpu, 1.5, 300 * 1024 * 1024, 21.0, rate * 0.9)


def scaled(connections: int, cpu: float, *, opening: float = 9.0, weight: float = 800.0) -> Scaled:
    restored = Restored(connections + 4, opening, opening + 1.5, 8.0, 2**30)
    return Scaled(connections, figures(150_000, cpu), restored, weight)


OURS = Measured(
    "iskra",
    "0.1.0",
    "one worker",
    Checked(6_000, 2_000, 0),
    3_000_000,
    (figures(150_000), figures(160_000), figures(155_000)),
)
STREAMS = Measured("Kafka Streams", "4.1.1", "exactly_once_v2", Checked(6_000, 9_000, 0), 3_000_000, (figures(40_000),))
FAUST = Measured(
    "stock Faust",
    "0.15.3",
    "defaults",
    Checked(6_000, 9_000, 2, ("link-1 from 0: told None",)),
    60_000,
    (figures(1_000),),
)
ABSENT = Measured("Bytewax", "", "one worker", unavailable="it does not install on this Python")
REPORT = Report(
    title="Benchmark",
    command="python -m benchmarks.run",
    facts={"cores": "2", "Kafka": "4.1.1"},
    load=Load(3_000_000, 20_000),
    value_bytes=270.4,
    systems=(OURS, STREAMS, FAUST, ABSENT),
    dense=(replace(OURS, runs=(figures(190_000),)), replace(STREAMS, runs=(figures(20_000),))),
    dense_load=Load(3_000_000, 20_000, beat=400),
    latency=Latency(75_000.0, 1_000, 0, 20.0, 40.0, 120.0, 150.0, 3.0),
    scaled=(scaled(1_000, 6.0), scaled(1_000_000, 7.0)),
    failures=("scaling: iskra ended with 1",),
    workers={"1, core of its own": figures(150_000), "2, sharing that core": figures(75_000, 6.1)},
)


def test_the_page_is_made_of_the_numbers_and_nothing_else() -> None:
    assert markdown(REPORT, plot="full.png") == GOLDEN.read_text()


def test_each_promise_is_set_beside_what_came_out() -> None:
    assert targets(REPORT) == [
        Target("≥ 150,000 events/s on one core", "155,000", met=True),
        Target("the same at the density of live traffic", "190,000", met=True),
        Target("≥ 50 × stock Faust", "155.0 ×", met=True),
        Target("≥ 3 × Kafka Streams", "3.9 ×", met=True),
        Target("event → Alarm p50 < 30 ms at half of the rate", "20.0 ms", met=True),
        Target("event → Alarm p99 < 100 ms at half of the rate", "120.0 ms", met=False),
        Target("restore of 1,000,000 connections < 15 s", "9.0 s", met=True),
        Target("≤ 1 KiB per idle connection", "800 bytes", met=True),
        Target("cost per event flat within 25 % from 1,000 to 1,000,000", "× 1.17", met=True),
    ]


def test_what_was_not_measured_promises_nothing() -> None:
    bare = replace(REPORT, systems=(replace(OURS, runs=()),), latency=None, scaled=(), workers={})
    assert targets(bare) == []
    assert "## Targets" not in markdown(bare)


def test_latency_is_of_the_marked_events_that_were_seen_and_counts_the_others() -> None:
    sent = {f"m{number}": float(number) for number in range(100)}
    seen = {f"m{number}": number + (number + 1) / 1000 for number in range(99)}
    found = latency_under(sent, seen, 75_000.0, 2.0)
    assert (found.marked, found.lost, found.rate, found.behind_ms) == (100, 1, 75_000.0, 2.0)
    assert [round(value, 3) for value in (found.p50, found.p95, found.p99, found.most)] == [50.0, 95.0, 99.0, 99.0]


def test_a_run_too_short_to_have_used_cpu_is_not_compared() -> None:
    short = replace(REPORT, scaled=(scaled(1_000, 0.0), scaled(20_000, 7.0)))
    assert [one.promise for one in targets(short) if one.promise.startswith("cost")] == []
