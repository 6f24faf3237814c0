"""Threads that run an embedded connection's calls for the tasks of an event loop."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_IDLE_MAX = 8
"""Threads that are kept when they have nothing to do."""
_Call = tuple["Future[Any]", Callable[[], Any]]


class Worker:
    """One thread, which runs what it is given in order. A process that ends does not wait for it."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        thread = threading.Thread(target=_serve, args=(self._calls,), name="quorate", daemon=True)
        thread.start()
        self.thread = thread.ident or 0
        """Its number."""

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Have this called, after all that was submitted before."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        return future

    def stop(self) -> None:
        """End it, after all that was submitted."""
        self._calls.put(None)


def _serve(calls: "SimpleQueue[_Call | None]") -> None:
    while True:
        given = calls.get()
        if given is None:
            return
        future, call = given
        if future.set_running_or_notify_cancel():
            try:
                found = call()
            except BaseException as error:  # noqa: BLE001 - its caller's
                future.set_exception(error)
            else:
                future.set_result(found)
                del found
        del given, future, call  # what they hold is not to live until the next


class Crew:
    """The workers of one connection: as many as have something to do at once."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._over = False

    def take(self) -> Worker:
        """One that nobody uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return Worker()

    def give_back(self, worker: Worker) -> None:
        """It has nothing more to do."""
        if self._over or len(self._idle) >= _IDLE_MAX:
            worker.stop()
        else:
            self._idle.append(worker)

    def end(self) -> None:
        """Nobody needs any of them any more, but for what they are at."""
        self._over = True
        while self._idle:
            self._idle.pop().stop()
