"""The named mixes of dials. `mixed` draws everything; the others aim at one thing, and draw the rest."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from quorate.core.node import Node
from quorate.core.settings import Settings
from quorate.lab.sim.actors.lasting import CUT_OR_BROKEN
from quorate.lab.sim.actors.surge import endless, slow, spike, storm
from quorate.lab.sim.campaigns.report import LINES, Report
from quorate.lab.sim.campaigns.shrink import Case
from quorate.lab.sim.run import Plan, StoreMaker, run
from quorate.lab.sim.scenarios import file as scenario_file
from quorate.lab.sim.scenarios.acknowledging import altered, narrow, stalled, tails
from quorate.lab.sim.scenarios.aimed import AIMED
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.drawing import draw
from quorate.lab.sim.scenarios.failovers import accepted, by_hand, heirs, permitted, planned, smooth
from quorate.lab.sim.scenarios.purpose import VACUOUS
from quorate.lab.sim.scenarios.running import LEADERS, holds, runs
from quorate.lab.sim.scenarios.visiting import sessions
from quorate.lab.sim.stores.files import FileStore
from quorate.lab.sim.stores.keeps import FILES, MODEL, SQLITE
from quorate.lab.sim.stores.model import ModelStore
from quorate.lab.sim.stores.store import BadStore, UnknownToModel


def mixed(rng: random.Random) -> Dials:
    """Anything may happen."""
    return draw(rng)


def calm(rng: random.Random) -> Dials:
    """Nothing goes wrong: what must work every time, and how fast the simulator is."""
    return Dials(nodes=rng.choice((1, 3, 5)), clients=4, safety_us=5 * SECOND, hints=1.0)


def _aimed(drawn: Dials, /, *shared: dict[str, Any], settings: dict[str, Any] | None = None, **own: Any) -> Dials:
    """What was drawn, but for these: shared dials, then the scenario's own, and some of the node's settings."""
    dials: dict[str, Any] = {}
    for each in (*shared, own):
        dials |= each
    if settings:
        dials["settings"] = msgspec.structs.replace(drawn.settings, **settings)
    return msgspec.structs.replace(drawn, **dials)


NEAR: dict[str, Any] = {"delay_us": 500, "tail_us": 500, "loss": 0.0, "hints": 1.0}
"""Links of one data centre, whose ends notice when they break."""
SOUND_DISKS: dict[str, Any] = {"slow_disk_us": 0, "full_disk_us": 0}
NO_OPERATOR: dict[str, Any] = {"drain_us": 0}
CONFIRMED_READS: dict[str, Any] = {
    "keys": 1, "reads": 10, "writes": 3, "failing": 0, "journals": 0, "schema": 0, "pairs": 0, "counters": 0,
    "compares": 0,
}  # fmt: skip
"""Callers who do little but read one register."""


def votes(rng: random.Random) -> Dials:
    """Elections all the time, and restarts while votes are under way: what a forgotten vote would show."""
    return _aimed(
        draw(rng), SOUND_DISKS, NO_OPERATOR, nodes=3, clients=2, databases=3, safety_us=8 * SECOND,
        delay_us=20 * MILLISECOND, tail_us=60 * MILLISECOND, loss=0.0, duplicate=0.1, late=0.3, hints=1.0,
        fsync_us=100, fsync_tail_us=0, storage_us=0, crash_us=250 * MILLISECOND, pause_us=0, partition_us=0,
        swizzle_us=0, damage=0.0, fault_lasts_us=10 * MILLISECOND, leaders_first=0.3, torn_step=0.3, crash_on_vote=0.5,
        settings={
            "heartbeat_us": 50 * MILLISECOND, "suspect_us": 300 * MILLISECOND, "election_us": 200 * MILLISECOND,
        },
    )  # fmt: skip


def power(rng: random.Random) -> Dials:
    """Slow disks and machines that lose power, often all at once: what an early acknowledgement would lose."""
    return _aimed(
        draw(rng), nodes=3, clients=5, databases=1, safety_us=6 * SECOND, delay_us=200, tail_us=100, loss=0.0,
        fsync_us=20 * MILLISECOND, fsync_tail_us=20 * MILLISECOND, keep_pending=0.2, lose_unsynced=1.0,
        crash_us=700 * MILLISECOND, full_disk_us=0, fault_lasts_us=300 * MILLISECOND, think_us=0, counters=4,
    )  # fmt: skip


def deposed(rng: random.Random) -> Dials:
    """Leaders that are cut off while callers still reach them: what a read without confirmation would show."""
    settings = draw(rng).settings
    return _aimed(
        msgspec.structs.replace(draw(rng), settings=settings), NEAR, NO_OPERATOR, CONFIRMED_READS,
        nodes=rng.choice((3, 5)), clients=4, databases=1, safety_us=6 * SECOND, crash_us=0, pause_us=3 * SECOND,
        partition_us=900 * MILLISECOND, full_disk_us=0, fault_lasts_us=SECOND, leaders_first=0.9, wander=0.6,
        think_us=10 * MILLISECOND, patience_us=200 * MILLISECOND,
        settings={
            "heartbeat_us": 100 * MILLISECOND, "suspect_us": 600 * MILLISECOND, "election_us": 100 * MILLISECOND,
        },
    )  # fmt: skip


def disks(rng: random.Random) -> Dials:
    """Full, slow and forgetful disks under load."""
    return _aimed(
        draw(rng), full_disk_us=rng.randint(500, 2_000) * MILLISECOND,
        slow_disk_us=rng.randint(500, 2_000) * MILLISECOND, crash_us=rng.randint(500, 2_000) * MILLISECOND,
        lose_unsynced=1.0, think_us=5 * MILLISECOND,
    )  # fmt: skip


def long(rng: random.Random) -> Dials:
    """Writes that take long, or for ever, or are large, while nodes die, stop in order and are cut off, and callers
    leave."""
    return _aimed(
        draw(rng), NEAR, nodes=rng.choice((1, 3, 3, 5)), clients=5, databases=2, safety_us=8 * SECOND,
        long_write=rng.choice((0.05, 0.3)), patience_us=rng.choice((400, 1_500)) * MILLISECOND, cpu_us=0,
        drain_us=rng.choice((0, 2 * SECOND)), leaves=rng.choice((0.0, 0.3)), large=rng.choice((0, 1)),
    )  # fmt: skip


def damage(rng: random.Random) -> Dials:
    """One node whose log is found damaged again and again: it must not vote as if nothing were missing."""
    return _aimed(
        draw(rng), nodes=3, databases=rng.choice((1, 2)), damage=1.0,
        crash_us=rng.randint(400, 1_000) * MILLISECOND, crash_on_vote=0.2, fault_lasts_us=200 * MILLISECOND,
        leaders_first=0.0, think_us=10 * MILLISECOND,
    )  # fmt: skip


def snapshots(rng: random.Random) -> Dials:
    """Logs so short that whoever was away needs a copy, and copies so slow that they are interrupted."""
    return _aimed(
        draw(rng), nodes=rng.choice((3, 5)), clients=5, crash_us=rng.randint(500, 2_000) * MILLISECOND,
        partition_us=rng.randint(500, 2_000) * MILLISECOND, fault_lasts_us=SECOND, think_us=5 * MILLISECOND,
        settings={
            "log_keep_entries": rng.choice((0, 1, 3)), "checkpoint_entries": 2, "snapshot_chunk_bytes": 4_000,
        },
    )  # fmt: skip


def lasting(rng: random.Random) -> Dials:
    """One fault that stays while a majority could work: it must, and without electing for ever."""
    kind = rng.choice(CUT_OR_BROKEN)
    return Dials(
        nodes=5 if kind == "partial" else rng.choice((3, 5)),
        clients=3,
        safety_us=9 * SECOND,
        lasting=kind,
        leave_dead=0.0,
        patience_us=200 * MILLISECOND,
        wander=0.3,
        settings=Settings(answer_timeout_us=SECOND),
    )


def patient(rng: random.Random) -> Dials:
    """No reason to elect anybody: links that are only long, or nodes that were stopped and must blame themselves."""
    kind = rng.choice(("long links", "frozen"))
    far = kind == "long links"
    return Dials(
        nodes=rng.choice((3, 5)),
        clients=3,
        safety_us=14 * SECOND,
        lasting=kind,
        leave_dead=0.0,
        patience_us=1_500 * MILLISECOND,
        delay_us=rng.choice((100, 150)) * MILLISECOND if far else 500,
        tail_us=10 * MILLISECOND if far else 500,
    )


def bulky(rng: random.Random) -> Dials:
    """Nor here: disks that have much to write, and suspicion that comes long before they have done it."""
    return Dials(
        clients=rng.choice((4, 5)), databases=3, safety_us=7_500 * MILLISECOND, lasting="large entries",
        leave_dead=0.0, patience_us=3 * SECOND, think_us=100 * MILLISECOND, large=6,
        settings=Settings(heartbeat_us=20 * MILLISECOND, suspect_us=50 * MILLISECOND),
    )  # fmt: skip


def handovers(rng: random.Random) -> Dials:
    """Leaders that die between one message and the next, so that logs end differently (figure 8 of the paper)."""
    return _aimed(
        draw(rng), SOUND_DISKS, NO_OPERATOR, nodes=rng.choice((3, 5)), clients=3, databases=1, safety_us=8 * SECOND,
        delay_us=5 * MILLISECOND, tail_us=20 * MILLISECOND, loss=0.0, corrupt=0.0, fsync_us=2 * MILLISECOND,
        fsync_tail_us=5 * MILLISECOND, storage_us=0, crash_us=300 * MILLISECOND, pause_us=0, swizzle_us=0,
        fsync_error_us=0, damage=0.0, fault_lasts_us=200 * MILLISECOND, leaders_first=0.9, torn_step=0.5, think_us=0,
        patience_us=200 * MILLISECOND,
        settings={
            "heartbeat_us": 50 * MILLISECOND, "suspect_us": 200 * MILLISECOND, "election_us": 100 * MILLISECOND,
            "ship_bytes_max": 200, "ship_entries_ahead": 1, "log_keep_entries": 4_096,
        },
    )  # fmt: skip


def distant(rng: random.Random) -> Dials:
    """Slow links with very late repetitions, and callers who read at followers: what an old answer would confirm."""
    return _aimed(
        deposed(rng), delay_us=5 * MILLISECOND, tail_us=60 * MILLISECOND, duplicate=0.4, late=0.6,
        crash_us=900 * MILLISECOND, fault_lasts_us=300 * MILLISECOND, leaders_first=0.3, partition_us=SECOND,
        patience_us=SECOND, wander=0.7, client_crash=0.0,
    )  # fmt: skip


def echoes(rng: random.Random) -> Dials:
    """Leaders that are cut off while answers to their earlier heartbeats, seconds old, still arrive."""
    return _aimed(
        deposed(rng), duplicate=0.5, late=0.8, pause_us=0, swizzle_us=0, crash_us=2 * SECOND, fault_lasts_us=SECOND,
        corrupt=0.0,
    )  # fmt: skip


def reborn(rng: random.Random) -> Dials:
    """Followers that die and return within moments, ask the leader where they must read, and hear the answers to what
    they asked in an earlier life."""
    return _aimed(
        distant(rng), nodes=3, clients=8, safety_us=8 * SECOND, delay_us=2 * MILLISECOND, tail_us=20 * MILLISECOND,
        duplicate=0.8, late=0.9, hints=0.0, corrupt=0.0, fsync_us=500, fsync_tail_us=0, storage_us=0,
        lose_unsynced=0.0, crash_us=300 * MILLISECOND, pause_us=0, partition_us=600 * MILLISECOND, swizzle_us=0,
        slow_disk_us=0, fsync_error_us=0, read_error_us=0, flip_log_us=0, flip_data_us=0, lost_disk=0.0, damage=0.0,
        fault_lasts_us=150 * MILLISECOND, leaders_first=0.0, torn_step=0.0, think_us=2 * MILLISECOND,
        patience_us=300 * MILLISECOND, wander=0.8,
    )  # fmt: skip


def overwrites(rng: random.Random) -> Dials:
    """Leaders with a slow disk that are cut off for a moment: what they were writing is replaced meanwhile."""
    return _aimed(
        handovers(rng), nodes=3, clients=4, delay_us=MILLISECOND, tail_us=3 * MILLISECOND, duplicate=0.5,
        fsync_us=5 * MILLISECOND, fsync_tail_us=5 * MILLISECOND, crash_us=0, partition_us=400 * MILLISECOND,
        slow_disk_us=200 * MILLISECOND, fault_lasts_us=400 * MILLISECOND, hints=1.0, wander=0.5,
        settings={"election_us": 60 * MILLISECOND, "retry_us": 100 * MILLISECOND},
    )  # fmt: skip


def crossed(rng: random.Random) -> Dials:
    """Votes that arrive after the election they were for, and several candidates at once."""
    return _aimed(
        votes(rng), nodes=rng.choice((3, 5)), clients=1, tail_us=200 * MILLISECOND, crash_us=SECOND,
        crash_on_vote=0.0, torn_step=0.0, fault_lasts_us=200 * MILLISECOND, leaders_first=0.9, duplicate=0.2, late=0.5,
    )  # fmt: skip


def copies(rng: random.Random) -> Dials:
    """Snapshots while old messages are repeated: a copy is offered to who needs none."""
    return _aimed(
        snapshots(rng), nodes=3, delay_us=5 * MILLISECOND, tail_us=40 * MILLISECOND, loss=0.05,
        storage_us=30 * MILLISECOND, crash_us=300 * MILLISECOND, fault_lasts_us=200 * MILLISECOND, think_us=0,
        duplicate=0.5, late=0.3, hints=1.0,
        settings={"log_keep_entries": rng.choice((0, 20)), "checkpoint_entries": 2},
    )  # fmt: skip


def exports(rng: random.Random) -> Dials:
    """Reads that fetch a copy of the whole database from one node, part by part, while everything goes on."""
    return _aimed(
        draw(rng), nodes=rng.choice((3, 3, 5)), clients=rng.choice((3, 5)), exports=0.7, reads=8, pairs=2,
        fault_lasts_us=300 * MILLISECOND, think_us=5 * MILLISECOND,
        settings={
            "copies_max": rng.choice((1, 2)), "copy_idle_us": rng.choice((50, 500)) * MILLISECOND,
            "copy_part_bytes": rng.choice((3_000, 1 << 20)),
        },
    )  # fmt: skip


def amputation(rng: random.Random) -> Dials:
    """A log that loses its end just when it is one of two that have it."""
    return _aimed(
        draw(rng), NEAR, SOUND_DISKS, NO_OPERATOR, nodes=3, clients=4, databases=1, damage=1.0,
        crash_us=400 * MILLISECOND, partition_us=300 * MILLISECOND, pause_us=0, fault_lasts_us=250 * MILLISECOND,
        leaders_first=0.7, torn_step=0.0, think_us=5 * MILLISECOND, wander=0.3,
    )  # fmt: skip


def relapse(rng: random.Random) -> Dials:
    """The same with data files that lag far behind their logs: a copy is older than what was acknowledged."""
    return _aimed(
        amputation(rng), delay_us=10 * MILLISECOND, tail_us=20 * MILLISECOND, fsync_us=5 * MILLISECOND,
        storage_us=20 * MILLISECOND, partition_us=SECOND, fault_lasts_us=150 * MILLISECOND, leaders_first=0.9,
        think_us=0,
    )  # fmt: skip


def hasty(rng: random.Random) -> Dials:
    """Callers that give up at the first answer, die, and whose requests linger on the way."""
    return _aimed(
        draw(rng), NEAR, NO_OPERATOR, nodes=3, clients=5, databases=1, tail_us=2 * MILLISECOND, client_late=0.2,
        client_crash=0.1, fsync_us=20 * MILLISECOND, pause_us=600 * MILLISECOND, partition_us=700 * MILLISECOND,
        full_disk_us=0, fault_lasts_us=700 * MILLISECOND, leaders_first=0.9,
        patience_us=rng.choice((300, 2_000)) * MILLISECOND, attempts=1, give_up=0.9, repeat=0.6,
        think_us=5 * MILLISECOND, settings={"answer_timeout_us": 3 * SECOND, "waiting_requests_max": 20_000},
    )  # fmt: skip


def idlers(rng: random.Random) -> Dials:
    """Groups that hardly anybody writes to, and voters that restart, damaged: who tells them who leads?"""
    return _aimed(
        draw(rng), NEAR, SOUND_DISKS, NO_OPERATOR, nodes=3, clients=1, databases=3, safety_us=4 * SECOND,
        crash_us=400 * MILLISECOND, partition_us=0, pause_us=800 * MILLISECOND, fault_lasts_us=300 * MILLISECOND,
        leaders_first=0.0, think_us=500 * MILLISECOND, lost_disk=0.0, damage=1.0, flip_data_us=0, flip_log_us=0,
    )  # fmt: skip


def batched(rng: random.Random) -> Dials:
    """Many callers in one batch, some of whom try to end the transaction of all."""
    return _aimed(
        draw(rng), nodes=rng.choice((1, 3)), clients=12, databases=1, safety_us=3 * SECOND,
        fsync_us=20 * MILLISECOND, think_us=0, failing=4,
        settings={"batch_requests_max": 512, "batch_bytes_max": 4 << 20, "waiting_requests_max": 20_000},
    )  # fmt: skip


def divergence(rng: random.Random) -> Dials:
    """One node whose data files are changed by hand, while somebody has replicas compared under load and faults.

    No log is ever trimmed: a copy of an edited file would spread the edit, and who is wrong is then no longer said
    by a majority.
    """
    return _aimed(
        draw(rng), nodes=rng.choice((3, 3, 5)), clients=4, databases=rng.choice((1, 2)), damage=0.0, flip_log_us=0,
        flip_data_us=0, lost_disk=0.0, full_disk_us=0, edit_us=rng.choice((500, 2_000)) * MILLISECOND,
        verify_us=rng.choice((200, 1_000)) * MILLISECOND, counters=4, schema=0, think_us=10 * MILLISECOND,
        settings={"log_keep_entries": 4_096, "verify_us": rng.choice((0, 300)) * MILLISECOND},
    )  # fmt: skip


def rolling(rng: random.Random) -> Dials:
    """Nodes of two releases: upgraded one by one, some of them taken back, until somebody finalizes; under faults."""
    return _aimed(
        draw(rng), nodes=rng.choice((2, 3, 3, 5)), clients=3, damage=0.0, lost_disk=0.0,
        verify_us=rng.choice((0, 500)) * MILLISECOND, upgrade_us=rng.choice((50, 150, 400, 1_500)) * MILLISECOND,
        leave_dead=0.5, think_us=20 * MILLISECOND,
    )  # fmt: skip


def members(rng: random.Random) -> Dials:
    """Nodes that come, go and take each other's place all the time, with short logs, under every fault."""
    aimed = _aimed(
        draw(rng), nodes=rng.choice((3, 3, 4, 5)), clients=4, databases=rng.choice((1, 1, 2)), safety_us=9 * SECOND,
        damage=0.0, flip_log_us=0, flip_data_us=0, lost_disk=0.0, leave_dead=0.0, schema=0,
        members_us=rng.choice((100, 300, 800)) * MILLISECOND, spares=rng.choice((4, 8)),
        wiped=rng.choice((0.0, 0.5, 1.0)), think_us=rng.choice((5, 20)) * MILLISECOND,
        settings={
            "log_keep_entries": rng.choice((0, 2, 50, 4_096)), "checkpoint_entries": rng.choice((2, 50)),
            "promote_within": rng.choice((0, 3, 64)),
        },
    )  # fmt: skip
    if rng.random() < 0.3:
        rules = ("majority", "async", "semi-sync:1")
        aimed = msgspec.structs.replace(aimed, acks=tuple(rng.sample(rules, 2)), alters=0.02)
    return aimed


