"""Whoever only names an error (`Refused("Unavailable", ...)`) names one that callers can catch."""

import ast
import re
from collections.abc import Iterator

import pytest
from tests.house.source import PACKAGE, modules, name, tree

from quorate import errors

TAKES_A_NAME = {"Refused", "Failed", "RefusedError", "_No"}
"""What is made with the name of an error, as its first argument or as `error=`."""
NOT_SEEN_BY_CALLERS = {"storage/plain/run.py"}
"""Plain SQLite beside ours, for the laboratory's comparisons."""
NAMES_NONE = {"runtime"}
"""Drivers decide nothing: what callers are told is the core's."""
LOOKS_LIKE_ONE = re.compile(r"[A-Z]\w+Error")
"""Names in tables and tuples, which are turned into answers elsewhere."""


def is_error(word: str) -> bool:
    found = getattr(errors, word, None)
    return isinstance(found, type) and issubclass(found, errors.Error)


def texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be, as far as it says so itself."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)


def mentioned(where: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(where):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in TAKES_A_NAME:
            for given in [*node.args[:1], *(each.value for each in node.keywords if each.arg == "error")]:
                yield from ((node.lineno, word) for word in texts(given))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and LOOKS_LIKE_ONE.fullmatch(node.value):
            yield node.lineno, node.value


@pytest.mark.parametrize("room", ["core", "sql", "runtime", "storage", "lab/sim"])
def test_every_error_that_is_mentioned_can_be_raised(room: str) -> None:
    found = 0
    for path in modules(room):
        if path.relative_to(PACKAGE).as_posix() in NOT_SEEN_BY_CALLERS:
            continue
        for line, word in mentioned(tree(path)):
            found += 1
            assert is_error(word), f"{name(path)}:{line} names {word!r}, which is no class of quorate.errors"
    if room in NAMES_NONE:
        assert not found, f"{room} names errors, which are the core's to choose"
    else:
        assert found, f"{room} names no errors: look whether it makes them in another way now"


def test_names_are_found_wherever_they_may_stand() -> None:
    text = 'a = Refused("A")\nb = x.Failed(error="B")\nc = Refused("C" if late else "D", "")\nd = ("NoError", "", "")'
    assert {word for _, word in mentioned(ast.parse(text))} == {"A", "B", "C", "D", "NoError"}
    assert is_error("Unavailable")
    assert not is_error("NoError")
    assert not is_error("Any")
