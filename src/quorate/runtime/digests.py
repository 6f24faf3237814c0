"""Digests of data files: pinned on the loop, hashed beside it, a piece at a time, so that other digests get their turn
in between."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from quorate.core.bounds import GroupId
from quorate.core.entries import ORIGIN, Position
from quorate.core.kernel import Digest, Digested, Event
from quorate.runtime.aside import DIGESTS
from quorate.storage.interface import DiskIsFull, Divergent, Examination, Store
from quorate.storage.long_work import given

PIECES = 8
"""Pieces of a digest, of about a millisecond each, that are done before another database gets its turn."""


class Threads(Protocol):
    def run_aside(self, work: Callable[[], Any], done: Callable[[Any], None], lane: str, key: int) -> object: ...


class Digests:
    """All of one node. `tell` is called on the loop with the events of what was found, or with what raises it."""

    def __init__(self, store: Store, threads: Threads, tell: Callable[[Callable[[], list[Event]]], None]) -> None:
        self._store = store
        self._threads = threads
        self._tell = tell
        self._wanted: dict[GroupId, int] = {}
        """For each group, the number of the digest that is wanted."""
        self.stopped = False

    def begin(self, effect: Digest) -> list[Event]:
        """Pin what is committed here and now; the events that are known at once."""
        self._wanted[effect.group] = effect.number
        try:
            examination = self._store.examine(effect.group)
        except DiskIsFull:  # no room to open it: no digest, at no position
            return [Digested(effect.group, effect.number, ORIGIN, "")]
        except Divergent as error:
            return [Digested(effect.group, effect.number, ORIGIN, "", failed=str(error))]
        self._go_on(effect, examination)
        return []

    def _go_on(self, effect: Digest, examination: Examination) -> None:
        def stepped(found: str | BaseException | None) -> None:
            if self.stopped or self._wanted[effect.group] != effect.number:
                examination.close()
            elif found is None:
                self._go_on(effect, examination)
            else:
                examination.close()
                self._tell(partial(self._found, effect, examination.position, found))

        self._threads.run_aside(lambda: examination.step(PIECES), stepped, DIGESTS, effect.group)

    def _found(self, effect: Digest, position: Position, found: str | BaseException) -> list[Event]:
        if isinstance(found, Divergent):
            return [Digested(effect.group, effect.number, position, "", failed=str(found))]
        return [Digested(effect.group, effect.number, position, given(found))]
