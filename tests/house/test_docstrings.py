"""Every module says what it is for; so does everything public in the rooms that people read first."""

import ast
from pathlib import Path

import pytest
from tests.house.source import PACKAGE, code, modules, name, tree

READ_FIRST = [*modules("core"), *modules("client"), PACKAGE / "errors.py"]

UNDOCUMENTED: set[str] = set()
"""path::name of what still lacks a docstring. May only shrink."""


@pytest.mark.parametrize("path", [path for path in code() if not name(path).startswith("tests/")], ids=name)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree(path)), f"{name(path)} has no docstring"


def test_public_names_say_what_they_mean() -> None:
    found = {where for path in READ_FIRST for where in undocumented(path)}
    assert found == UNDOCUMENTED


def undocumented(path: Path) -> list[str]:
    """Public functions and classes without a docstring.

    A class that only names fields of a message may explain itself by its name, and `on_<event>` handlers by
    the event they handle.
    """
    missing = []
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            excused = node.name.startswith(("_", "on_")) or is_overload(node)
        elif isinstance(node, ast.ClassDef):
            excused = node.name.startswith("_") or any(ast.unparse(base) == "Struct" for base in node.bases)
        else:
            continue
        if not excused and not ast.get_docstring(node):
            missing.append(f"{name(path)}::{node.name}")
    return missing


def is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(each).endswith("overload") for each in node.decorator_list)
