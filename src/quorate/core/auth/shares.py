"""What one user may cost a node: requests under way, their bytes, and the time of reads that run beside the loop.

So one user, with however many connections, leaves something for the others. Who has not logged in has no name to count
by; there only what holds for each connection applies.
"""

from collections.abc import Mapping

from quorate.core.admission import overloaded
from quorate.core.requests import Refused

MINUTE_US = 60_000_000
BACK_US = 100_000
"""When to come back who has too much under way: nobody knows when it will be less."""


class Share:
    """What one user has under way."""

    __slots__ = ("_most", "_most_bytes", "_name", "bytes", "requests")

    def __init__(self, name: str, most: int, most_bytes: int) -> None:
        self._name = name
        self._most = most
        self._most_bytes = most_bytes
        self.requests = 0
        self.bytes = 0

    def take(self, size: int) -> Refused | None:
        """One more request of so many bytes is under way; or why it is not done. Whoever has nothing under way may
        ask for anything."""
        requests = self.requests
        if requests and (requests >= self._most or self.bytes + size > self._most_bytes):
            held = f"{self._name} has {requests} requests with {self.bytes} bytes under way on this node"
            return overloaded(f"{held}, as many as one user may", BACK_US)
        self.requests = requests + 1
        self.bytes += size
        return None

    def give_back(self, size: int) -> None:
        """It was answered."""
        self.requests -= 1
        self.bytes -= size


class Shares:
    """Those of all users who have connections, or had."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._shares: dict[str, Share] = {}

    def of(self, name: str) -> Share:
        """The one of this user."""
        found = self._shares.get(name)
        if found is None:
            found = self._shares[name] = Share(name, self._most, self._most_bytes)
        return found


class ReadTimes:
    """How long the reads of each user have run beside the loop lately: a bucket that empties within a minute."""

    def __init__(self, most_us: int = 0) -> None:
        self.most_us = most_us
        """How long a user's reads may run in each minute, all together; 0: no bound."""
        self._levels: dict[str, tuple[int, int]] = {}
        """Who -> how full the bucket was, and when."""

    @property
    def levels(self) -> Mapping[str, tuple[int, int]]:
        """See `_levels`: those that are not empty."""
        return self._levels

    def refusal(self, name: str, now_us: int) -> Refused | None:
        """Why one more read of this user is not to run now; None: it may."""
        if not self.most_us or not name:
            return None
        over_us = self._level(name, now_us) - self.most_us
        if over_us < 0:
            return None
        again_us = (over_us + 1) * MINUTE_US // self.most_us
        limit = f"{self.most_us // 1000} ms in a minute, as long as one user's may"
        return overloaded(f"reads of {name} have run on this node for {limit}", again_us)

    def ran(self, name: str, took_us: int, now_us: int) -> None:
        """A read of this user ran for so long, until now."""
        if self.most_us and name:
            self._levels[name] = self._level(name, now_us) + took_us, now_us

    def _level(self, name: str, now_us: int) -> int:
        level, at_us = self._levels.get(name, (0, now_us))
        level -= (now_us - at_us) * self.most_us // MINUTE_US
        if level <= 0:
            self._levels.pop(name, None)
        return max(0, level)
