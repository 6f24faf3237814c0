"""Rows in the form that a program asks for: `row_factory = quorate.Row`, or any function of a cursor and a row."""

from collections import namedtuple
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from quorate.errors import ProgrammingError

RowFactory = Callable[[Any, tuple[Any, ...]], Any]
"""Called with the cursor and the plain row."""


class Row:
    """A row whose values are found by place or by the name of their column, in any case of letters: `sqlite3.Row`."""

    __slots__ = ("_names", "_values")

    def __init__(self, cursor: Any, values: tuple[Any, ...]) -> None:
        self._names: tuple[str, ...] = names_of(cursor)
        self._values = tuple(values)

    def keys(self) -> list[str]:
        """The names of the columns."""
        return list(self._names)

    def __getitem__(self, key: int | str | slice) -> Any:
        if isinstance(key, str):
            lower = key.lower()
            for name, value in zip(self._names, self._values, strict=True):
                if name == key or name.lower() == lower:
                    return value
            raise IndexError(f"no column is called {key!r}")
        return self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row):
            return NotImplemented
        return self._names == other._names and self._values == other._values

    def __hash__(self) -> int:
        return hash((self._names, self._values))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(self._names, self._values, strict=True))
        return f"<quorate.Row {shown}>"


def dict_row(cursor: Any, row: tuple[Any, ...]) -> dict[str, Any]:
    """A row as a dict; of columns of the same name the last one counts."""
    return dict(zip(names_of(cursor), row, strict=True))


def namedtuple_row(cursor: Any, row: tuple[Any, ...]) -> Any:
    """A row as a named tuple; names that are no identifiers are `_0`, `_1` and so on, by their place."""
    return _named(names_of(cursor))._make(row)


@lru_cache(maxsize=256)
def _named(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names, rename=True)


def names_of(cursor: Any) -> tuple[str, ...]:
    """The names of a cursor's columns."""
    return tuple([column[0] for column in cursor.description or ()])


def check_row_factory(factory: Any) -> RowFactory | None:
    """A function that makes rows. `sqlite3.Row`, which can only make them from SQLite's own cursors, means `Row`.
    Raises ProgrammingError."""
    if factory is None:
        return None
    if getattr(factory, "__module__", "") == "sqlite3" and getattr(factory, "__qualname__", "") == "Row":
        return Row
    if not callable(factory):
        raise ProgrammingError(
            f"a row_factory is called with a cursor and a row, and {type(factory).__name__} cannot be",
            hint="for example quorate.Row, quorate.dict_row or quorate.namedtuple_row",
        )
    made: RowFactory = factory
    return made
