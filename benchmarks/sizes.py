"""How much is measured: the full run, and the quick one of at most five minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .load import Load

__all__ = ["FULL", "QUICK", "Sizes"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """One size of the benchmark."""

    title: str
    load: Load
    check: Load
    """What is compared with the oracles before timing."""
    runs: int
    share: float
    """Of the topic for the Python peers, which are slower by far."""
    faust_share: float
    live_seconds: int
    live_warm_up: int
    scaled: tuple[Load, ...]
    """One row per number of connections."""
    run_within: float
    """Seconds a run may take."""


FULL: Final = Sizes(
    title="Benchmark",
    load=Load(3_000_000, 20_000),
    check=Load(36_000, 400, late=0.01, poison=0.002),
    runs=5,
    share=0.1,
    faust_share=0.02,
    live_seconds=75,
    live_warm_up=10,
    scaled=(
        Load(300_000, 1_000),
        Load(1_200_000, 20_000),
        Load(2_400_000, 200_000),
        Load(7_000_000, 1_000_000),
    ),
    run_within=900.0,
)

QUICK: Final = Sizes(
    title="Benchmark, quick",
    load=Load(300_000, 5_000),
    check=Load(6_000, 100, late=0.01, poison=0.002),
    runs=2,
    share=0.2,
    faust_share=0.05,
    live_seconds=14,
    live_warm_up=4,
    scaled=(Load(100_000, 1_000), Load(240_000, 20_000)),
    run_within=120.0,
)
