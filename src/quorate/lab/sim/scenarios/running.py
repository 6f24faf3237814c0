"""The mixes of dials for calls that commit once, transactions that hold the writer, and several leaders."""

import random
from typing import Any

import msgspec

from quorate.core.options import TOPOLOGIES
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


def holds(rng: random.Random) -> Dials:
    """Transactions of which many hold the writer, beside others that do not: callers stall or die, answers are lost and
    requests come late, leaders are cut off. What they saw must fit into one order, and nobody waits for ever."""
    cut: dict[str, Any] = {"partition_us": SECOND, "leaders_first": 0.9, "crash_us": 0, "fault_lasts_us": SECOND}
    settings = msgspec.structs.replace(
        draw(rng).settings,
        hold_us=rng.choice((400, 2_000)) * MILLISECOND,
        hold_idle_us=rng.choice((50, 150, 700)) * MILLISECOND,
        answer_timeout_us=3 * SECOND,
    )
    return msgspec.structs.replace(
        draw(rng),
        nodes=rng.choice((3, 3, 5)),
        clients=1,
        transactors=rng.choice((2, 3, 5)),
        holds=rng.choice((0.3, 0.7)),
        databases=1,
        safety_us=4 * SECOND,
        keys=rng.choice((1, 2, 3)),
        acks=(),
        slow_disk_us=0,
        full_disk_us=0,
        fsync_error_us=0,
        read_error_us=0,
        flip_log_us=0,
        flip_data_us=0,
        lost_disk=0.0,
        damage=0.0,
        long_write=rng.choice((0.0, 0.05)),
        client_late=rng.choice((0.0, 0.1, 0.3)),
        client_loss=rng.choice((0.05, 0.2)),
        patience_us=rng.choice((160, 300)) * MILLISECOND,
        think_us=rng.choice((0, 2, 10)) * MILLISECOND,
        delay_us=rng.choice((50, 500, 3_000)),
        fsync_us=rng.choice((50, 200, 2_000)),
        storage_us=rng.choice((0, 200)),
        give_up=rng.choice((0.0, 0.3)),
        settings=settings,
        **rng.choice(({}, cut)),
    )


def leaders(rng: random.Random) -> Dials:
    """Several leaders of one database that write the same rows, while nodes die and stop, links break and clocks are
    wrong. A leader that has no followers keeps its disk, as nobody else has what was on it."""
    drawn = draw(rng)
    nodes = rng.choice((2, 3, 3, 4, 6))
    return msgspec.structs.replace(
        drawn,
        nodes=nodes,
        clients=5,
        databases=1,
        leaders=rng.choice(("all", "all", "2")) if nodes > 3 else "all",
        topology=rng.choice((*TOPOLOGIES, "all")),
        acks=(),
        safety_us=5 * SECOND,
        fsync_error_us=0,
        read_error_us=0,
        flip_log_us=0,
        flip_data_us=0,
        lie_us=0,
        old_copy_us=0,
        lost_disk=0.0,
        damage=0.0,
        spike=0.0,
        exports=0.0,
        hints=1.0,
        delay_us=rng.choice((50, 500, 5_000)),
        fsync_us=rng.choice((50, 200, 2_000)),
        storage_us=0,
        think_us=rng.choice((5, 20, 50)) * MILLISECOND,
        patience_us=rng.choice((200, 500)) * MILLISECOND,
        wall_offset_us=rng.choice((0, 200 * MILLISECOND, SECOND)),
        clock_jump_us=0,
        leave_dead=0.0,
        strobe_us=0,
        partition_us=rng.choice((0, 700, 2_000)) * MILLISECOND,
        repeat=0.3,
    )


def absences(rng: random.Random) -> Dials:
    """Leaders that are away for longer than they are waited for, while the others delete rows and forget that, and
    which come back with rows and writes of their own."""
    drawn = leaders(rng)
    settings = msgspec.structs.replace(
        drawn.settings,
        heartbeat_us=50 * MILLISECOND,
        suspect_us=200 * MILLISECOND,
        suspect_max_us=200 * MILLISECOND,
        log_keep_entries=rng.choice((0, 3)),
        checkpoint_entries=rng.choice((2, 5)),
    )
    return msgspec.structs.replace(
        drawn,
        nodes=rng.choice((2, 3, 3, 4)),
        notes=True,
        absence_us=SECOND,
        forget_after=rng.choice(("1s", "2s")),
        safety_us=12 * SECOND,
        liveness_us=20 * SECOND,
        crash_us=rng.choice((0, 0, 6 * SECOND)),
        pause_us=0,
        drain_us=0,
        partition_us=0,
        swizzle_us=0,
        full_disk_us=0,
        delay_us=rng.choice((50, 500)),
        fsync_us=rng.choice((50, 200)),
        think_us=rng.choice((5, 20)) * MILLISECOND,
        settings=settings,
    )


LEADERS = (leaders, absences)
