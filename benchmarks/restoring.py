"""Starting again on the state of very many links: how long it takes, and what a link that says nothing weighs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .ground import Filled, Ground
from .machine import cpu_seconds
from .running import RunFailedError, Running, running
from .systems.contract import System

__all__ = ["Restored", "restored", "until_ready"]

_SETTLE = 1.0


@dataclass(frozen=True, slots=True)
class Restored:
    """One start on existing state. Units: seconds, bytes."""

    keys: int
    """State records that were live."""
    opening: float
    """The slowest partition, from its opening to its last state record taken; all open side by side."""
    ready: float
    """From the start of the process to its word that it is ready."""
    cpu: float
    rss: int
    """A second later."""


def restored(system: System, ground: Ground, filled: Filled, log: Path, *, within: float = 180.0) -> Restored:
    """Start the system on what an earlier run left, wait until it is ready, look at it, stop it."""
    launch = system.launch(ground, filled)
    with running(system.name, [(launch, ground.cores.system)], log) as started:
        ready_at = until_ready(started, within)
        time.sleep(_SETTLE)
        rss = started.rss()
        cpu = sum(cpu_seconds(process.pid) for process in started.processes)
        opened = [said for said in _said(log) if said.get("event") == "partition_opened"]
    return Restored(
        keys=sum(int(said["keys"]) for said in opened),
        opening=max(float(said["seconds"]) for said in opened),
        ready=ready_at - started.began,
        cpu=cpu,
        rss=rss,
    )


def until_ready(started: Running, within: float) -> float:
    """When our worker said that it is ready, on the monotonic clock. Errors: RunFailedError."""
    deadline = time.monotonic() + within
    while not any(said.get("event") == "ready" for said in _said(started.log)):
        started.check()
        if time.monotonic() > deadline:
            message = f"{started.system} was not ready in {within:.0f} s:\n{started.tail()}"
            raise RunFailedError(message)
        time.sleep(0.05)
    return time.monotonic()


def _said(log: Path) -> list[dict[str, Any]]:
    """The log's JSON lines."""
    return [json.loads(line) for line in log.read_text(errors="replace").splitlines() if line.startswith("{")]
