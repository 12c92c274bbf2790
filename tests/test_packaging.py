"""The wheel: what is in it, and that it works away from the checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ["alerts", "iskra", "pipeline", "schemas"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    answer = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


def test_the_wheel_holds_the_four_packages_and_their_data(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {*PACKAGES, f"iskra_voices-{PROJECT['version']}.dist-info"}
    wanted = {
        str(file.relative_to(ROOT)) for package in PACKAGES for file in (ROOT / package).rglob("*") if travels(file)
    }
    kafka = {f"iskra/apps/kafka/{name}" for name in ("pom.xml", "SHA256SUMS", "log4j2.properties")}
    assert {name for name in names if ".dist-info" not in name} == wanted | kafka


def travels(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts


def test_the_wheel_passes_the_common_checks(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "check_wheel_contents", "--config", ROOT / "pyproject.toml", wheel, cwd=built)


def test_the_source_archive_holds_no_caches_and_no_local_files(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert [name for name in names if re.search(r"__pycache__|\.venv|\.iskra|\.hypothesis|\.env$|_cache", name)] == []
    assert any(name.endswith("/requirements.lock") for name in names)


def test_the_installed_wheel_works_away_from_the_checkout(built: Path, tmp_path: Path) -> None:
    """Dependencies come from this environment; our packages from the wheel alone."""
    (wheel,) = built.glob("*.whl")
    place = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, wheel, cwd=tmp_path)
    env = {name: text for name, text in os.environ.items() if not name.startswith(("ISKRA_", "PYTHON"))}
    env |= {"PYTHONPATH": str(place), "PYTHONSAFEPATH": "1"}
    where = "import alerts, iskra, pipeline, schemas; print(*(m.__file__ for m in (alerts, iskra, pipeline, schemas)))"
    assert all(path.startswith(str(place)) for path in run(sys.executable, "-c", where, cwd=tmp_path, env=env).split())
    event = '{"delta": "connection_failed", "dimension": 3, "omega": 0.8, "lambda": "wait", "fractal_metadata": {}}'
    (tmp_path / "event.json").write_text(event)
    said = run(sys.executable, "-m", "iskra.commands.main", "event", "check", "event.json", cwd=tmp_path, env=env)
    assert json.loads(said)["evidence"]["known"] is True
    deploy = "from iskra.apps.broker import _deploy; print(*sorted(p.name for p in _deploy().iterdir()))"
    assert run(sys.executable, "-c", deploy, cwd=tmp_path, env=env) == "SHA256SUMS log4j2.properties pom.xml\n"
    assert "Usage: iskra" in run(place / "bin" / "iskra", "--help", cwd=tmp_path, env=env)


def test_every_dependency_is_locked_with_its_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    locked = {re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    for requirement in [*PROJECT["dependencies"], *groups]:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name is not None
        assert re.sub(r"[-_.]+", "-", name[0]).lower() in locked, requirement
    entries = re.split(r"(?m)^(?=[A-Za-z0-9._-]+==)", lock)[1:]
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in lock
