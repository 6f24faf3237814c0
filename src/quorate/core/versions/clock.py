"""A hybrid logical clock (Kulkarni and others 2014): Lamport's rule, kept near physical time for people.

A stamp is one integer: milliseconds since 1970, shifted by 16 bits, and a count. Causality needs only that a stamp is
higher than every stamp its writer has seen. Physical time decides nothing but which of two concurrent writes counts as
the later one.

No stamp is ever given out twice, also across restarts: a clock gives out stamps up to a ceiling, which is durable
before the clock gets near it, and begins above it when it starts again.
"""

Stamp = int
COUNT_BITS = 16
AHEAD_MAX_MS = 500
"""How far a peer's clock may be ahead of ours (CockroachDB's default)."""
RESERVE_MS = 5_000
"""How far a new ceiling is above the time. A restart skips at most so much."""
_LOW_MS = 2_000
"""With less than this left a new ceiling is asked for."""


def stamp_at(time_ms: int) -> Stamp:
    """The first stamp of this millisecond."""
    return time_ms << COUNT_BITS


def time_of(stamp: Stamp) -> int:
    """Milliseconds since 1970."""
    return stamp >> COUNT_BITS


class HybridClock:
    """One origin's clock.

    `ceiling` is what was durable last, `highest` the highest stamp of any version on this disk; 0 at first.
    """

    __slots__ = ("_ahead_max_ms", "ceiling", "last")

    def __init__(self, ceiling: Stamp = 0, highest: Stamp = 0, ahead_max_ms: int = AHEAD_MAX_MS) -> None:
        self.ceiling = ceiling
        """No stamp above it is given out. It is durable."""
        self.last = max(ceiling, highest)
        """No stamp up to it is given out any more."""
        self._ahead_max_ms = ahead_max_ms

    def wanted(self, now_ms: int) -> Stamp | None:
        """A higher ceiling that must become durable, and is then told to `raise_ceiling`; None: there is room."""
        start = max(self.last, stamp_at(now_ms))
        if start + stamp_at(_LOW_MS) <= self.ceiling:
            return None
        return start + stamp_at(RESERVE_MS)

    def raise_ceiling(self, ceiling: Stamp) -> None:
        """This ceiling is durable."""
        self.ceiling = max(self.ceiling, ceiling)

    def tick(self, now_ms: int) -> Stamp:
        """A stamp for a write, higher than all before and all that were observed. The ceiling must have room."""
        stamp = max(self.last + 1, stamp_at(now_ms))
        assert stamp <= self.ceiling, "a stamp above the ceiling could be given out again after a restart"
        self.last = stamp
        return stamp

    def is_too_far_ahead(self, stamp: Stamp, now_ms: int) -> bool:
        """Whether a peer's stamp is further ahead of physical time here than clocks may differ. What carries it is
        refused: once observed, it would hold this clock, and all others, in the future."""
        return time_of(stamp) > now_ms + self._ahead_max_ms

    def observe(self, stamp: Stamp, now_ms: int) -> bool:
        """Later stamps are higher than this one. False: it was too far ahead, and is forgotten."""
        if self.is_too_far_ahead(stamp, now_ms):
            return False
        self.last = max(self.last, stamp)
        return True