def chosen(rng: random.Random) -> Dials:
    """Members come and go while a person says who leads."""
    aimed = members(rng)
    return msgspec.structs.replace(
        aimed, failover_us=100 * MILLISECOND, acks=aimed.acks or ("majority",), alters=0.05, by_hand=0.3
    )


def regrouped(rng: random.Random) -> Dials:
    """Replicas are compared, and rows of one node's files edited by hand, while members come and go.

    As in `divergence` no log is trimmed, and nothing but a copy after an edit is ever fetched.
    """
    aimed = members(rng)
    return _aimed(
        aimed, acks=(), alters=0.0, wiped=0.0, counters=4, full_disk_us=0,
        edit_us=rng.choice((0, 500, 2_000)) * MILLISECOND, verify_us=rng.choice((100, 500)) * MILLISECOND,
        settings={"log_keep_entries": 4_096, "verify_us": rng.choice((0, 300)) * MILLISECOND},
    )  # fmt: skip


def unfit(rng: random.Random) -> Dials:
    """Data files of a majority that cannot be brought forward, or are condemned, under crashes and partitions: whoever
    is whole heals them, and nothing that they have acknowledged is lost."""
    return _aimed(
        draw(rng), SOUND_DISKS, nodes=rng.choice((3, 3, 5)), clients=4, databases=1, safety_us=8 * SECOND,
        damage=0.0, flip_log_us=0, flip_data_us=0, lost_disk=0.0, leave_dead=0.0,
        crash_us=rng.choice((600, 2_000)) * MILLISECOND,
        unfit_us=rng.choice((400, 1_500)) * MILLISECOND, fault_lasts_us=rng.choice((300, 1_000)) * MILLISECOND,
        counters=4, schema=0, think_us=10 * MILLISECOND, settings={"log_keep_entries": 4_096},
    )  # fmt: skip


