"""Rows behind a cursor: what one statement gave, as a program holds it."""

from collections.abc import Iterator
from typing import Any, NoReturn

from quorate import errors
from quorate.client.absent import AbsentFromRows
from quorate.client.rows import RowFactory, check_row_factory
from quorate.client.types import Types, check_types
from quorate.core.statements import Result, Value

Row = tuple[Value, ...]
Description = tuple[tuple[str, str | None, None, None, None, None, None], ...]


class Rows(AbsentFromRows):
    """What one statement gave, and how far it was fetched. All rows are already here: fetching waits for nobody."""

    __slots__ = (
        "__weakref__", "_age_us", "_at", "_closed", "_columns", "_data", "_row_factory", "_truncated", "_types",
        "arraysize", "lastrowid", "rowcount",
    )  # fmt: skip

    def __init__(self, columns: tuple[tuple[str, str | None], ...] = (), data: list[Row] | None = None) -> None:
        self.arraysize: int = 1
        """How many rows `fetchmany` gives when it is not told."""
        self.rowcount: int = -1
        """Rows changed by INSERT, UPDATE or DELETE; -1 for everything else."""
        self.lastrowid: int | None = None
        """The rowid of the last row that an INSERT added, else None."""
        self._columns = columns
        self._data = data
        """None: no statement has run."""
        self._at = 0
        self._age_us = -1
        self._truncated = False
        self._closed = False
        self._row_factory: RowFactory | None = None
        self._types: Types | None = None

    @property
    def row_factory(self) -> RowFactory | None:
        """What makes the rows: a function of the cursor and the plain row; None: rows are tuples."""
        return self._row_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        self._row_factory = check_row_factory(factory)

    @property
    def types(self) -> Types | None:
        """How parameters are adapted and values converted; None: not at all."""
        return self._types

    @types.setter
    def types(self, types: Types | None) -> None:
        self._types = check_types(types)

    def _made(self, rows: list[Row]) -> list[Any]:
        """Rows as the program wants them."""
        made: list[Any] = rows
        if self._types is not None:
            made = self._types.convert(self._columns, made)
        if self._row_factory is not None:
            factory = self._row_factory
            made = [factory(self, row) for row in made]
        return made

    @property
    def staleness(self) -> float | None:
        """By how many seconds, at most, what was read lags behind the database; None where the node that answered could
        not tell, and after a write."""
        return self._age_us / 1e6 if self._age_us >= 0 else None

    @property
    def left(self) -> int:
        """How many rows were not fetched yet."""
        return 0 if self._data is None else len(self._data) - self._at

    def close(self) -> None:
        """Forget the rows; the cursor cannot be used afterwards."""
        self._closed = True
        self._data = None

    def _check(self) -> None:
        if self._closed:
            closed("cursor")

    def _begin(self) -> None:
        """Another statement is about to run: what the last one gave is gone, even if it fails."""
        self._check()
        self._columns, self._data, self._at = (), None, 0
        self.rowcount, self.lastrowid, self._truncated = -1, None, False

    def _load(self, result: Result, truncated: bool = False) -> None:
        self._columns = result.columns
        self._data = result.rows
        self.rowcount = result.rowcount
        self.lastrowid = result.lastrowid
        self._at = 0
        self._truncated = truncated

    @property
    def description(self) -> Description | None:
        """Name and declared type of each column, in PEP 249's seven-tuples; None when there are no rows to give."""
        return tuple((name, declared, None, None, None, None, None) for name, declared in self._columns) or None

    def _rows(self) -> list[Row]:
        self._check()
        if self._data is None:
            raise errors.ProgrammingError("there is nothing to fetch: no statement has run")
        if not self._columns:
            raise errors.ProgrammingError("there is nothing to fetch: the statement returns no rows")
        if self._truncated:
            raise errors.OperationalError(
                "the write happened, but its rows were too large to remember for a repetition",
                hint="read them with a SELECT",
            )
        return self._data

    def fetchone(self) -> Any:
        """The next row, or None behind the last."""
        rows = self._rows()
        if self._at >= len(rows):
            return None
        self._at += 1
        row = rows[self._at - 1]
        if self._row_factory is None and self._types is None:
            return row
        return self._made([row])[0]

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next `size` rows (`arraysize` of them when not told); fewer at the end.
        Raises ProgrammingError."""
        rows = self._rows()
        first = self._at
        count = self.arraysize if size is None else size
        if not isinstance(count, int):
            raise errors.ProgrammingError(f"fetchmany takes a number of rows, not {type(count).__name__}")
        self._at = min(len(rows), first + max(0, count))
        return self._made(rows[first : self._at])

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        rows = self._rows()
        first, self._at = self._at, len(rows)
        return self._made(rows[first:])

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._columns or (self._data is not None and self._at >= len(self._data)):
            self._check()
            raise StopIteration
        return self.fetchone()

    def setinputsizes(self, sizes: Any) -> None:
        """PEP 249 asks for it; SQLite needs none."""

    def setoutputsize(self, size: Any, column: Any = None) -> None:
        """PEP 249 asks for it; SQLite needs none."""

    def __repr__(self) -> str:
        shown = f"{len(self._data or ())} rows" if self._columns else f"rowcount={self.rowcount}"
        return f"<{type(self).__module__}.{type(self).__name__} {shown}>"


def closed(what: str) -> NoReturn:
    """Raise what using something closed raises."""
    raise errors.InterfaceError(f"this {what} is closed")
