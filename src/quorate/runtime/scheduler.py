"""What the driver needs of an event loop; `runtime.loop` gives it one, tests a list."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from quorate.runtime.aside import READS

T = TypeVar("T")


class Timer(Protocol):
    def cancel(self) -> None: ...


class Piece(Protocol):
    def drop(self) -> bool:
        """Take it out of the queue, so that it never begins and nothing is called for it; False when it has begun."""


class Scheduler(Protocol):
    """What the driver needs of an event loop."""

    def call_soon(self, callback: Callable[[], None]) -> object:
        """Call after everything that is ready now has been handled."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer: ...

    def run_aside(
        self, work: Callable[[], T], done: Callable[[T | BaseException], None], lane: str = READS, key: int = 0
    ) -> Piece:
        """Run `work` on a thread of this lane (`runtime.aside`) for the database `key`, then `done` on the loop with
        its result or its exception."""
