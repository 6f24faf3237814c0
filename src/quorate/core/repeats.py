"""What may be asked once more: a budget of repetitions, for whoever calls a cluster.

A cluster that is too slow fails requests; each one that is sent again makes it slower. Without a bound that feeds on
itself and goes on after its cause is gone: a metastable failure (Bronson and others, HotOS 2021). So repetitions are
paid for: each success earns a part of one, and a few are free with time, so that a caller with little to do may repeat
as well. (Finagle's retry budget: a share of requests and a minimum a second; gRPC's throttling counts successes.)
"""

MILLION = 1_000_000


class Budget:
    """A bucket of tokens, one for each repetition of a request that may have cost a node work."""

    def __init__(self, *, percent: int = 10, per_second: int = 10, first: int = 20, most: int = 100) -> None:
        """`percent` of successes may be repeated, and so many a second besides."""
        self._percent = percent
        self._per_second = per_second
        self._most = most * MILLION
        self._level = first * MILLION
        """In millionths of a token, so that a microsecond earns a whole number of them."""
        self._as_of_us: int | None = None

    def earn(self) -> None:
        """A request succeeded."""
        self._level = min(self._most, self._level + self._percent * (MILLION // 100))

    def spend(self, now_us: int) -> bool:
        """Take one token if there is one."""
        if self._as_of_us is not None:
            self._level = min(self._most, self._level + max(0, now_us - self._as_of_us) * self._per_second)
        self._as_of_us = now_us
        if self._level < MILLION:
            return False
        self._level -= MILLION
        return True
