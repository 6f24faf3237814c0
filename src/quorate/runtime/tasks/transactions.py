"""Interactive transactions of an embedded database as asyncio sees them: each has a thread while it is open."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from quorate import errors
from quorate.client.cursors_aio import TransactionCursor
from quorate.client.pieces import many_statement, one_statement
from quorate.client.transactions import NOT_BEGUN
from quorate.client.types import Types, types_of
from quorate.core.statements import Result, Statement
from quorate.runtime.embedded.connection import Connection as Embedded
from quorate.runtime.embedded.transactions import Transaction as Inner
from quorate.runtime.tasks.workers import Worker
from quorate.sql.control import RELEASE, ROLLBACK_TO, SAVEPOINT, Control

if TYPE_CHECKING:
    from quorate.runtime.tasks.connection import Connection

T = TypeVar("T")


class Savepoint:
    """A point of a transaction to come back to. Its block undoes what was done in it when it raises."""

    def __init__(self, transaction: "Transaction", name: str) -> None:
        self._transaction = transaction
        self._name = name

    async def rollback(self) -> None:
        """Undo what was done since this point; the block goes on."""
        await self._transaction.control(Control(ROLLBACK_TO, self._name))

    async def __aenter__(self) -> Self:
        await self._transaction.control(Control(SAVEPOINT, self._name))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            if not self._transaction.is_open:
                return
            await self.rollback()
        await self._transaction.control(Control(RELEASE, self._name))


class Transaction:
    """Several statements, seen by nobody else before they are all done. Made by `Connection.transaction`.

    Commits when its block ends and undoes everything when the block raises. It holds the database's only writer, so
    other writes wait; reads do not. A statement that fails is undone alone.
    """

    def __init__(self, connection: "Connection", options: dict[str, Any]) -> None:
        self.task: asyncio.Task[Any] | None = None
        """The task that began it."""
        self.writes = not options["read_only"]
        self._connection = connection
        self._options = options
        self._inner: Inner | None = None
        self._cut = False
        """It was open when its connection was closed."""
        self.worker: Worker | None = None
        """Its thread, while it is open."""
        self._numbers = 0

    async def execute(self, sql: str, parameters: Any = (), *, types: Types | None = None) -> TransactionCursor:
        """Run one statement; reads see what this transaction has written."""
        return self._cursor_of(
            await self.give(one_statement(sql, parameters, types_of(types, self._connection.types))), types
        )

    async def executemany(self, sql: str, sets: Iterable[Any], *, types: Types | None = None) -> TransactionCursor:
        """Run one statement once for each set of parameters, all or none of them."""
        return self._cursor_of(
            await self.give(many_statement(sql, sets, types_of(types, self._connection.types))), types
        )

    def _cursor_of(self, result: Result, types: Types | None) -> TransactionCursor:
        return TransactionCursor(cast("Any", self._connection), cast("Any", self), result, types)

    async def give(self, statement: Statement, _timeout: float | None = None) -> Result:
        """What one statement gives, which may be one about transactions."""
        return await self._call(lambda inner: inner.give(statement))

    run = give
    """So that a cursor of a cluster's transaction runs statements here, too."""

    async def control(self, control: Control) -> Result:
        """Do what a statement about transactions says."""
        return await self._call(lambda inner: inner.control(control))

    def savepoint(self) -> Savepoint:
        """A block within: `async with tx.savepoint(): ...` undoes what was done in it when it raises."""
        self._numbers += 1
        return Savepoint(self, f"savepoint {self._numbers}")

    async def commit(self) -> None:
        """Commit; it is on the disk on return. Raises what forbids it: then nothing was done."""
        await self._call(lambda inner: inner.commit(), ends=False)

    async def rollback(self) -> None:
        """Undo everything. Rolling back what is over does nothing."""
        if self.is_open:
            await self._call(lambda inner: inner.rollback(), ends=False)

    @property
    def is_open(self) -> bool:
        """It can go on."""
        return self._inner is not None and self._inner.is_open

    @property
    def is_unsure(self) -> bool:
        """Whether it was committed is not known."""
        return self._inner is not None and self._inner.is_unsure

    async def _call(self, call: Callable[[Inner], T], *, ends: bool = True) -> T:
        self._connection.check()
        inner, worker = self._inner, self.worker
        if inner is None:
            raise errors.ProgrammingError(f"this transaction is {NOT_BEGUN}", hint="use it inside its block")
        if worker is None:
            raise errors.ProgrammingError("this transaction is over", hint="begin another")
        return await self._connection.answer(worker, worker.submit(lambda: call(inner)), ends=ends)

    async def __aenter__(self) -> Self:
        if self.worker is not None or self._inner is not None:
            raise errors.ProgrammingError("this transaction has begun before", hint="begin another")
        connection = self._connection
        opened = await connection.opened()
        self.task = asyncio.current_task()
        self.worker = worker = connection.take_worker()
        connection.transactions.add(self)
        future = worker.submit(lambda: self._begin(opened))
        try:
            await connection.answer(worker, future)
        except BaseException:
            self.drop()
            raise
        return self

    def _begin(self, opened: Embedded) -> None:
        inner = opened.transaction(**self._options)
        inner.__enter__()
        self._inner = inner

    def drop(self) -> "Future[None]":
        """Undo it if it is open, after what it runs, and let its thread go."""
        worker, self.worker = self.worker, None
        self._connection.transactions.discard(self)
        if worker is None:
            nothing: Future[None] = Future()
            nothing.set_result(None)
            return nothing
        self._cut = self.is_open
        future = worker.submit(self._undo)
        self._connection.give_back(worker, future)
        return future

    def _undo(self) -> None:
        if self._inner is not None:
            self._inner.rollback()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        worker = self.worker
        try:
            if error is None and (self.is_open or self._cut):
                await self.commit()
        finally:
            dropped = self.drop()
            if worker is not None:
                await self._connection.answer(worker, dropped, ends=False)
