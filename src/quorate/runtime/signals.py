"""Signals: SIGTERM and the first SIGINT drain, the second SIGINT stops at once, SIGHUP reloads."""

import logging
import signal
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger("quorate.runtime")


def ignore_what_stops() -> None:
    """This process is stopping: to be told so again, by SIGTERM or by a terminal that hangs up, changes nothing until
    it has ended. SIGINT still ends it at once."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", None)):
        if number is not None:
            signal.signal(number, signal.SIG_IGN)


class SignalLoop(Protocol):
    """What is needed of an event loop."""

    def add_signal_handler(self, sig: int, callback: Callable[[], None]) -> None: ...

    def remove_signal_handler(self, sig: int) -> bool: ...


class Signals:
    """Turns a process's signals into calls on its loop."""

    def __init__(self, loop: SignalLoop, drain: Callable[[], None], now: Callable[[], None]) -> None:
        self._loop = loop
        self._drain = drain
        self._now = now
        self._asked = False
        loop.add_signal_handler(signal.SIGTERM, self._terminate)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _terminate(self) -> None:
        if not self._asked:
            self._asked = True
            self._drain()

    def _interrupt(self) -> None:
        if self._asked:
            self._now()
        else:
            self._terminate()

    def _reload(self) -> None:
        """Certificates will be read again here; there are none yet."""
        log.info("SIGHUP: there is nothing to reload")

    def close(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", None)):
            if number is not None:
                self._loop.remove_signal_handler(number)
