"""Whether one more request is worth taking: a queue is bounded by the time that it takes, not only by its length.

A caller who waits for longer than it can use has the work done for nobody, and everybody behind it waits as well. So a
request is refused at once, before anything was done for it, when what waits already will take longer than the caller
has; and a caller whose time is over when its turn comes is not served.

How long may a queue be? A burst may fill it for up to `Settings.burst_us`; a queue that has not been empty for so long
stands, and is no burst: from then on a new request may expect to wait for `Settings.standing_us` at most. That is the
controlled delay of Nichols and Jacobson 2012 ("Controlling queue delay") in the form of Maurer 2015 ("Fail at scale"),
applied when a request comes instead of when its turn comes, so that its caller learns at once when to come back.

Time that a queue will take is its length times what a request took lately.
"""

from quorate.core.requests import Refused
from quorate.core.settings import Settings


def overloaded(what: str, again_us: int) -> Refused:
    """Not done, and when to come back."""
    again_us = max(10_000, again_us)
    hint = f"try again in {again_us // 1000} ms, and send less at a time"
    return Refused("Overloaded", what, hint, retryable=True, again_us=again_us)


EXPIRED = overloaded("the caller's time was over before its request had its turn", 0)


def gone(until_us: int, now_us: int) -> bool:
    """Whether the caller of a request that is wanted until then has ceased to wait (0: nobody said)."""
    return 0 < until_us <= now_us


TELLS_US = 200_000
"""So much of a caller's time is left to tell it that its request was ended; of a short time an eighth."""


def ends_us(until_us: int, now_us: int) -> int:
    """When what a caller waits for until then is to be ended, so that it hears of that in time (0: nobody said)."""
    return until_us - min(TELLS_US, max(0, until_us - now_us) // 8) if until_us else 0


class Admission:
    """The door of one queue."""

    __slots__ = (
        "_always_us", "_settings", "_short", "_taken", "_taken_us", "_waiting_max", "each_ns", "empty_us", "run_ns",
        "shed",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting_max = settings.waiting_requests_max
        self._always_us = min(settings.standing_us, settings.burst_us)
        """What may be waited for, whether the queue stands or not."""
        self._short = 0
        """So many wait for no longer than that."""
        self.empty_us = 0
        """When the queue was last seen empty."""
        self.each_ns = 0
        """How much time passes for each request while others wait; smoothed; 0: not known."""
        self.run_ns = 0
        """How much of it its batch takes to run."""
        self.shed = 0
        """How many were refused."""
        self._taken_us = 0
        self._taken = 0
        """When so many were taken last, and others stayed behind; 0: none did."""
        self._measured()

    def refusal(self, now_us: int, until_us: int, waiting: int) -> Refused | None:
        """Why one more that is wanted by `until_us` (0: nobody said) had better not join so many; None: it may."""
        if not waiting:
            self.empty_us = now_us
            return None
        if waiting <= self._short and (not until_us or until_us - now_us >= self._always_us):
            return None
        wait_us = waiting * max(self.each_ns, self.run_ns) // 1000
        if waiting < self._waiting_max and wait_us <= self._limit_us(now_us, until_us):
            return None
        self.shed += 1
        return overloaded(f"{waiting} requests are waiting, for about {wait_us // 1000} ms", wait_us)

    def room(self, now_us: int) -> int:
        """How many may wait together, by what is known now; at least one."""
        each_ns = max(self.each_ns, self.run_ns)
        return max(1, self._limit_us(now_us, 0) * 1000 // each_ns) if each_ns else 1 << 30

    def late(self, now_us: int, since_us: int, until_us: int) -> Refused | None:
        """The same for a request that has waited since then to be looked at at all."""
        if 0 < until_us <= now_us:
            self.shed += 1
            return EXPIRED
        waited_us = now_us - since_us
        if waited_us <= 0:
            self.empty_us = now_us
        elif waited_us > self._limit_us(now_us, 0):
            self.shed += 1
            return overloaded(f"this node is {waited_us // 1000} ms behind with its requests", waited_us)
        return None

    def _limit_us(self, now_us: int, until_us: int) -> int:
        settings = self._settings
        stands = now_us - self.empty_us > settings.burst_us
        limit_us = settings.standing_us if stands else settings.burst_us
        return min(limit_us, until_us - now_us) if until_us else limit_us

    def took(self, now_us: int, count: int, left: int) -> None:
        """So many were taken out of the queue; so many are left.

        What was measured in a bad moment must not outlive it: (1) a minute's trouble makes each request seem to take a
        second, (2) so the queue is kept to one or two, (3) so none stays behind when a batch is taken, and nothing is
        measured again. So each time the queue is emptied a quarter is forgotten, and a break is no measurement.
        """
        elapsed_us = now_us - self._taken_us
        if self._taken and elapsed_us <= self._settings.burst_us:
            self.each_ns = _smoothed(self.each_ns, elapsed_us * 1000 // self._taken)
        self._taken_us, self._taken = now_us, count if left else 0
        if not left:
            self.empty_us = now_us
            self.each_ns -= self.each_ns // 4
        self._measured()

    def ran(self, took_us: int, count: int) -> None:
        """A batch of so many ran in so much time."""
        self.run_ns = _smoothed(self.run_ns, took_us * 1000 // count)
        self._measured()

    def _measured(self) -> None:
        each_ns = max(self.run_ns, self.each_ns)
        most = self._waiting_max - 1
        short = self._always_us * 1000 // each_ns if each_ns else most
        self._short = min(most, short)

    def fit(self) -> int:
        """How many may run together, so that they keep the node from all else for `Settings.batch_us` at most."""
        return max(1, self._settings.batch_us * 1000 // self.run_ns) if self.run_ns else 1 << 30


def _smoothed(mean: int, sample: int) -> int:
    return mean + (sample - mean) // 8 if mean else sample