def fsyncs(rng: random.Random) -> Dials:
    """Fsyncs that fail, machines that lose power soon after, and copies all the time."""
    return msgspec.structs.replace(
        snapshots(rng),
        nodes=3,
        databases=1,
        safety_us=8 * SECOND,
        delay_us=500,
        tail_us=500,
        loss=0.0,
        fsync_us=2 * MILLISECOND,
        lose_unsynced=rng.choice((0.3, 0.6)),
        crash_us=500 * MILLISECOND,
        fsync_error_us=400 * MILLISECOND,
        read_error_us=0,
        full_disk_us=0,
        partition_us=SECOND,
        fault_lasts_us=150 * MILLISECOND,
        torn_step=0.7,
    )


def drawn(rng: random.Random) -> Dials:
    """Drawn schemas and statements (`lab.sql`) under every fault; plain SQLite must explain all that was committed."""
    return _aimed(
        draw(rng), nodes=rng.choice((3, 3, 5)), clients=rng.choice((3, 5)), databases=rng.choice((1, 2)),
        safety_us=5 * SECOND, acks=(), drawn=16, journals=0, schema=0, pairs=0, reads=2, writes=2, compares=0,
        counters=1, failing=0, weak_reads=0, think_us=20 * MILLISECOND,
    )  # fmt: skip


