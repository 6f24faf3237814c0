"""The one reader thread: work that would hold up the loop."""

import queue
import threading
from collections.abc import Callable
from typing import Any


class Aside:
    """Runs pieces of work one after the other on a thread that starts with the first and dies with the process."""

    def __init__(self, call_soon_threadsafe: Callable[..., object]) -> None:
        self._call = call_soon_threadsafe
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `work` there, then `done` on the loop with its result or its exception."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="quorate-reader", daemon=True)
            self._thread.start()
        self._queue.put((work, done))

    def _main(self) -> None:
        while (item := self._queue.get()) is not None:
            work, done = item
            found: Any
            try:
                found = work()
            except BaseException as error:  # noqa: BLE001 - handed to the loop, which knows what to do with it
                found = error
            try:
                self._call(done, found)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def stop(self, seconds: float) -> bool:
        """Finish what is running, at most this long; False when it still runs."""
        if self._thread is None:
            return True
        while not self._queue.empty():
            self._queue.get()
        self._queue.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()
