"""Mixes of dials that were each made to show one kind of bug which the other scenarios did not show."""

import random

import msgspec

from quorate.core.ack_policy import MAJORITY
from quorate.core.settings import Settings
from quorate.lab.sim.scenarios import quorums
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.drawing import draw


def rebuilds(rng: random.Random) -> Dials:
    """A replica that is found damaged and rebuilt again and again, while what it acknowledged before is still on its
    way and the third one is away: what an acknowledgement of an earlier life would make a majority of."""
    return Dials(
        nodes=3,
        clients=rng.randint(3, 6),
        safety_us=8 * SECOND,
        delay_us=rng.choice((1, 5, 20)) * MILLISECOND,
        tail_us=rng.choice((5, 30)) * MILLISECOND,
        echo=1.0,
        loss=rng.choice((0.1, 0.3)),
        hints=0.0,
        fsync_us=rng.choice((2, 10)) * MILLISECOND,
        partition_us=rng.choice((300, 700)) * MILLISECOND,
        slow_disk_us=500 * MILLISECOND,
        flip_data_us=100 * MILLISECOND,
        fault_lasts_us=rng.choice((200, 500)) * MILLISECOND,
        leaders_first=0.0,
        think_us=0,
        reads=4,
        writes=6,
        settings=Settings(
            heartbeat_us=50 * MILLISECOND,
            suspect_us=600 * MILLISECOND,
            election_us=150 * MILLISECOND,
            retry_us=200 * MILLISECOND,
            checkpoint_entries=rng.choice((2, 20)),
            apply_delay_us=rng.choice((0, 20)) * MILLISECOND,
        ),
    )


def amnesia(rng: random.Random) -> Dials:
    """The same where the log of one node loses its end, again and again: what it acknowledged is forgotten."""
    return msgspec.structs.replace(
        rebuilds(rng),
        flip_data_us=0,
        damage=1.0,
        crash_us=rng.choice((300, 600)) * MILLISECOND,
        lose_unsynced=0.0,
        leaders_first=rng.choice((0.0, 0.3)),
        fault_lasts_us=rng.choice((50, 150, 400)) * MILLISECOND,
        leave_dead=0.0,
    )


QUICK = Settings(
    heartbeat_us=50 * MILLISECOND,
    suspect_us=200 * MILLISECOND,
    suspect_max_us=200 * MILLISECOND,
    election_us=60 * MILLISECOND,
    retry_us=100 * MILLISECOND,
)
"""Another leader within a third of a second."""
REGISTERS = Dials(
    clients=6,
    hints=0.0,
    keys=2,
    reads=8,
    writes=6,
    compares=1,
    counters=2,
    pairs=0,
    failing=0,
    journals=0,
    weak_reads=0,
    think_us=2 * MILLISECOND,
    patience_us=150 * MILLISECOND,
    wander=0.5,
    attempts=20,
    give_up=0.0,
    leave_dead=0.0,
    settings=QUICK,
)
"""Callers who write and read a few registers wherever somebody answers, and ask again and again."""


def figure_eight(rng: random.Random) -> Dials:
    """Figure 8 of the Raft paper, again and again: an entry of an earlier epoch is on a majority, and is replaced."""
    return msgspec.structs.replace(
        REGISTERS,
        nodes=5,
        fixed=MAJORITY,
        safety_us=12 * SECOND,
        delay_us=MILLISECOND,
        tail_us=MILLISECOND,
        figure_eight_us=rng.choice((100, 400)) * MILLISECOND,
        settings=msgspec.structs.replace(QUICK, ship_bytes_max=1, ship_entries_ahead=1, log_keep_entries=4_096),
    )


def newcomers(rng: random.Random) -> Dials:
    """Members that change all the time, and leaders that are left alone with the new ones: two majorities, where
    nothing joins the old voters and the new."""
    return msgspec.structs.replace(
        REGISTERS,
        nodes=rng.choice((3, 3, 4, 5)),
        safety_us=9 * SECOND,
        members_us=rng.choice((100, 300)) * MILLISECOND,
        spares=8,
        cut_on_change=rng.choice((0.3, 0.7)),
        fault_lasts_us=rng.choice((500, 1_000)) * MILLISECOND,
        settings=msgspec.structs.replace(QUICK, promote_within=rng.choice((0, 3, 64)), log_keep_entries=4_096),
    )


def departures(rng: random.Random) -> Dials:
    """Leaders that change themselves out of their group, and are cut off before anybody has that entry."""
    return msgspec.structs.replace(
        newcomers(rng), cut_on_change=0.0, cut_on_leaving=1.0, nodes=2, spread=0.0, delay_us=2 * MILLISECOND,
        partition_us=SECOND,
    )  # fmt: skip


def forgotten(rng: random.Random) -> Dials:
    """The same where nobody who is there can tell: a leader lacks what was committed, and whoever has it comes back
    later."""
    return msgspec.structs.replace(
        outdated(rng), nodes=3, old_copy_unseen=True, partition_us=0, crash_on_vote=0.0,
        old_copy_us=rng.choice((300, 700)) * MILLISECOND, crash_us=rng.choice((0, 4_000)) * MILLISECOND,
        fault_lasts_us=rng.choice((300, 1_200)) * MILLISECOND,
    )  # fmt: skip


