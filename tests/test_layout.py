"""The tree: where tests, packages and decision records stand, and which tests pytest really imports."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import schemas

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("alerts", "iskra", "pipeline", "schemas")
FOLDERS = [
    path.parent for path in sorted(ROOT.glob("*/**/*.py")) if path.relative_to(ROOT).parts[0] in (*PACKAGES, "tests")
]


def test_each_folder_with_code_is_a_package() -> None:
    assert [str(folder) for folder in dict.fromkeys(FOLDERS) if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


def test_our_schemas_are_imported_and_not_the_folder_of_their_tests() -> None:
    assert schemas.__file__ == str(ROOT / "schemas" / "__init__.py")
    assert sys.modules["schemas"] is schemas


def test_decision_records_are_numbered_once_and_say_what_was_decided() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [record.name[:4] for record in records]
    assert len(set(numbers)) == len(numbers)
    for record in records:
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", record.name)
        assert record.read_text().startswith("# ")


def test_no_test_folder_mirrors_a_package_that_is_not_there() -> None:
    """``tests/pipeline/scoring`` stands for ``pipeline/scoring``; a moved package moves its tests."""
    for package in PACKAGES:
        for folder in (ROOT / "tests" / package).rglob("*"):
            if folder.is_dir() and (folder / "__init__.py").exists():
                mirrored = folder.relative_to(ROOT / "tests")
                assert (ROOT / mirrored).is_dir() or (ROOT / mirrored).with_suffix(".py").is_file(), mirrored
