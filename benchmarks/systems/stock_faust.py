"""Stock Faust doing the peers' job: an agent and hopping tables, as its documentation shows it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.ground import Filled, Ground
from benchmarks.means import Lateness, Mean, Window

from . import environment
from .agreement import compared
from .contract import Agreement, Launch

__all__ = ["StockFaust"]

_GROUP = "bench-stock-faust"


class StockFaust:
    """One worker."""

    name = "stock Faust"
    lateness = Lateness.NEVER

    def __init__(self, python: Path, work: Path, *, share: float) -> None:
        self._python = python
        self._state = work / "stock_faust"
        self.slice = share

    def version(self) -> str:
        """Of faust-streaming."""
        return environment.version_in(self._python, "faust-streaming")

    def settings(self) -> str:
        """For the report."""
        return "agent, two hopping tables in memory with changelogs; at least once, commits each 2.8 s (defaults)"

    def prepare(self) -> None:
        """It is in the environment."""
        self.version()

    def reset(self, ground: Ground, filled: Filled) -> None:
        """Its changelog topics, its group and its files."""
        ground.delete_group(_GROUP)
        ground.delete([topic for topic in ground.topics() if topic.startswith(_GROUP)])
        configs = {"cleanup.policy": "compact"}
        ground.create([(_changelog(table), filled.load.partitions, configs) for table in ("totals", "counts")])
        shutil.rmtree(self._state, ignore_errors=True)
        self._state.mkdir(parents=True)

    def launch(self, ground: Ground, filled: Filled) -> Launch:
        """Faust's own command."""
        arguments = ("-m", "benchmarks.systems.jobs.faust_means", "worker", "--loglevel", "error", "--without-web")
        return environment.job(
            self._python, arguments, ground, filled, group=_GROUP, output=_changelog("totals"), state=self._state
        )

    def told(self, ground: Ground, filled: Filled) -> Mapping[Window, Mean]:
        """What the changelogs of both tables say at last; the key is ``[link, [start, end]]``."""
        totals, counts = (_last(ground, _changelog(table)) for table in ("totals", "counts"))
        return {window: Mean(totals[window], int(counts[window])) for window in totals.keys() & counts.keys()}

    def agreement(self, ground: Ground, filled: Filled) -> Agreement:
        """Every window."""
        return compared(self, ground, filled)


def _changelog(table: str) -> str:
    return f"{_GROUP}-{table}-changelog"


def _last(ground: Ground, topic: str) -> dict[Window, float]:
    found: dict[Window, float] = {}
    for one in ground.read(topic):
        if one.key is not None and one.value is not None:
            link, (start, _) = json.loads(one.key)
            found[Window(link.encode(), round(start))] = float(json.loads(one.value))
    return found
