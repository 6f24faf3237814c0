"""SQLAlchemy on Quorate: the dialect `sqlite+quorate://`, and transactions that are run again (docs/sqlalchemy.md).

Needs SQLAlchemy: pip install 'quoratedb[sqlalchemy]'.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from quorate import errors
from quorate.client.attempts import Attempts, not_done
from quorate.client.link_sync import sleep

T = TypeVar("T")
SECONDS = 30.0


def run_transaction(
    session_factory: Callable[[], Any],
    function: Callable[[Any], T],
    *,
    retries: int = 5,
    timeout: float = SECONDS,
    begin: str = "deferred",
) -> T:
    """Run `function(session)` in a session and a transaction of its own, and again, up to `retries` times, when it
    failed with an error that is `.retryable`; what it returned in the transaction that was committed.

    `timeout` is for all of it, in seconds. When the answer to COMMIT is lost, what became of it is asked first, so that
    its effect is there once. Raises what SQLAlchemy raises; `.orig` is Quorate's error.
    """
    attempts = _attempts(retries, timeout)
    while True:
        committing = False
        try:
            with session_factory() as session:
                session.connection(execution_options={"quorate_begin": attempts.begin(begin)})
                value = function(session)
                committing = True
                session.commit()
                return value
        except DBAPIError as failed:
            error = _error(failed)
            if committing and isinstance(error, errors.MaybeDone):
                with session_factory() as session:
                    done = _is_done(session, error, attempts, failed)
                if done:
                    return value
                error = not_done(error)
            sleep(_pause(attempts, error, failed))


async def run_transaction_async(
    session_factory: Callable[[], Any],
    function: Callable[[Any], Awaitable[T]],
    *,
    retries: int = 5,
    timeout: float = SECONDS,  # noqa: ASYNC109 - for all attempts together
    begin: str = "deferred",
) -> T:
    """The same for an `async_sessionmaker`: `await function(session)`."""
    attempts = _attempts(retries, timeout)
    while True:
        committing = False
        try:
            async with session_factory() as session:
                await session.connection(execution_options={"quorate_begin": attempts.begin(begin)})
                value = await function(session)
                committing = True
                await session.commit()
                return value
        except DBAPIError as failed:
            error = _error(failed)
            if committing and isinstance(error, errors.MaybeDone):
                async with session_factory() as session:
                    done = await session.run_sync(_is_done, error, attempts, failed)
                if done:
                    return value
                error = not_done(error)
            await asyncio.sleep(_pause(attempts, error, failed))


def _attempts(retries: int, timeout: float) -> Attempts:
    return Attempts(retries, None, timeout, random.SystemRandom(), time.monotonic)


def _error(failed: DBAPIError) -> errors.Error:
    """Quorate's error in SQLAlchemy's."""
    if not isinstance(failed.orig, errors.Error):
        raise failed
    return failed.orig


def _pause(attempts: Attempts, error: errors.Error, failed: DBAPIError) -> float:
    try:
        return attempts.pause(error)
    except errors.Error:
        raise failed from failed.orig


def _is_done(session: Any, lost: errors.MaybeDone, attempts: Attempts, failed: DBAPIError) -> bool:
    """Whether a transaction whose answer was lost was committed; when it was not, it never will be. Raises `failed`
    when nobody can tell in time."""
    adapted = session.connection().connection.dbapi_connection
    try:
        adapted.outcome(lost.token, lost.seen, max(attempts.left(), 0.001))
    except errors.Cancelled:
        return False
    except errors.Error:
        raise failed from failed.orig
    return True
