"""A scenario in a file: dials that somebody chose, the rest drawn from a named scenario or left as they are.

scenario = "mixed"      # optional: what draws the dials that are not named here

[dials]
nodes = 5
crash_us = 500_000

[dials.settings]
heartbeat_us = 50_000
"""

import random
import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from quorate.core.settings import Settings
from quorate.lab.sim.scenarios.dials import Dials

ENDING = ".toml"

Scenario = Callable[[random.Random], Dials]


class NoScenario(ValueError):
    """The file cannot be used; the message says why."""


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What such a file holds."""

    scenario: str = ""
    dials: dict[str, Any] = {}


@lru_cache
def chosen(path: str) -> Chosen:
    """Read the file and check every name and value in it. Raises NoScenario."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        found = msgspec.convert(tomllib.loads(text), Chosen)
        _check(found.dials, Dials, "dials")
        _check(found.dials.get("settings", {}), Settings, "dials.settings")
        replaced(Dials(), found.dials)
    except OSError as error:
        raise NoScenario(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise NoScenario(f"{path}: {error}") from error
    return found


def _check(given: Any, known: type[msgspec.Struct], where: str) -> None:
    if not isinstance(given, dict):
        raise NoScenario(f"[{where}] is a table")
    for name in given:
        if name not in known.__struct_fields__:
            raise NoScenario(f"[{where}] has no {name!r}; it has: {', '.join(known.__struct_fields__)}")


def replaced(drawn: Dials, given: Mapping[str, Any]) -> Dials:
    """The dials that were drawn, but for those that are given."""
    fields: dict[str, Any] = msgspec.structs.asdict(drawn)
    settings = {**msgspec.structs.asdict(drawn.settings), **given.get("settings", {})}
    return msgspec.convert({**fields, **given, "settings": settings}, Dials)


def dials_in(path: str, scenarios: Mapping[str, Scenario], seed: int) -> Dials:
    """The dials of one seed of the scenario in this file. Raises NoScenario."""
    found = chosen(path)
    if found.scenario and found.scenario not in scenarios:
        raise NoScenario(f"{path}: there is no scenario {found.scenario!r}; there are: {', '.join(scenarios)}")
    rng = random.Random(f"{found.scenario}/{seed}/dials")
    return replaced(scenarios[found.scenario](rng) if found.scenario else Dials(), found.dials)
