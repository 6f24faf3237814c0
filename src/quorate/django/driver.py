"""What Django calls the `Database` module: PEP 249, with `%s` for a parameter as its statements have it."""

import datetime as dt
import decimal
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Self

import quorate
from quorate import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from quorate.functions.django import regexp
from quorate.web.carried import give, through

__all__ = [
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
]

Binary = bytes
sqlite_version_info = (3, 51, 3)
"""What every node has at least."""

_FORMAT = re.compile(r"(?<!%)%s")
_NO_REGEXP = "no such function: regexp"
_HINT = "one could stop a node for as long as it runs; narrow the rows otherwise, and match in the program"


_ADAPTERS: dict[type, Callable[[Any], Any]] = {
    decimal.Decimal: str,
    dt.datetime: lambda value: value.isoformat(" "),
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
}


def adapted(value: Any) -> Any:
    """A value as it is stored."""
    adapter = next((_ADAPTERS[base] for base in type(value).__mro__ if base in _ADAPTERS), None)
    return value if adapter is None else adapter(value)


def types(converters: Mapping[str, Callable[[Any], Any]]) -> quorate.Types:
    """How Django's values become SQLite's, and back."""
    return quorate.Types(
        _ADAPTERS,
        {
            "BOOL": lambda value: value == 1 if isinstance(value, int) else value,
            **{name: _of_text(function) for name, function in converters.items()},
        },
    )


def _of_text(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: function(value) if isinstance(value, str) else value


SERVED = ("single-leader", "multi-leader")
_fit: set[str] = set()
"""The databases of clusters that were found to be replicated so."""


def connect(target: Any, **keywords: Any) -> Any:
    """A connection; `regexp` is defined for a folder and for memory. Raises client errors; NotSupportedError for a
    database without leaders."""
    connection: Any = quorate.connect(target, **keywords)
    if isinstance(connection, quorate.EmbeddedConnection):
        if not connection.has_function("regexp"):  # a definition ends transactions that have only read
            connection.create_function("regexp", 2, regexp, deterministic=True)
    elif str(target) not in _fit:
        try:
            _check_replication(connection.replication())
        except BaseException:
            connection.close()
            raise
        _fit.add(str(target))
    return connection


def _check_replication(replication: str) -> None:
    if replication not in SERVED:
        message = f"this database is {replication}: it has no transactions, on which Django relies"
        raise NotSupportedError(message, hint=f"create one that is {' or '.join(SERVED)}")


class Cursor:
    """Runs statements with `%s` or `%(name)s` for parameters; `%%` is a percent sign."""

    def __init__(self, cursor: Any, cluster: Any = None) -> None:
        self._cursor = cursor
        self._cluster = cluster
        """The connection, if it is one to a cluster."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def execute(self, query: str, params: Any = None) -> Self:
        """Run one statement; without `params`, its text as it is. Raises client errors."""
        try:
            if params is None:
                self._run(lambda: self._cursor.execute(query))
            else:
                names = list(params) if isinstance(params, Mapping) else None
                self._run(lambda: self._cursor.execute(converted(query, names), params))
        except ProgrammingError as error:
            raise explained(error) from error
        return self

    def executemany(self, query: str, sets: Iterable[Any]) -> Self:
        """Run one statement once for each set of parameters, all or none of them. Raises client errors."""
        each = iter(sets)
        first = next(each, None)
        if first is None:
            return self
        names = list(first) if isinstance(first, Mapping) else None
        found = chain([first], each) if self._cluster is None else [first, *each]
        self._run(lambda: self._cursor.executemany(converted(query, names), found))
        return self

    def _run(self, statement: Callable[[], Any]) -> None:
        """Run it after what a web request has seen before (`quorate.web`)."""
        connection = self._cluster
        if connection is None or connection.in_transaction:
            statement()
        else:
            through(connection, connection.read, statement, connection.rollback)
        if connection is not None:
            give(connection)

    def fetchone(self) -> Any:
        """The next row, or None; None too behind a statement that gives none, as in `sqlite3`."""
        return self._cursor.fetchone() if self._cursor.description is not None else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows."""
        return list(self._cursor.fetchmany(size)) if self._cursor.description is not None else []

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return list(self._cursor.fetchall()) if self._cursor.description is not None else []


def converted(query: str, names: list[str] | None) -> str:
    """A statement with SQLite's signs for parameters."""
    if names is None:
        return _FORMAT.sub("?", query).replace("%%", "%")
    return query % {name: f":{name}" for name in names}


def explained(error: ProgrammingError) -> Error:
    """Why there is no `regexp` on a cluster; other errors as they are."""
    text = str(error)
    if text.lower().startswith(_NO_REGEXP):
        return NotSupportedError("regular expressions are not there on a cluster", hint=_HINT)
    return error
