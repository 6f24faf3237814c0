"""Readers of one data file for other threads, each of which has one of its own meanwhile."""

import threading
from collections.abc import Callable

from quorate.storage.data.reader import Reader

KEPT_MAX = 1
"""So many are kept though nobody uses them: each has descriptors of its own (`storage.interface.OPEN_REPLICAS`)."""


class Asides:
    """Any number of threads may use it at once."""

    def __init__(self, make: Callable[[], Reader]) -> None:
        self.closed = False
        """The data file is closed, and perhaps no more."""
        self._make = make
        self._kept: list[Reader] = []
        self._guard = threading.Lock()

    def take(self) -> Reader:
        """One that nobody else uses. Raises what making one raises."""
        with self._guard:
            reader = self._kept.pop() if self._kept else None
        return reader or self._make()

    def put_back(self, reader: Reader) -> None:
        """It is not used any more."""
        with self._guard:
            kept = len(self._kept) < KEPT_MAX and not self.closed
            if kept:
                self._kept.append(reader)
        if not kept:
            reader.close()

    def close(self) -> bool:
        """Close those that nobody uses, and the others when they come back; whether that was not done before."""
        with self._guard:
            first, self.closed = not self.closed, True
            readers, self._kept = self._kept, []
        for reader in readers:
            reader.close()
        return first
