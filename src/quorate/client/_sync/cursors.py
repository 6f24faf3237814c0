"""Cursors over a cluster as threads see it.

Generated from `client/cursors_aio.py` by `tools/async_to_sync.py`: edit that one.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from quorate.client.pieces import many_statement, one_statement
from quorate.client.results import Rows
from quorate.client.transactions import refuse_token
from quorate.client.types import Types
from quorate.core.statements import Result

if TYPE_CHECKING:
    from quorate.client._sync.connection import Connection
    from quorate.client._sync.transactions import Transaction


class Cursor(Rows):
    """Runs statements and holds what the last one gave."""

    __slots__ = ("connection",)

    def __init__(self, connection: "Connection") -> None:
        super().__init__()
        self._row_factory, self._types = connection._row_factory, connection._types  # noqa: SLF001 - its own
        self.connection = connection
        """Where it runs them."""

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
        statements = (one_statement(sql, parameters, self._types),)
        done, self._age_us = self.connection.run(statements, token, read=read, timeout=timeout)
        self._load(done.results[0], done.truncated)
        return self

    def executemany(
        self, sql: str, sets: Iterable[Any], *, token: str | None = None, timeout: float | None = None
    ) -> Self:
        """Run one statement once for each set of parameters; as `Connection.executemany`."""
        self._begin()
        done, _ = self.connection.run((many_statement(sql, sets, self._types),), token, timeout=timeout)
        self._load(done.results[0], done.truncated)
        return self

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
        read: str | None = None,  # noqa: ARG002 - the transaction has a level
        timeout: float | None = None,
    ) -> Self:
        """Run one statement; as `Transaction.execute`."""
        self._begin()
        refuse_token(token)
        self._load(self._transaction.give(one_statement(sql, parameters, self._types), timeout))
        return self

    def executemany(
        self, sql: str, sets: Iterable[Any], *, token: str | None = None, timeout: float | None = None
    ) -> Self:
        """Run one statement once for each set of parameters; as `Transaction.executemany`."""
        self._begin()
        refuse_token(token)
        self._load(self._transaction.run(many_statement(sql, sets, self._types), timeout))
        return self
