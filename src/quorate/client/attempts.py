"""How often a transaction is run again, and when: `run_transaction`'s decisions, without input or output.

Waiting is full jitter, U(0, min(cap, base * 2^n)) (Brooker, "Exponential backoff and jitter", 2015): transactions that
have met in one row must not meet there again all at once.
"""

from random import Random

from quorate import errors
from quorate.client.checks import shown

BASE = 0.005
CAP = 0.5
"""Seconds."""


class Attempts:
    """One call of `run_transaction`: its attempts, within one deadline."""

    def __init__(self, retries: object, token: str | None, deadline: float, rng: Random) -> None:
        """Raises ProgrammingError for retries that are no number."""
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise errors.ProgrammingError(f"retries is how often to try again, 0 or more, not {shown(retries)}")
        self._retries = retries
        self._name = token
        self._deadline = deadline
        self._rng = rng
        self._number = 0
        """Attempts that have failed."""
        self._cancelled = 0

    @property
    def token(self) -> str | None:
        """What this attempt commits with. The name of one that was cancelled can never take effect, so that the next
        needs another."""
        if self._name is None or not self._cancelled:
            return self._name
        return f"{self._name}+{self._cancelled}"

    def left(self, now: float) -> float:
        """Seconds that are left; 0: none."""
        return max(0.0, self._deadline - now)

    def cancelled(self) -> None:
        """The answer to this attempt's COMMIT was lost, and now it never will take effect."""
        self._cancelled += 1

    def jitter(self) -> float:
        """How long to wait before the next attempt, in seconds."""
        return self._rng.uniform(0.0, min(CAP, BASE * 2.0 ** min(self._number, 20)))

    def pause(self, error: errors.Error, now: float) -> float:
        """How long to wait, in seconds, before the next attempt, when one has failed with this. Raises it when there
        is none: it would fail again, too many have failed, or time is over."""
        self._number += 1
        again = error.retryable or isinstance(error, errors.MaybeDone)
        if isinstance(error, errors.Cancelled) and self._name is not None:
            self.cancelled()  # by an earlier call with this name, which may have committed with its next one
            again = True
        if not again or self._number > self._retries:
            raise error
        wait = max(self.jitter(), getattr(error, "again", 0.0))
        if wait >= self.left(now):
            raise error
        return wait
