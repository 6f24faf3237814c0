"""Rows behind a cursor: what one statement gave, as a program holds it."""

from collections.abc import Iterator
from typing import Any, NoReturn

from quorate import errors
from quorate.client.absent import AbsentFromRows
from quorate.core.requests import Result, Value

Row = tuple[Value, ...]
Description = tuple[tuple[str, str | None, None, None, None, None, None], ...]


class Rows(AbsentFromRows):
    """What one statement gave, and how far it was fetched. All rows are already here: fetching waits for nobody."""

    __slots__ = (
        "__weakref__", "_at", "_closed", "_columns", "_data", "_truncated", "arraysize", "lastrowid", "rowcount"
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
        self._truncated = False
        self._closed = False

    def close(self) -> None:
        """Forget the rows; the cursor cannot be used afterwards."""
        self._closed = True
        self._data = None

    def _check(self) -> None:
        if self._closed:
            closed("cursor")

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

    def fetchone(self) -> Row | None:
        """The next row, or None behind the last."""
        rows = self._rows()
        if self._at >= len(rows):
            return None
        self._at += 1
        return rows[self._at - 1]

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next `size` rows (`arraysize` of them when not told); fewer at the end.
        Raises ProgrammingError."""
        rows = self._rows()
        first = self._at
        count = self.arraysize if size is None else size
        if not isinstance(count, int):
            raise errors.ProgrammingError(f"fetchmany takes a number of rows, not {type(count).__name__}")
        self._at = min(len(rows), first + max(0, count))
        return rows[first : self._at]

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        rows = self._rows()
        first, self._at = self._at, len(rows)
        return rows[first:]

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = self.fetchone() if self._columns else None
        if row is None:
            raise StopIteration
        return row

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
