"""A connection as SQLAlchemy's pool holds it: PEP 249's, around one of Quorate's for threads or for asyncio.

Both are driven by the same code: `wait` hands back what it is given (threads), or waits for it in the greenlet that
SQLAlchemy runs its code in (asyncio). Rows are there when `execute` returns, so fetching waits for nothing.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy.engine.interfaces import AdaptedConnection

from quorate import errors
from quorate.client.transactions import DEFERRED, refuse_write
from quorate.core.bookmarks import Bookmark
from quorate.core.read_levels import SESSION
from quorate.core.statements import Statement
from quorate.sql.classify import shape_of
from quorate.sqlalchemy.alembic import check_rebuild, is_migrating
from quorate.web.carried import give, through

Wait = Callable[[Any], Any]
_NOTHING = Bookmark()


class Seen:
    """How far the connections of one engine have got together, so that each reads what another has written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.at = _NOTHING

    def add(self, bookmark: Bookmark) -> None:
        """A connection has got so far."""
        with self._lock:
            self.at = self.at | bookmark

    def forget(self) -> None:
        """A failover has lost some of it: a new session begins."""
        with self._lock:
            self.at = _NOTHING


class Cursor:
    """PEP 249's cursor; what it gives is of Quorate's own."""

    __slots__ = ("_connection", "_found", "arraysize", "lastrowid", "rowcount")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._found: Any = None
        self.arraysize = 1
        self.rowcount: int = -1
        self.lastrowid: int | None = None

    def execute(self, sql: str, parameters: Any = ()) -> "Cursor":
        """Run one statement."""
        return self._take(self._connection.run(sql, lambda inner: inner.execute(sql, parameters)))

    def executemany(self, sql: str, sets: Any) -> "Cursor":
        """Run one statement for each set of parameters, all or none of them."""
        return self._take(self._connection.run(sql, lambda inner: inner.executemany(sql, sets)))

    def _take(self, found: Any) -> "Cursor":
        self._found, self.rowcount, self.lastrowid = found, found.rowcount, found.lastrowid
        return self

    @property
    def description(self) -> Any:
        return None if self._found is None else self._found.description

    def fetchone(self) -> Any:
        return self._rows().fetchone()

    def fetchmany(self, size: int | None = None) -> Any:
        return self._rows().fetchmany(self.arraysize if size is None else size)

    def fetchall(self) -> Any:
        return self._rows().fetchall()

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def _rows(self) -> Any:
        if self._found is None:
            raise errors.ProgrammingError("nothing was run that gives rows")
        return self._found

    def close(self) -> None:
        self._found = None

    async def _async_soft_close(self) -> None:
        """SQLAlchemy is done with a cursor of asyncio; its rows are here."""


class Connection(AdaptedConnection):
    """PEP 249's connection. With SERIALIZABLE the first statement begins a transaction, with AUTOCOMMIT none does."""

    __slots__ = ("_cluster", "_read", "_restores", "_seen", "_wait", "begin", "read", "read_only")

    def __init__(self, inner: Any, wait: Wait, seen: Seen, *, cluster: bool) -> None:
        self._connection = inner
        self._wait = wait
        self._seen = seen
        self._cluster = cluster
        self._read: str = inner.read
        self._restores = False
        """Foreign keys are off for the transaction that is open."""
        self.begin = DEFERRED
        """How its transactions begin."""
        self.read: str | None = None
        """The level of reads; None: that of the engine."""
        self.read_only = False
        """Whether statements that may write are refused."""

    @property
    def inner(self) -> Any:
        """Quorate's own connection."""
        return self._connection

    @property
    def autocommit(self) -> bool:
        """Whether each statement is committed by itself."""
        return bool(self.inner.autocommit)

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if value and self.inner.in_transaction:
            self.commit()
        self.inner.autocommit = value

    def cursor(self) -> Cursor:
        """A cursor that has not run anything yet."""
        return Cursor(self)

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Run one statement; not a part of PEP 249, and usual."""
        return self.cursor().execute(sql, parameters)

    def run(self, sql: str, call: Callable[[Any], Any]) -> Any:
        """What a statement gives, in the transaction that is open or that it begins."""
        inner = self.inner
        shape = shape_of(sql)
        if self.read_only and shape.control is None:
            refuse_write(Statement(sql))
        setting = bool(shape.setting) or shape.control is not None

        def first() -> Any:
            self._begins(inner, setting=setting)
            return self._wait(call(inner))

        try:
            if inner.in_transaction:
                if not self._restores:
                    check_rebuild(sql, self._rows)
                found = self._wait(call(inner))
            elif self._cluster:
                found = through(inner, self._level, first, self._begin_anew)
            else:
                found = first()
        except errors.BookmarkLost:
            self._seen.forget()
            inner.bookmark = None
            raise
        if self._cluster:
            give(inner)
            if inner.autocommit:
                self._seen.add(inner.bookmark)
        return found

    @property
    def _level(self) -> str:
        return self._read if self.read is None else self.read

    def _begin_anew(self) -> None:
        self._seen.forget()
        self._wait(self.inner.rollback())

    def _begins(self, inner: Any, *, setting: bool) -> None:
        """A transaction is about to begin, unless the statement is a setting, or says itself how."""
        if self._cluster:
            inner.read = self._level
            if inner.read == SESSION and self._seen.at:
                inner.bookmark = self._seen.at
        if setting or inner.autocommit:
            return
        if is_migrating():
            ((keys,),) = self._wait(inner.execute("PRAGMA foreign_keys")).fetchall()
            if keys:
                self._wait(inner.execute("PRAGMA foreign_keys = OFF"))
                self._restores = True
        if self.begin != DEFERRED and not self.read_only:
            self._wait(inner.execute(f"BEGIN {self.begin}"))

    def _rows(self, sql: str) -> Any:
        return self._wait(self.inner.execute(sql)).fetchall()

    def commit(self) -> None:
        """Make what the open transaction did count. Does nothing where none is open."""
        try:
            self._wait(self.inner.commit())
        finally:
            self._ended()

    def rollback(self) -> None:
        """Undo what the open transaction did. Does nothing where none is open."""
        try:
            self._wait(self.inner.rollback())
        finally:
            self._ended()

    def _ended(self) -> None:
        if self._cluster:
            self._seen.add(self.inner.bookmark)
            give(self.inner)
        if self._restores:
            self._restores = False
            with suppress(errors.Error):
                self._wait(self.inner.execute("PRAGMA foreign_keys = ON"))

    def outcome(self, token: str, seen: int, timeout: float) -> Any:
        """Settle a COMMIT whose answer was lost; as Quorate's own."""
        return self._wait(self.inner.outcome(token, seen=seen, timeout=timeout))

    def ping(self) -> None:
        """Raises what is wrong when the database cannot be reached."""
        self._wait(self.inner.ping())

    def create_function(self, name: str, count: int, function: Any, *, deterministic: bool = False) -> None:
        """Define a function for statements in a folder. Raises NotSupportedError on a cluster."""
        self._wait(self.inner.create_function(name, count, function, deterministic=deterministic))

    def close(self) -> None:
        """Hang up, or close the files."""
        self._wait(self.inner.close())
