"""The mixes of dials for databases without a leader."""

import random
from typing import Any

import msgspec

from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.drawing import draw

STRICT = ("3/2/2/blocking", "3/2/2/background", "3/3/1/blocking", "3/1/3/blocking", "5/3/3/blocking", "2/2/1/blocking")
NO_HARM: dict[str, Any] = {
    "damage": 0.0, "flip_log_us": 0, "flip_data_us": 0, "lost_disk": 0.0, "acks": (), "databases": 1, "exports": 0.0,
}  # fmt: skip
"""A replica that is damaged stays out: it is not rebuilt yet."""


def quorums(rng: random.Random) -> Dials:
    """Reads and writes of rows whose quorums meet, while nodes die, are cut off, pause, and have full disks and clocks
    that differ."""
    return _without_leader(rng, rng.choice(STRICT))


def partial_quorums(rng: random.Random) -> Dials:
    """The same with quorums that need not meet: what they come to hold in the end."""
    return _without_leader(rng, rng.choice(("3/1/1/background", "3/2/1/blocking", "3/1/2/background")))


def power_quorums(rng: random.Random) -> Dials:
    """Slow disks and machines that lose power: what was counted before it was durable is gone."""
    return msgspec.structs.replace(
        _without_leader(rng, rng.choice(("3/2/2/blocking", "3/2/2/blocking", "3/1/1/background"))),
        nodes=3,
        keys=1,
        delay_us=200,
        tail_us=100,
        loss=rng.choice((0.0, 0.1)),
        fsync_us=20 * MILLISECOND,
        fsync_tail_us=20 * MILLISECOND,
        slow_disk_us=0,
        full_disk_us=0,
        keep_pending=0.2,
        lose_unsynced=1.0,
        crash_us=300 * MILLISECOND,
        pause_us=0,
        partition_us=700 * MILLISECOND,
        fault_lasts_us=100 * MILLISECOND,
        think_us=0,
        client_crash=0.0,
        leave_dead=rng.choice((0.2, 1.0)),
    )


def hasty_quorums(rng: random.Random) -> Dials:
    """Callers who take the first answer for the last, and nodes that are cut off while they write: what was said to be
    unknown, and what not to be done?"""
    drawn = _without_leader(rng, rng.choice(("3/2/2/blocking", "3/3/1/blocking")))
    return msgspec.structs.replace(
        drawn,
        nodes=3,
        keys=1,
        attempts=1,
        give_up=1.0,
        patience_us=2 * SECOND,
        think_us=5 * MILLISECOND,
        partition_us=300 * MILLISECOND,
        fault_lasts_us=700 * MILLISECOND,
        crash_us=0,
        pause_us=0,
        drain_us=0,
        settings=msgspec.structs.replace(drawn.settings, answer_timeout_us=300 * MILLISECOND),
    )


def crowded_quorums(rng: random.Random) -> Dials:
    """Many callers of one row at all nodes, whose clocks differ, over links of which some are slow."""
    return msgspec.structs.replace(
        _without_leader(rng, rng.choice(("3/2/2/blocking", "5/3/3/background"))),
        clients=8,
        keys=1,
        wander=0.8,
        delay_us=rng.choice((500, 5_000)),
        tail_us=20 * MILLISECOND,
        fsync_us=rng.choice((200, 5_000)),
        wall_offset_us=200 * MILLISECOND,
        think_us=0,
        crash_us=0,
        pause_us=0,
        swizzle_us=0,
        slow_disk_us=0,
        full_disk_us=0,
        drain_us=0,
        safety_us=3 * SECOND,
    )


def full_quorums(rng: random.Random) -> Dials:
    """Disks that are full again and again, so that data files stand behind what was acknowledged."""
    return msgspec.structs.replace(
        _without_leader(rng, "3/2/2/blocking"),
        nodes=3,
        keys=1,
        full_disk_us=200 * MILLISECOND,
        fault_lasts_us=200 * MILLISECOND,
        crash_us=0,
        pause_us=0,
        partition_us=500 * MILLISECOND,
        drain_us=0,
        fsync_us=200,
        fsync_tail_us=0,
        storage_us=5 * MILLISECOND,
        think_us=0,
    )


def carts(rng: random.Random) -> Dials:
    """The same asked by SQL, as the client does it, while tables are changed: nodes die and lose power, are cut off,
    pause, and have slow disks."""
    drawn = _without_leader(rng, rng.choice((*STRICT, "3/2/2/background", "3/1/1/background")))
    return msgspec.structs.replace(
        drawn,
        clients=0,
        shoppers=rng.choice((3, 5)),
        safety_us=5 * SECOND,
        crash_us=rng.choice((0, 800, 2_000)) * MILLISECOND,
        loss=rng.choice((0.02, 0.1, 0.2)),
        partition_us=rng.choice((700, 2_000)) * MILLISECOND,
        pause_us=rng.choice((0, 1_000)) * MILLISECOND,
        slow_disk_us=rng.choice((0, 1_000)) * MILLISECOND,
        fault_lasts_us=rng.choice((150, 600)) * MILLISECOND,
        fsync_us=rng.choice((200, 5_000)),
        client_loss=rng.choice((0.0, 0.05)),
        think_us=rng.choice((0, 5)) * MILLISECOND,
    )


def _without_leader(rng: random.Random, chosen: str) -> Dials:
    drawn = draw(rng)
    return msgspec.structs.replace(
        drawn,
        **NO_HARM,
        nodes=max(int(chosen[0]), rng.choice((3, 3, 4, 5))),
        clients=rng.choice((3, 5)),
        quorums=chosen,
        keys=rng.choice((1, 2)),
        safety_us=5 * SECOND,
        wall_offset_us=rng.choice((0, 20, 200)) * MILLISECOND,
        clock_jump_us=0,
        strobe_us=0,
        long_write=0.0,
        wander=rng.choice((0.1, 0.6)),
        think_us=rng.choice((0, 5, 20)) * MILLISECOND,
        client_crash=rng.choice((0.0, 0.05)),
    )


ALL = (quorums, partial_quorums, power_quorums, crowded_quorums, full_quorums, hasty_quorums, carts)
"""All of them."""
