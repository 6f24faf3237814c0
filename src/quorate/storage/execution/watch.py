"""What ends a statement on a writing connection: it takes longer than it may where it runs, its caller's time is over,
or its node wants the connection back.
"""

from collections.abc import Callable

from quorate.core.executing import AT_ITS_END, INTERRUPTED, TOO_LONG

LOOK_AT_EACH = 8
"""Short requests between two looks at the clock."""
LOOK_EVERY = 5_000
"""Instructions of SQLite's machine between two looks at the clock: some tens of microseconds, or some milliseconds
where each row that changes is captured."""


class StoppedError(Exception):
    """The request at this position of its batch was stopped, and took the transaction with it."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(f"stopped: {why}")
        self.position = position
        self.why = why


class Watch:
    """Looks at the clock while statements run. Without a clock nothing takes long."""

    __slots__ = (
        "_asked",
        "_began_us",
        "_clock",
        "_ends_us",
        "_long_us",
        "_spent_us",
        "_stoppable",
        "_watching",
        "interrupted",
        "stopped",
        "why",
    )

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        self._clock = clock
        self._long_us = self._ends_us = self._spent_us = 0
        self._began_us = -1
        self._asked = 0
        self._watching = self._stoppable = False
        self.stopped = False
        """Set from another thread: the caller's statement is to end, if it is one that `allow` lets end so."""
        self.interrupted = False
        """Set from another thread: whatever runs is to end."""
        self.why = ""
        """Why something was ended since `allow`; empty: nothing was."""

    def allow(self, budget_us: int = 0, long_us: int = 0, ends_us: int = 0, *, stoppable: bool = False) -> None:
        """From now on requests may be begun for so long, each may run for so long, and none beyond `ends_us`; 0: no
        bound. `stoppable`: they are a caller's, who may have them stopped."""
        self.why = ""
        self.stopped, self._stoppable = False, stoppable
        self._asked = 0
        self._long_us, self._ends_us = long_us, ends_us
        self._spent_us = self._clock() + budget_us if budget_us and self._clock is not None else 0

    @property
    def spent(self) -> bool:
        """No further request is to be begun. The clock is looked at behind the first, behind every eighth after it, and
        behind each that was long enough to be looked at."""
        self._asked += 1
        if self._spent_us == 0 or (self._asked % LOOK_AT_EACH != 1 and self._began_us < 0):
            return False
        return self._clock is not None and self._clock() >= self._spent_us

    def now_us(self) -> int:
        """The time by its clock; 0 without one."""
        return 0 if self._clock is None else self._clock()

    def begin(self) -> None:
        """A request begins. Its time counts from the first look, which most requests end before."""
        self._watching = True
        self._began_us = -1

    def end(self) -> None:
        """It is over: what follows is nobody's, and takes the time that it takes."""
        self._watching = False

    def late(self) -> bool:
        """SQLite's progress handler: True ends what is running."""
        if self.interrupted:
            self.why = INTERRUPTED
            return True
        if self.stopped and self._stoppable and self._watching:
            self.why = AT_ITS_END
            return True
        if not self._watching or self._clock is None or not (self._long_us or self._ends_us):
            return False
        now_us = self._clock()
        if self._began_us < 0:
            self._began_us = now_us
        if 0 < self._ends_us <= now_us:
            self.why = AT_ITS_END
            return True
        if 0 < self._long_us < now_us - self._began_us:
            self.why = TOO_LONG
            return True
        return False
