"""A seed and a commit are a bug report: the same seed takes the same steps, in any process."""

import os
import subprocess
import sys

from quorate.lab.sim.scenarios import simulate

SEEDS = ((3, "mixed"), (11, "mixed"), (5, "snapshots"), (2, "votes"), (1, "disks"))
PROGRAM = "from quorate.lab.sim.scenarios import simulate\n" + "".join(
    f"print(simulate({seed}, {scenario!r}).trace)\n" for seed, scenario in SEEDS
)


def traces(hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_same_seed_takes_the_same_steps_whatever_the_hash_seed() -> None:
    first = traces("1")
    assert len(set(first)) == len(SEEDS), "different seeds take different steps"
    assert first == traces("2")
    assert first == [simulate(seed, scenario).trace for seed, scenario in SEEDS]
