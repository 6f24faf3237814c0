"""Who may change what of a replica's state. Whoever looks for the cause of a value has one file to read."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import PACKAGE, modules, tree

ROOM = PACKAGE / "core" / "single_leader"
CHANGES = {"append", "appendleft", "clear", "extend", "extendleft", "pop", "popleft", "remove", "update"}
"""Methods that change a collection."""


def changed(path: Path) -> Iterator[ast.Attribute]:
    """Every attribute that a file assigns, or whose collection it changes."""
    for node in ast.walk(tree(path)):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = list(node.targets)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            targets = [node.func.value]
        for target in targets:
            for each in target.elts if isinstance(target, ast.Tuple) else [target]:
                inner = each.value if isinstance(each, ast.Subscript) else each
                if isinstance(inner, ast.Attribute):
                    yield inner


def fields_of(path: Path, record: str) -> set[str]:
    """The declared fields of a record."""
    found = next(node for node in tree(path).body if isinstance(node, ast.ClassDef) and node.name == record)
    return {
        each.target.id for each in found.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }


def strangers(path: Path, fields: set[str]) -> list[str]:
    """What a file sets of a progress without asking it to."""
    return [
        ast.unparse(each)
        for each in changed(path)
        if "progress" in ast.unparse(each.value).rpartition(".")[2] and each.attr in fields
    ]


def test_progress_changes_by_its_own_methods() -> None:
    fields = fields_of(ROOM / "progress.py", "Progress")
    assert {"matched", "next", "state"} <= fields
    for path in modules("core/single_leader"):
        assert not strangers(path, fields), path.name


def test_a_field_that_somebody_else_sets_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(
        "progress.matched = 1\nprogress.next += 1\ngroup.progress[peer].state, other.state = 1, 2\nprogress.seen = 1\n"
    )
    found = strangers(path, {"matched", "next", "state"})
    assert found == ["progress.matched", "progress.next", "group.progress[peer].state"]
