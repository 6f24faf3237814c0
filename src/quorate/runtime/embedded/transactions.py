"""Interactive transactions of an embedded database, each a handle of its own, as those over a cluster are."""

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from quorate import errors
from quorate.client.pieces import many_statement, one_statement
from quorate.client.transactions import COMMITTED, NESTED, NOT_BEGUN, OPEN, ROLLED_BACK, UNSURE, refuse_write
from quorate.client.types import Types, types_of
from quorate.core.requests import CommitHeld
from quorate.core.statements import Result, Statement, Token
from quorate.runtime.embedded.cursors import TransactionCursor
from quorate.runtime.embedded.opening import Pinned
from quorate.runtime.embedded.writing import changes_schema
from quorate.sql.classify import shape_of
from quorate.sql.control import BEGIN, COMMIT, RELEASE, ROLLBACK, ROLLBACK_TO, SAVEPOINT, Control

if TYPE_CHECKING:
    from quorate.runtime.embedded.connection import Connection


class Savepoint:
    """A point of a transaction to come back to. Its block undoes what was done in it when it raises."""

    def __init__(self, transaction: "Transaction", name: str) -> None:
        self._transaction = transaction
        self._name = name

    def rollback(self) -> None:
        """Undo what was done since this point; the block goes on."""
        self._transaction.control(Control(ROLLBACK_TO, self._name))

    def __enter__(self) -> Self:
        self._transaction.control(Control(SAVEPOINT, self._name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            if not self._transaction.is_open:
                return
            self.rollback()
        self._transaction.control(Control(RELEASE, self._name))


class Transaction:
    """Several statements, seen by nobody else before they are all done. Made by `Connection.transaction`.

    Commits when its `with` block ends and undoes everything when the block raises. It holds the database's
    only writer, so other threads' writes wait; their reads do not. A statement that fails is undone alone.
    """

    def __init__(
        self, connection: "Connection", name: str | None, timeout: float, ends: float | None, *, read_only: bool = False
    ) -> None:
        self._ends = ends
        self._connection = connection
        self._name = name
        self._timeout = timeout
        self._read_only = read_only
        self._state = NOT_BEGUN
        self._thread = 0
        self._pinned: Pinned | None = None
        """What one that only reads reads; None: it holds the writer."""
        self._schema_changed = False
        self._numbers = 0
        self._ran: list[Statement] = []
        """What a token that the caller chose is bound to."""

    def execute(self, sql: str, parameters: Any = (), *, types: Types | None = None) -> TransactionCursor:
        """Run one statement; reads see what this transaction has written."""
        result = self.give(one_statement(sql, parameters, types_of(types, self._connection.types)))
        return TransactionCursor(self._connection, self, result, types)

    def executemany(self, sql: str, sets: Iterable[Any], *, types: Types | None = None) -> TransactionCursor:
        """Run one statement once for each set of parameters, all or none of them."""
        result = self.give(many_statement(sql, sets, types_of(types, self._connection.types)))
        return TransactionCursor(self._connection, self, result, types)

    def give(self, statement: Statement) -> Result:
        """What one statement gives, which may be one about transactions."""
        control = None if statement.many else shape_of(statement.sql).control
        return self._run(statement) if control is None else self.control(control)

    def savepoint(self) -> "Savepoint":
        """A block within: `with tx.savepoint(): ...` undoes what was done in it when it raises."""
        self._numbers += 1
        return Savepoint(self, f"savepoint {self._numbers}")

    def control(self, control: Control) -> Result:
        """Do what a statement about transactions says."""
        self._check()
        if control.word == COMMIT:
            self.commit()
        elif control.word == ROLLBACK:
            self.rollback()
        elif control.word == BEGIN:
            raise errors.OperationalError(NESTED)
        elif self._pinned is None:
            return self._run_held(Statement(control.sql))
        return Result((), [], -1)  # what only reads has nothing to undo

    def commit(self) -> None:
        """Commit; it is on the disk on return. Raises what forbids it: then nothing was done."""
        self._check()
        self._state = ROLLED_BACK
        connection = self._connection
        try:
            if self._pinned is None:
                try:
                    connection.settle(CommitHeld(connection.database, self._token()))
                except errors.MaybeDone:
                    self._state = UNSURE
                    raise
                if self._schema_changed:
                    connection.reads.schema_changed()
            self._state = COMMITTED
        finally:
            self._let_go()

    def rollback(self) -> None:
        """Undo everything. Rolling back what is over does nothing."""
        if self._state == OPEN:
            self._check()
            self._state = ROLLED_BACK
            try:
                if self._pinned is None:
                    self._connection.node.release(self._connection.group)
            finally:
                self._let_go()

    @property
    def is_open(self) -> bool:
        """It can go on."""
        return self._state == OPEN

    @property
    def is_unsure(self) -> bool:
        """Whether it was committed is not known."""
        return self._state == UNSURE

    def _check(self) -> None:
        if self._state != OPEN:
            hint = "use it inside its with block" if self._state == NOT_BEGUN else "begin another"
            raise errors.ProgrammingError(f"this transaction is {self._state}", hint=hint)
        if self._thread != threading.get_ident():
            raise errors.InterfaceError("a transaction belongs to the thread that began it")

    def _run(self, statement: Statement) -> Result:
        self._check()
        if self._read_only:
            refuse_write(statement)
        if self._pinned is not None:
            columns, rows = self._pinned.read(statement)
            return Result(columns, rows, -1)
        return self._run_held(statement)

    def _run_held(self, statement: Statement) -> Result:
        self._schema_changed = self._schema_changed or changes_schema((statement,))
        if self._name is not None:
            self._ran.append(statement)
        return self._connection.node.run_held(self._connection.group, statement, self._ends or 0.0)

    def _token(self) -> Token:
        """What this transaction is committed with."""
        try:
            return self._connection.tokens.mint(self._name, self._ran)
        except BaseException:
            self._connection.node.release(self._connection.group)
            raise

    def _let_go(self) -> None:
        if self._pinned is not None:
            self._pinned.close()
            return
        node = self._connection.node
        node.owner = 0
        node.writing.release()

    def __enter__(self) -> Self:
        if self._state != NOT_BEGUN:
            raise errors.ProgrammingError(f"this transaction is {self._state}", hint="begin another")
        self._pinned = self._connection.reads.pin(self._ends) if self._read_only else None
        if self._pinned is None:
            self._hold()
        self._thread = threading.get_ident()
        self._state = OPEN
        return self

    def _hold(self) -> None:
        node = self._connection.node
        self._connection.take_writer(self._timeout)
        try:
            node.hold(self._connection.database, self._connection.group)
            for setting in self._connection.begins_with():
                node.run_held(self._connection.group, setting)
        except BaseException:
            node.writing.release()
            raise
        node.owner = threading.get_ident()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._state == OPEN and error is None:
            self.commit()
        else:
            self.rollback()
