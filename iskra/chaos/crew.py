"""The workers of a proof run: started, killed, paused, started again by a supervisor that keeps the log of each life.

One thread owns it and calls ``step`` often: nothing here waits. A life's log is ``scorer-0.3.log``: the third start.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iskra.apps.processes import Started, spawn, started_at

from .crashing import CRASH_AT

__all__ = ["Crew", "Life"]

ENTRY = "iskra.chaos.crashing"
_RESTART_AFTER_S = 0.3
_RESTART_AT_MOST_S = 3.0
_PROBE_S = 1.0


@dataclass(slots=True, eq=False)
class Life:
    """One process of one member, from its start to its end."""

    member: str
    number: int
    process: Started
    log: Path
    point: str = ""
    """The crash point that was armed."""
    code: int | None = None
    """How it ended: the exit code, or minus the signal; None while it runs."""
    killed: bool = False
    """Whether somebody here sent it SIGKILL: else it did so itself, at its crash point."""
    ready_at: float | None = None
    """By the monotonic clock."""
    _read: int = 0
    _events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As ``scorer-0#3``."""
        return f"{self.member}#{self.number}"

    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of its log so far."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                with contextlib.suppress(ValueError):
                    said = json.loads(line)
                    if isinstance(said, dict):
                        self._events.append(said)
        return self._events

    def said(self, event: str) -> bool:
        """Whether its log has this event."""
        return any(one.get("event") == event for one in self.events())

    def port(self) -> int | None:
        """Of its probes."""
        return next((int(one["port"]) for one in self.events() if isinstance(one.get("port"), int)), None)

    def metrics(self) -> dict[str, float]:
        """Its metrics by name and labels; empty when it does not answer."""
        port = self.port()
        if port is None or self.code is not None:
            return {}
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_PROBE_S) as answer:
                lines = answer.read().decode().splitlines()
        except (OSError, urllib.error.URLError):
            return {}
        pairs = (line.rpartition(" ") for line in lines if line.startswith("iskra_"))
        return {name: float(value) for name, _, value in pairs}

    def last_words(self) -> str:
        """Why it ended, by its log."""
        for one in reversed(self.events()):
            if one.get("event") in {"stopped", "start_refused", "fenced", "processor_failed"}:
                return str(one.get("reason") or one.get("error") or one["event"])
        return ""


@dataclass(slots=True)
class _Member:
    name: str
    wanted: bool = True
    """Whether the supervisor starts it when it does not run."""
    life: Life | None = None
    lives: int = 0
    next_point: str = ""
    """Armed at its next start."""
    due: float = 0.0
    quick_ends: int = 0


class Crew:
    """The members and their supervisor."""

    def __init__(self, home: Path, members: Sequence[str], env: Mapping[str, str], *, entry: str = ENTRY) -> None:
        """Nobody is started before the first ``step``; logs lie in ``home``."""
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._env = dict(env)
        self._entry = entry
        self._members = {name: _Member(name) for name in members}
        self.past: list[Life] = []
        """Every life that ended."""

    def step(self) -> None:
        """Reap who ended, start who is wanted, see who became ready."""
        now = time.monotonic()
        for member in self._members.values():
            life = member.life
            if life is not None:
                self._look(member, life, now)
            if member.life is None and member.wanted and now >= member.due:
                self._start(member)

    def life(self, name: str) -> Life | None:
        """The process of this member, if one runs."""
        member = self._members.get(name)
        return None if member is None else member.life

    def running(self) -> Iterator[Life]:
        """Those that run."""
        return (member.life for member in self._members.values() if member.life is not None)

    def lives(self) -> Iterator[Life]:
        """All there ever were."""
        yield from self.past
        yield from self.running()

    @property
    def all_ready(self) -> bool:
        """Whether everyone who is wanted is ready."""
        wanted = [member for member in self._members.values() if member.wanted]
        return all(member.life is not None and member.life.ready_at is not None for member in wanted)

    def waiting(self) -> list[str]:
        """Who is wanted and not ready."""
        return [
            one.name for one in self._members.values() if one.wanted and (one.life is None or not one.life.ready_at)
        ]

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        life = self.life(name)
        if life is not None:
            _send(life, number)

    def arm(self, name: str, point: str) -> None:
        """Kill it now; its next life has this crash point armed."""
        self._members[name].next_point = point
        self.send(name, signal.SIGKILL)

    def add(self, name: str) -> None:
        """Want one more member."""
        self._members.setdefault(name, _Member(name)).wanted = True

    def dismiss(self, names: Sequence[str], number: signal.Signals = signal.SIGTERM) -> None:
        """No longer want these: they are told to stop and not started again until wanted."""
        for name in names:
            self._members[name].wanted = False
            self.send(name, number)

    def want(self, names: Sequence[str]) -> None:
        """Want these again."""
        for name in names:
            self._members[name].wanted = True

    def end(self, within_s: float = 30.0) -> None:
        """Stop whoever runs, and make sure."""
        names = [member.name for member in self._members.values() if member.life is not None]
        self.dismiss(names)
        for name in names:
            self.send(name, signal.SIGCONT)
        deadline = time.monotonic() + within_s
        while any(True for _ in self.running()):
            self.step()
            if time.monotonic() > deadline:
                for life in self.running():
                    _send(life, signal.SIGKILL)
            time.sleep(0.02)

    def _start(self, member: _Member) -> None:
        member.lives += 1
        log = self._home / f"{member.name}.{member.lives}.log"
        env = dict(self._env)
        point, member.next_point = member.next_point, ""
        if point:
            env[CRASH_AT] = point
        command = [sys.executable, "-m", self._entry, "worker", member.name, "--port", "0"]
        process = spawn(command, log=log, env=env, tied=True)
        member.life = Life(member.name, member.lives, process, log, point)

    def _look(self, member: _Member, life: Life, now: float) -> None:
        pid, status = os.waitpid(life.process.pid, os.WNOHANG)
        if pid:
            life.code = os.waitstatus_to_exitcode(status)
            self.past.append(life)
            member.life = None
            member.quick_ends = 0 if life.ready_at is not None else member.quick_ends + 1
            member.due = now + min(_RESTART_AT_MOST_S, _RESTART_AFTER_S * 2**member.quick_ends)
        elif life.ready_at is None and life.said("ready"):
            life.ready_at = now


def _send(life: Life, number: signal.Signals) -> None:
    """To exactly this process."""
    life.killed = life.killed or number == signal.SIGKILL
    if started_at(life.process.pid) == life.process.start:
        with contextlib.suppress(ProcessLookupError):
            os.kill(life.process.pid, number)
