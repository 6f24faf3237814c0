"""TLS handshakes in turn: each takes milliseconds of this node's only thread, and many clients may come at once.

Heartbeats, and the connections that are there already, must not wait for all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

TURN_S = 0.002
"""So long one turn of the loop goes on with handshakes, and then finishes the one it has begun."""


class Shaking(Protocol):
    """A connection whose handshake waits."""

    def shake(self) -> None:
        """Go on with it, as far as it goes with what has arrived."""


class Handshakes:
    """Those that wait, the longest first."""

    __slots__ = ("_loop", "_scheduled", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Shaking] = deque()
        self._scheduled = False

    def wait(self, connection: Shaking) -> None:
        """Its turn comes later in this turn of the loop, or in one of the next."""
        self._waiting.append(connection)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        until = self._loop.time() + TURN_S
        waiting = self._waiting
        try:
            while waiting:
                waiting.popleft().shake()
                if self._loop.time() >= until:
                    break
        finally:  # one that fails must not end the turns of all others
            self._scheduled = bool(waiting)
            if waiting:  # everything else that is ready goes first
                self._loop.call_soon(self._turn)
