"""A large write to the log, beside the driver: heartbeats and reads go on, whatever needs the log waits for it.

The log is one file with one connection, and what is in memory of it changes with it. So while it is away, effects of
the store wait here, in their order, those that follow from them behind them; only reads of open data files do not.
"""

from collections import deque
from collections.abc import Callable
from typing import Any


class LongLog:
    """The node's log, as far as it is away."""

    def __init__(self, run_aside: Callable[[Callable[[], Any], Callable[[Any], None]], object]) -> None:
        """`run_aside(work, done)` does the work elsewhere, then calls `done` here with what it returned or raised."""
        self.away = False
        self._run_aside = run_aside
        self._waiting: deque[Callable[[], None]] = deque()

    def later(self, call: Callable[[], None]) -> None:
        """Call this, which needs the log, when it is back."""
        self._waiting.append(call)

    def lend(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do this aside; then what waited, and then `done` with what it returned or raised."""

        def back(found: Any) -> None:
            while self._waiting:
                self._waiting.popleft()()
            self.away = False
            done(found)

        self.away = True
        self._run_aside(work, back)
