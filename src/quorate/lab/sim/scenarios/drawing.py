"""How the mixed scenario makes the dials from a seed, and what the shrinker tries them at. Those of faults stand with
their faults (`sim.faults`); here are the others.

The order of the draws is part of what a seed means: a dial that is added is drawn after all others, from random numbers
of its own, and no seed changes but for what it adds.
"""

import random
from typing import Any

import msgspec

from quorate.core.settings import Settings
from quorate.lab.sim.faults import registry
from quorate.lab.sim.faults.fault import Dial, Draw, between, one_of, part_or_zero
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.workloads.registry import WORKLOADS


def draw_settings(rng: random.Random) -> Settings:
    """Small numbers, so that limits are met within seconds."""
    heartbeat_us = rng.choice((50, 100, 150)) * MILLISECOND
    own = random.Random(rng.getrandbits(64))  # for what is added later: the other draws of a seed stay as they are
    drawn = Settings(
        heartbeat_us=heartbeat_us,
        suspect_us=heartbeat_us * rng.choice((4, 6)),
        election_us=rng.choice((100, 150, 300)) * MILLISECOND,
        retry_us=rng.choice((100, 200)) * MILLISECOND,
        answer_timeout_us=rng.choice((1, 3)) * SECOND,
        batch_requests_max=rng.choice((1, 2, 8, 512)),
        batch_bytes_max=rng.choice((300, 4 << 20)),
        waiting_requests_max=rng.choice((2, 20_000, 20_000)),
        ship_bytes_max=rng.choice((200, 2_000, 1 << 20)),
        ship_entries_ahead=rng.choice((1, 4, 64)),
        apply_bytes_max=rng.choice((200, 1 << 20)),
        cache_bytes_max=rng.choice((0, 500, 8 << 20)),
        checkpoint_entries=rng.choice((2, 5, 20)),
        checkpoint_bytes=rng.choice((500, 16 << 20)),
        log_keep_entries=rng.choice((0, 3, 10, 4_096)),
        snapshot_chunk_bytes=rng.choice((700, 5_000, 256 << 10)),
        batches_ahead=own.choice((1, 2, 2, 8)),
        apply_entries_max=own.choice((1, 3, 64, 64)),
        apply_delay_us=own.choice((0, 40, 40, 200)) * MILLISECOND,
        settle_delay_us=own.choice((0, 40, 200, 200)) * MILLISECOND,
        settle_entries_max=own.choice((1, 3, 512, 512)),
        settle_bytes_max=own.choice((200, 4 << 20)),
        close_idle_us=own.choice((30, 200, 1_000)) * MILLISECOND,
        close_idle_periods=own.choice((0, 1, 60)),
        gather_us=own.choice((0, 500, 5_000, 50_000)),
    )
    fixed = own.random() < 0.5
    return msgspec.structs.replace(drawn, suspect_max_us=drawn.suspect_us if fixed else 3 * SECOND)


KEPT = ()
"""What says how a run is built, or how long it is, and makes it no louder; also what other dials are multiples of."""

