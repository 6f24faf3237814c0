"""Interactive transactions of an embedded database, each a handle of its own."""

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from quorate import errors
from quorate.client.pieces import many_statement, one_statement
from quorate.core.requests import CommitHeld, Statement, Token
from quorate.runtime.embedded.writing import changes_schema

if TYPE_CHECKING:
    from quorate.runtime.embedded.connection import Connection, Cursor


class Transaction:
    """Several statements, seen by nobody else before they are all done. Made by `Connection.transaction`.

    Commits when its `with` block ends and undoes everything when the block raises. It holds the database's
    only writer, so other threads' writes wait; their reads do not. A statement that fails is undone alone.
    """

    def __init__(self, connection: "Connection", name: str | None, timeout: float, ends: float | None) -> None:
        self._ends = ends
        self._connection = connection
        self._name = name
        self._timeout = timeout
        self._state = "not begun"
        self._schema_changed = False
        self._ran: list[Statement] = []
        """What a token that the caller chose is bound to."""

    def execute(self, sql: str, parameters: Any = ()) -> "Cursor":
        """Run one statement; reads see what this transaction has written."""
        return self._run(one_statement(sql, parameters))

    def executemany(self, sql: str, sets: Iterable[Any]) -> "Cursor":
        """Run one statement once for each set of parameters, all or none of them."""
        return self._run(many_statement(sql, sets))

    def _run(self, statement: Statement) -> "Cursor":
        if self._state != "open":
            raise errors.ProgrammingError(f"this transaction is {self._state}", hint="use it inside its with block")
        node = self._connection.node
        if node.owner != threading.get_ident():
            raise errors.InterfaceError("a transaction belongs to the thread that began it")
        self._schema_changed = self._schema_changed or changes_schema((statement,))
        if self._name is not None:
            self._ran.append(statement)
        result = node.run_held(self._connection.group, statement, self._ends or 0.0)
        return self._connection.cursor_of(result)

    def _token(self) -> Token:
        """What this transaction is committed with."""
        try:
            return self._connection.tokens.mint(self._name, self._ran)
        except BaseException:
            self._connection.node.release(self._connection.group)
            raise

    def __enter__(self) -> Self:
        if self._state != "not begun":
            raise errors.ProgrammingError(f"this transaction is {self._state}", hint="begin another")
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
        self._state = "open"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, node = self._connection, self._connection.node
        self._state = "over"
        try:
            if error is None:
                connection.settle(CommitHeld(connection.database, self._token()))
                if self._schema_changed:
                    connection.reads.schema_changed()
            else:
                node.release(connection.group)
        finally:
            node.owner = 0
            node.writing.release()
