"""Child processes that are started, found again and ended exactly.

A process is known by its id and its start time: an id alone may belong to another program by now.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Started", "alive", "end", "read_started", "spawn", "started_at", "write_started"]

_TIED = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL)\n"
    "os.getppid() == int(sys.argv[1]) or os._exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)
"""Asks the kernel to end the child with its parent (PR_SET_PDEATHSIG), then becomes the program."""


@dataclass(frozen=True, slots=True)
class Started:
    """One started process."""

    pid: int
    start: str
    """The kernel's start time of this process: with the id, its identity."""


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    tied: bool = False,
) -> Started:
    """Start a program in a session of its own, both its outputs appended to ``log``.

    Shape: ``argv[0]`` a path or a name on PATH; ``tied`` ends the program with the thread that started it (Linux).
    Errors: FileNotFoundError when there is no such program.
    """
    program = shutil.which(argv[0])
    if program is None:
        raise FileNotFoundError(argv[0])
    command = [program, *argv[1:]]
    if tied and sys.platform == "linux":
        command = [sys.executable, "-S", "-c", _TIED, str(os.getpid()), *command]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        command,
        dict(env) if env is not None else os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Started(pid, started_at(pid) or "")


def started_at(pid: int) -> str | None:
    """When the process with this id was started, by the kernel; None when there is none, or only its remains."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 fixed words and a number; ps where there is no /proc
    return answer.stdout.strip() or None


def alive(process: Started) -> bool:
    """Whether exactly this process still runs. A child that ended is reaped."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return bool(process.start) and started_at(process.pid) == process.start


def end(process: Started, *, grace_s: float) -> bool:
    """SIGTERM, and SIGKILL when the grace is over; True when it ended by itself.

    Errors: none; a process that is gone has ended.
    """
    gentle = True
    for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
        if not alive(process):
            return gentle
        gentle = number == signal.SIGTERM
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
            os.kill(process.pid, signal.SIGCONT)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not alive(process):
                return gentle
            time.sleep(0.02)
    return gentle


def write_started(path: Path, process: Started, **more: str) -> None:
    """Keep a process's identity in a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps({"pid": process.pid, "start": process.start, **more}) + "\n")
    fresh.replace(path)


def read_started(path: Path) -> tuple[Started, dict[str, str]] | None:
    """What ``write_started`` kept, or None when there is no such file or it is not one of ours."""
    try:
        kept = json.loads(path.read_text())
        process = Started(int(kept.pop("pid")), str(kept.pop("start")))
    except (FileNotFoundError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return process, {str(name): str(value) for name, value in kept.items()}