OTHERS = (
    Dial("nodes", one_of(1, 2, 3, 3, 3, 3, 3, 4, 5, 5), quiet=(2, 3)),
    Dial("clients", between(1, 5), quiet=(1, 2)),
    Dial("holds"),
    Dial("databases", one_of(1, 1, 2, 3), quiet=(1,)),
    Dial("leaders", quiet=KEPT),
    Dial("topology", quiet=KEPT),
    Dial("forget_after", quiet=KEPT),
    Dial("notes", quiet=KEPT),
    Dial("in_force_us", quiet=KEPT),
    Dial("safety_us", lambda rng: rng.randint(3, 8) * SECOND, quiet=KEPT),
    Dial("liveness_us", quiet=KEPT),
    Dial("delay_us", one_of(50, 500, 500, 5_000, 20_000), quiet=KEPT),
    Dial("hints", part_or_zero(1.0, 0.7)),
    Dial("fsync_us", one_of(50, 200, 2_000, 20_000), quiet=KEPT),
    Dial("fsync_tail_us", one_of(0, 500, 20_000)),
    Dial("storage_us", one_of(0, 0, 100, 5_000)),
    Dial("cpu_us", quiet=KEPT),
    Dial("run_us", quiet=KEPT),
    Dial("slow_node"),
    Dial("spike"),
    Dial("spike_us", quiet=KEPT),
    Dial("base_load"),
    Dial("stop_leader_us"),
    Dial("repeats"),
    Dial("fault_lasts_us", one_of(200_000, SECOND, 2 * SECOND), quiet=KEPT),
    Dial("by_hand"),
    Dial("permits"),
    Dial("open_replicas", one_of(0, 0, 1, 2)),
    Dial("leave_dead"),
    Dial("acks", quiet=KEPT),
    Dial("fixed", quiet=KEPT),
    Dial("alters"),
    Dial("quorums", quiet=KEPT),
    Dial("decides", quiet=KEPT),
    Dial("keys", between(1, 4), quiet=(1,)),
    Dial("reads"),
    Dial("writes"),
    Dial("compares", one_of(0, 2)),
    Dial("counters", one_of(0, 2, 4)),
    Dial("pairs", one_of(0, 1)),
    Dial("failing", one_of(0, 1, 3)),
    Dial("journals", one_of(0, 1, 2)),
    Dial("schema", one_of(0, 0, 1)),
    Dial("weak_reads", one_of(0, 1)),
    Dial("exports"),
    Dial("streams"),
    Dial("smooth", quiet=KEPT),
    Dial("spares", quiet=KEPT),
    Dial("spread", quiet=KEPT),
    Dial("think_us", lambda rng: rng.choice((0, 5, 20, 100)) * MILLISECOND, quiet=(20 * MILLISECOND,)),
    Dial("patience_us", lambda rng: rng.choice((100, 400, 1_000)) * MILLISECOND, quiet=KEPT),
    Dial("wander", one_of(0.0, 0.1, 0.6)),
    Dial("attempts", between(1, 6), quiet=(1,)),
    Dial("give_up", one_of(0.0, 0.3, 0.8)),
    Dial("settings", draw_settings, quiet=KEPT),
)
DIALS = (*OTHERS, *(workload.dial for workload in WORKLOADS))
QUIET = {**registry.QUIET, **{dial.name: dial.quiet for dial in DIALS if dial.quiet}}
"""What each dial is tried at, quietest first."""

DRAWS: dict[str, Draw] = {**{dial.name: dial.draw for dial in DIALS if dial.draw is not None}, **registry.DRAWS}
ORDER = (
    "nodes", "clients", "databases", "safety_us", "delay_us", "tail_us", "loss", "duplicate", "late", "corrupt",
    "hints", "client_loss", "client_late", "fsync_us", "fsync_tail_us", "storage_us", "keep_pending",
    "lose_unsynced", "drift_ppm", "wall_offset_us", "crash_us", "pause_us", "partition_us", "swizzle_us",
    "slow_disk_us", "full_disk_us", "drain_us", "fsync_error_us", "read_error_us", "strobe_us", "flip_log_us",
    "flip_data_us", "lost_disk", "damage", "clock_jump_us", "fault_lasts_us", "leaders_first", "torn_step",
    "crash_on_vote", "keys", "compares", "counters", "pairs", "failing", "journals", "schema", "weak_reads",
    "think_us", "patience_us", "wander", "client_crash", "attempts", "give_up", "repeat", "settings",
)  # fmt: skip
"""The dials of the first draws, in their order. All others come after them."""


def draw(rng: random.Random) -> Dials:
    """The mixed scenario: anything may happen."""
    drawn: dict[str, Any] = {name: DRAWS[name](rng) for name in ORDER}
    own = random.Random()
    own.setstate(rng.getstate())
    return Dials(**drawn, **{name: draws(own) for name, draws in DRAWS.items() if name not in drawn})