def transactions(rng: random.Random) -> Dials:
    """Interactive transactions that meet under every fault, or around leaders that are cut off: what they saw, whether
    they were committed or not, must fit into one order."""
    cut: dict[str, Any] = {"partition_us": SECOND, "leaders_first": 0.9, "crash_us": 0, "fault_lasts_us": SECOND}
    return _aimed(
        draw(rng), SOUND_DISKS, rng.choice(({}, cut)), nodes=rng.choice((3, 3, 5)), clients=1,
        transactors=rng.choice((3, 5)), databases=1, safety_us=4 * SECOND, keys=rng.choice((1, 2, 3)),
        think_us=rng.choice((0, 2, 10)) * MILLISECOND, delay_us=rng.choice((50, 500, 3_000)),
        fsync_us=rng.choice((50, 200, 2_000)), storage_us=0, give_up=rng.choice((0.0, 0.3)),
    )  # fmt: skip


SCENARIOS: dict[str, Callable[[random.Random], Dials]] = {
    scenario.__name__: scenario
    for scenario in (
        mixed, calm, votes, power, deposed, disks, damage, snapshots, lasting, handovers, distant, echoes, reborn,
        overwrites, crossed, copies, amputation, relapse, hasty, idlers, batched, fsyncs, divergence, rolling,
        altered, tails, narrow, stalled, members, planned, smooth, heirs, by_hand, permitted, accepted, chosen,
        *AIMED, regrouped, unfit,
        patient, bulky, spike, slow, storm, endless, long, drawn, exports, transactions, holds, sessions, runs,
        *LEADERS,
    )
}  # fmt: skip


