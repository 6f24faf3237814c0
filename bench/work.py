"""What every system is asked to do, and how rounds are run in turn."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench.results import Measure, Sample

ROOT = Path(__file__).resolve().parents[1]


class Broken(Exception):
    """A system could not be started or measured; the message says why."""


class Timing(Struct, frozen=True):
    """One round."""

    seconds: float
    warm_up: float


Contender = Callable[[Timing], Sample]
Key = tuple[str, str, str, int]
"""Part, system, variant, x."""


def in_turn(
    contenders: Mapping[Key, Contender], rounds: int, timing: Timing, told: Callable[[Key, Sample], None]
) -> list[Measure]:
    """Every contender once per round, in an order that is turned by one place each round."""
    keys = list(contenders)
    samples: dict[Key, list[Sample]] = {key: [] for key in keys}
    for number in range(rounds):
        shift = number % max(1, len(keys))
        for key in keys[shift:] + keys[:shift]:
            sample = contenders[key](timing)
            samples[key].append(sample)
            told(key, sample)
    return [Measure(*key, tuple(samples[key])) for key in keys]


def generate(module: str, spec: Mapping[str, Any], timeout: float = 900.0) -> dict[str, Any]:
    """Run a load generator as a process of its own; what it printed. Raises Broken."""
    command = [sys.executable, "-m", module, json.dumps(spec)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise Broken(f"{module} ended with {done.returncode}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def sample_of(found: Mapping[str, Any]) -> Sample:
    return msgspec.convert(found, Sample)
