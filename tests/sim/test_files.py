"""The second fidelity: the same worlds on real SQLite files, whose disk forgets, tears and fails."""

import os
import subprocess
import sys

import pytest

from quorate.lab.sim.scenarios import SCENARIOS, dials_of, simulate

CHUNKS = 4
SEEDS_PER_CHUNK = 12

SEEN_IN_EVERY_CHUNK = {
    "ok": 250,
    "elections": 25,
    "crash": 15,
    "digests compared": 150,
    "histories judged": SEEDS_PER_CHUNK,
    "writes lost": 200,
    "fsync error": 1,
    "read error": 1,
    "torn step": 1,
    "note: snapshot_installed": 1,
}
"""What must have happened in each chunk, and how often at least: a quiet run proves nothing."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_mixed_faults_break_no_promise_on_real_files(chunk: int) -> None:
    marks: dict[str, int] = {}
    for seed in range(chunk * SEEDS_PER_CHUNK, (chunk + 1) * SEEDS_PER_CHUNK):
        report = simulate(seed, "mixed@sqlite")
        assert report.ok, "\n".join(report.lines())
        for name, times in report.marks.items():
            marks[name] = marks.get(name, 0) + times
    missing = {name: marks.get(name, 0) for name, least in SEEN_IN_EVERY_CHUNK.items() if marks.get(name, 0) < least}
    assert not missing, f"hardly or never happened: {missing}"


AIMED_AT = {
    "power": {"writes lost": 500, "names lost": 1, "died in storage": 3, "crash": 10},
    "disks": {"no room": 20, "disk full": 1, "no room to start": 1},
    "snapshots": {"note: snapshot_installed": 4, "died in storage": 1},
    "copies": {"note: snapshot_installed": 4, "crash": 20},
    "votes": {"crash after a vote": 10, "died in storage": 2},
}


@pytest.mark.parametrize("scenario", sorted(AIMED_AT))
def test_aimed_scenarios_break_no_promise_on_real_files(scenario: str) -> None:
    assert scenario in SCENARIOS
    marks: dict[str, int] = {}
    for seed in range(6):
        report = simulate(seed, f"{scenario}@sqlite")
        assert report.ok, "\n".join(report.lines())
        for name, times in report.marks.items():
            marks[name] = marks.get(name, 0) + times
    missing = {name: marks.get(name, 0) for name, least in AIMED_AT[scenario].items() if marks.get(name, 0) < least}
    assert not missing, f"hardly or never happened: {missing}"


SEEDS = ((3, "mixed@sqlite"), (5, "snapshots@sqlite"), (2, "power@sqlite"))
PROGRAM = "from quorate.lab.sim.scenarios import simulate\n" + "".join(
    f"print(simulate({seed}, {scenario!r}).trace)\n" for seed, scenario in SEEDS
)


def test_the_same_seed_takes_the_same_steps_on_real_files_too() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [simulate(seed, scenario).trace for seed, scenario in SEEDS]


def test_both_fidelities_have_the_same_dials() -> None:
    assert dials_of("mixed@sqlite", 4) == dials_of("mixed", 4)
