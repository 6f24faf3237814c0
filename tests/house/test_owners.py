"""Who may change what of a replica's state. Whoever looks for the cause of a value has one file to read."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import PACKAGE, modules, tree

ROOM = PACKAGE / "core" / "single_leader"
CHANGES = {"append", "appendleft", "clear", "extend", "extendleft", "pop", "popleft", "remove", "update"}
"""Methods that change a collection."""

OWNERS = {
    "apply": "apply",
    "commit": "commit",
    "election": "election",
    "fetching": "snapshots",
    "handover": "transfer",
    "holding": "holding",
    "leaving": "members",
    "permit": "permits",
    "reading": "reads",
    "repair": "repair",
    "rewinding": "rewinding",
    "settling": "settling",
    "verifying": "verification",
    "writes": "writes",
}
"""For each record of a replica's state (`Group`): the file in which alone its fields are set. Others ask that file, or
a method of the record."""
LOOSE = {"pending": {"commit"}, "order": {"orders"}, "long_texts": {"long_writes"}}
"""Fields of the state that are no records, and who changes them beside the state itself."""


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


def records(path: Path) -> dict[str, str]:
    """What a file calls records of the state, and which they are: `writes = group.writes` gives a second name."""
    names = {name: name for name in OWNERS}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = (
                    zip(target.elts, node.value.elts, strict=True)
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                    else [(target, node.value)]
                )
                for name, value in pairs:
                    if isinstance(name, ast.Name) and isinstance(value, ast.Attribute) and value.attr in OWNERS:
                        names[name.id] = value.attr
    return names


def trespasses(path: Path) -> list[str]:
    """What a file sets of the state that is another's."""
    found = []
    names = records(path)
    for each in changed(path):
        *_, last = ast.unparse(each.value).split(".")
        allowed = {OWNERS[names[last]]} if last in names else LOOSE.get(each.attr, set())
        if (last in names or last == "group") and path.stem not in allowed:
            found.append(ast.unparse(each))
    return found


def test_every_record_of_the_state_has_an_owner() -> None:
    made = {
        each.attr for each in changed(ROOM / "state.py") if isinstance(each.value, ast.Name) and each.value.id == "self"
    }
    assert OWNERS.keys() <= made
    assert LOOSE.keys() <= made
    assert {path.stem for path in modules("core/single_leader")} >= set(OWNERS.values())


def test_only_its_owner_sets_what_a_record_holds() -> None:
    for path in modules("core/single_leader"):
        assert not trespasses(path), path.name


def test_who_sets_what_is_another_s_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "writes.py"
    path.write_text(
        "writes = group.writes\nwrites.batch = None\ngroup.writes.queue.clear()\n"
        "state, me = group.apply, group.me\nstate.applying = 1\ngroup.commit.committed += 1\n"
        "group.reading.waiting.append(read)\ngroup.order = None\nself.election.vote = 0\n"
    )
    assert set(trespasses(path)) == {
        "state.applying", "group.commit.committed", "group.reading.waiting", "group.order", "self.election.vote"
    }  # fmt: skip


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
