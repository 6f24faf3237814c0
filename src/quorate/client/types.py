"""How a program's own types become values that SQLite holds, and back: adapters and converters.

SQLite holds NULL, integers, floats, text and bytes. What becomes of a date is the program's choice, so nothing is
adapted unless a connection or a cursor is told to, and never for the whole process.
"""

import datetime as dt
import decimal
import re
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from quorate.client.checks import check_kind
from quorate.errors import DataError, ProgrammingError

_WORD = re.compile(r"[^\s(]+")


class Types:
    """Adapters by the type of a parameter (its subclasses too), and converters by the first word of a column's declared
    type, in any case of letters. A converter is given what SQLite holds, and never NULL. Scalars of numpy, which know
    themselves what they are in Python, need no adapter."""

    __slots__ = ("_by_columns", "_found", "adapters", "converters")

    def __init__(
        self,
        adapters: Mapping[type, Callable[[Any], Any]] = MappingProxyType({}),
        converters: Mapping[str, Callable[[Any], Any]] = MappingProxyType({}),
    ) -> None:
        self.adapters = MappingProxyType(dict(adapters))
        self.converters = MappingProxyType({name.upper(): function for name, function in converters.items()})
        for function in (*self.adapters.values(), *self.converters.values()):
            if not callable(function):
                raise ProgrammingError(f"an adapter or converter is a function, not {type(function).__name__}")
        self._found: dict[type, Callable[[Any], Any] | None] = {}
        self._by_columns: dict[Any, tuple[tuple[int, Callable[[Any], Any]], ...]] = {}

    def adapt(self, value: Any) -> Any:
        """A parameter as SQLite can hold it, if it can be. Raises DataError when its adapter fails."""
        kind = type(value)
        if kind not in self._found:
            found = next((self.adapters[base] for base in kind.__mro__ if base in self.adapters), None)
            self._found[kind] = found or (_item if _is_numpy(kind) else None)
        adapter = self._found[kind]
        if adapter is None:
            return value
        try:
            return adapter(value)
        except Exception as error:
            raise DataError(f"the adapter of {kind.__name__} failed: {error}") from error

    def adapt_all(self, parameters: Any) -> Any:
        """The same for a sequence or a dict of parameters; anything else is left for others to refuse."""
        if isinstance(parameters, Mapping):
            return {name: self.adapt(value) for name, value in parameters.items()}
        if isinstance(parameters, str | bytes | bytearray | set | frozenset):
            return parameters
        try:
            return tuple([self.adapt(value) for value in parameters])
        except TypeError:
            return parameters

    def convert(self, columns: tuple[tuple[str, str | None], ...], rows: list[Any]) -> list[Any]:
        """Rows with the values that the program wants. Raises DataError when a converter fails."""
        if columns not in self._by_columns:
            self._by_columns[columns] = tuple(
                (place, self.converters[name])
                for place, (_, declared) in enumerate(columns)
                if declared and (name := _first_word(declared)) in self.converters
            )
        wanted = self._by_columns[columns]
        if not wanted:
            return rows
        return [_converted(row, wanted, columns) for row in rows]


def _first_word(declared: str) -> str:
    found = _WORD.search(declared)
    return found[0].upper() if found else ""


def _converted(row: tuple[Any, ...], wanted: Any, columns: Any) -> tuple[Any, ...]:
    values = list(row)
    for place, converter in wanted:
        if values[place] is None:
            continue
        try:
            values[place] = converter(values[place])
        except Exception as error:
            name, declared = columns[place]
            raise DataError(f"the converter of {declared} failed for the column {name}: {error}") from error
    return tuple(values)


def _is_numpy(kind: type) -> bool:
    return kind.__module__ == "numpy" and hasattr(kind, "item")


def _item(value: Any) -> Any:
    return value.item()


def _moment(text: Any) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


PYTHON_TYPES = Types(
    {
        dt.datetime: lambda value: value.isoformat(" "),
        dt.date: dt.date.isoformat,
        dt.time: dt.time.isoformat,
        decimal.Decimal: str,
        uuid.UUID: str,
    },
    {
        "DATE": dt.date.fromisoformat,
        "TIME": dt.time.fromisoformat,
        "TIMESTAMP": _moment,
        "DATETIME": _moment,
        "DECIMAL": lambda value: decimal.Decimal(str(value)),
        "DECIMAL_TEXT": decimal.Decimal,
        "UUID": uuid.UUID,
        "BOOL": bool,
        "BOOLEAN": bool,
    },
)
"""Dates, times, decimals, UUIDs and booleans of the standard library, and scalars of numpy, as text and numbers that
SQLite's own functions read. A DECIMAL column keeps a number, which may be rounded; DECIMAL_TEXT keeps every digit."""


def types_of(call: object, connection: Types | None) -> Types | None:
    """Those of a call, or else of its connection. Raises ProgrammingError for what is no `Types`."""
    return connection if call is None else check_types(call)


def check_types(types: object) -> Types | None:
    """Raises ProgrammingError unless it is a `Types` or None."""
    return None if types is None else check_kind(types, Types, "types are a quorate.Types, or None")
