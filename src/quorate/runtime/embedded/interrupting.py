"""Ending what a connection has running on the writer that all connections to a node share."""

import threading

from quorate import errors
from quorate.core.kernel import GroupId
from quorate.storage.data.direct import INTERRUPTED
from quorate.storage.store import BaseStore
from quorate.wire.answers import failure


class Interrupts:
    """Who has a node's writer, and whether somebody wants what it runs to end."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._holder: object = None
        """It has the writer, or had it last."""
        self._asked = False

    def taken_by(self, holder: object) -> None:
        """It has the writer from here on; nobody else's statement is ended by mistake."""
        with self._guard:
            self._holder = holder

    def begins(self) -> None:
        """A statement of the holder is about to run."""
        self._asked = False

    def end(self, holder: object, group: GroupId) -> None:
        """End the statement that this holder runs, if it runs any. Any thread may call it."""
        with self._guard:
            if self._holder is holder:
                self._asked = True
                self._store.end_statement(group)

    def explain(self, error: errors.Error) -> errors.Error:
        """What to raise for an error: a statement that was to end has not run out of time."""
        if self._asked and isinstance(error, errors.StatementTimeout):
            return failure(INTERRUPTED)
        return error
