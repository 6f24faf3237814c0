"""How a read that runs beside the loop is ended before it is finished."""

import threading
from typing import Any


class Ending:
    """Ends one read at a time, or when somebody says so. Shared by two threads: the one that runs the read, and the one
    that knows when nobody waits for it any more."""

    def __init__(self, until_us: int) -> None:
        self.until_us = until_us
        """By the clock of the store."""
        self.over = False
        """Somebody has said so."""
        self._guard = threading.Lock()
        self._connection: Any = None

    def end(self) -> None:
        """Stop what runs, or what is about to begin. The running statement ends at SQLite's next look, within
        microseconds."""
        with self._guard:
            self.over = True
            if self._connection is not None:
                self._connection.interrupt()

    def begins(self, connection: Any) -> None:
        """A read begins on this connection: `end` interrupts it."""
        with self._guard:
            self._connection = connection

    def ends(self) -> None:
        """It is done, and the connection may be used for others."""
        with self._guard:
            self._connection = None
