"""How much is measured: the full run, and the quick one of at most five minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from .load import Load

__all__ = ["FULL", "PARTS", "QUICK", "Part", "Sizes"]

Part: TypeAlias = Literal["speed", "dense", "latency", "workers", "scaling"]
PARTS: Final[tuple[Part, ...]] = ("speed", "dense", "latency", "workers", "scaling")


@dataclass(frozen=True, slots=True)
class Sizes:
    """One size of the benchmark."""

    title: str
    parts: tuple[Part, ...]
    check: Load
    """What is compared with the oracles before timing."""
    load: Load
    """Each link speaks once per 10 s: what a worker reads that catches up."""
    dense: Load
    """Each link speaks so often that the log's own rate is tens of thousands per second: live traffic."""
    runs: int
    dense_runs: int
    shares: Mapping[str, float]
    """Of the topic, by system: a slow one need not see all of it. 1 where not named."""
    fewer_runs: Mapping[str, int]
    """By system; ``runs`` where not named."""
    live_seconds: int
    live_warm_up: int
    scaled: tuple[Load, ...]
    """One row per number of connections."""
    run_within: float
    """Seconds a run may take."""


FULL: Final = Sizes(
    title="Benchmark",
    parts=PARTS,
    check=Load(36_000, 400, late=0.01, poison=0.002),
    load=Load(3_000_000, 20_000),
    dense=Load(3_000_000, 20_000, beat=400),
    runs=5,
    dense_runs=3,
    shares={"Kafka Streams": 0.5, "Quix Streams": 0.05, "Bytewax": 0.1, "stock Faust": 0.02},
    fewer_runs={},
    live_seconds=75,
    live_warm_up=10,
    scaled=(
        Load(300_000, 1_000),
        Load(1_200_000, 20_000),
        Load(1_200_000, 100_000),
        Load(2_400_000, 200_000),
        Load(7_000_000, 1_000_000),
    ),
    run_within=900.0,
)

QUICK: Final = Sizes(
    title="Benchmark, quick",
    parts=("speed", "latency", "scaling"),
    check=Load(6_000, 100, late=0.01, poison=0.002),
    load=Load(300_000, 5_000),
    dense=Load(300_000, 5_000, beat=400),
    runs=2,
    dense_runs=1,
    shares={"Quix Streams": 0.2, "Bytewax": 0.2, "stock Faust": 0.03},
    fewer_runs={"Quix Streams": 1, "Bytewax": 1, "stock Faust": 1},
    live_seconds=14,
    live_warm_up=4,
    scaled=(Load(100_000, 1_000), Load(240_000, 20_000)),
    run_within=120.0,
)
