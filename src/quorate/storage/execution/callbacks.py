"""Functions and collations of the program that has a node in it, for statements and never for the schema.

A function in the schema (CHECK, an index, a generated column, a trigger, a view) would be missing for whoever opens the
file without it, and on every other replica. SQLite refuses it where it would run; text that would put one there is
refused first, and says why.
"""

from collections.abc import Callable
from contextlib import closing
from functools import cache
from typing import Any

import apsw

from quorate.sql.tokens import NAME, WORD, tokens, unquoted
from quorate.storage.data.functions import refuse_calls, restore
from quorate.storage.failures import RefusedError

_OWN_COLLATIONS = frozenset({"binary", "nocase", "rtrim"})
_HINT = "the database would be of no use without this program; compute the value in the statement that writes it"


@cache
def _own_functions() -> frozenset[str]:
    with closing(apsw.Connection(":memory:")) as connection:
        return frozenset(str(name) for (name,) in connection.execute("SELECT name FROM pragma_function_list"))


class Callbacks:
    """All that the program has registered with a node."""

    def __init__(self) -> None:
        self.version = 0
        """Moves with every change."""
        self._functions: dict[tuple[str, int], tuple[Callable[..., Any] | None, bool]] = {}
        self._collations: dict[str, Callable[[str, str], int] | None] = {}

    def add_function(self, name: str, count: int, function: Callable[..., Any] | None, *, constant: bool) -> None:
        """Register a function of so many arguments (-1: any number); None takes it away. Raises RefusedError for a name
        that is SQLite's own."""
        key = name.lower()
        if key in _own_functions():
            raise RefusedError("NotSupportedError", f"the function {name} is SQLite's own", "choose another name")
        self._functions[key, count] = (None if function is None else _guarded(name, function, _check_value)), constant
        self.version += 1

    def has_function(self, name: str) -> bool:
        """Whether the program has registered a function of this name, and not taken it away."""
        return any(known == name.lower() and each is not None for (known, _), (each, _) in self._functions.items())

    def add_collation(self, name: str, compare: Callable[[str, str], int] | None) -> None:
        """Register a collation; None takes it away. Raises RefusedError for a name that is SQLite's own."""
        if name.lower() in _OWN_COLLATIONS:
            raise RefusedError("NotSupportedError", f"the collation {name} is SQLite's own", "choose another name")
        self._collations[name.lower()] = None if compare is None else _guarded(name, compare, _check_order)
        self.version += 1

    def install(self, connection: apsw.Connection) -> None:
        """Make all of them known to a connection that runs nothing now."""
        for (name, count), (function, constant) in self._functions.items():
            flags = apsw.SQLITE_DIRECTONLY
            connection.create_scalar_function(name, function, count, deterministic=constant, flags=flags)
            if function is None:
                restore(connection, name)
        for name, compare in self._collations.items():
            connection.create_collation(name, compare)

    def check_schema(self, sql: str) -> None:
        """Raises RefusedError for a text that would make one of them a part of the schema."""
        if not self.version:
            return
        refuse_calls(sql, {name for name, _ in self._functions}, "this program", _HINT)
        collates = False
        for kind, text, *_ in tokens(sql):
            name = unquoted(kind, text).lower() if kind in (NAME, WORD) else ""
            if collates and name in self._collations:
                what = f"the collation {name} of this program"
                raise RefusedError("NotSupportedError", f"{what} cannot be a part of the schema", _HINT)
            collates = name == "collate"


def _guarded(name: str, function: Callable[..., Any], check: Callable[[Any], bool]) -> Callable[..., Any]:
    """It fails with an error of ours, which says whose fault it is."""

    def guarded(*arguments: Any) -> Any:
        try:
            value = function(*arguments)
        except Exception as error:
            text = f"{name}, which this program has defined, has raised {type(error).__name__}: {error}"
            raise RefusedError("OperationalError", text) from error
        if not check(value):
            text = f"{name}, which this program has defined, has returned a value of type {type(value).__name__}"
            raise RefusedError("OperationalError", text)
        return value

    return guarded


def _check_value(value: object) -> bool:
    return isinstance(value, int | float | str | bytes | None)


def _check_order(value: object) -> bool:
    return isinstance(value, int)
