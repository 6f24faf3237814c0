"""The named mixes of dials. `mixed` draws everything; the others aim at one thing, and draw the rest."""

import random
from collections.abc import Callable

import msgspec

from quorate.core.node import Node
from quorate.lab.sim.dials import MILLISECOND, SECOND, Dials, draw
from quorate.lab.sim.report import LINES, Report
from quorate.lab.sim.run import Plan, Run
from quorate.storage.memory import MemoryStore


def mixed(dice: random.Random) -> Dials:
    """Anything may happen."""
    return draw(dice)


def calm(dice: random.Random) -> Dials:
    """Nothing goes wrong: what must work every time, and how fast the simulator is."""
    return Dials(nodes=dice.choice((1, 3, 5)), clients=4, safety_us=5 * SECOND, hints=1.0)


def votes(dice: random.Random) -> Dials:
    """Elections all the time, and restarts while votes are under way: what a forgotten vote would show."""
    drawn = draw(dice)
    return msgspec.structs.replace(
        drawn,
        nodes=3,
        clients=2,
        databases=3,
        safety_us=8 * SECOND,
        delay_us=20 * MILLISECOND,
        tail_us=60 * MILLISECOND,
        loss=0.0,
        duplicate=0.1,
        late=0.3,
        hints=1.0,
        fsync_us=100,
        fsync_tail_us=0,
        storage_us=0,
        crash_us=250 * MILLISECOND,
        pause_us=0,
        partition_us=0,
        swizzle_us=0,
        drain_us=0,
        damage=0.0,
        slow_disk_us=0,
        full_disk_us=0,
        fault_lasts_us=10 * MILLISECOND,
        leaders_first=0.3,
        torn_step=0.3,
        crash_on_vote=0.5,
        settings=msgspec.structs.replace(
            drawn.settings, heartbeat_us=50 * MILLISECOND, suspect_us=300 * MILLISECOND, election_us=200 * MILLISECOND
        ),
    )


def power(dice: random.Random) -> Dials:
    """Slow disks and machines that lose power, often all at once: what an early acknowledgement would lose."""
    return msgspec.structs.replace(
        draw(dice),
        nodes=3,
        clients=5,
        databases=1,
        safety_us=6 * SECOND,
        delay_us=200,
        tail_us=100,
        loss=0.0,
        fsync_us=20 * MILLISECOND,
        fsync_tail_us=20 * MILLISECOND,
        keep_pending=0.2,
        lose_unsynced=1.0,
        crash_us=700 * MILLISECOND,
        full_disk_us=0,
        fault_lasts_us=300 * MILLISECOND,
        think_us=0,
        counters=4,
    )


def deposed(dice: random.Random) -> Dials:
    """Leaders that are cut off while callers still reach them: what a read without confirmation would show."""
    settings = draw(dice).settings
    return msgspec.structs.replace(
        draw(dice),
        nodes=dice.choice((3, 5)),
        clients=4,
        databases=1,
        safety_us=6 * SECOND,
        delay_us=500,
        tail_us=500,
        loss=0.0,
        hints=1.0,
        crash_us=0,
        pause_us=3 * SECOND,
        partition_us=900 * MILLISECOND,
        full_disk_us=0,
        fault_lasts_us=SECOND,
        leaders_first=0.9,
        keys=1,
        reads=10,
        writes=3,
        wander=0.6,
        drain_us=0,
        failing=0,
        journals=0,
        schema=0,
        pairs=0,
        counters=0,
        compares=0,
        think_us=10 * MILLISECOND,
        patience_us=200 * MILLISECOND,
        settings=msgspec.structs.replace(
            settings, heartbeat_us=100 * MILLISECOND, suspect_us=600 * MILLISECOND, election_us=100 * MILLISECOND
        ),
    )


def disks(dice: random.Random) -> Dials:
    """Full, slow and forgetful disks under load."""
    return msgspec.structs.replace(
        draw(dice),
        full_disk_us=dice.randint(500, 2_000) * MILLISECOND,
        slow_disk_us=dice.randint(500, 2_000) * MILLISECOND,
        crash_us=dice.randint(500, 2_000) * MILLISECOND,
        lose_unsynced=1.0,
        think_us=5 * MILLISECOND,
    )


def damage(dice: random.Random) -> Dials:
    """One node whose log is found damaged again and again: it must not vote as if nothing were missing."""
    return msgspec.structs.replace(
        draw(dice),
        nodes=3,
        databases=dice.choice((1, 2)),
        damage=1.0,
        crash_us=dice.randint(400, 1_000) * MILLISECOND,
        crash_on_vote=0.2,
        fault_lasts_us=200 * MILLISECOND,
        leaders_first=0.0,
        think_us=10 * MILLISECOND,
    )


def snapshots(dice: random.Random) -> Dials:
    """Logs so short that whoever was away needs a copy, and copies so slow that they are interrupted."""
    drawn = draw(dice)
    return msgspec.structs.replace(
        drawn,
        nodes=dice.choice((3, 5)),
        clients=5,
        crash_us=dice.randint(500, 2_000) * MILLISECOND,
        partition_us=dice.randint(500, 2_000) * MILLISECOND,
        fault_lasts_us=SECOND,
        think_us=5 * MILLISECOND,
        settings=msgspec.structs.replace(
            drawn.settings, log_keep_entries=dice.choice((0, 1, 3)), checkpoint_entries=2, snapshot_chunk_bytes=4_000
        ),
    )


SCENARIOS: dict[str, Callable[[random.Random], Dials]] = {
    scenario.__name__: scenario for scenario in (mixed, calm, votes, power, deposed, disks, damage, snapshots)
}


def dials_of(scenario: str, seed: int) -> Dials:
    """The dials of one seed; always the same."""
    return SCENARIOS[scenario](random.Random(f"{scenario}/{seed}/dials"))


def simulate(
    seed: int,
    scenario: str = "mixed",
    make_core: type[Node] = Node,
    *,
    core: str = "real",
    skip: tuple[str, ...] = (),
    tail: int = LINES,
) -> Report:
    """Run one seed of a scenario with the real core, or with another (`core` is its name in the report)."""
    plan = Plan(scenario, make_core, MemoryStore, core=core, skip=skip, tail=tail)
    return Run(seed, dials_of(scenario, seed), plan).execute()
