"""The second fidelity: the same worlds on real SQLite files, whose disk forgets, tears and fails."""

import os
import subprocess
import sys
from functools import partial

import pytest

from quorate.core.node import Node
from quorate.core.settings import Settings
from quorate.lab.sim.run import Plan, Run
from quorate.lab.sim.scenarios.dials import SECOND, Dials
from quorate.lab.sim.scenarios.named import SCENARIOS, simulate
from quorate.lab.sim.stores.files import FileStore

CHUNKS = 2
SEEDS_PER_CHUNK = 16

SEEN_IN_EVERY_CHUNK = {
    "ok": 170,
    "elections": 16,
    "crash": 10,
    "digests compared": 100,
    "histories judged": SEEDS_PER_CHUNK,
    "writes lost": 33,
    "died in storage": 2,
    "disk failed": 3,
    "fsync error": 1,
    "read error": 1,
    "note: snapshot_installed": 1,
}
"""What must have happened in each chunk, and how often at least: a quiet run proves nothing."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_mixed_faults_break_no_promise_on_real_files(chunk: int) -> None:
    marks: dict[str, int] = {}
    for seed in range(chunk, CHUNKS * SEEDS_PER_CHUNK, CHUNKS):
        report = simulate(seed, "mixed", storage="files")
        assert report.ok, "\n".join(report.lines())
        for name, times in report.marks.items():
            marks[name] = marks.get(name, 0) + times
    missing = {name: marks.get(name, 0) for name, least in SEEN_IN_EVERY_CHUNK.items() if marks.get(name, 0) < least}
    assert not missing, f"hardly or never happened: {missing}"


AIMED_AT = {
    "power_quorums": {"writes lost": 500, "died in storage": 20, "leaderless: restarted": 30},
    "power": {"writes lost": 500, "died in storage": 3, "crash": 10},
    "disks": {"no room": 20, "disk full": 1, "no room to start": 1},
    "damage": {"damage": 4, "note: healed": 2},
    "snapshots": {"note: snapshot_installed": 4, "died in storage": 1},
    "votes": {"crash after a vote": 10, "crash": 50},
    "fsyncs": {"fsync error": 20, "names lost": 5, "died in storage": 10, "pages dropped": 1, "disk failed": 20},
}


@pytest.mark.parametrize("scenario", sorted(AIMED_AT))
def test_aimed_scenarios_break_no_promise_on_real_files(scenario: str) -> None:
    assert scenario in SCENARIOS
    marks: dict[str, int] = {}
    for seed in range(6):
        report = simulate(seed, scenario, storage="files")
        assert report.ok, "\n".join(report.lines())
        for name, times in report.marks.items():
            marks[name] = marks.get(name, 0) + times
    missing = {name: marks.get(name, 0) for name, least in AIMED_AT[scenario].items() if marks.get(name, 0) < least}
    assert not missing, f"hardly or never happened: {missing}"


FLIPS = Dials(
    crash_us=SECOND,
    flip_log_us=SECOND // 2,
    flip_data_us=SECOND // 2,
    think_us=5_000,
    settings=Settings(checkpoint_entries=2),
)


def test_bits_that_flip_in_real_files_are_found_and_mended() -> None:
    marks: dict[str, int] = {}
    for seed in range(5):
        plan = Plan("flips", Node, partial(FileStore, seed=f"flips/{seed}"))
        report = Run(seed, FLIPS, plan).execute()
        assert report.ok, "\n".join(report.lines())
        for name, times in report.marks.items():
            marks[name] = marks.get(name, 0) + times
    for name, least in {"flip in the log": 2, "flip in a data file": 5, "note: healed": 2}.items():
        assert marks.get(name, 0) >= least, (name, marks.get(name, 0))


SEEDS = ((3, "mixed"), (5, "snapshots"), (2, "power"))
PROGRAM = "from quorate.lab.sim.scenarios.named import simulate\n" + "".join(
    f"print(simulate({seed}, {scenario!r}, storage='files').trace)\n" for seed, scenario in SEEDS
)


def test_the_same_seed_takes_the_same_steps_on_real_files_too() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [simulate(seed, scenario, storage="files").trace for seed, scenario in SEEDS]
