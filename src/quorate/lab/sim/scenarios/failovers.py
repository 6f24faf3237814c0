"""The mixes of dials that are about who leads: failovers that somebody asks for, under faults."""

import random

import msgspec

from quorate.core.ack_policy import ETCD, MAJORITY
from quorate.core.settings import Settings
from quorate.lab.sim.scenarios.acknowledging import hasty_logs, narrow
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.drawing import draw


def smooth(rng: random.Random) -> Dials:
    """Nothing fails, and leadership is handed about all the time: no caller may notice."""
    return Dials(
        nodes=rng.choice((2, 3, 5)),
        clients=rng.randint(4, 6),
        databases=rng.choice((1, 2)),
        safety_us=5 * SECOND,
        delay_us=rng.choice((100, 500, 2_000)),
        fsync_us=rng.choice((200, 2_000, 5_000)),
        failover_us=rng.choice((30, 100)) * MILLISECOND,
        smooth=True,
        think_us=rng.choice((0, 2, 10)) * MILLISECOND,
        attempts=100,
        give_up=0.0,
        hints=1.0,
    )


def heirs(rng: random.Random) -> Dials:
    """Readers of one register who ask whoever has just handed over, and was cut off at that moment."""
    return Dials(
        nodes=rng.choice((3, 5)),
        clients=6,
        safety_us=6 * SECOND,
        delay_us=3 * MILLISECOND,
        tail_us=3 * MILLISECOND,
        cut_on_handover=0.5,
        fault_lasts_us=400 * MILLISECOND,
        hints=0.0,
        failover_us=100 * MILLISECOND,
        keys=1,
        reads=10,
        writes=4,
        compares=0,
        counters=0,
        pairs=0,
        failing=0,
        journals=0,
        weak_reads=0,
        think_us=2 * MILLISECOND,
        wander=0.7,
        settings=Settings(heartbeat_us=100 * MILLISECOND, suspect_us=800 * MILLISECOND, election_us=300 * MILLISECOND),
    )


def planned(rng: random.Random) -> Dials:
    """Somebody hands leadership about, under load, while nodes and links fail."""
    drawn = draw(rng)
    return msgspec.structs.replace(
        hasty_logs(drawn) if rng.random() < 0.4 else drawn,
        nodes=rng.choice((2, 3, 3, 4, 5)),
        clients=rng.randint(3, 6),
        databases=rng.choice((1, 2)),
        safety_us=rng.randint(5, 8) * SECOND,
        failover_us=rng.choice((60, 150, 400)) * MILLISECOND,
        acks=rng.choice(((), ("async",), ("sync", "semi-sync:1"))),
        alters=0.05,
        cut_on_handover=rng.choice((0.0, 0.0, 0.2)),
        crash_us=rng.choice((0, 1_000, 3_000)) * MILLISECOND,
        partition_us=rng.choice((0, 0, 1_500)) * MILLISECOND,
        pause_us=rng.choice((0, 0, 1_500)) * MILLISECOND,
        lost_disk=0.0,
        think_us=rng.choice((0, 5, 20)) * MILLISECOND,
    )


def by_hand(rng: random.Random) -> Dials:
    """Databases in which a person says who leads, under faults, and a person who does so after a while."""
    return msgspec.structs.replace(
        planned(rng),
        failover_us=rng.choice((200, 500)) * MILLISECOND,
        acks=rng.choice((("majority",), ("async", "majority"), ("sync", "semi-sync:1"))),
        alters=0.1,
        by_hand=0.9,
        crash_us=rng.choice((500, 1_500)) * MILLISECOND,
    )


def permitted(rng: random.Random) -> Dials:
    """Databases in which an etcd permits elections, while nodes, links and etcd fail; in some runs one register, which
    is read wherever somebody answers."""
    drawn = planned(rng)
    dials = msgspec.structs.replace(
        drawn,
        nodes=rng.choice((2, 3, 3, 5)),
        failover_us=rng.choice((0, 0, 1_500)) * MILLISECOND,
        acks=rng.choice((("majority",), ("majority",), ("async", "majority"), ("sync", "semi-sync:1"))),
        alters=0.1,
        permits=0.9,
        cut_on_handover=0.0,
        etcd_outage_us=800 * MILLISECOND,
        etcd_lost_answer=0.1,
        crash_us=rng.choice((700, 1_500)) * MILLISECOND,
        partition_us=rng.choice((800, 1_500)) * MILLISECOND,
        pause_us=1_500 * MILLISECOND,
        leaders_first=0.7,
        settings=msgspec.structs.replace(drawn.settings, has_etcd=True),
    )
    return registers_by_permit(rng) if rng.random() < 0.5 else dials


def registers_by_permit(rng: random.Random) -> Dials:
    """One register, read wherever somebody answers, while leaders with a permit are cut off from who has the next."""
    return msgspec.structs.replace(
        heirs(rng),
        cut_on_handover=0.0,
        failover_us=0,
        delay_us=MILLISECOND,
        tail_us=MILLISECOND,
        fixed=MAJORITY,
        decides=ETCD,
        etcd_outage_us=4 * SECOND,
        etcd_spread=True,
        nodes=3,
        safety_us=12 * SECOND,
        partition_us=SECOND,
        fault_lasts_us=2 * SECOND,
        leaders_first=1.0,
        halves=1.0,
        settings=Settings(
            heartbeat_us=50 * MILLISECOND,
            suspect_us=200 * MILLISECOND,
            election_us=60 * MILLISECOND,
            has_etcd=True,
        ),
    )


def accepted(rng: random.Random) -> Dials:
    """Five nodes of which two disks are enough for a write; when both are away, somebody accepts the loss."""
    return msgspec.structs.replace(
        narrow(rng),
        failover_us=100 * MILLISECOND,
        partition_us=1_500 * MILLISECOND,
        fault_lasts_us=2_000 * MILLISECOND,
        acks=("semi-sync:1",),
        alters=0.1,
        by_hand=rng.choice((0.0, 1.0)),
        accept_loss=0.7,
        halves=0.8,
        crash_us=rng.choice((0, 3_000)) * MILLISECOND,
        settings=Settings(
            heartbeat_us=50 * MILLISECOND,
            suspect_us=300 * MILLISECOND,
            election_us=100 * MILLISECOND,
            answer_timeout_us=SECOND // 2,
            log_keep_entries=rng.choice((0, 3, 4_096)),
            checkpoint_entries=rng.choice((2, 20)),
        ),
    )
