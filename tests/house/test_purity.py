"""A core is a function of what it is told: no clock, no random numbers, no input or output, no order of a hash
table."""

import ast
from pathlib import Path

import pytest
from tests.house.source import modules, name, tree

FORBIDDEN_CALLS = {
    "open",
    "print",
    "input",
    "eval",
    "exec",
    "hash",
    "id",
    "globals",
    "locals",
    "breakpoint",
    "__import__",
}
"""`hash` of a text and `id` of an object differ from process to process; the others leave the process."""

ORDERLESS = {"sorted", "any", "all", "sum", "len", "min", "max", "set", "frozenset"}
"""Functions whose result does not depend on the order of what they are given."""

FLOATS_ALLOWED = {"src/quorate/core/statements.py"}
"""The values of a database may be floats; times, counts and sizes may not."""

EXPECT_PURE = [path for room in ("core", "sql") for path in modules(room)]


@pytest.mark.parametrize("path", EXPECT_PURE, ids=name)
def test_calls_nothing_that_differs_between_runs(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"{name(path)}:{node.lineno} calls {node.func.id}"


@pytest.mark.parametrize("path", EXPECT_PURE, ids=name)
def test_makes_no_dice(path: Path) -> None:
    """Of `random` only the type `Random` is used: the generator is handed to the constructor."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            assert node.attr == "Random", f"{name(path)}:{node.lineno} uses random.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            assert [alias.name for alias in node.names] == ["Random"], f"{name(path)}:{node.lineno}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("random.Random", "Random"), f"{name(path)}:{node.lineno} makes a generator"


@pytest.mark.parametrize("path", EXPECT_PURE, ids=name)
def test_reckons_in_integers(path: Path) -> None:
    if name(path) in FLOATS_ALLOWED:
        return
    for node in ast.walk(tree(path)):
        line = f"{name(path)}:{getattr(node, 'lineno', 0)}"
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"{line} has a float"
        assert not (isinstance(node, ast.Name) and node.id == "float"), f"{line} names float"
        if isinstance(node, ast.BinOp | ast.AugAssign):
            assert not isinstance(node.op, ast.Div), f"{line} divides to a float; use //"


@pytest.mark.parametrize("path", EXPECT_PURE, ids=name)
def test_never_iterates_over_a_set(path: Path) -> None:
    """Sets of texts change their order with PYTHONHASHSEED; `sorted(...)` first."""
    found = [f"{name(path)}:{line}" for line in iterations_over_sets(tree(path))]
    assert not found


def iterations_over_sets(module: ast.AST) -> list[int]:
    """Line numbers where something that is visibly a set decides an order."""
    known = names_of_sets(module)
    harmless = {
        id(argument)
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ORDERLESS
        for argument in node.args
        if isinstance(argument, ast.GeneratorExp | ast.ListComp)
    }
    lines = []
    for node in ast.walk(module):
        if isinstance(node, ast.For | ast.AsyncFor) and is_set(node.iter, known):
            lines.append(node.lineno)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp) and id(node) not in harmless:
            lines += [node.lineno for each in node.generators if is_set(each.iter, known)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            ordering = node.func.id in ("list", "tuple", "iter", "enumerate", "next", "zip", "map", "filter")
            lines += [node.lineno for each in node.args if ordering and is_set(each, known)]
        elif isinstance(node, ast.Starred) and is_set(node.value, known):
            lines.append(node.lineno)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "pop":
            lines += [node.lineno] if is_set(node.func.value, known) else []
    return lines


def names_of_sets(module: ast.AST) -> set[str]:
    """Names and attributes that are annotated as a set or assigned one, anywhere in the file."""
    known: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.AnnAssign) and annotated_as_set(node.annotation):
            known.add(ast.unparse(node.target))
        elif isinstance(node, ast.arg) and node.annotation is not None and annotated_as_set(node.annotation):
            known.add(node.arg)
        elif isinstance(node, ast.Assign) and is_set(node.value, known):
            known |= {ast.unparse(target) for target in node.targets}
    return known | {f"self.{each}" for each in known if "." not in each}


def annotated_as_set(annotation: ast.expr) -> bool:
    return ast.unparse(annotation).split("[")[0] in ("set", "frozenset", "AbstractSet", "Set")


def is_set(node: ast.expr, known: set[str]) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name):
            return node.func.id in ("set", "frozenset")
        makers = ("union", "intersection", "difference", "symmetric_difference")
        return isinstance(node.func, ast.Attribute) and node.func.attr in makers
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
        return is_set(node.left, known) or is_set(node.right, known)
    return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in known


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("for x in {1, 2}: pass", 1),
        ("s = set()\nfor x in sorted(s): pass", 0),
        ("s: set[int] = make()\nt = [x for x in s]", 1),
        ("s: set[int] = make()\nt = any(x > 1 for x in s)", 0),
        ("s: set[int] = make()\nt = tuple(s)", 1),
        ("def f(s: frozenset[int]) -> None:\n    for x in s - {3}: pass", 1),
        ("class A:\n    s: set[int]\n    def f(self) -> None:\n        for x in self.s: pass", 1),
        ("s = {1}\ns.pop()", 1),
        ("s = [1]\ns.pop()\nfor x in s: pass", 0),
        ("s = {1}\nt = {x + 1 for x in s}", 0),
    ],
)
def test_the_check_itself_finds_sets(text: str, expected: int) -> None:
    assert len(iterations_over_sets(ast.parse(text))) == expected
