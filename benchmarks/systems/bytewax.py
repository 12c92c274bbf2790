"""Bytewax doing the peers' job. It commits no offsets: its progress is what it says it has taken."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.ground import Filled, Ground
from benchmarks.means import Lateness, Mean, Window

from . import environment
from .agreement import compared, told_in_json
from .contract import Agreement, Launch

__all__ = ["Bytewax"]

_OUTPUT = "bench-bytewax-out"


class Bytewax:
    """One worker."""

    name = "Bytewax"
    lateness = Lateness.EVENT_BY_KEY

    def __init__(self, python: Path, work: Path) -> None:
        self._python = python
        self._state = work / "bytewax"

    def version(self) -> str:
        """Of bytewax."""
        return environment.version_in(self._python, "bytewax")

    def settings(self) -> str:
        """For the report."""
        return (
            "one worker, no recovery store: it commits nothing, so its rate is of records taken; windows are published "
            "when they close"
        )

    def prepare(self) -> None:
        """It is in the environment."""
        self.version()

    def reset(self, ground: Ground, filled: Filled) -> None:
        """Its output and its file."""
        ground.delete([_OUTPUT])
        ground.create([(_OUTPUT, filled.load.partitions, {"retention.ms": "-1"})])
        shutil.rmtree(self._state, ignore_errors=True)
        self._state.mkdir(parents=True)

    def launch(self, ground: Ground, filled: Filled) -> Launch:
        """Bytewax's own command."""
        progress = self._state / "taken"
        arguments = ("-m", "bytewax.run", "benchmarks.systems.jobs.bytewax_means")
        return environment.job(
            self._python, arguments, ground, filled, group="", output=_OUTPUT, state=self._state, progress=progress
        )

    def told(self, ground: Ground, filled: Filled) -> Mapping[Window, Mean]:
        """The one record of each window."""
        return told_in_json(ground, _OUTPUT)

    def agreement(self, ground: Ground, filled: Filled) -> Agreement:
        """Every window."""
        return compared(self, ground, filled)
