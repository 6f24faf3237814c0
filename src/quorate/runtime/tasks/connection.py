# ruff: noqa: ASYNC109 - a time-out in seconds is part of the API
"""An embedded database as asyncio sees it: the connection for threads, whose calls run in threads of its own.

Each call has a thread while it runs, and each `transaction()` until it ends: so one that waits for the writer delays no
other, and no call stops the loop. A task that is cancelled goes on at once; the statement that it waited for is ended
in its thread, and so is what a transaction had begun.
"""

import asyncio
import os
import random
import time
import weakref
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from quorate import errors
from quorate.client.attempts import Attempts
from quorate.client.checks import check_flag
from quorate.client.cursors_aio import Cursor
from quorate.client.link_aio import commit_at_once
from quorate.client.marker import NOTHING, check_bookmark
from quorate.client.pieces import (
    Batch,
    batch_statements,
    check_token,
    many_statement,
    needs_token,
    one_statement,
)
from quorate.client.results import closed
from quorate.client.rows import RowFactory
from quorate.client.streams_aio import Stream, refuse_in_transaction, stream_statement
from quorate.client.transactions import DEFERRED, check_begin
from quorate.client.transactions_aio import run_transaction
from quorate.client.types import Types, types_of
from quorate.client.url import FolderTarget, MemoryTarget, check_read_level, check_timeout
from quorate.client.without_leader import refusal_of_counts
from quorate.core.bookmarks import Bookmark
from quorate.core.requests import Done
from quorate.core.statements import Result, Statement
from quorate.runtime.embedded.connection import Connection as Embedded
from quorate.runtime.embedded.writing import IN_TRANSACTION
from quorate.runtime.tasks.calls import Calls
from quorate.runtime.tasks.streams import InTasks
from quorate.runtime.tasks.transactions import Transaction
from quorate.runtime.tasks.workers import Crew, Worker
from quorate.sql.classify import shape_of

T = TypeVar("T")


