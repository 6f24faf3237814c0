"""Hundreds of clusters suffer mixed faults, and no promise is broken."""

import pytest

from quorate.lab.sim.scenarios import SCENARIOS, simulate

CHUNKS = 20
SEEDS_PER_CHUNK = 16

SEEN_IN_EVERY_CHUNK = {
    "ok": 500,
    "failed": 20,
    "unsure": 5,
    "cancelled": 5,
    "elections": 30,
    "two leaders at once": 1,
    "crash": 10,
    "torn step": 1,
    "writes forgotten": 1,
    "pause": 3,
    "partition": 5,
    "dropped": 200,
    "duplicated": 100,
    "timed out": 50,
    "not leader": 50,
    "repetitions answered": 3,
    "digests compared": 300,
    "histories judged": SEEDS_PER_CHUNK,
    "note: lost_quorum": 1,
    "note: stepped_down": 3,
    "note: snapshot_installed": 1,
    "got ReadIndexAsk": 5,
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


RARE = {
    "calm": {"ok": 1_000, "digests compared": 50},
    "votes": {"crash after a vote": 20, "elections": 100},
    "power": {"writes forgotten": 20, "note: truncated": 1, "crash": 20},
    "deposed": {"two leaders at once": 5, "note: lost_quorum": 10, "read: ok": 500},
    "disks": {"disk full": 3, "refused: DiskFull": 1, "slow disk": 3},
    "snapshots": {"note: snapshot_installed": 10, "got SnapshotChunk": 20},
}


@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"mixed"}))
def test_aimed_scenarios_break_no_promise_and_hit_what_they_aim_at(scenario: str) -> None:
    marks: dict[str, int] = {}
    for seed in range(8):
        report = simulate(seed, scenario)
        assert report.ok, "\n".join(report.lines())
        for name, times in report.marks.items():
            marks[name] = marks.get(name, 0) + times
    missing = {name: marks.get(name, 0) for name, least in RARE[scenario].items() if marks.get(name, 0) < least}
    assert not missing, f"hardly or never happened: {missing}"
