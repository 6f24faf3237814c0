"""How often a transaction is run again, and when: `run_transaction`'s decisions, without input or output.

The clock is handed in, since the laboratory runs the same calls on virtual time.

Waiting is full jitter, U(0, min(cap, base * 2^n)) (Brooker, "Exponential backoff and jitter", 2015): transactions that
have met in one row must not meet there again all at once.
"""

from collections.abc import Callable
from random import Random

from quorate import errors
from quorate.client.checks import shown
from quorate.client.transactions import DEFERRED, IMMEDIATE
from quorate.core.requests import WriteOutcome
from quorate.core.statements import Token
from quorate.wire.answers import results_of

BASE = 0.005
CAP = 0.5
"""Seconds."""
HOLDS_AFTER = 2
"""So many attempts lose to others, and the next one holds the writer from its beginning: where many change one row, to
wait for it costs less than to lose again."""


def committed_attempt(outcome: WriteOutcome, token: Token) -> int:
    """Which attempt of a call that commits once was committed. Raises what forbids all of them: Cancelled, Expired, or
    TokenReused where the token was that of another write."""
    results = results_of(outcome, token).results
    if len(results) != 1 or results[0].columns != (("attempt", None),):
        raise errors.TokenReused(
            f"the token {token.name!r} was used for another write before", hint="give each call a token of its own"
        )
    return int(results[0].rows[0][0])  # type: ignore[arg-type]


def not_done(lost: errors.MaybeDone) -> errors.Unavailable:
    """What a COMMIT failed with whose answer was lost, once it is settled that it never will take effect."""
    return errors.Unavailable(f"the answer to COMMIT was lost, and nothing was done: {lost}")


class Attempts:
    """One call of `run_transaction`: its attempts, within one deadline."""

    def __init__(
        self,
        retries: object,
        token: str | None,
        seconds: float,
        rng: Random,
        clock: Callable[[], float],
        holds_after: int = HOLDS_AFTER,
    ) -> None:
        """All of them together may take so many seconds. `holds_after`: see `HOLDS_AFTER`. Raises
        ProgrammingError for retries that are no number."""
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise errors.ProgrammingError(f"retries is how often to try again, 0 or more, not {shown(retries)}")
        self._retries = retries
        self._name = token
        self._clock = clock
        self._deadline = clock() + seconds
        self._rng = rng
        self._number = 0
        """Attempts that have failed."""
        self._cancelled = 0
        self._holds_after = holds_after
        self.outrun = 0
        """Attempts that others were faster than."""

    def begin(self, wanted: str) -> str:
        """How this attempt begins, if its caller wants this."""
        return IMMEDIATE if wanted == DEFERRED and self.outrun >= self._holds_after else wanted

    @property
    def token(self) -> str | None:
        """What this attempt commits with. The name of one that was cancelled can never take effect, so that the next
        needs another."""
        if self._name is None or not self._cancelled:
            return self._name
        return f"{self._name}+{self._cancelled}"

    def left(self) -> float:
        """Seconds that are left; 0: none."""
        return max(0.0, self._deadline - self._clock())

    def cancelled(self) -> None:
        """The answer to this attempt's COMMIT was lost, and now it never will take effect."""
        self._cancelled += 1

    def jitter(self) -> float:
        """How long to wait before the next attempt, in seconds."""
        return self._rng.uniform(0.0, min(CAP, BASE * 2.0 ** min(self._number, 20)))

    def pause(self, error: errors.Error) -> float:
        """How long to wait, in seconds, before the next attempt, when one has failed with this. Raises it when there
        is none: it would fail again, too many have failed, or time is over."""
        self._number += 1
        self.outrun += isinstance(error, errors.SerializationFailure)
        again = error.retryable or isinstance(error, errors.MaybeDone)
        if isinstance(error, errors.Cancelled) and self._name is not None:
            self.cancelled()  # by an earlier call with this name, which may have committed with its next one
            again = True
        if not again or self._number > self._retries:
            raise error
        wait = max(self.jitter(), getattr(error, "again", 0.0))
        if wait >= self.left():
            raise error
        return wait
