"""The transaction that a connection to a cluster is itself in, as threads see it.

Generated from `client/session_aio.py` by `tools/async_to_sync.py`: edit that one.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from quorate import errors
from quorate.client._sync.transactions import Transaction
from quorate.client.link_sync import Lock, current_task
from quorate.client.transactions import NESTED, not_begun
from quorate.core.statements import Result, Statement
from quorate.sql.classify import READ, shape_of
from quorate.sql.control import BEGIN, COMMIT, RELEASE, ROLLBACK, ROLLBACK_TO, SAVEPOINT, Control

if TYPE_CHECKING:
    from quorate.client._sync.connection import Connection

_BATCH = "quorate's batch"
"""The savepoint around several statements that are to be done together or not at all."""
_NOTHING = Result((), [], -1)


class Session:
    """One connection's transactions, one after the other."""

    __slots__ = ("_by_savepoint", "_connection", "_owner", "_transaction", "_turn")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._turn = Lock()
        self._transaction: Transaction | None = None
        self._owner: Any = None
        """The task whose transaction it is."""
        self._by_savepoint = ""
        """The savepoint that began it, whose RELEASE commits it."""

    @property
    def begun(self) -> bool:
        """A transaction is open, though nothing may have run in it."""
        return self._transaction is not None

    def check_owner(self) -> None:
        """Raises InterfaceError in another task than the one whose transaction is open. What a task that is over has
        left open is the next one's, as in Python's shell for asyncio, where each line is a task."""
        task = current_task()
        if self._transaction is None or self._owner is task:
            return
        if not self._owner.done():
            raise errors.InterfaceError(
                "this connection is in a transaction of another task",
                hint="`with db.transaction() as tx:` has one of its own",
            )
        self._owner = task

    def take_over(self) -> None:
        """The transaction that is open is this task's from here on."""
        if self._transaction is not None:
            self._owner = current_task()

    def run(self, statements: Sequence[Statement], timeout: float | None) -> list[Result]:
        """Run statements, all or none of them, beginning a transaction if none is open. A statement that fails is
        undone alone. Raises client errors."""
        self.check_owner()
        with self._turn:
            transaction = self._transaction or self._begin()
            if len(statements) == 1:
                control = shape_of(statements[0].sql).control
                return [self._one(transaction, statements[0], timeout) if control is None else _NOTHING]
            return self._together(transaction, statements, timeout)

    def _one(self, transaction: Transaction, statement: Statement, timeout: float | None) -> Result:
        shape = shape_of(statement.sql)
        if shape.setting and shape.kind == READ:
            answered = self._connection.setting((statement,))
            if answered is not None:
                return answered
        return transaction.run(statement, timeout)

    def _together(
        self, transaction: Transaction, statements: Sequence[Statement], timeout: float | None
    ) -> list[Result]:
        keeper = transaction.keeper
        keeper.control(Control(SAVEPOINT, _BATCH))
        results: list[Result] = []
        try:
            for statement in statements:
                results.append(self._one(transaction, statement, timeout))  # noqa: PERF401 - counted below
        except errors.Error as error:
            error.statement = len(results)
            if keeper.is_open:
                keeper.control(Control(ROLLBACK_TO, _BATCH))
                keeper.control(Control(RELEASE, _BATCH))
            raise
        keeper.control(Control(RELEASE, _BATCH))
        return results

    def control(self, control: Control, timeout: float | None) -> Result:
        """Do what a statement about transactions says. Raises client errors."""
        self.check_owner()
        word = control.word
        if word == COMMIT and self._transaction is not None:
            self.commit(timeout)
        elif word == ROLLBACK and self._transaction is not None:
            self.rollback()
        elif word == RELEASE and self._ends(control.name):
            self.commit(timeout)
        else:
            with self._turn:
                self._do(control)
        return _NOTHING

    def _do(self, control: Control) -> None:
        word, transaction = control.word, self._transaction
        if word == BEGIN:
            if transaction is not None:
                raise errors.OperationalError(NESTED)
            self._begin(control.name)
            return
        if transaction is None and word == SAVEPOINT:
            transaction = self._begin()
            self._by_savepoint = control.name
        if transaction is None:
            raise not_begun(control)
        transaction.keeper.control(control)

    def _ends(self, name: str) -> bool:
        """Whether this is the savepoint that began the transaction, and no other of its name is open within."""
        transaction = self._transaction
        return transaction is not None and name == self._by_savepoint and transaction.keeper.depth_of(name) == 1

    def _begin(self, begin: str = "deferred") -> Transaction:
        transaction = self._connection.begin(begin)
        transaction.keeper.begin()
        self._transaction, self._owner, self._by_savepoint = transaction, current_task(), ""
        return transaction

    def commit(self, timeout: float | None = None) -> None:
        """End it and keep what it did; if that fails it is over all the same. Does nothing when none is open."""
        self.check_owner()
        with self._turn:
            transaction, self._transaction, self._owner = self._transaction, None, None
            if transaction is not None:
                try:
                    transaction.commit(timeout)
                finally:
                    transaction.rollback()

    def rollback(self) -> None:
        """End it and undo what it did. Does nothing when none is open."""
        self.check_owner()
        with self._turn:
            transaction, self._transaction, self._owner = self._transaction, None, None
            if transaction is not None:
                transaction.rollback()

    def drop(self) -> None:
        """The connection is closed: what is open is undone."""
        transaction, self._transaction, self._owner = self._transaction, None, None
        if transaction is not None:
            with suppress(errors.Error):
                transaction.keeper.rollback()
