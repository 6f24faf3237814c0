# ruff: noqa: ASYNC109 - a time-out in seconds is part of the API
"""Cursors over a cluster as asyncio sees them. `client._sync.cursors` is generated from this file by
`tools/async_to_sync.py`, so everything here must mean the same without `async` and `await`.
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
    from quorate.client.aio import Connection
    from quorate.client.transactions_aio import Transaction


class Cursor(Rows):
    """Runs statements and holds what the last one gave."""

    __slots__ = ("connection",)

    def __init__(self, connection: "Connection") -> None:
        super().__init__()
        self._row_factory, self._types = connection._row_factory, connection._types  # noqa: SLF001 - its own
        self.connection = connection
        """Where it runs them."""

    async def execute(
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
        done, self._age_us = await self.connection.run(statements, token, read=read, timeout=timeout)
        self._load(done.results[0], done.truncated)
        return self

    async def executemany(
        self, sql: str, sets: Iterable[Any], *, token: str | None = None, timeout: float | None = None
    ) -> Self:
        """Run one statement once for each set of parameters; as `Connection.executemany`."""
        self._begin()
        done, _ = await self.connection.run((many_statement(sql, sets, self._types),), token, timeout=timeout)
        self._load(done.results[0], done.truncated)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
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

    async def execute(
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
        self._load(await self._transaction.give(one_statement(sql, parameters, self._types), timeout))
        return self

    async def executemany(
        self, sql: str, sets: Iterable[Any], *, token: str | None = None, timeout: float | None = None
    ) -> Self:
        """Run one statement once for each set of parameters; as `Transaction.executemany`."""
        self._begin()
        refuse_token(token)
        self._load(await self._transaction.run(many_statement(sql, sets, self._types), timeout))
        return self
