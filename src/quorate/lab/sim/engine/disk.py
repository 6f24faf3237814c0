"""A disk for the log: a Persist becomes durable some time later, several with one fsync; a crash forgets
what was not finished, or keeps any beginning of it. Large entries are written beside the node (`dials.large`), as by
the real driver: until they are, what needs the log waits (`Disk.log`)."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

from quorate.core.entries import LogWrite, WriteEntries, takes_us
from quorate.core.kernel import DiskFull, DiskRoom, Event, Persist, Persisted
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.scenarios.dials import MILLISECOND, Dials
from quorate.storage.interface import DiskIsFull as NoRoom
from quorate.storage.log.long_logs import LongLog
from quorate.storage.long_work import is_large

RETRY_US = 50 * MILLISECOND


class Disk:
    """The log disk of one node. `store` makes writes durable, `tell` feeds events to the node."""

    def __init__(
        self,
        world: World,
        dials: Dials,
        node: int,
        store: Callable[[tuple[LogWrite, ...]], None],
        tell: Callable[[Event], None],
        stop: Callable[[], None],
    ) -> None:
        self._world = world
        self._dials = dials
        self._rng = world.rng(f"disk/{node}")
        self._store = store
        self._tell = tell
        self._stop = stop
        self._pending: deque[Persist] = deque()
        self._covered = 0
        """How many of the pending writes the fsync under way will make durable."""
        self._life = 0
        self._full = False
        self._told_full = False
        self._slower = 1
        self._flight = 0
        """Which fsync is under way."""
        self._healed = False
        self._failing = False
        self._when_failed: Callable[[], None] = lambda: None
        self.log = LongLog(self._run_aside)
        self._lent: tuple[Callable[[], Any], Callable[[Any], None]] | None = None
        """What is done beside the node, and what is called when it is."""

    def persist(self, write: Persist) -> None:
        """Keep this write; `Persisted` follows."""
        self._pending.append(write)
        if not self._covered:
            self._begin()

    def _begin(self) -> None:
        if not self._pending:
            return
        self._covered = len(self._pending)
        tail = self._dials.fsync_tail_us
        delay = self._dials.fsync_us + (int(self._rng.expovariate(1.0) * tail) if tail else 0)
        if self._healed:
            delay = min(delay, self._dials.settings.election_us // 20)
        if self._dials.large:
            delay += self._lend()
        self._flight += 1
        self._world.after(delay * self._slower, self._finish, self._life, self._flight)

    def _lend(self) -> int:
        """Write what is large beside the node; how much longer that takes than another write."""
        covered = list(islice(self._pending, self._covered))
        writes = [write for persist in covered for write in persist.writes]
        if not is_large(writes):
            return 0
        self._world.mark("log written beside")
        sequence = covered[-1].sequence

        def done(found: Any) -> None:
            if found is None:
                self._say(sequence)

        self.log.lend(self._write, done)
        longest_us = sum(takes_us(write.entries) for write in writes if isinstance(write, WriteEntries))
        return self._rng.randint(longest_us // 2, longest_us)

    def _run_aside(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self._lent = work, done

    def _take_back(self, found: Any) -> None:
        if self._lent is not None:
            (_, done), self._lent = self._lent, None
            done(found)

    def _finish(self, life: int, flight: int) -> None:
        if life != self._life or flight != self._flight:
            return
        if self._full:
            self._wait_for_room(flight)
            return
        if self._failing:
            self._failing = False
            self._world.mark("fsync error")
            self._when_failed()
            self._fsync_failed()
            return
        sequence = self._pending[self._covered - 1].sequence
        try:
            self._write() if self._lent is None else self._lent[0]()
        except NoRoom:
            self._wait_for_room(flight)
            return
        if life != self._life:
            return  # the machine stopped while it wrote
        if self._lent is None:
            self._finished(sequence)
        else:
            self._covered = 1  # nothing else is begun before all know of this
            self._take_back(None)
            if life == self._life:
                self._covered = 0
                self._begin()

    def _write(self) -> None:
        """Make durable what the fsync covers. Raises NoRoom."""
        life = self._life
        while self._covered:
            self._store(self._pending[0].writes)
            if life != self._life:
                return
            self._pending.popleft()
            self._covered -= 1

    def _wait_for_room(self, flight: int) -> None:
        self._take_back(NoRoom("full"))
        self._world.after(RETRY_US, self._finish, self._life, flight)
        if not self._told_full:
            self._told_full = True
            self._world.mark("disk full")
            self._tell(DiskFull())

    def _fsync_failed(self) -> None:
        """The kernel says so once, marks the pages clean and forgets them: asking again would be told that all is
        well ("Can applications recover from fsync failures?", 2020). So the node stops at once."""
        self._stop()

    def _finished(self, sequence: int) -> None:
        self._covered = 0
        self._begin()
        self._say(sequence)

    def _say(self, sequence: int) -> None:
        life = self._life
        self._tell(Persisted(sequence))
        if self._told_full and life == self._life and not self._pending:
            self._told_full = False
            self._tell(DiskRoom())

    def fill(self, *, full: bool) -> None:
        """There is no room, or room again."""
        self._full = full

    def fail_next_fsync(self, when_failed: Callable[[], None] = lambda: None) -> None:
        """The next fsync of this life returns an error; the one after it would succeed. `when_failed` is told."""
        self._failing = True
        self._when_failed = when_failed

    def slow(self, times: int) -> None:
        """From now on every fsync takes so many times longer: with large numbers, for ever."""
        self._slower = times

    def quicken(self) -> None:
        """As fast as before, and what hung returns."""
        self._slower = 1
        if self._covered:
            self._flight += 1
            self._world.after(self._dials.fsync_us, self._finish, self._life, self._flight)

    def heal(self) -> None:
        """Room again, and fast enough for elections to succeed."""
        self._full = False
        self._failing = False
        self._healed = True
        self.quicken()

    def crash(self) -> None:
        """The machine stops: what was not finished is gone, except perhaps a beginning of it."""
        keep = 0
        if self._pending and not self._full and self._rng.random() < self._dials.keep_pending:
            keep = self._rng.randint(0, len(self._pending))
        with suppress(NoRoom):
            for _ in range(keep):
                self._store(self._pending[0].writes)
                self._pending.popleft()
            self._tear()
        if self._pending:
            self._world.mark("writes forgotten", len(self._pending))
        self._pending.clear()
        self.log, self._lent = LongLog(self._run_aside), None
        self._failing = False
        self._covered = 0
        self._told_full = False
        self._life += 1

    def _tear(self) -> None:
        """The first write that is not kept may have been under way: here it leaves nothing behind."""