def outdated(rng: random.Random) -> Dials:
    """A node whose folder is put back from older copies: it has forgotten what it acknowledged and whom it voted for,
    and the others remember that it lived since."""
    return msgspec.structs.replace(
        REGISTERS,
        nodes=rng.choice((3, 3, 5)),
        safety_us=10 * SECOND,
        delay_us=MILLISECOND,
        tail_us=0,  # in order, as a connection has it
        old_copy_us=rng.choice((200, 400)) * MILLISECOND,
        crash_us=rng.choice((0, 2_000)) * MILLISECOND,
        partition_us=rng.choice((0, 2_000)) * MILLISECOND,
        crash_on_vote=rng.choice((0.0, 0.3)),
        fault_lasts_us=rng.choice((300, 600)) * MILLISECOND,
        settings=msgspec.structs.replace(QUICK, log_keep_entries=rng.choice((2, 4_096))),
    )


def drops(rng: random.Random) -> Dials:
    """A database that is dropped and created again under its name, while nodes die, lose what was not synced, and are
    cut off for long enough to learn of it from a copy of the catalog. In some runs members come and go, too: one that
    was taken out hears of later drops from whoever tells it that it is out."""
    drawn = draw(rng)
    found = msgspec.structs.replace(
        drawn,
        nodes=rng.choice((1, 3, 3, 5)),
        clients=2,
        databases=1,
        safety_us=10 * SECOND,
        drops_us=rng.choice((30, 100)) * MILLISECOND,
        delay_us=rng.choice((500, 5_000)),
        client_late=0.0,
        lost_disk=0.0,
        crash_us=rng.choice((300, 1_000)) * MILLISECOND,
        lose_unsynced=rng.choice((0.5, 1.0)),
        partition_us=rng.choice((0, 500, 2_000)) * MILLISECOND,
        fault_lasts_us=rng.choice((300, 1_500)) * MILLISECOND,
        think_us=20 * MILLISECOND,
        settings=msgspec.structs.replace(
            drawn.settings,
            waiting_requests_max=20_000,
            checkpoint_entries=rng.choice((1, 2, 20)),
            log_keep_entries=rng.choice((0, 0, 3)),
        ),
    )
    if rng.random() < 0.7:
        return found
    nodes = max(3, found.nodes)
    return msgspec.structs.replace(found, nodes=nodes, members_us=300 * MILLISECOND, spares=4, leave_dead=0.0)


def streams(rng: random.Random) -> Dials:
    """Reads that fetch their rows in pieces from one state that a node keeps, while others write."""
    drawn = draw(rng)
    return msgspec.structs.replace(
        drawn, nodes=3, clients=rng.choice((3, 5)), databases=1, streams=0.8, sessions=6, pairs=3, reads=2,
        counters=1, duplicate=rng.choice((0.0, 0.2)), client_loss=rng.choice((0.02, 0.1)),
        fault_lasts_us=300 * MILLISECOND, think_us=5 * MILLISECOND, patience_us=100 * MILLISECOND,
        settings=msgspec.structs.replace(
            drawn.settings,
            views_max=rng.choice((1, 2, 8)),
            view_idle_us=rng.choice((150, 1_000)) * MILLISECOND,
            view_us=rng.choice((100, 300)) * MILLISECOND,
        ),
    )  # fmt: skip


def users(rng: random.Random) -> Dials:
    """Users who try what they may and what they may not, while an administrator changes who may what, and nodes die,
    stop, and are cut off. In some runs nothing goes wrong: there a change is in force everywhere within a second."""
    found = msgspec.structs.replace(
        REGISTERS,
        nodes=rng.choice((1, 3, 3, 3, 5)),
        clients=1,
        safety_us=14 * SECOND,
        users_us=rng.choice((100, 300)) * MILLISECOND,
        in_force_us=SECOND,
        storage_us=rng.choice((0, 0, 1_000)),
        think_us=50 * MILLISECOND,
        settings=msgspec.structs.replace(QUICK, auth_stale_us=rng.choice((1, 2)) * SECOND),
    )
    if rng.random() < 0.2:
        return found
    return msgspec.structs.replace(
        found,
        in_force_us=0,
        loss=rng.choice((0.0, 0.05)),
        duplicate=rng.choice((0.0, 0.1)),
        late=0.3,
        client_loss=rng.choice((0.0, 0.05)),
        client_late=rng.choice((0.0, 0.1)),
        crash_us=rng.choice((0, 1_500)) * MILLISECOND,
        pause_us=rng.choice((0, 3_000)) * MILLISECOND,
        partition_us=rng.choice((0, 2_000)) * MILLISECOND,
        failover_us=rng.choice((0, 500)) * MILLISECOND,
        drift_ppm=rng.choice((0, 20_000)),
        fault_lasts_us=rng.choice((500, 4_000)) * MILLISECOND,
        leaders_first=rng.choice((0.0, 0.5)),
        settings=msgspec.structs.replace(found.settings, log_keep_entries=rng.choice((0, 3, 4_096))),
    )


AIMED = (
    rebuilds,
    amnesia,
    figure_eight,
    newcomers,
    departures,
    outdated,
    forgotten,
    drops,
    users,
    streams,
    *quorums.ALL,
)
"""All of them."""
