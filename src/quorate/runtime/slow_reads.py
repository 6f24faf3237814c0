"""Reads that take too long for the loop: each is run again on a thread beside it, and ends at its caller's deadline, at
the node's limit, or when its caller goes away."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from quorate.core.auth.shares import ReadTimes
from quorate.core.bounds import GroupId
from quorate.core.entries import Position
from quorate.core.executing import AT_ITS_END, INTERRUPTED, TOO_LONG
from quorate.core.querying import SHARE, Query, QueryFailed
from quorate.core.requests import Running
from quorate.runtime.aside import READS
from quorate.storage.execution.ending import Ending
from quorate.storage.interface import OverBudget, Store
from quorate.transport.interface import Caller

log = logging.getLogger("quorate.runtime")

LIMIT_US = 60_000_000
"""How long a read may run when nobody says otherwise."""
RUNNING = Running()
Found = tuple[bytes, Position] | BaseException | QueryFailed


class Cancellable(Protocol):
    def cancel(self) -> None: ...


class Droppable(Protocol):
    def drop(self) -> bool: ...


class Scheduler(Protocol):
    """What is needed of `scheduler.Scheduler`."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Cancellable: ...

    def run_aside(
        self, work: Callable[[], Any], done: Callable[[Any], None], lane: str = ..., key: int = ...
    ) -> Droppable: ...


class SlowRead:
    """One of them, from the moment when the loop gave it up."""

    __slots__ = ("ask", "began_us", "caller", "effect", "ending", "failed", "piece", "timer")

    def __init__(self, effect: Query, caller: Caller, ask: int, ending: Ending, failed: QueryFailed) -> None:
        self.effect = effect
        self.caller = caller
        self.ask = ask
        self.began_us = -1
        """When a thread took it; negative: none has."""
        self.ending = ending
        self.failed = failed
        """What the core is told when its time is over."""
        self.piece: Droppable
        self.timer: Cancellable


class SlowReads:
    """All of one node. `answered` is told what became of each, exactly once."""

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        answered: Callable[[Query, Found], None],
        clock: Callable[[], int],
    ) -> None:
        self.limit_us = LIMIT_US
        """How long a read may run."""
        self.times = ReadTimes()
        """How long those of each user have."""
        self._store = store
        self._scheduler = scheduler
        self._answered = answered
        self._clock = clock
        self._reads: dict[int, SlowRead] = {}
        """By the number of the request."""

    def begin(self, effect: Query, caller: Caller, ask: int, now_us: int) -> None:
        """`store.query` has raised OverBudget for it."""
        group, statements = effect.group, effect.statements
        if not caller.waits_for(ask):
            self._store.leave(group)
            self._answered(effect, QueryFailed(group, effect.id, INTERRUPTED))
            return
        name = caller.login.name if caller.login is not None else ""
        if (refused := self.times.refusal(name, now_us)) is not None:
            self._store.leave(group)
            self._answered(effect, QueryFailed(group, effect.id, SHARE, refused=refused))
            return
        until_us = now_us + self.limit_us
        failed = QueryFailed(group, effect.id, TOO_LONG, f"{self.limit_us / 1e6:g} s")
        if 0 < effect.ends_us < until_us:
            until_us, failed = effect.ends_us, QueryFailed(group, effect.id, AT_ITS_END)
        ending = Ending(until_us)
        read = SlowRead(effect, caller, ask, ending, failed)
        self._reads[effect.id] = read
        caller.mention(ask, RUNNING)
        read.timer = self._scheduler.call_later(max(0, until_us - now_us) / 1e6, lambda: self._end(read))
        read.piece = self._scheduler.run_aside(
            lambda: self._run(read, partial(self._store.query_aside, group, statements, ending)),
            lambda found: self._done(read, found),
            READS,
            group,
        )

    def _run(self, read: SlowRead, work: Callable[[], Any]) -> Any:
        """On a thread."""
        read.began_us = self._clock()
        return work()

    def left(self, caller: Caller, ask: int | None = None) -> None:
        """This caller does not wait for the answer any more; with no `ask`: for none."""
        for read in list(self._reads.values()):
            if read.caller is caller and ask in (None, read.ask):
                self._end(read)

    def stop(self) -> None:
        """End all of them, so that their threads can be joined. Nobody is told anything more."""
        for read in self._reads.values():
            read.timer.cancel()
            read.ending.end()

    def running(self, group: GroupId) -> int:
        """How many of this group are running or wait for a thread."""
        return sum(read.effect.group == group for read in self._reads.values())

    def _end(self, read: SlowRead) -> None:
        """Now: if it has not begun, it never does."""
        if read.piece.drop():
            self._store.leave(read.effect.group)
            self._done(read, OverBudget("it had not begun"))
        else:
            read.ending.end()

    def _done(self, read: SlowRead, found: Found) -> None:
        read.timer.cancel()
        if read.began_us >= 0 and read.caller.login is not None:
            now_us = self._clock()
            self.times.ran(read.caller.login.name, now_us - read.began_us, now_us)
        del self._reads[read.effect.id]
        self._answered(read.effect, read.failed if isinstance(found, OverBudget) else found)
