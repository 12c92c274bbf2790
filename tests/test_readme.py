"""What the README shows is true: its commands exist, its event is accepted, its code runs, its links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from iskra.settings import variables
from schemas.codec import decode_event
from schemas.hot import HotEvent
from schemas.registry import builtin_registry
from schemas.types import Origin

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_quick_start_is_two_commands_that_the_makefile_knows() -> None:
    commands = [line.split("#")[0].split() for line in blocks("sh")[0].splitlines()]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert commands == [["make", "demo"], ["make", "test"]]
    assert {command[1] for command in commands} <= set(targets)


def commands_of_iskra() -> list[tuple[str, ...]]:
    """Every ``iskra …`` of the shell blocks, without what stands behind ``#`` and ``&``."""
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    parts = [part.strip(" &") for line in lines for part in line.split("&&")]
    return [tuple(part.split()[1:]) for part in parts if part.startswith(".venv/bin/iskra ")]


@pytest.mark.parametrize("command", commands_of_iskra(), ids=" ".join)
def test_every_command_of_the_readme_exists_with_its_options(command: tuple[str, ...]) -> None:
    words = [word for word in command if not word.startswith(("-", "ws://")) and not word.isdigit()]
    options = [word for word in command if word.startswith("--")]
    depth = 2 if words[0] in {"agent", "broker", "chaos", "state", "topics"} else 1
    shown = subprocess.run(
        [sys.executable, "-m", "iskra.commands.main", *words[:depth], "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert shown.returncode == 0, shown.stderr
    assert [option for option in options if option not in shown.stdout] == []


def test_the_event_of_the_readme_is_accepted() -> None:
    (event,) = blocks("json")
    json.loads(event)
    assert isinstance(
        decode_event(event.strip().encode(), Origin(b"c-1", 0, 0, 1_700_000_000_000), builtin_registry()), HotEvent
    )


def test_every_setting_of_the_readme_is_one() -> None:
    named = set(re.findall(r"ISKRA_[A-Z_]+", README))
    assert named - set(variables()) == set()


@pytest.mark.parametrize("code", blocks("python"), ids=["agent", "subscriber"])
def test_the_python_of_the_readme_compiles_and_its_names_exist(code: str) -> None:
    tree = compile(code, "README.md", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(tree, ast.Module)
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    subprocess.run([sys.executable, "-c", "\n".join(imports)], check=True, timeout=30, cwd=ROOT)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/voices.md"])
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    text = (ROOT / page).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
