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
_CHANGELOG = f"{_GROUP}-means-changelog"


class StockFaust:
    """One worker."""

    name = "stock Faust"
    lateness = Lateness.NEVER

    def __init__(self, python: Path, work: Path) -> None:
        self._python = python
        self._state = work / "stock_faust"

    def version(self) -> str:
        """Of faust-streaming."""
        return environment.version_in(self._python, "faust-streaming")

    def settings(self) -> str:
        """For the report."""
        return "agent and a hopping table in memory with changelog; at least once, commits each 2.8 s (defaults)"

    def prepare(self) -> None:
        """It is in the environment."""
        self.version()

    def reset(self, ground: Ground, filled: Filled) -> None:
        """Its changelog topics, its group and its files."""
        ground.delete_group(_GROUP)
        ground.delete([topic for topic in ground.topics() if topic.startswith(_GROUP)])
        configs = {"cleanup.policy": "compact"}
        ground.create([(_CHANGELOG, filled.load.partitions, configs)])
        shutil.rmtree(self._state, ignore_errors=True)
        self._state.mkdir(parents=True)

    def launch(self, ground: Ground, filled: Filled) -> Launch:
        """Faust's own command."""
        arguments = ("-m", "benchmarks.systems.jobs.faust_means", "worker", "--loglevel", "error", "--without-web")
        return environment.job(
            self._python, arguments, ground, filled, group=_GROUP, output=_CHANGELOG, state=self._state
        )

    def told(self, ground: Ground, filled: Filled) -> Mapping[Window, Mean]:
        """What the table's changelog says at last; the key is ``[link, [start, end]]``."""
        found: dict[Window, Mean] = {}
        for one in ground.read(_CHANGELOG):
            if one.key is not None and one.value is not None:
                link, (start, _) = json.loads(one.key)
                mean = json.loads(one.value)
                found[Window(link.encode(), round(start))] = Mean(float(mean["total"]), int(mean["count"]))
        return found

    def agreement(self, ground: Ground, filled: Filled) -> Agreement:
        """Every window."""
        return compared(self, ground, filled)
