"""The functions of SQL that every connection to a data file has beside SQLite's own: for statements, never the schema.

A schema that calls one could not be read by the `sqlite3` shell, nor checked or copied without them, so text that would
put one there is refused.
"""

import random
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import apsw

from quorate.functions.django import AGGREGATES, FUNCTIONS, Spread
from quorate.sql.tokens import NAME, WORD, tokens, unquoted
from quorate.storage.failures import RefusedError

if TYPE_CHECKING:
    from quorate.storage.execution.callbacks import Callbacks

RAND = "rand"
"""A number from 0 to below 1; SQLite's `random()` is another."""

NAMES = frozenset({RAND, *(name for name, *_ in FUNCTIONS), *(name for name, _ in AGGREGATES)})
_BEFORE_TABLES = frozenset({"table", "exists", "references", "into", "with", "recursive", "."})
_INTEGERS = range(-(2**63), 2**63)


def install(connection: apsw.Connection) -> None:
    """Make all of them known to a new connection."""
    for name in NAMES:
        restore(connection, name)


def restore(connection: apsw.Connection, name: str) -> None:
    """Make one of them known again to a connection, if there is one of this name."""
    flags = apsw.SQLITE_DIRECTONLY
    if name in _BY_NAME:
        count, function = _BY_NAME[name]
        connection.create_scalar_function(name, function, count, deterministic=True, flags=flags)
    elif name in _AGGREGATES:
        connection.create_aggregate_function(name, _AGGREGATES[name], 1, flags=flags)
    elif name == RAND:
        connection.create_scalar_function(RAND, _rand, 0, flags=flags)


def refuse_calls(sql: str, functions: Collection[str], whose: str, hint: str) -> None:
    """Raises RefusedError for a text of a schema that calls one of these functions."""
    words: list[str] = []  # of the text so far, and what stands between them
    for kind, text, *_ in tokens(sql):
        if text == "(" and words and words[-1] in functions and not _names_table(words):
            message = f"the function {words[-1]} of {whose} cannot be a part of the schema"
            raise RefusedError("NotSupportedError", message, hint)
        words.append(unquoted(kind, text).lower() if kind in (NAME, WORD) else text)


def _names_table(words: list[str]) -> bool:
    """Whether the last of these names a table, whose columns follow."""
    before = words[-2] if len(words) > 1 else ""
    indexes = before == "on" and "index" in words[1:3] and words.count("on") == 1
    return before in _BEFORE_TABLES or indexes


def check_schema(sql: str, callbacks: "Callbacks | None") -> None:
    """Raises RefusedError for a text that would make a function of Quorate or the program a part of the schema."""
    refuse_calls(sql, NAMES, "Quorate", "compute the value in the statement that writes it")
    if callbacks is not None:
        callbacks.check_schema(sql)


def _rand(*_: Any) -> float:
    return random.random()


def _call(name: str, function: Callable[..., Any], *values: Any) -> Any:
    try:
        found = function(*values)
    except Exception as error:
        raise RefusedError("OperationalError", f"{name} has failed: {type(error).__name__}: {error}") from error
    if isinstance(found, int) and found not in _INTEGERS:
        raise RefusedError("OperationalError", f"{name} has failed: the integer is beyond 64 bits")
    return found


def _step(name: str, spread: Spread, value: Any) -> None:
    _call(name, spread.step, value)


def _begin(name: str, make: Callable[[], Spread]) -> Any:
    return make(), partial(_step, name), partial(_end, name)


def _end(name: str, spread: Spread) -> float | None:
    return _call(name, spread.final)  # type: ignore[no-any-return]


_BY_NAME = {name: (count, partial(_call, name, function)) for name, count, function in FUNCTIONS}
_AGGREGATES = {name: partial(_begin, name, make) for name, make in AGGREGATES}
