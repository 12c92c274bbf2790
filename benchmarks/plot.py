"""The picture beside the report: ``python plot.py RESULTS.json PICTURE.png``, in the benchmark's own environment.

A program of its own because matplotlib is no dependency of the product; it reads the report's data and nothing else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

__all__ = ["main"]


def main(source: Path, picture: Path) -> None:
    """Bars of events per second with each run as a dot, on a logarithmic scale; beside them cost by connections."""
    report: dict[str, Any] = json.loads(source.read_text())
    measured = [one for one in report["systems"] if one["runs"]]
    measured.sort(key=lambda one: median(run["rate"] for run in one["runs"]))
    scaled = report["scaled"]
    figure, axes = plt.subplots(1, 2 if scaled else 1, figsize=(12 if scaled else 8, 4.2), squeeze=False)
    _bars(axes[0][0], measured)
    if scaled:
        _costs(axes[0][1], scaled)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


def _bars(axis: Any, measured: list[dict[str, Any]]) -> None:
    for place, one in enumerate(measured):
        rates = [run["rate"] for run in one["runs"]]
        axis.barh(place, median(rates), color="#2f6f9f" if one["name"] == "iskra" else "#b8c4cc")
        axis.plot(rates, [place] * len(rates), "o", color="#222222", markersize=3)
        axis.annotate(f" {median(rates):,.0f}", (max(rates), place), va="center", fontsize=9)
    axis.set_yticks(range(len(measured)), [one["name"] for one in measured])
    axis.set_xscale("log")
    axis.set_xlim(right=axis.get_xlim()[1] * 4)
    axis.set_xlabel("events per second on one core (log scale; dots are runs)")
    axis.spines[["top", "right"]].set_visible(False)


def _costs(axis: Any, scaled: list[dict[str, Any]]) -> None:
    links = [row["connections"] for row in scaled]
    costs = [row["figures"]["cpu_per_million"] for row in scaled]
    axis.plot(links, costs, "o-", color="#2f6f9f")
    axis.set_xscale("log")
    axis.set_ylim(0, max(costs) * 1.15 or 1)
    axis.set_xlabel("connections")
    axis.set_ylabel("CPU s per million events")
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
