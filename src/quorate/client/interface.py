"""What every connection is to a program, whatever it leads to: a cluster, a folder or memory."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, overload, runtime_checkable

from quorate import errors
from quorate.client.pieces import Batch
from quorate.client.results import Description
from quorate.client.rows import RowFactory
from quorate.client.types import Types
from quorate.core.bookmarks import Bookmark

T = TypeVar("T")


class Cursor(Protocol):
    """Runs statements and holds what the last one gave: PEP 249's cursor. Fetching waits for nobody."""

    arraysize: int
    rowcount: int
    lastrowid: int | None
    row_factory: RowFactory | None
    types: Types | None

    @property
    def connection(self) -> "Connection":
        """Where it runs them."""
        ...

    @property
    def description(self) -> Description | None:
        """Name and declared type of each column, in PEP 249's seven-tuples; None when there are no rows to give."""
        ...

    @property
    def staleness(self) -> float | None:
        """By how many seconds, at most, what was read lags behind the database; None where nobody could tell."""
        ...

    def execute(
        self,
        sql: str,
        parameters: Any = (),
        *,
        token: str | None = None,
        read: str | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Run one statement; as `Connection.execute`."""
        ...

    def executemany(
        self, sql: str, sets: Iterable[Any], *, token: str | None = None, timeout: float | None = None
    ) -> Self:
        """Run one statement once for each set of parameters; as `Connection.executemany`."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None behind the last."""
        ...

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next `size` rows (`arraysize` of them when not told); fewer at the end."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> Any: ...

    def close(self) -> None:
        """Forget the rows; the cursor cannot be used afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Connection(Protocol):
    """One database. Any number of threads may use it at once. Made by `quorate.connect`; the classes that fit are
    `ClusterConnection` and `EmbeddedConnection`."""

    database: str
    """The name of the database."""
    read: str
    """The read level of calls that name none."""
    autocommit: bool
    """Whether each statement is committed when `execute` returns. If not, the first one begins a transaction
    that `commit` or `rollback` ends."""

    row_factory: RowFactory | None
    """What makes rows of cursors made from here on; None: rows are tuples."""
    types: Types | None
    """How parameters are adapted and values converted; None: not at all."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on this connection, one that `commit` ends."""
        ...

    Warning: type[errors.Warning]
    Error: type[errors.Error]
    InterfaceError: type[errors.InterfaceError]
    DatabaseError: type[errors.DatabaseError]
    DataError: type[errors.DataError]
    OperationalError: type[errors.OperationalError]
    IntegrityError: type[errors.IntegrityError]
    InternalError: type[errors.InternalError]
    ProgrammingError: type[errors.ProgrammingError]
    NotSupportedError: type[errors.NotSupportedError]

    @property
    def bookmark(self) -> Bookmark:
        """How far this connection has got (docs/sessions.md)."""
        ...

    @bookmark.setter
    def bookmark(self, bookmark: Bookmark | str | None) -> None: ...

    def execute(
        self,
        sql: str,
        parameters: Any = (),
        *,
        token: str | None = None,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
        w: int | None = None,
        r: int | None = None,
    ) -> Cursor:
        """Run one statement. A write is durable on return, on as many nodes as the database's acks ask for.

        `token` names a write so that it happens once however often it is sent, by whatever process; `read` is the
        read level; `timeout` the seconds that this call may take; `w` and `r`, on a database without a leader, how many
        replicas must hold a write, and answer. Raises a subclass of Error; all of them mean "not done", except
        MaybeDone.
        """
        ...

    def executemany(
        self,
        sql: str,
        sets: Iterable[Any],
        *,
        token: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> Cursor:
        """Run one statement once for each set of parameters, all or none of them."""
        ...

    def batch(
        self,
        statements: Batch,
        *,
        token: str | None = None,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> Sequence[Cursor]:
        """Run several statements, all or none of them; a cursor for each."""
        ...

    def outcome(self, token: str, *, seen: int | None = None, timeout: float | None = None) -> Sequence[Cursor]:
        """Settle a write whose answer was lost: its results, a cursor for each statement, if it happened. Raises
        Cancelled, Expired, or the error that it failed with."""
        ...

    def stream(
        self,
        sql: str,
        parameters: Any = (),
        *,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> Any:
        """Read rows as they are asked for, however many there are, all from one state of the database."""
        ...

    def transaction(
        self,
        *,
        begin: str = "deferred",
        read_only: bool = False,
        token: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Several statements as one, with answers in between: `with db.transaction() as tx: tx.execute(...)`. It
        commits when its block ends, and undoes everything when the block raises. See docs/transactions.md."""
        ...

    @overload
    def run_transaction(
        self,
        function: Callable[[Any], T],
        *,
        retries: int = 5,
        token: None = None,
        timeout: float | None = None,
        begin: str = "deferred",
        read_only: bool = False,
    ) -> T: ...

    @overload
    def run_transaction(
        self,
        function: Callable[[Any], T],
        *,
        retries: int = 5,
        token: str | None,
        timeout: float | None = None,
        begin: str = "deferred",
        read_only: bool = False,
    ) -> T | None: ...

    def run_transaction(
        self,
        function: Callable[[Any], T],
        *,
        retries: int = 5,
        token: str | None = None,
        timeout: float | None = None,
        begin: str = "deferred",
        read_only: bool = False,
    ) -> T | None:
        """Run `function(tx)` in a transaction, and again when it failed with an error that is `.retryable`; what it
        returned in the transaction that was committed. None where, on a cluster, another call has committed one with
        this `token`."""
        ...

    def copy_to(self, file: str | os.PathLike[str]) -> int | None:
        """Write a consistent copy of the database's file to a new file; where it stands in the database's log, if
        that is known."""
        ...

    def executescript(self, script: str) -> Any:
        """Run the statements of a script, one after the other, and give a cursor."""
        ...

    def iterdump(self) -> Iterator[str]:
        """One state of the database as a script, line by line."""
        ...

    def create_function(
        self, name: str, narg: int, func: Callable[..., Any] | None, /, *, deterministic: bool = False
    ) -> None:
        """Define a function for statements in a folder. Raises NotSupportedError on a cluster."""
        ...

    def create_collation(self, name: str, callback: Callable[[str, str], int] | None, /) -> None:
        """Define a collation for statements in a folder. Raises NotSupportedError on a cluster."""
        ...

    def interrupt(self) -> None:
        """End what this connection runs or waits for: that raises OperationalError, "interrupted", or MaybeDone. Any
        thread may call it."""
        ...

    def replication(self, *, timeout: float | None = None) -> str:
        """How the database is replicated, such as `single-leader`."""
        ...

    def take_over(self) -> None:
        """Make the open transaction the calling task's, for pools that close connections in tasks of their own."""
        ...

    def ping(self) -> None:
        """Raises what is wrong when the database cannot be reached."""
        ...

    def cursor(self) -> Cursor:
        """A cursor that has not run anything yet."""
        ...

    def commit(self) -> None:
        """Commit the open transaction. Does nothing where none is open."""
        ...

    def rollback(self) -> None:
        """Undo what the open transaction did. Does nothing where none is open."""
        ...

    def close(self) -> None:
        """Hang up, or close the files. Closing again does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
