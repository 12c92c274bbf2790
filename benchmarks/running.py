"""One run of one system: from a clean start to its last commit, sampled all the while."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .ground import Filled, Ground
from .machine import cpu_seconds, resident, start_pinned
from .measuring import Sample
from .systems.contract import Launch, System

__all__ = ["RunFailedError", "Running", "group_position", "one_run", "running", "until_committed"]

_SAMPLE_EVERY = 0.1
_END_WITHIN = 40.0


class RunFailedError(RuntimeError):
    """A system ended, or did not get to the end in time. The text has the last lines of its log."""


class Running:
    """Started processes of one system, usually one."""

    def __init__(self, system: str, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
        self.system = system
        self.processes = processes
        self.log = log
        self.began = time.monotonic()

    def cpu(self) -> float:
        """CPU used by all of them."""
        return sum(cpu_seconds(process.pid) for process in self.processes)

    def rss(self) -> int:
        """Memory of all of them."""
        return sum(resident(process.pid) for process in self.processes)

    def tail(self, lines: int = 15) -> str:
        """The last lines of what they wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def check(self) -> None:
        """Errors: RunFailedError when one of them has ended."""
        for process in self.processes:
            if process.poll() is not None:
                message = f"{self.system} ended with {process.returncode}:\n{self.tail()}"
                raise RunFailedError(message)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not go."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(_END_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@contextmanager
def running(system: str, launches: list[tuple[Launch, int]], log: Path) -> Iterator[Running]:
    """Start processes, each on its core; they are gone afterwards."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        processes = [start_pinned(launch.command, core, file, launch.environment) for launch, core in launches]
        started = Running(system, processes, log)
        try:
            yield started
        finally:
            started.stop()


def until_committed(
    started: Running, ground: Ground, position: Callable[[], int], end: int, *, within: float
) -> list[Sample]:
    """Sample until the committed position reaches ``end``.

    Errors: RunFailedError when a process ends before that, or when it takes longer than ``within`` seconds.
    """
    samples: list[Sample] = []
    deadline = time.monotonic() + within
    while True:
        now = time.monotonic()
        reached = position() if samples else 0
        samples.append(Sample(now, reached, started.cpu(), cpu_seconds(ground.broker.pid), started.rss()))
        if reached >= end:
            return samples
        if now > deadline:
            message = f"{started.system} committed {reached:,} of {end:,} in {within:.0f} s:\n{started.tail()}"
            raise RunFailedError(message)
        started.check()
        time.sleep(max(0.0, _SAMPLE_EVERY - (time.monotonic() - now)))


def one_run(system: System, ground: Ground, filled: Filled, end: int, log: Path, *, within: float) -> list[Sample]:
    """A run of a system from nothing."""
    system.reset(ground, filled)
    launch = system.launch(ground, filled)
    with running(system.name, [(launch, ground.cores.system)], log) as started:
        if launch.progress is None:
            position = group_position(ground, launch.group, filled)
        else:
            position = _own_position(started, launch.progress, sum(filled.ends))
        return until_committed(started, ground, position, end, within=within)


def group_position(ground: Ground, group: str, filled: Filled) -> Callable[[], int]:
    """How far the group has committed."""
    return lambda: ground.committed(group, filled.topic, filled.load.partitions)


def _own_position(started: Running, progress: Path, all_of_it: int) -> Callable[[], int]:
    """What the process wrote down; the whole topic once it has ended well."""

    def position() -> int:
        if started.processes[0].poll() == 0:
            return all_of_it
        try:
            return min(int(progress.read_text() or 0), all_of_it - 1)
        except FileNotFoundError:
            return 0

    return position
