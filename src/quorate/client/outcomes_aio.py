# ruff: noqa: ASYNC109 - a time-out in seconds is part of the API
"""Asking what became of a write, or of all that lost against others, on a connection to a cluster."""

import time
from typing import Any

from quorate import errors
from quorate.client.conflicts import QUERY, Conflict, check_since, conflicts_of
from quorate.client.cursors_aio import Cursor
from quorate.client.homes import ANY, addressed, packed
from quorate.client.pieces import one_statement
from quorate.core.read_levels import LEADER, LINEARIZABLE
from quorate.core.requests import Answer, Cancelled, Done, Expired, Outcome, WriteOutcome
from quorate.core.statements import Token
from quorate.wire.answers import read_outcome, results_of

SETTLE = 1.0
"""Seconds in which a write that was interrupted is asked about."""


class Outcomes:
    """The part of a connection that says what became of writes."""

    __slots__ = ()

    async def outcome(self: Any, token: str, *, seen: int | None = None, timeout: float | None = None) -> list[Cursor]:
        """Settle a write whose answer was lost: its results if it happened.

        Raises Cancelled when it did not, and then it never will; the error it failed with; or Expired when it
        is too old for anybody to tell. `seen` comes from the MaybeDone that another process caught. Where a database
        has several leaders it says which one the write was sent to; without it all of them are asked.
        """
        self._client.check_led("outcome")
        known = self._tokens.recall(token, seen)
        leaders = await self._client.leaders(self.database, timeout) if known.group == ANY else ()
        if len(leaders) > 1:
            done = await self._outcome_anywhere(known, [each.group for each in leaders], timeout)
        else:
            body, _ = await self._client.request(
                Outcome(self.database, known), self.database, level=LINEARIZABLE, token=None, timeout=timeout
            )
            done = self._settle(body, known)
        return [self.cursor_of(result, truncated=done.truncated) for result in done.results]

    async def conflicts(self: Any, *, since: int | None = None, timeout: float | None = None) -> list[Conflict]:
        """What lost against another write in a database of several leaders, as the leader that this connection stays
        with knows it; the oldest first. `since`: only writes from this time on, in milliseconds since 1970.

        Raises ProgrammingError where the database has one leader: then nothing is in conflict."""
        self._client.check_led("conflicts")
        done, _ = await self.run((one_statement(QUERY, (check_since(since),)),), timeout=timeout)
        self._client.check_led("conflicts")  # it may have learned only now that there is none
        return conflicts_of(done.results[0].rows)

    async def _outcome_anywhere(self: Any, token: Token, groups: list[int], timeout: float | None) -> Done:
        """What became of a write of which nobody knows to which leader it was sent. It was one of them at most; that it
        never will be done is known when all of them have said so."""
        deadline = time.monotonic() + (self._client.timeout if timeout is None else timeout)
        outcomes: list[WriteOutcome] = []
        lost: errors.Error | None = None
        for place, group in enumerate(groups):
            question = Outcome(self.database, addressed(token, group))
            seconds = max(0.001, (deadline - time.monotonic()) / (len(groups) - place))
            try:
                body, _ = await self._client.request(question, self.database, level=LINEARIZABLE, timeout=seconds)
            except errors.Error as error:
                if not error.retryable:
                    raise
                lost = error
                continue
            outcome = read_outcome(body.outcome)
            if not isinstance(outcome, Cancelled | Expired):
                return results_of(outcome, token)
            outcomes.append(outcome)
        if lost is not None:
            raise lost
        return results_of(next((each for each in outcomes if isinstance(each, Expired)), outcomes[0]), token)

    async def _fence(self: Any, token: Token, timeout: float) -> WriteOutcome:
        """What became of a write of which some sends were not answered; they can do nothing any more. Raises
        MaybeDone when nobody can tell in time."""
        question = Outcome(self.database, token)
        try:
            body, _ = await self._client.request(question, self.database, level=LEADER, timeout=timeout)
        except errors.Error as error:
            self._tokens.keep(token)
            raise errors.MaybeDone(
                f"a COMMIT that was sent twice was not done once, and what became of the other is not known: {error}",
                token=token.name,
                seen=packed(token),
                hint="connection.outcome(error.token) settles it",
            ) from error
        return read_outcome(body.outcome)

    async def _interrupted(self: Any, token: Token, lost: errors.MaybeDone) -> Answer:
        """The answer to a write that was interrupted after it was sent, if it was done. Raises OperationalError if it
        was not and never will be, `lost` when nobody can tell at once."""
        try:
            question = Outcome(self.database, token)
            answer = await self._client.request(question, self.database, level=LEADER, timeout=SETTLE)
        except errors.Error:
            raise lost from None
        body: Answer = answer[0]
        outcome = read_outcome(body.outcome)
        if isinstance(outcome, Expired):
            raise lost
        if isinstance(outcome, Cancelled):
            raise errors.OperationalError("interrupted", sqlite_errorname="SQLITE_INTERRUPT") from None
        return body