class Connection(Calls):
    """One database of an embedded node. Any number of tasks of one event loop may use it at once. It is opened by the
    first call, by `async with`, or when it is awaited."""

    __slots__ = ("__weakref__", "_lazy", "_owner", "_turn", "database", "read", "timeout", "transactions")

    def __init__(
        self,
        target: FolderTarget | MemoryTarget,
        *,
        timeout: float,
        read: str,
        ends: float | None = None,
        autocommit: bool = True,
        bookmark: Bookmark = NOTHING,
        lazy: bool = False,
    ) -> None:
        self.database = target.database
        """The name of the database."""
        self.read = read
        """Kept for symmetry with a cluster: every read here is linearizable."""
        self.timeout = timeout
        """Seconds that a write waits for other writes and transactions."""
        self.transactions: set[Transaction] = set()
        """Those that are open, made by `transaction`."""
        self._target = target
        self._ends = ends
        self._autocommit = check_flag(autocommit, "autocommit")
        self._lazy = lazy
        self._bookmark = bookmark
        """What is to be reached before the next call."""
        self._row_factory: RowFactory | None = None
        self._types: Types | None = None
        self._inner: Embedded | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        """The task whose transaction is open on this connection, or about to be."""
        self._crew = Crew()
        self._running: set[Future[Any]] = set()
        weakref.finalize(self, Crew.end, self._crew)

    # ------------------------------------------------------------------ what it is

    @property
    def autocommit(self) -> bool:
        """Whether each statement is committed when `execute` returns. If not, the first one begins a transaction, which
        `commit` or `rollback` ends."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        value = check_flag(value, "autocommit")
        if value and self.in_transaction:
            commit_at_once(self.commit)
        self._autocommit = value

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on this connection, one that `commit` ends."""
        return self._inner is not None and self._inner.in_transaction

    @property
    def bookmark(self) -> Bookmark:
        """How far the database has got, and so all who read it here (docs/sessions.md). The next call after one was
        assigned raises BookmarkLost where the database has not got so far."""
        return self._bookmark if self._inner is None else self._inner.mark()

    @bookmark.setter
    def bookmark(self, bookmark: Bookmark | str | None) -> None:
        self._bookmark = check_bookmark(bookmark)

    @property
    def total_changes(self) -> int:
        """Rows that INSERT, UPDATE and DELETE have changed on this connection; not those that triggers and foreign keys
        have."""
        return 0 if self._inner is None else self._inner.total_changes

    def interrupt(self) -> None:
        """End the statements that run on this connection: they raise OperationalError, "interrupted", and are undone.
        Nothing happens when none runs."""
        if self._closed:
            closed("connection")
        if self._inner is not None:
            self._inner.interrupt()

    async def replication(self, *, timeout: float | None = None) -> str:
        """How the database is replicated; as on a cluster."""
        return await self.call(lambda inner: inner.replication(timeout=timeout))

    def take_over(self) -> None:
        """Make the transaction that is open on this connection the calling task's; as on a cluster."""
        if self._owner is not None:
            self._owner = asyncio.current_task()

    # ------------------------------------------------------------------ statements

    async def execute(
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
        """Run one statement. A write is on the disk on return. The arguments are those of a cluster's connection; `w`
        and `r` are for databases without a leader: NotSupportedError."""
        if w is not None or r is not None:
            raise refusal_of_counts()
        types = types_of(types, self._types)
        done, _ = await self.run((one_statement(sql, parameters, types),), token, read=read, timeout=timeout)
        return self._cursor_of(done.results[0], done.truncated, types)

    async def executemany(
        self,
        sql: str,
        sets: Iterable[Any],
        *,
        token: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> Cursor:
        """Run one statement once for each set of parameters, all or none of them."""
        types = types_of(types, self._types)
        done, _ = await self.run((many_statement(sql, sets, types),), token, timeout=timeout)
        return self._cursor_of(done.results[0], done.truncated, types)

    async def batch(
        self,
        statements: Batch,
        *,
        token: str | None = None,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> list[Cursor]:
        """Run several statements, all or none of them; a cursor for each."""
        types = types_of(types, self._types)
        done, _ = await self.run(batch_statements(statements, types), token, read=read, timeout=timeout)
        return [self._cursor_of(result, done.truncated, types) for result in done.results]

    async def outcome(self, token: str, *, seen: int | None = None, timeout: float | None = None) -> list[Cursor]:
        """Settle a write whose answer was lost; as on a cluster."""
        done = await self.call(lambda inner: inner.settled(token, seen, timeout))
        return [self._cursor_of(result, done.truncated) for result in done.results]

    async def executescript(self, script: str) -> Cursor:
        """Run the statements of a script, one after the other, and give a cursor. An error ends it where it is."""
        cursor = self.cursor()
        await self._claimed(lambda inner: inner.executescript(script), claims=True)
        return cursor

    async def iterdump(self) -> Iterator[str]:
        """One state of the database as a script, line by line, as `sqlite3` writes it."""
        return await self.call(lambda inner: inner.iterdump())

    async def run(
        self,
        statements: Sequence[Statement],
        name: str | None = None,
        *,
        read: str | None = None,
        timeout: float | None = None,
    ) -> tuple[Done, int]:
        """Carry statements through as one request; as the connection for threads."""
        mine = next((each for each in self.transactions if each.is_open and each.task is asyncio.current_task()), None)
        if mine is not None and mine.writes and needs_token(statements):
            raise errors.ProgrammingError("this task" + IN_TRANSACTION, hint="write through the transaction")
        control = shape_of(statements[0].sql).control if len(statements) == 1 else None
        return await self._claimed(
            lambda inner: inner.run(statements, name, read=read, timeout=timeout),
            claims=control is not None or not self._autocommit,
            worker=None if mine is None else mine.worker,
        )

    async def _claimed(self, call: Callable[[Embedded], T], *, claims: bool, worker: Worker | None = None) -> T:
        """Call; in the connection's own transaction, where it has one or is about to begin one (`claims`). It belongs
        to one task."""
        if not claims and not self.in_transaction:
            return await self.call(call, worker)
        task = asyncio.current_task()
        if self._owner is not task and self._owner is not None and not self._owner.done():
            raise errors.InterfaceError(
                "this connection is in a transaction of another task",
                hint="`async with db.transaction() as tx:` has one of its own",
            )
        self._owner = task
        try:
            async with self._turn:
                return await self.call(call)
        finally:
            if not self.in_transaction:
                self._owner = None

    def transaction(
        self,
        *,
        begin: str = DEFERRED,
        read_only: bool = False,
        token: str | None = None,
        timeout: float | None = None,
    ) -> Transaction:
        """Several statements as one: `async with db.transaction() as tx: await tx.execute(...)`. It has the database's
        only writer until it ends; one with `read_only` reads one state and lets others write."""
        if self._closed:
            closed("connection")
        if self.in_transaction or not self._autocommit:
            raise errors.ProgrammingError(
                "this connection is itself a transaction, or in one", hint="another connection can have transaction()"
            )
        check_begin(begin)
        if token is not None:
            check_token(token)
        if timeout is not None:
            check_timeout(timeout)
        options = {"begin": begin, "read_only": check_flag(read_only, "read_only"), "token": token, "timeout": timeout}
        return Transaction(self, options)

    def stream(
        self,
        sql: str,
        parameters: Any = (),
        *,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> Stream:
        """Read rows as they are asked for, however many there are, all from one state of the database:
        `async with db.stream("SELECT * FROM big") as rows: async for row in rows: ...`. `timeout` is for each piece."""
        if self._closed:
            closed("connection")
        refuse_in_transaction(open=self.in_transaction or not self._autocommit)
        if read is not None:
            check_read_level(read)
        types = types_of(types, self._types)
        statement = stream_statement(sql, parameters, types)
        return Stream(self, InTasks(self, statement, self._ends if timeout is None else check_timeout(timeout)), types)

    async def run_transaction(
        self,
        function: Callable[[Transaction], Awaitable[T]],
        *,
        retries: int = 5,
        token: str | None = None,
        timeout: float | None = None,
        begin: str = DEFERRED,
        read_only: bool = False,
    ) -> T:
        """Run `await function(tx)` in a transaction, and again, up to so many times, when it failed with an error that
        is `.retryable`; what it returned in the transaction that was committed. `timeout` is for all of it, in
        seconds."""
        seconds = self.timeout if timeout is None else check_timeout(timeout)
        attempts = Attempts(retries, token, seconds, random.SystemRandom(), time.monotonic)
        return await run_transaction(self, function, attempts, begin=begin, read_only=read_only)

    async def commit(self) -> None:
        """Commit the open transaction; it is on the disk on return. Does nothing where none is open. If it
        fails, nothing of the transaction is done, and it is over."""
        await self._claimed(lambda inner: inner.commit(), claims=False)

    async def rollback(self) -> None:
        """Undo what the open transaction did. Does nothing where none is open."""
        await self._claimed(lambda inner: inner.rollback(), claims=False)

    def cursor(self) -> Cursor:
        """A cursor that has not run anything yet."""
        if self._closed:
            closed("connection")
        return Cursor(cast("Any", self))

    def cursor_of(self, result: Result) -> Cursor:
        """A cursor that holds what a statement gave."""
        return self._cursor_of(result, truncated=False)

    def _cursor_of(self, result: Result, truncated: bool, types: Types | None = None) -> Cursor:
        cursor = self.cursor()
        cursor.types = types_of(types, self._types)
        cursor._age_us = 0  # noqa: SLF001 - made here
        cursor._load(result, truncated)  # noqa: SLF001
        return cursor

    # ------------------------------------------------------------------ files and functions

    async def copy_to(self, file: str | os.PathLike[str]) -> None:
        """Write a consistent copy of the data file, with the replica's own tables in it, to a new file."""
        await self.call(lambda inner: inner.copy_to(file))

    async def backup(self, file: str | os.PathLike[str]) -> None:
        """Write one state of the database to a new plain SQLite file, without the replica's own tables."""
        await self.call(lambda inner: inner.backup(file))

    async def create_function(
        self, name: str, narg: int, func: Callable[..., Any] | None, /, *, deterministic: bool = False
    ) -> None:
        """Define a function for the statements of this process in the folder. It is called in other threads than the
        loop's."""
        await self.call(lambda inner: inner.create_function(name, narg, func, deterministic=deterministic))

    async def create_collation(self, name: str, callback: Callable[[str, str], int] | None, /) -> None:
        """Define a collation for the statements of this process in the folder. It is called in other threads than the
        loop's."""
        await self.call(lambda inner: inner.create_collation(name, callback))

    async def set_trace_callback(self, callback: Callable[[str], Any] | None) -> None:
        """Have this called, in other threads than the loop's, with the text of each statement before it runs."""
        await self.call(lambda inner: inner.set_trace_callback(callback))

    async def ping(self) -> None:
        """Raises InterfaceError when the connection is closed, OperationalError when its node has broken down."""
        await self.call(lambda inner: inner.ping())

    async def __aenter__(self) -> Self:
        if not self._lazy:
            await self.opened()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """With autocommit it closes. Without, it commits first, or rolls back if the block has raised."""
        try:
            if kind is None and not self._autocommit:
                await self.commit()
        finally:
            await self.close()

    def __await__(self) -> Generator[Any, None, Self]:
        return self._awaited().__await__()

    async def _awaited(self) -> Self:
        await self.opened()
        return self

    def __repr__(self) -> str:
        return f"<quorate.aio.Connection to {self.database!r} in a folder or in memory>"
