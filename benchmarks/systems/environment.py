"""The environment of the peers written in Python, and of the plot: its own, with every package pinned by hash."""

from __future__ import annotations

import os
import re
import subprocess
import venv
from hashlib import sha256
from pathlib import Path

from benchmarks.ground import Filled, Ground

from .contract import Launch, Unavailable

__all__ = ["LOCK", "build", "job", "version_in"]

LOCK = Path(__file__).parents[1] / "requirements.lock"
_ROOT = Path(__file__).parents[2]


def build(directory: Path) -> Path:
    """Its Python; built when there is none yet, or when the lock has changed. Errors: Unavailable."""
    python = directory / "bin" / "python"
    stamp, wanted = directory / "built-from", sha256(LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    if not python.exists():
        venv.create(directory, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    answer = subprocess.run([*install, "-r", str(LOCK)], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        lines = (answer.stderr or answer.stdout).strip().splitlines() or ["no reason given"]
        reason = re.sub(r"https?://\S+", "the registry", lines[-1])
        message = f"pip could not install benchmarks/requirements.lock: {reason[:300]}"
        raise Unavailable(message)
    stamp.write_text(wanted)
    return python


def version_in(python: Path, distribution: str) -> str:
    """Of a package in that environment. Errors: Unavailable when it is not there."""
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    answer = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        message = f"{distribution} is not in the benchmark's environment"
        raise Unavailable(message)
    return answer.stdout.strip()


def job(
    python: Path,
    arguments: tuple[str, ...],
    ground: Ground,
    filled: Filled,
    *,
    group: str,
    output: str,
    state: Path,
    progress: Path | None = None,
) -> Launch:
    """One of the programs of ``jobs``, told where to read and write by its environment."""
    settings = {
        "BENCH_BOOTSTRAP": ground.bootstrap,
        "BENCH_TOPIC": filled.topic,
        "BENCH_OUTPUT": output,
        "BENCH_GROUP": group,
        "BENCH_STATE": str(state),
        "BENCH_PARTITIONS": str(filled.load.partitions),
        "PYTHONPATH": str(_ROOT),
    }
    if progress is not None:
        settings["BENCH_PROGRESS"] = str(progress)
    return Launch([str(python), *arguments], os.environ | settings, group, progress)
