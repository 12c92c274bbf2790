"""Workers of the product as child processes of a test: started by their command, dead when the test is."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "WorkerProcess", "eventually", "iskra", "worker"]

ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def eventually(check: Callable[[], Any], *, within_s: float, what: str | Callable[[], str]) -> Any:
    """The first true value of ``check``; fails the test when there is none in time, saying ``what`` was awaited."""
    deadline = time.monotonic() + within_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.05)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The machine's environment without foreign ISKRA_* names, with these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ISKRA_")}
    return {**clean, **settings, "PYTHONPATH": str(ROOT)}


def iskra(
    *arguments: str, settings: Mapping[str, str], stdin: str | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """One command of the front door, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "iskra.commands.main", *arguments],
        env=environment(settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


class WorkerProcess:
    """``iskra worker NAME`` in the foreground, its log read line by line."""

    def __init__(self, name: str, settings: Mapping[str, str], entry: str = "iskra.commands.main") -> None:
        self.name = name
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", entry, "worker", name, "--port", "0"],
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - the child calls prctl and nothing else before exec
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def events(self) -> list[dict[str, Any]]:
        """The log's JSON lines."""
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def tail(self) -> str:
        """The last lines, for a failure's message."""
        return "\n".join(self.lines[-25:])

    def wait_ready(self, within_s: float = 30.0) -> None:
        """Until the worker says it is ready."""

        def ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            return any(event.get("event") == "ready" for event in self.events())

        eventually(ready, within_s=within_s, what=f"{self.name} ready; its log:\n{self.tail()}")

    def port(self) -> int:
        """The port of /healthz, /readyz, /metrics, from the ready line or the start line."""
        for event in self.events():
            if isinstance(event.get("port"), int):
                return int(event["port"])
        raise AssertionError(f"{self.name} named no port:\n{self.tail()}")

    def kill(self) -> None:
        """SIGKILL, as a machine that loses power."""
        self.process.kill()
        self.process.wait(10)
        self._close()

    def send(self, number: signal.Signals) -> None:
        """Send one signal."""
        self.process.send_signal(number)

    def terminate(self, within_s: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(within_s)
        self._close()
        return code

    def _close(self) -> None:
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def worker(name: str, settings: Mapping[str, str], entry: str = "iskra.commands.main") -> Iterator[WorkerProcess]:
    """A ready worker that is gone afterwards, whatever happened."""
    running = WorkerProcess(name, settings, entry)
    try:
        running.wait_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.send(signal.SIGCONT)
            running.kill()
        else:
            running._close()
