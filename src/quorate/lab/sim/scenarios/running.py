"""The mix of dials for calls that commit once."""

import random

import msgspec

from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.drawing import draw


def runs(rng: random.Random) -> Dials:
    """Calls that commit once, made by several processes under one token, whose COMMITs linger on the way, and whose
    leaders and callers die: each is done once, and no attempt commits when a higher one has begun."""
    return msgspec.structs.replace(
        draw(rng),
        nodes=rng.choice((3, 3, 5)),
        clients=1,
        runners=rng.choice((2, 3, 5)),
        databases=1,
        safety_us=5 * SECOND,
        acks=(),
        crash_us=rng.choice((500, 1_500)) * MILLISECOND,
        slow_disk_us=0,
        full_disk_us=0,
        fault_lasts_us=rng.choice((150, 600)) * MILLISECOND,
        leaders_first=rng.choice((0.3, 0.9)),
        hints=1.0,
        wander=0.1,
        client_late=rng.choice((0.0, 0.1, 0.3)),
        client_loss=rng.choice((0.0, 0.05)),
        client_crash=rng.choice((0.0, 0.05)),
        patience_us=rng.choice((40, 100, 300)) * MILLISECOND,
        attempts=rng.choice((2, 4)),
        give_up=0.8,
        think_us=rng.choice((0, 2, 10)) * MILLISECOND,
        delay_us=rng.choice((50, 500, 3_000)),
        fsync_us=rng.choice((50, 2_000, 20_000)),
        storage_us=0,
        settings=msgspec.structs.replace(draw(rng).settings, log_keep_entries=rng.choice((0, 3, 100))),
    )
