"""Ending what a connection has running on the writer that all connections to a node share."""

import threading
import time

from quorate import errors
from quorate.core.bounds import GroupId
from quorate.storage.data.direct import INTERRUPTED
from quorate.storage.store import BaseStore
from quorate.wire.answers import failure

_LOOK = 0.05
"""Seconds after which a thread that waits for the writer looks whether it is to go on waiting."""


class Interrupts:
    """Who has a node's writer, and whether somebody wants what it runs to end."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._holder: object = None
        """It has the writer, or had it last."""
        self._thread = 0
        """Where its statement runs, or has run last."""
        self._asked = False
        self._waiting: dict[int, object] = {}
        """Who waits for the writer, by thread; None: it is to wait no more."""

    def wait(self, seconds: float, holder: object, writing: threading.Lock) -> bool:
        """Wait for the writer; False when it has not come in time. Raises OperationalError when `end` was called."""
        thread, until = threading.get_ident(), time.monotonic() + seconds
        with self._guard:
            self._waiting[thread] = holder
        try:
            while True:
                left = until - time.monotonic()
                has = writing.acquire(timeout=max(0.0, min(left, _LOOK)))
                if self._waiting[thread] is None:
                    if has:
                        writing.release()
                    raise failure(INTERRUPTED)
                if has:
                    return True
                if left <= _LOOK:
                    return False
        finally:
            with self._guard:
                del self._waiting[thread]

    def taken_by(self, holder: object) -> None:
        """It has the writer from here on; nobody else's statement is ended by mistake."""
        with self._guard:
            self._holder = holder

    def begins(self) -> None:
        """A statement of the holder is about to run, in this thread."""
        self._thread = threading.get_ident()
        self._asked = False

    def end(self, holder: object, group: GroupId, thread: int | None = None) -> None:
        """End the statement that this holder runs, if it runs any, or its waiting for the writer; only in this thread,
        if one is named. Any thread may call it."""
        with self._guard:
            if self._holder is holder and thread in (None, self._thread):
                self._asked = True
                self._store.end_statement(group)
            for waiting, whose in self._waiting.items():
                if whose is holder and thread in (None, waiting):
                    self._waiting[waiting] = None

    def explain(self, error: errors.Error) -> errors.Error:
        """What to raise for an error: a statement that was to end has not run out of time."""
        if self._asked and isinstance(error, errors.StatementTimeout):
            return failure(INTERRUPTED)
        return error
