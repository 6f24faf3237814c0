"""The writers of a node's replicas: each does one thing after the other, most on the loop, what takes long aside.

What takes long is the store's word (`storage.long_work`). While a writer is away, effects that need it wait here in
their order; those of other groups, and reads, do not. The same goes for the file in which a copy arrives, while the
copy is being checked.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from quorate.core.bounds import GroupId
from quorate.core.executing import Execute
from quorate.core.kernel import Effect, Event, Rollback
from quorate.runtime.aside import COPIES, WRITES
from quorate.storage.interface import Lending
from quorate.storage.long_work import RECEIVERS, WRITERS, TakesLong, Work, group_of

HOLDS = dict.fromkeys(WRITERS, WRITERS) | dict.fromkeys(RECEIVERS, RECEIVERS)
"""What an effect needs."""
Held = tuple[GroupId, frozenset[type]]


class Threads(Protocol):
    def run_aside(self, work: Callable[[], Any], done: Callable[[Any], None], lane: str, key: int) -> object: ...


class Writers:
    """Performs storage effects. `tell` is called on the loop with the events of what was done aside."""

    def __init__(self, store: Lending, threads: Threads, tell: Callable[[Callable[[], list[Event]]], None]) -> None:
        self._store = store
        self._threads = threads
        self._tell = tell
        self._away: dict[Held, tuple[Work, deque[Effect]]] = {}
        """What each writer that is away does, and what waits for it."""

    def perform(self, effect: Effect) -> list[Event]:
        """Do one storage effect, or see to it; the events that are known now. Raises Broken."""
        if self._away and (holds := HOLDS.get(type(effect))) is not None:
            away = self._away.get((group_of(effect), holds))
            if away is not None:
                away[1].append(effect)
                if type(effect) is Rollback and type(away[0].effect) is Execute:
                    self._store.interrupt(effect.group)
                return []
        try:
            return self._store.perform(effect)
        except TakesLong as long:
            self._lend(long.work)
            return []

    def _lend(self, work: Work, waiting: deque[Effect] | None = None) -> None:
        group = group_of(work.effect)
        if work.holds:
            self._away[group, work.holds] = work, deque() if waiting is None else waiting
        lane = WRITES if work.holds is WRITERS else COPIES
        self._threads.run_aside(work.run, lambda found: self._tell(partial(self._back, work, found)), lane, group)

    def _back(self, work: Work, found: Any) -> list[Event]:
        """A writer is back: go on with what waits. The events of all that. Raises Broken."""
        waiting: deque[Effect] = deque()
        if work.holds:
            _, waiting = self._away.pop((group_of(work.effect), work.holds))
        try:
            events = self._store.resume(work, found)
        except TakesLong as more:
            self._lend(more.work, waiting)
            return []
        for effect in waiting:  # once more behind one that takes long, if one does
            events += self.perform(effect)
        return events

    def stop(self) -> None:
        """End soon what is done aside; nothing more is told."""
        for group, holds in self._away:
            if holds is WRITERS:
                self._store.interrupt(group)
