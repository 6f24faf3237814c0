"""Functions of at most 60 lines, files of at most 500. The exceptions may only shrink."""

import ast

from tests.house.source import code, name, tree

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
SLACK_LINES = 20
"""How far below its number an exception may be before the number must be lowered."""

LONG_FUNCTIONS: dict[str, int] = {}
"""path::name -> the length it may have. Shorten it, then lower or remove the number."""

LONG_FILES: dict[str, int] = {}
"""path -> the length it may have."""


def test_functions_are_short() -> None:
    check(function_lengths(), FUNCTION_LINES_MAX, LONG_FUNCTIONS)


def test_files_are_short() -> None:
    check({name(path): len(path.read_text().splitlines()) for path in code()}, FILE_LINES_MAX, LONG_FILES)


def check(lengths: dict[str, int], limit: int, exceptions: dict[str, int]) -> None:
    too_long = {where: length for where, length in lengths.items() if length > exceptions.get(where, limit)}
    assert not too_long
    for where, allowed in exceptions.items():
        length = lengths.get(where, 0)
        assert length > limit, f"{where} needs no exception any more: remove it"
        assert length > allowed - SLACK_LINES, f"{where} has shrunk to {length}: lower its number"


def function_lengths() -> dict[str, int]:
    lengths: dict[str, int] = {}
    for path in code():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths[f"{name(path)}::{node.name}"] = (node.end_lineno or node.lineno) - node.lineno + 1
    return lengths
