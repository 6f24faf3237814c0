"""A replication is a room with one face: who would add another must not have to edit the first, nor its neighbours."""

import ast

import pytest
from tests.house.source import PACKAGE, imports, modules, name, tree

REPLICATIONS = ("single_leader", "multi_leader", "leaderless")
BUILT_ON = {"multi_leader": {"single_leader"}}
"""Each of several leaders leads a group of a single leader."""
REGISTRY = PACKAGE / "core" / "replication.py"
SEES_INSIDE = {
    "lab/mutants/leaderless",
    "lab/mutants/multi_leader",
    "lab/mutants/single_leader",
    "lab/sim/replications",
}
"""What looks inside of a replication because it proves or breaks it. May only shrink."""


def inside(module: str) -> str:
    """The replication that an import name belongs to; empty: none."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["quorate", "core"] and len(parts) > 2 and parts[2] in REPLICATIONS else ""


def importers() -> set[str]:
    """Every module outside a replication that imports from the inside of one."""
    found = set()
    for path in modules():
        home = path.relative_to(PACKAGE).parts[1] if path.is_relative_to(PACKAGE / "core") else ""
        known = {"", home, *BUILT_ON.get(home, ())}
        if path != REGISTRY and any(inside(module) not in known for module, _ in imports(path)):
            found.add(path.relative_to(PACKAGE).as_posix())
    return found


def test_only_the_registry_knows_the_replications() -> None:
    strangers = {each for each in importers() if not each.startswith(tuple(SEES_INSIDE))}
    assert not strangers, "what a node needs of a group is in core/replica.py"


def test_no_exception_is_left_that_is_not_needed() -> None:
    needed = importers()
    assert {each for each in SEES_INSIDE if not any(path.startswith(each) for path in needed)} == set()


def test_nobody_asks_for_a_role_who_means_more_than_a_word_for_people() -> None:
    """Roles are a replication's own: `GroupStatus.speaks` and `damaged` say what others need to know."""
    for room in ("client", "cli", "runtime", "lab/nemesis"):
        for path in modules(room):
            asked = [
                f"{name(path)}:{node.lineno}"
                for node in ast.walk(tree(path))
                if isinstance(node, ast.Compare)
                and isinstance(node.left, ast.Attribute)
                and node.left.attr == "role"
                and any(isinstance(each, ast.Constant) for each in node.comparators)
            ]
            assert not asked


@pytest.mark.parametrize("replication", REPLICATIONS)
def test_replications_do_not_know_each_other(replication: str) -> None:
    others = set(REPLICATIONS) - {replication} - BUILT_ON.get(replication, set())
    for path in modules(f"core/{replication}"):
        wanted = {inside(module) for module, _ in imports(path)}
        assert not wanted & others, f"{name(path)} imports from another replication"


def test_the_simulator_asks_the_registry_and_no_replication() -> None:
    """But for the list of all faults, and for a replication that is registered only while a run lasts."""
    rooms = tuple(f"quorate.lab.sim.replications.{each}" for each in REPLICATIONS)
    found = {
        path.relative_to(PACKAGE / "lab" / "sim").as_posix()
        for path in modules("lab/sim")
        if any(module.startswith(rooms) for module, _ in imports(path))
    }
    assert {each for each in found if not each.startswith("replications/")} == {"faults/registry.py", "run.py"}
