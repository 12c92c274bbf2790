"""Cores, processes and what they use, from /proc; and what a report may say of the machine. Linux only."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Cores", "cores", "cpu_seconds", "facts", "pinned", "resident", "spread_out", "start_pinned"]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where."""

    broker: int
    """Also of the benchmark itself: what fills, samples and reads must not disturb the system under test."""
    system: int


def cores() -> Cores:
    """The first core for the broker, the second for the system under test.

    Errors: SystemExit when there is only one: nothing measured on it would mean what the report says.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("two cores are needed: one for the broker, one for the system under test")  # noqa: EM101 - a text for people
    return Cores(allowed[0], allowed[1])


def pinned(core: int) -> None:
    """Put this process, and what it starts from now on, on one core."""
    os.sched_setaffinity(0, {core})


@contextmanager
def spread_out(chosen: Cores) -> Iterator[None]:
    """Use both cores for a while: filling is not measured."""
    os.sched_setaffinity(0, {chosen.broker, chosen.system})
    try:
        yield
    finally:
        pinned(chosen.broker)


def start_pinned(
    command: Sequence[str], core: int, log: IO[bytes], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program on one core; it dies with this process."""
    return subprocess.Popen(
        ["taskset", "--cpu-list", str(core), *command],  # noqa: S607 - of util-linux, on PATH
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=None if environment is None else dict(environment),
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - the child calls prctl and nothing else before exec
    )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    """CPU used by this process since its start; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> int:
    """Bytes in memory; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def facts() -> dict[str, str]:
    """What a figure depends on, without names of hosts or places."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": str(os.cpu_count()),
        "processor": model[0].split(":", 1)[1].strip() if model else platform.machine(),
        "memory": f"{int(memory.split()[1]) / 1024 / 1024:.0f} GiB",
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }
