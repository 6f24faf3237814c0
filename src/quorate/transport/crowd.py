"""What connections may hold together: the frames whose end has not arrived, and the connections themselves.

One client may begin a frame of 64 MiB and never finish it, or connect and never ask; a thousand of them must keep
nobody else out.
"""

from collections.abc import Iterable
from heapq import nsmallest
from math import inf
from typing import Generic, Protocol, TypeVar

from quorate.wire.frames import WireError
from quorate.wire.handshake import IDLE


class TooMuchUnfinished(WireError):
    """The frames that clients have begun fill what there is for them, and this one holds most of it."""

    code = "unfinished"


class FrameStalled(WireError):
    """The end of a frame does not come."""

    code = "stalled"


class GaveUpItsPlace(WireError):
    """The node has as many connections as it takes, others wait, and this one has not been used for longest."""

    code = IDLE


class Connection(Protocol):
    @property
    def idle_since(self) -> float:
        """Since when nothing is asked, under way or half said there, in seconds of the loop's clock; infinite while
        something is, and for peers."""


T = TypeVar("T")
C = TypeVar("C", bound=Connection)


def idle_longest(connections: Iterable[C], before: float, most: int) -> list[C]:
    """Up to so many of those that have been idle since then, those that have been for longest first."""
    return nsmallest(
        most, (each for each in connections if each.idle_since <= before), key=lambda each: each.idle_since
    )


class Unfinished(Generic[T]):
    """The frames whose end has not arrived, by connection. Seconds are the loop's."""

    def __init__(self, bytes_max: int, stalled_s: float) -> None:
        self.bytes = 0
        """How many bytes all of them hold."""
        self._bytes_max = bytes_max
        self._stalled_s = stalled_s
        self._frames: dict[T, tuple[int, float]] = {}
        """Bytes, and when they became more; infinite while it is we who do not read."""

    def __bool__(self) -> bool:
        return bool(self._frames)

    def hold(self, connection: T, size: int, now: float, *, paused: bool = False) -> T | None:
        """This connection holds so much of an unfinished frame now (0: of none). Which connection is to be ended
        for it, if any: the one that holds most."""
        self.bytes += size - self._frames.pop(connection, (0, 0.0))[0]
        if size:
            self._frames[connection] = size, inf if paused else now
        if self.bytes <= self._bytes_max:
            return None
        return max(self._frames, key=lambda each: self._frames[each][0])

    def stalled(self, now: float) -> list[T]:
        """Those whose frames have not grown for too long."""
        return [each for each, (_, grew) in self._frames.items() if now - grew >= self._stalled_s]

    def forgive(self, now: float) -> None:
        """This process itself did not run: what arrived meanwhile has not been looked at."""
        self._frames = {each: (size, max(grew, now)) for each, (size, grew) in self._frames.items()}
