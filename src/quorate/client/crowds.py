"""Which functions of `run_transaction` lost to others lately, so that the next call need not lose first.

Where many change one row, a call loses twice before it holds the writer, and each attempt costs all of them time. So
a connection remembers of each function that its last call came to hold the writer: the next calls hold it from their
first attempt on. Then one call tries without, and holds as soon as it has lost once. If it loses, the next time that
nobody tries is twice as long; if not, all is forgotten.
"""

import threading
from collections.abc import Callable
from typing import Any

from quorate.client.attempts import HOLDS_AFTER

CALLS_MIN, CALLS_MAX = 8, 64
"""So many calls hold the writer at once before one tries without."""
_FUNCTIONS_MAX = 256


class Crowd:
    """What is known of one function."""

    __slots__ = ("_calls", "_left")

    def __init__(self) -> None:
        self._calls = 0
        """How many calls were to hold at once, the last time; 0: it has not lost lately."""
        self._left = 0

    @property
    def holds_after(self) -> int:
        """How many attempts of the next call may lose before one holds the writer."""
        if self._left:
            return 0
        return 1 if self._calls else HOLDS_AFTER

    def ended(self, holds_after: int, outrun: int) -> None:
        """A call is over that was to hold after so many, and so many of its attempts had lost."""
        if not holds_after:
            self._left = max(0, self._left - 1)
        elif outrun >= holds_after:
            self._calls = self._left = max(CALLS_MIN, min(CALLS_MAX, 2 * self._calls))
        else:
            self._calls = self._left = 0


class Crowds:
    """Of one connection. Any number of threads may use it."""

    __slots__ = ("_known", "_lock")

    def __init__(self) -> None:
        self._known: dict[Any, Crowd] = {}
        self._lock = threading.Lock()

    def of(self, function: Callable[..., Any]) -> Crowd:
        """What is known of this function: of its code, for many are made anew for each call."""
        key = getattr(function, "__code__", None)
        if key is None:
            return Crowd()
        with self._lock:
            if key not in self._known and len(self._known) >= _FUNCTIONS_MAX:
                self._known.clear()
            return self._known.setdefault(key, Crowd())
