# ruff: noqa: ASYNC109 - a time-out in seconds is part of the API
"""`run_transaction` over a cluster as asyncio sees it. `client._sync.runs` is generated from this file by
`tools/async_to_sync.py`, so everything here must mean the same without `async` and `await`.

With a token, that is one token for all attempts, in whatever process. To begin one is a write, after which no lower one
can be committed, and whose answer says whether one was (`core.scripts.BeginAttempt`). So to begin the next is also the
question what became of a COMMIT whose answer was lost.
"""

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from quorate import errors
from quorate.client.attempts import Attempts, committed_attempt, not_done
from quorate.client.crowds import Crowd
from quorate.client.link_aio import sleep
from quorate.client.transactions import DEFERRED
from quorate.client.transactions_aio import Transaction, run_transaction
from quorate.client.url import check_timeout
from quorate.core.requests import WriteOutcome
from quorate.core.scripts import Attempted
from quorate.core.statements import Token

T = TypeVar("T")


class Runs:
    """A connection to a cluster, as far as it runs a function in a transaction until one is committed."""

    __slots__ = ()

    @overload
    async def run_transaction(
        self: Any,
        function: Callable[[Transaction], Awaitable[T]],
        *,
        retries: int = 5,
        token: None = None,
        timeout: float | None = None,
        begin: str = DEFERRED,
        read_only: bool = False,
    ) -> T: ...

    @overload
    async def run_transaction(
        self: Any,
        function: Callable[[Transaction], Awaitable[T]],
        *,
        retries: int = 5,
        token: str | None,
        timeout: float | None = None,
        begin: str = DEFERRED,
        read_only: bool = False,
    ) -> T | None: ...

    async def run_transaction(
        self: Any,
        function: Callable[[Transaction], Awaitable[T]],
        *,
        retries: int = 5,
        token: str | None = None,
        timeout: float | None = None,
        begin: str = DEFERRED,
        read_only: bool = False,
    ) -> T | None:
        """Run `await function(tx)` in a transaction, and again, up to so many times, when it failed with an error that
        is `.retryable`; what it returned in the transaction that was committed. `timeout` is for all of it, in seconds.

        The function may run several times, so it should do nothing but what `tx` undoes. Where the answer to a COMMIT
        was lost, what became of it is asked before the function runs again: what it does is done once, or not at all.
        With a `token` that holds across processes: what was committed under it once is not done again, whatever the
        function would do by now. If another call committed it, this one returns None.
        Raises what the last attempt failed with, or MaybeDone when time ended before anybody could tell; Cancelled when
        somebody has asked for the token's `outcome` before it was committed, TokenReused when it is another write's.
        """
        self._client.check()
        self._client.check_led("run_transaction")
        seconds = self._client.timeout if timeout is None else check_timeout(timeout)
        crowd = Crowd() if read_only or begin != DEFERRED else self._crowds.of(function)
        holds_after = crowd.holds_after
        attempts = Attempts(retries, token, seconds, random.SystemRandom(), time.monotonic, holds_after)
        try:
            if token is not None and not read_only:
                return await run_once(self, function, attempts, token, begin=begin)
            return await run_transaction(self, function, attempts, begin=begin, read_only=read_only)
        finally:
            crowd.ended(holds_after, attempts.outrun)


async def run_once(
    connection: Any,
    function: Callable[[Any], Awaitable[T]],
    attempts: Attempts,
    name: str,
    rest: Any = sleep,
    begin: str = DEFERRED,
) -> T | None:
    """Run a function in a transaction of this connection until one has been committed under this name, by whatever
    process. What the function returned in that one; None if it was no attempt of this call. Between attempts it awaits
    `rest(seconds)`. Raises what `Connection.run_transaction` says."""
    values: dict[int, T] = {}
    """What the function returned in attempts that may have been committed."""
    token: Token | None = None
    lost: errors.MaybeDone | None = None
    while True:
        begun, token = await _begin(connection, name, token, attempts, lost, rest)
        if not isinstance(begun, Attempted):
            return values.get(committed_attempt(begun, token))
        if lost is not None:
            failed, lost = not_done(lost), None
            await rest(attempts.pause(failed))
        transaction = connection.transaction(begin=attempts.begin(begin), timeout=max(attempts.left(), 0.001))
        transaction.fence(token, begun.attempt)
        try:
            async with transaction:
                value = values[begun.attempt] = await function(transaction)
        except errors.MaybeDone as error:
            if not transaction.is_unsure or isinstance(error, errors.Expired):
                raise  # about something else that the function did, or nobody can tell
            lost = error
        except errors.Error as error:
            values.pop(begun.attempt, None)
            await rest(attempts.pause(error))
        else:
            return values.get(transaction.winner) if transaction.winner else value


async def _begin(
    connection: Any, name: str, token: Token | None, attempts: Attempts, lost: errors.MaybeDone | None, rest: Any
) -> tuple[WriteOutcome, Token]:
    """Begin an attempt: what came of it, and the token of all of them. Raises `lost` where nobody can tell whether an
    earlier one was committed."""
    while True:
        left = attempts.left()
        if lost is not None and not left:
            raise lost
        try:
            return await connection.begin_attempt(name, token, max(left, 0.001))  # type: ignore[no-any-return]
        except errors.Error as error:
            wait = attempts.jitter()
            if not error.retryable or wait >= left:
                if lost is not None:
                    raise lost from error
                raise
        await rest(wait)
