"""Threads beside the loop: for work that would hold it up.

There are lanes, so that one kind of work does not wait for another: a slow read delays no checkpoint, and neither a
`verify`. Within a lane databases take turns, and none has more than its share of the threads at a time.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

READS = "reads"
"""Reads that take too long for the loop."""
VIEWS = "views"
"""Pieces of what is read from one state for longer than one answer."""
WRITES = "writes"
"""Batches of writes that do."""
CARE = "care"
"""Checkpoints."""
DIGESTS = "digests"
LOG = "log"
"""Large writes to the node's log."""
COPIES = "copies"
"""Copies of data files: making them, and checking those that have arrived."""

WIDTHS = {READS: (4, 2), VIEWS: (4, 2), WRITES: (8, 1), CARE: (1, 1), DIGESTS: (1, 1), COPIES: (2, 1), LOG: (1, 1)}
"""For each lane: its threads, and how many of them one database may have at a time. A database that has no more than
half of the threads leaves the others to the other databases."""


class Piece:
    """One piece of work."""

    __slots__ = ("_lane", "done", "key", "work")

    def __init__(self, lane: "Lane", key: int, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self._lane = lane
        self.key = key
        self.work = work
        self.done = done

    def drop(self) -> bool:
        """Take it out of the queue: False when it has begun. Nothing is called for a piece that was dropped."""
        return self._lane.drop(self)


class Lane:
    """Threads that start when they are first needed and die with the process."""

    def __init__(self, name: str, call_soon_threadsafe: Callable[..., object], threads: int, share: int) -> None:
        self.threads: list[threading.Thread] = []
        self._name = name
        self._call = call_soon_threadsafe
        self._most = threads
        self._share = share
        self._changed = threading.Condition(threading.Lock())
        """Guards everything below."""
        self._waiting: dict[int, deque[Piece]] = {}
        """For each database what is to be done; the one that had its turn last comes last."""
        self._running: dict[int, int] = {}
        """For each database how many threads it has."""
        self._idle = 0
        self._stopped = False

    def run(self, key: int, work: Callable[[], Any], done: Callable[[Any], None]) -> Piece:
        """Run `work` on one of the threads for the database `key`."""
        piece = Piece(self, key, work, done)
        with self._changed:
            if self._stopped:
                return piece
            self._waiting.setdefault(key, deque()).append(piece)
            if sum(map(len, self._waiting.values())) > self._idle and len(self.threads) < self._most:
                name = f"quorate-{self._name}-{len(self.threads) + 1}"
                self.threads.append(threading.Thread(target=self._main, name=name, daemon=True))
                self.threads[-1].start()
            else:
                self._changed.notify()
        return piece

    def drop(self, piece: Piece) -> bool:
        """See `Piece.drop`."""
        with self._changed:
            queue = self._waiting.get(piece.key)
            if queue is None or piece not in queue:
                return False
            queue.remove(piece)
            if not queue:
                del self._waiting[piece.key]
            return True

    def _main(self) -> None:
        while (piece := self._take()) is not None:
            found: Any
            try:
                found = piece.work()
            except BaseException as error:  # noqa: BLE001 - handed to the loop, which knows what to do with it
                found = error
            with self._changed:
                self._running[piece.key] -= 1
                if not self._running[piece.key]:
                    del self._running[piece.key]
                if self._waiting:  # for a thread that had nothing to do while this database had its share
                    self._changed.notify()
            try:
                self._call(piece.done, found)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _take(self) -> Piece | None:
        """The next piece of a database that has not its share of the threads; None at the end."""
        with self._changed:
            while not self._stopped:
                for key, queue in self._waiting.items():
                    if self._running.get(key, 0) < self._share:
                        piece = queue.popleft()
                        del self._waiting[key]
                        if queue:
                            self._waiting[key] = queue
                        self._running[key] = self._running.get(key, 0) + 1
                        return piece
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return None

    def end(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()


class Aside:
    """All lanes. `call_soon_threadsafe` is the loop's."""

    def __init__(
        self, call_soon_threadsafe: Callable[..., object], widths: dict[str, tuple[int, int]] = WIDTHS
    ) -> None:
        self._lanes = {name: Lane(name, call_soon_threadsafe, *width) for name, width in widths.items()}

    def run(self, work: Callable[[], Any], done: Callable[[Any], None], lane: str = READS, key: int = 0) -> Piece:
        """Run `work` in this lane for the database `key`, then `done` on the loop with its result or its exception."""
        return self._lanes[lane].run(key, work, done)

    def stop(self, seconds: float) -> bool:
        """Finish what is running, at most this long; False when something still runs."""
        for lane in self._lanes.values():
            lane.end()
        until = time.monotonic() + seconds
        threads = [thread for lane in self._lanes.values() for thread in lane.threads]
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)
