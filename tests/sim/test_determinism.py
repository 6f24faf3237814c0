"""A seed and a commit are a bug report: the same seed takes the same steps, in any process."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from quorate.cli.lab import twice as lab_twice
from quorate.cli.lab.main import lab
from quorate.lab.sim.campaigns.twice import deal, half_of
from quorate.lab.sim.scenarios.named import SCENARIOS, simulate

FIRST_OF_A_SET = """
from quorate.lab.sim.faults.injector import Faults
from quorate.lab.sim.scenarios.named import simulate

def victim(faults, among):
    return int(next(iter({f"node {number}" for number in among})).removeprefix("node "))

Faults.pick = victim
print(simulate(0, "handovers").trace)
"""
"""A laboratory with the fault that double runs look for: a choice by the order of a set of strings."""


TWICE = (
    "by_hand", "copies", "damage", "disks", "divergence", "drawn", "drops", "exports", "handovers", "hasty", "holds",
    "altered", "idlers", "mixed", "permitted", "rolling", "runs", "sessions", "snapshots", "streams", "transactions",
    "users", "votes",
)  # fmt: skip
"""Those that take little time, and between them have everybody who acts. `quorate lab twice`, run by hand, has all."""


def test_scenarios_take_the_same_steps_whatever_the_hash_seed() -> None:
    chosen = [word for name in TWICE for word in ("--scenario", name)]
    done = CliRunner().invoke(lab, ["twice", "--seeds", str(len(TWICE)), "--first", "3", *chosen])
    assert done.exit_code == 0, done.output
    assert f"{len(TWICE)} pairs of equal traces" in done.stdout


def test_a_choice_by_the_order_of_a_set_shows() -> None:
    traces = set()
    for hash_seed in range(1, 9):
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        command = [sys.executable, "-c", FIRST_OF_A_SET]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        traces.add(done.stdout)
        if len(traces) > 1:
            return
    raise AssertionError("eight hash seeds, one trace")


def test_two_traces_that_differ_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    halves = iter([half_of(simulate(seed, "crossed")) for seed in (0, 1)])
    monkeypatch.setattr(lab_twice, "_half", lambda _tasks, _hash_seed: [next(halves)])
    done = CliRunner().invoke(lab, ["twice", "--seeds", "1"])
    assert str(done.exception) == "seed 0 of crossed depends on more than its seed"
    assert "0 pairs of equal traces" in done.stdout


def test_seeds_are_dealt_to_the_scenarios_in_turn() -> None:
    count = len(SCENARIOS)
    dealt = deal(10, 2 * count + 1, ())
    assert [name for name, _ in dealt[:count]] == list(SCENARIOS)
    assert dealt[count - 1 : count + 1] == [(list(SCENARIOS)[-1], 10), (next(iter(SCENARIOS)), 11)]
    assert deal(0, 3, ("calm",)) == [("calm", 0), ("calm", 1), ("calm", 2)]