STORES: dict[str, StoreMaker] = {MODEL: ModelStore, SQLITE: BadStore}
"""What makes a store of each kind on a model of a disk."""
UNKNOWN_MARK = "unknown to the model"


def dials_of(scenario: str, seed: int) -> Dials:
    """The dials of one seed; always the same. `scenario`: a name, or a file. Raises NoScenario."""
    if scenario.endswith(scenario_file.ENDING):
        return scenario_file.dials_in(scenario, SCENARIOS, seed)
    return SCENARIOS[scenario](random.Random(f"{scenario}/{seed}/dials"))


def storage_of(seed: int) -> str:
    """What this seed keeps its data in, unless it is told: every fourth in SQLite, the others in its model."""
    return SQLITE if seed % 4 == 3 else MODEL


def simulate(
    seed: int,
    scenario: str = "mixed",
    make_core: type[Node] = Node,
    *,
    core: str = "real",
    storage: str = "",
    skip: tuple[str, ...] = (),
    tail: int = LINES,
) -> Report:
    """Run one seed of a scenario with the real core, or with another (`core` is its name in the report)."""
    plan = Plan(scenario, make_core, BadStore, core=core, storage=storage, skip=skip, tail=tail)
    return execute(seed, dials_of(scenario, seed), plan)


def execute(seed: int, dials: Dials, plan: Plan) -> Report:
    """Run a plan with its storage, or that of the seed; what the model has not learnt with SQLite, and marked."""
    storage = plan.storage or (SQLITE if dials.needs_sqlite else storage_of(seed))
    if storage == FILES:
        make = partial(FileStore, seed=f"{plan.scenario}/{seed}")
        return run(seed, dials, msgspec.structs.replace(plan, make_store=make))
    try:
        return run(seed, dials, msgspec.structs.replace(plan, make_store=STORES[storage]))
    except UnknownToModel as unknown:
        report = run(seed, dials, msgspec.structs.replace(plan, make_store=BadStore))
        report.marks[f"{UNKNOWN_MARK}: {unknown}"] = 1
        return report


def case_of(scenario: str, seed: int, core: str = "real", storage: str = "") -> Case:
    """A seed of a scenario, whole, as a case to be made smaller."""
    storage = storage or storage_of(seed)
    return Case(scenario=scenario, seed=seed, core=core, storage=storage, dials=dials_of(scenario, seed))


def simulate_case(case: Case, *, skip: tuple[str, ...] = (), tail: int = LINES) -> Report:
    """Run a case. Its core must be the one that is in place: mutants are put in place by `lab.mutants`. A case that was
    made small may prove nothing any more without its bug."""
    skip = (*skip, VACUOUS)
    plan = Plan(
        case.scenario, Node, BadStore, core=case.core, storage=case.storage, skip=skip, tail=tail,
        skip_faults=case.skip_faults, skip_operations=case.skip_operations,
    )  # fmt: skip
    return execute(case.seed, case.dials, plan)
