"""Every module says what it offers, and offers what it says."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import iskra

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    file for package in ("alerts", "iskra", "pipeline", "schemas") for file in (ROOT / package).rglob("*.py")
)


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("file", MODULES, ids=dotted)
def test_a_module_has_a_docstring_and_names_what_it_offers(file: Path) -> None:
    tree = ast.parse(file.read_text())
    assert ast.get_docstring(tree)
    if file.name == "__init__.py" and len(tree.body) == 1:
        return  # a folder that offers nothing itself
    named = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and node.value is not None
        and any(
            isinstance(target, ast.Name) and target.id == "__all__"
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        )
    ]
    assert len(named) == 1
    offered = named[0]
    assert len(set(offered)) == len(offered)
    assert all(not name.startswith("_") for name in offered)


@pytest.mark.parametrize("file", MODULES, ids=dotted)
def test_what_a_module_offers_is_there(file: Path) -> None:
    module = importlib.import_module(dotted(file))
    assert [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)] == []


def test_users_import_from_iskra_and_each_name_is_its_homes() -> None:
    assert dir(iskra) == sorted(iskra.__all__)
    for name in iskra.__all__:
        value = getattr(iskra, name)
        assert getattr(value, "__name__", name) == name


def test_an_unknown_name_of_iskra_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Agnt'"):
        iskra.Agnt  # noqa: B018 - looked up for its error
