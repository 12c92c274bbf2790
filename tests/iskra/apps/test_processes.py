"""Children are found again by id and start time, and ended exactly."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from iskra.apps.processes import Started, alive, end, read_started, spawn, started_at, write_started

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def spoken(log: Path) -> bool:
    return log.exists() and "up" in log.read_text()


def test_a_child_runs_in_a_session_of_its_own_and_writes_into_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", SLEEPER], log=log)
    try:
        until(lambda: spoken(log))
        assert alive(child)
        assert os.getsid(child.pid) == child.pid
        assert log.stat().st_mode & 0o777 == 0o600
    finally:
        assert end(child, grace_s=5)
    assert not alive(child)


def test_one_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", STUBBORN], log=log)
    until(lambda: spoken(log))
    assert not end(child, grace_s=0.1)
    assert not alive(child)


def test_one_that_ended_by_itself_is_not_alive(tmp_path: Path) -> None:
    child = spawn([sys.executable, "-c", ""], log=tmp_path / "log")
    until(lambda: not alive(child))
    assert end(child, grace_s=1)


def test_another_process_under_the_same_id_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", SLEEPER], log=log)
    until(lambda: spoken(log))
    try:
        other = Started(child.pid, "1")
        assert not alive(other)
        assert end(other, grace_s=1)
        assert alive(child)
    finally:
        end(child, grace_s=5)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_tied_child_dies_with_its_parent(tmp_path: Path) -> None:
    parent = (
        "import sys, time; from pathlib import Path; from iskra.apps.processes import spawn\n"
        f"child = spawn([sys.executable, '-c', {SLEEPER!r}], log=Path({str(tmp_path / 'log')!r}), tied=True)\n"
        "print(child.pid, child.start, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, start = process.stdout.readline().split()
        until(lambda: spoken(tmp_path / "log"))
        assert started_at(int(pid)) == start
        process.kill()
    until(lambda: started_at(int(pid)) != start)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        spawn(["no-such-program"], log=tmp_path / "log")


def test_what_was_kept_of_a_process_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "it.json"
    write_started(file, Started(7, "99"), bootstrap="127.0.0.1:1")
    assert read_started(file) == (Started(7, "99"), {"bootstrap": "127.0.0.1:1"})
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"pid": "x", "start": 1}', '{"pid": null, "start": 1}'])
def test_a_file_that_is_not_one_of_ours_is_no_process(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "it.json").write_text(text)
    assert read_started(tmp_path / "it.json") is None
