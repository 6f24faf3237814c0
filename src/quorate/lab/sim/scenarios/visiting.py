"""The mix of dials for sessions that move between replicas."""

import random
from typing import Any

import msgspec

from quorate.core.settings import Settings
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.drawing import draw

VISITED: dict[str, Any] = {
    "databases": 1, "sessions": 12, "large": 0, "schema": 0, "failing": 0, "reads": 1, "writes": 1, "compares": 0,
    "counters": 0, "pairs": 0, "journals": 0, "weak_reads": 0, "leaders_first": 0.7, "attempts": 6,
}  # fmt: skip


def sessions(rng: random.Random) -> Dials:
    """Sessions that move between replicas and devices, under every fault; with `async`, where leaders are cut off, they
    lose what they had seen, and must be told."""
    if rng.random() < 0.4:
        return _losing(rng)
    return msgspec.structs.replace(
        draw(rng),
        nodes=rng.choice((3, 3, 5)),
        clients=rng.choice((3, 5)),
        safety_us=6 * SECOND,
        partition_us=rng.choice((400, 1_000)) * MILLISECOND,
        think_us=rng.choice((0, 5, 20)) * MILLISECOND,
        patience_us=rng.choice((100, 400)) * MILLISECOND,
        **VISITED,
    )


def _losing(rng: random.Random) -> Dials:
    """Leaders that are cut off again and again, or stopped, and acknowledge for a while what nobody else gets."""
    return Dials(
        nodes=rng.choice((3, 3, 5)),
        clients=rng.choice((4, 6)),
        safety_us=8 * SECOND,
        fixed="async",
        partition_us=700 * MILLISECOND,
        crash_us=3 * SECOND,
        pause_us=rng.choice((0, 2)) * SECOND,
        halves=0.8,
        fault_lasts_us=700 * MILLISECOND,
        delay_us=rng.choice((500, 5_000)),
        think_us=5 * MILLISECOND,
        patience_us=200 * MILLISECOND,
        settings=Settings(heartbeat_us=50 * MILLISECOND, suspect_us=300 * MILLISECOND, election_us=100 * MILLISECOND),
        **VISITED,
    )
