"""Answers to what a program holds: rows behind a cursor, or the exception that says what happened."""

from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

from quorate.client import errors
from quorate.client.absent import AbsentFromRows
from quorate.core.requests import (
    Cancelled,
    Done,
    Expired,
    Failed,
    Refused,
    Result,
    Token,
    Value,
    WriteOutcome,
)

T = TypeVar("T")
Row = tuple[Value, ...]
Description = tuple[tuple[str, str | None, None, None, None, None, None], ...]

_outcome_decoder: msgspec.msgpack.Decoder[WriteOutcome] = msgspec.msgpack.Decoder(WriteOutcome)


def read_outcome(encoded: bytes | msgspec.Raw) -> WriteOutcome:
    """Decode what a node stored or read. Raises InternalError for what no node of ours writes."""
    try:
        return _outcome_decoder.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.InternalError(f"a node's answer cannot be read: {error}") from error


def decoded(encoded: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Decode what else a node answers. Raises InternalError."""
    try:
        return msgspec.msgpack.decode(encoded, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.InternalError(f"a node's answer cannot be read: {error}") from error


def results_of(outcome: WriteOutcome, token: Token | None) -> Done:
    """The results, or the exception that the outcome stands for."""
    if isinstance(outcome, Done):
        return outcome
    if isinstance(outcome, Failed):
        raise failure(outcome)
    name, seen = (token.name, token.seen) if token is not None else ("", 0)
    if isinstance(outcome, Cancelled):
        raise errors.Cancelled(f"the write {name!r} was not done and never will be: its token was asked about first")
    assert isinstance(outcome, Expired)
    raise errors.Expired(
        f"the write {name!r} is older than what the database remembers of its writes",
        token=name,
        seen=seen,
        hint="look in the data itself whether it happened",
    )


def error_class(name: str) -> type[errors.Error]:
    """The class of this name in `client.errors`; DatabaseError for one that this version does not know."""
    found = getattr(errors, name, None)
    if isinstance(found, type) and issubclass(found, errors.Error):
        return found
    return errors.DatabaseError


def failure(failed: Failed) -> errors.Error:
    """The exception for a statement that failed; `.statement` says which of a batch (-1: none in particular)."""
    error = error_class(failed.error)(failed.message, hint=failed.hint)
    error.sqlite_errorname = failed.sqlite_errorname
    error.statement = failed.statement
    return error


def refusal(refused: Refused) -> errors.Error:
    """The exception for a request that a node refused before starting it."""
    error = error_class(refused.error)(refused.message, hint=refused.hint)
    error.retryable = refused.retryable
    if isinstance(error, errors.Overloaded):
        error.again = refused.again_us / 1e6
    return error


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
