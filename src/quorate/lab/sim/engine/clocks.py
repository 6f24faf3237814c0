"""The clocks of one node, possibly wrong: a drifting monotonic clock, a wall clock that is off and jumps."""

import random

from quorate.core.kernel import Now

MILLION = 1_000_000
WALL_START_US = 1_700_000_000 * MILLION


class Clock:
    """Reads the world's time as one node sees it."""

    def __init__(self, rng: random.Random, drift_ppm: int, wall_offset_us: int) -> None:
        self._rng = rng
        self._rate = MILLION + rng.randint(-drift_ppm, drift_ppm)
        self._base = 0
        self._wall = WALL_START_US + rng.randint(-wall_offset_us, wall_offset_us)
        self.reboot()

    def reboot(self) -> None:
        """A monotonic clock means nothing across two lives of a machine."""
        self._base = self._rng.randrange(1_000 * MILLION)

    def jump(self, delta_us: int) -> None:
        """Somebody set the wall clock."""
        self._wall += delta_us

    def read(self, world_us: int) -> Now:
        """What the node reads at this moment of the world."""
        elapsed = world_us * self._rate // MILLION
        return Now(self._base + elapsed, self._wall + elapsed)

    def when(self, mono_us: int) -> int:
        """The first moment of the world at which the monotonic clock shows at least this."""
        elapsed = max(0, mono_us - self._base)
        return -(-elapsed * MILLION // self._rate)
