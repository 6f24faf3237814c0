"""Signals: SIGTERM and the first SIGINT drain, the second SIGINT stops at once, SIGHUP reloads."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Protocol


def ignore_what_stops() -> None:
    """This process is stopping: to be told so again, by SIGTERM or by a terminal that hangs up, changes nothing until
    it has ended. SIGINT still ends it at once."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", None)):
        if number is not None:
            signal.signal(number, signal.SIG_IGN)


class SignalLoop(Protocol):
    """What is needed of an event loop."""

    def call_soon_threadsafe(self, callback: Callable[[], None], /) -> object: ...


class Signals:
    """Turns a process's signals into calls on its loop.

    The handlers are the interpreter's, not the loop's: a loop that gives a handler back, or is closed, lets the system
    act on the signal for a moment, and a SIGTERM in that moment would kill a node that is stopping in good order.
    """

    def __init__(
        self, loop: SignalLoop, drain: Callable[[], None], now: Callable[[], None], reload: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._drain = drain
        self._now = now
        self._reload = reload
        self._asked = False
        self._actions = {signal.SIGTERM: self._terminate, signal.SIGINT: self._interrupt}
        if hasattr(signal, "SIGHUP"):
            self._actions[signal.SIGHUP] = self._reload
        self._interrupt_before = signal.getsignal(signal.SIGINT)
        for number in self._actions:
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._actions[signal.Signals(number)])

    def _terminate(self) -> None:
        if not self._asked:
            self._asked = True
            self._drain()

    def _interrupt(self) -> None:
        if self._asked:
            self._now()
        else:
            self._terminate()

    def close(self) -> None:
        """Before the loop closes: only a further SIGINT is still heard, by whoever heard it before."""
        ignore_what_stops()
        signal.signal(signal.SIGINT, self._interrupt_before)
