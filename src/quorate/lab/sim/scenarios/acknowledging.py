"""The mixes of dials that are about acks: who must hold a write, who may lead, and what an `async` failover loses."""

import random

import msgspec

from quorate.core.settings import Settings
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.drawing import draw


def hasty_logs(drawn: Dials) -> Dials:
    """One entry a message, quick elections: leaders die between one message and the next."""
    return msgspec.structs.replace(
        drawn,
        delay_us=5 * MILLISECOND,
        tail_us=20 * MILLISECOND,
        loss=0.0,
        fsync_us=2 * MILLISECOND,
        fault_lasts_us=200 * MILLISECOND,
        torn_step=0.5,
        patience_us=200 * MILLISECOND,
        settings=msgspec.structs.replace(
            drawn.settings,
            heartbeat_us=50 * MILLISECOND,
            suspect_us=200 * MILLISECOND,
            election_us=100 * MILLISECOND,
            ship_bytes_max=200,
            ship_entries_ahead=1,
        ),
    )


def altered(rng: random.Random) -> Dials:
    """Databases with every acks, changed while they are in use, and leaders that die with what they alone had."""
    nodes = rng.choice((2, 3, 3, 3, 4, 5, 5))
    rules = ["async", "majority", "sync", *(f"semi-sync:{count}" for count in range(1, nodes))]
    return msgspec.structs.replace(
        hasty_logs(draw(rng)) if rng.random() < 0.5 else draw(rng),
        nodes=nodes,
        databases=rng.choice((1, 2)),
        client_late=0.0,
        crash_us=rng.choice((400, 1_000, 2_000)) * MILLISECOND,
        lost_disk=0.0,
        leaders_first=0.9,
        acks=tuple(sorted(rng.sample(rules, rng.choice((1, 1, 2, 3))))),
        alters=rng.choice((0.1, 0.3)),
        think_us=rng.choice((0, 5, 20)) * MILLISECOND,
    )


def tails(rng: random.Random) -> Dials:
    """Asynchronous databases whose leaders die, are cut off and come back: what they alone had must be kept."""
    return msgspec.structs.replace(
        altered(rng),
        nodes=rng.choice((3, 3, 5)),
        databases=1,
        acks=("async",),
        alters=0.3,
        crash_us=500 * MILLISECOND,
        partition_us=rng.choice((0, 700)) * MILLISECOND,
        damage=0.0,
        flip_log_us=0,
        flip_data_us=0,
        think_us=0,
    )


def narrow(rng: random.Random) -> Dials:
    """Five nodes of which two disks are enough for a write, and leaders that are cut off with one other."""
    return Dials(
        nodes=5,
        clients=rng.randint(4, 6),
        databases=2,
        safety_us=8 * SECOND,
        crash_us=rng.choice((0, 3)) * SECOND,
        partition_us=500 * MILLISECOND,
        fault_lasts_us=900 * MILLISECOND,
        leaders_first=0.9,
        hints=0.0,
        acks=("semi-sync:1",),
        alters=0.1,
        think_us=5 * MILLISECOND,
        patience_us=200 * MILLISECOND,
        wander=0.4,
        settings=Settings(heartbeat_us=50 * MILLISECOND, suspect_us=300 * MILLISECOND, election_us=100 * MILLISECOND),
    )


def stalled(rng: random.Random) -> Dials:
    """A leader dies for good while every disk must hold a write: reads go on, writes wait and say so."""
    return Dials(
        nodes=rng.choice((3, 5)),
        clients=rng.randint(3, 5),
        safety_us=9 * SECOND,
        lasting="dead leader",
        leave_dead=0.0,
        acks=("sync",),
        alters=0.5,
        reads=10,
        weak_reads=0,
        patience_us=200 * MILLISECOND,
        attempts=2,
        give_up=1.0,
        wander=0.3,
        settings=Settings(answer_timeout_us=SECOND),
    )
