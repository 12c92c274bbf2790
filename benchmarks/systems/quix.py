"""Quix Streams doing the peers' job."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.ground import Filled, Ground
from benchmarks.means import Lateness, Mean, Window

from . import environment
from .agreement import compared, told_in_json
from .contract import Agreement, Launch

__all__ = ["Quix"]

_GROUP = "bench-quix"
_OUTPUT = "bench-quix-out"


class Quix:
    """One application."""

    name = "Quix Streams"
    lateness = Lateness.KEY

    def __init__(self, python: Path, work: Path) -> None:
        self._python = python
        self._state = work / "quix"

    def version(self) -> str:
        """Of quixstreams."""
        return environment.version_in(self._python, "quixstreams")

    def settings(self) -> str:
        """For the report."""
        return "at least once (its default), commit each second, RocksDB state with changelog, each update published"

    def prepare(self) -> None:
        """It is in the environment."""
        self.version()

    def reset(self, ground: Ground, filled: Filled) -> None:
        """Its topics, its group and its files."""
        ground.delete_group(_GROUP)
        ground.delete([topic for topic in ground.topics() if _GROUP in topic])
        ground.create([(_OUTPUT, filled.load.partitions, {"retention.ms": "-1"})])
        shutil.rmtree(self._state, ignore_errors=True)

    def launch(self, ground: Ground, filled: Filled) -> Launch:
        """The program."""
        arguments = ("-m", "benchmarks.systems.jobs.quix_means")
        return environment.job(self._python, arguments, ground, filled, group=_GROUP, output=_OUTPUT, state=self._state)

    def told(self, ground: Ground, filled: Filled) -> Mapping[Window, Mean]:
        """The last update of each window."""
        return told_in_json(ground, _OUTPUT)

    def agreement(self, ground: Ground, filled: Filled) -> Agreement:
        """Every window."""
        return compared(self, ground, filled)
