"""Cursors of an embedded database."""

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from quorate.client.pieces import many_statement, one_statement
from quorate.client.results import Rows
from quorate.client.transactions import refuse_token
from quorate.client.types import Types
from quorate.core.statements import Result

if TYPE_CHECKING:
    from quorate.runtime.embedded.connection import Connection
    from quorate.runtime.embedded.transactions import Transaction


class Cursor(Rows):
    """Runs statements and holds what the last one gave."""

    __slots__ = ("connection",)

    def __init__(self, connection: "Connection", columns: Any = (), data: list[Any] | None = None) -> None:
        self._row_factory, self._types = connection._row_factory, connection._types  # noqa: SLF001 - its own
        self.connection = connection  # what `Rows` would do, written out: every read makes a cursor
        """Where it runs them."""
        self.arraysize = 1
        self.rowcount = -1
        self.lastrowid = None
        self._columns = columns
        self._data = data
        self._at = self._age_us = 0
        self._truncated = False
        self._closed = False

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
        self._begin()
        if self._types is not None:
            parameters = self._types.adapt_all(parameters)
        self._take(self.connection.execute(sql, parameters, token=token, read=read, timeout=timeout))
        return self

    def executemany(
        self, sql: str, sets: Iterable[Any], *, token: str | None = None, timeout: float | None = None
    ) -> Self:
        """Run one statement once for each set of parameters; as `Connection.executemany`."""
        self._begin()
        if self._types is not None and isinstance(sets, Iterable):
            sets = map(self._types.adapt_all, sets)
        self._take(self.connection.executemany(sql, sets, token=token, timeout=timeout))
        return self

    def _take(self, other: "Cursor") -> None:
        self._columns, self._data, self._at = other._columns, other._data, 0  # noqa: SLF001 - of its own kind
        self.rowcount, self.lastrowid, self._truncated = other.rowcount, other.lastrowid, other._truncated  # noqa: SLF001

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class TransactionCursor(Cursor):
    """What a statement of a transaction gave. It runs others in that transaction, as long as that is open."""

    __slots__ = ("_transaction",)

    def __init__(
        self, connection: "Connection", transaction: "Transaction", result: Result, types: Types | None = None
    ) -> None:
        super().__init__(connection)
        if types is not None:
            self.types = types
        self._transaction = transaction
        self._load(result)

    def execute(
        self,
        sql: str,
        parameters: Any = (),
        *,
        token: str | None = None,
        read: str | None = None,  # noqa: ARG002 - it reads what the transaction reads
        timeout: float | None = None,  # noqa: ARG002 - the transaction's holds
    ) -> Self:
        """Run one statement; as `Transaction.execute`."""
        self._begin()
        refuse_token(token)
        self._load(self._transaction.give(one_statement(sql, parameters, self._types)))
        return self

    def executemany(
        self,
        sql: str,
        sets: Iterable[Any],
        *,
        token: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the transaction's holds
    ) -> Self:
        """Run one statement once for each set of parameters; as `Transaction.executemany`."""
        self._begin()
        refuse_token(token)
        self._load(self._transaction.give(many_statement(sql, sets, self._types)))
        return self


def cursor_of(connection: "Connection", result: Result, truncated: bool = False, types: Types | None = None) -> Cursor:
    """A cursor that holds this result."""
    cursor = Cursor(connection, result.columns, result.rows)
    if types is not None:
        cursor.types = types
    cursor.rowcount, cursor.lastrowid = result.rowcount, result.lastrowid
    cursor._truncated = truncated  # noqa: SLF001 - made here
    return cursor
