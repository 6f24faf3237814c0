"""One half of a double run: the traces of some seeds, from a process whose hash seed somebody chose.

A run must be a function of its seed alone. What most easily breaks that is the order of a set or of anything else
that hashes: so each seed is run in two processes whose PYTHONHASHSEED differ, and the traces must be equal.
"""

import sys

from msgspec import Struct
from msgspec.json import decode, encode

from quorate.lab.sim.campaigns.report import Report
from quorate.lab.sim.scenarios.named import SCENARIOS, simulate

Task = tuple[str, int]
"""Scenario and seed."""


class Half(Struct, frozen=True):
    """What one process saw of one seed."""

    scenario: str
    seed: int
    trace: str
    rest: str
    """Everything else that the report says, so that this is compared too."""
    steps: int
    ok: bool


def deal(first: int, count: int, scenarios: tuple[str, ...]) -> list[Task]:
    """So many seeds, dealt out to the scenarios in turn."""
    scenarios = scenarios or tuple(SCENARIOS)
    return [(scenarios[number % len(scenarios)], first + number // len(scenarios)) for number in range(count)]


def half_of(report: Report) -> Half:
    """What is compared."""
    rest = encode((report.judge, report.message, report.marks, report.virtual_us, report.operations)).decode()
    return Half(report.scenario, report.seed, report.trace, rest, report.steps, report.ok)


def main() -> None:
    """Read tasks from standard input, run them, write a line for each."""
    for scenario, seed in decode(sys.stdin.buffer.read(), type=list[Task]):
        sys.stdout.buffer.write(encode(half_of(simulate(seed, scenario))) + b"\n")


def read(output: bytes) -> list[Half]:
    """What `main` wrote."""
    return [decode(line, type=Half) for line in output.splitlines()]


if __name__ == "__main__":
    main()
