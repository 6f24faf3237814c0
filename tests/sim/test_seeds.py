"""Hundreds of clusters suffer mixed faults, and no promise is broken."""

import pytest

from quorate.lab.sim.scenarios import SCENARIOS, simulate

CHUNKS = 12
SEEDS_PER_CHUNK = 26

SEEN_IN_EVERY_CHUNK = {
    "ok": 500,
    "failed": 20,
    "unsure": 20,
    "cancelled": 10,
    "elections": 50,
    "two leaders at once": 1,
    "batches committed together": 20,
    "crash": 15,
    "pause": 5,
    "partition": 10,
    "drain": 1,
    "dropped": 500,
    "duplicated": 200,
    "timed out": 100,
    "not leader": 100,
    "repetitions answered": 5,
    "digests compared": 300,
    "histories judged": SEEDS_PER_CHUNK,
    "note: lost_quorum": 1,
    "note: stepped_down": 5,
    "note: snapshot_installed": 1,
    "journal: ok": 10,
    "schema: ok": 1,
    "got ReadIndexAsk": 10,
}
"""What must have happened in each chunk, and how often at least: a quiet run proves nothing."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_mixed_faults_break_no_promise(chunk: int) -> None:
    marks: dict[str, int] = {}
    for seed in range(chunk * SEEDS_PER_CHUNK, (chunk + 1) * SEEDS_PER_CHUNK):
        report = simulate(seed)
        assert report.ok, "\n".join(report.lines())
        for name, times in report.marks.items():
            marks[name] = marks.get(name, 0) + times
    missing = {name: marks.get(name, 0) for name, least in SEEN_IN_EVERY_CHUNK.items() if marks.get(name, 0) < least}
    assert not missing, f"hardly or never happened: {missing}"


AIMED_AT = {
    "calm": {"ok": 1_000, "digests compared": 50},
    "votes": {"crash after a vote": 20, "elections": 100, "two leaders at once": 1},
    "power": {"writes forgotten": 20, "crash": 20, "torn step": 1},
    "deposed": {"two leaders at once": 5, "note: lost_quorum": 5, "note: truncated": 1, "read: ok": 500},
    "disks": {"disk full": 3, "refused: DiskFull": 1, "slow disk": 3},
    "damage": {"damage": 8, "note: healed": 4},
    "snapshots": {"note: snapshot_installed": 8, "got SnapshotChunk": 20},
    "lasting": {"lasting: deaf leader": 1, "lasting: hung disk": 1, "ok": 1_000},
    "handovers": {"elections": 50, "note: truncated": 1},
    "distant": {"got ReadIndexAsk": 50, "duplicated": 500},
    "echoes": {"two leaders at once": 3, "duplicated": 500},
    "overwrites": {"slow disk": 8, "partition": 20, "elections": 20},
    "crossed": {"elections": 20, "crash": 10},
    "copies": {"note: snapshot_installed": 4, "duplicated": 100},
    "amputation": {"damage": 3, "note: healed": 2},
    "relapse": {"damage": 3, "note: healed": 2},
    "hasty": {"told not done": 20, "lingered": 50, "client crash": 20, "cancelled": 10},
    "crowd": {"ok": 200, "failed": 20},
    "fsyncs": {"fsync error": 10, "crash": 20, "note: snapshot_installed": 2},
}
SEEDS_AIMED = {"lasting": 6}


@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"mixed"}))
def test_aimed_scenarios_break_no_promise_and_hit_what_they_aim_at(scenario: str) -> None:
    marks: dict[str, int] = {}
    for seed in range(SEEDS_AIMED.get(scenario, 8)):
        report = simulate(seed, scenario)
        assert report.ok, "\n".join(report.lines())
        for name, times in report.marks.items():
            marks[name] = marks.get(name, 0) + times
    missing = {name: marks.get(name, 0) for name, least in AIMED_AT[scenario].items() if marks.get(name, 0) < least}
    assert not missing, f"hardly or never happened: {missing}"
