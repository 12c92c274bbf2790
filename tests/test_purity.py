"""Pure modules, imported each in an interpreter of its own, bring in nothing that touches the world."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PURE = next(contract["source_modules"] for contract in CONTRACTS if contract["id"] == "pure")
WORLD = {"aiohttp", "aiokafka", "faust", "jinja2", "kafka", "mode", "slack_sdk", "websockets", "yaml"}
"""What may be in no pure module's process. asyncio, os and logging are left to import-linter: Python itself and pydantic
load them."""

LIST = (
    "import sys, importlib; importlib.import_module(sys.argv[1]); import json; print(json.dumps(sorted(sys.modules)))"
)


def modules() -> list[str]:
    """Every module of the pure packages."""
    found = []
    for name in PURE:
        path = ROOT / name.replace(".", "/")
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        assert files, name
        found += [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return sorted(set(found))


@pytest.mark.parametrize("package", sorted({name.rpartition(".")[0] or name for name in modules()}))
def test_a_pure_package_brings_in_nothing_of_the_world(package: str) -> None:
    """One interpreter per package, its modules one after the other: the first culprit is named."""
    members = [name for name in modules() if (name.rpartition(".")[0] or name) == package]
    code = (
        "import importlib, json, sys\n"
        f"world = {sorted(WORLD)!r}\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    loaded = [one for one in world if one in sys.modules]\n"
        "    if loaded:\n"
        "        print(json.dumps([name, loaded])); break\n"
        "else:\n"
        "    print(json.dumps(None))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *members], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert json.loads(answer.stdout) is None


def test_the_check_itself_sees_a_culprit() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", LIST, "pipeline.runtime.faust_seam"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    assert {"aiokafka", "faust", "mode"} <= set(json.loads(answer.stdout))
