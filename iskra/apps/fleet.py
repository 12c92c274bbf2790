"""The workers of one machine as child processes: started together, found again by their files, ended exactly.

Everything lies below one directory (``.iskra/run``): ``scorer-0.json`` says which process it is, ``scorer-0.log`` what
it said.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iskra.problems import Problem

from .processes import Started, alive, end, read_started, spawn, write_started

__all__ = ["MEMBERS", "RUN", "Member", "down", "status", "up"]

RUN = Path(".iskra", "run")
MEMBERS = ("scorer-0", "scorer-1", "rollup-0", "router-0", "dispatcher-0")
READY_WITHIN_S = 60.0
STOP_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Member:
    """One worker as it is now."""

    name: str
    pid: int
    running: bool
    ready: bool
    port: int | None
    """Of its probes; None before it said so."""


def up(
    directory: Path,
    members: Sequence[str] = MEMBERS,
    *,
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    free_ports: bool = False,
    tied: bool = False,
) -> list[Member]:
    """Start those members that do not run and return when all are ready.

    Shape: ``options`` stand before the command (``--config FILE``); ``tied`` ends them with this thread (Linux).
    Errors: Problem when one ends or is not ready in 60 s, with its last words; those started before stay.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in members:
        kept = read_started(directory / f"{name}.json")
        if kept is not None and alive(kept[0]):
            continue
        log = directory / f"{name}.log"
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "iskra.commands.main", *options, "worker", name]
        command += ["--port", "0"] if free_ports else []
        write_started(directory / f"{name}.json", spawn(command, log=log, env=env, tied=tied))
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        now = [member for member in status(directory) if member.name in members]
        ended = next((member.name for member in now if not member.running), None)
        if ended is not None:
            msg = f"{ended} ended at once: {_last_words(directory / f'{ended}.log')}"
            raise Problem(msg)
        late = [member.name for member in now if not member.ready]
        if not late:
            return now
        if time.monotonic() > deadline:
            msg = f"{', '.join(late)} not ready after {READY_WITHIN_S:.0f} s: see {directory / f'{late[0]}.log'}"
            raise Problem(msg)
        time.sleep(0.2)


def down(directory: Path) -> list[str]:
    """End exactly the workers that were started here, all at once; their names. SIGKILL after 30 s."""
    running: list[tuple[str, Started]] = []
    for file in sorted(directory.glob("*.json")):
        kept = read_started(file)
        if kept is not None and alive(kept[0]):
            running.append((file.stem, kept[0]))
    _end_all(process for _, process in running)
    for file in directory.glob("*.json"):
        file.unlink()
    return [name for name, _ in running]


def status(directory: Path) -> list[Member]:
    """Every worker that was started here and not taken down."""
    members = []
    for file in sorted(directory.glob("*.json")):
        kept = read_started(file)
        if kept is None:
            continue
        running = alive(kept[0])
        started = _events(file.with_suffix(".log")).get("started", {})
        port = started.get("port")
        port = port if isinstance(port, int) else None
        members.append(Member(file.stem, kept[0].pid, running, running and port is not None and _ready(port), port))
    return members


def _end_all(processes: Iterable[Started]) -> None:
    """SIGTERM to all, then wait for each: they stop side by side."""
    from threading import Thread

    threads = [Thread(target=end, args=(process,), kwargs={"grace_s": STOP_GRACE_S}) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _events(log: Path) -> dict[str, dict[str, object]]:
    """The last line of each event in a log of JSON lines."""
    found: dict[str, dict[str, object]] = {}
    with contextlib.suppress(FileNotFoundError):
        for line in log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                said = json.loads(line)
                found[str(said["event"])] = said
    return found


def _last_words(log: Path) -> str:
    with contextlib.suppress(FileNotFoundError, IndexError):
        line = log.read_text(errors="replace").strip().splitlines()[-1]
        with contextlib.suppress(ValueError, AttributeError):
            said = json.loads(line)
            return str(said.get("reason") or said.get("event"))
        return line
    return f"it said nothing, see {log}"


def _ready(port: int) -> bool:
    """Whether its /readyz says yes."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2.0) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
