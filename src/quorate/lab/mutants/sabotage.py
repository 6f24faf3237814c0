"""How a mutant is made: one function of ours is replaced while a run lasts, wherever it is referred to."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from quorate.lab.fuzz.run import run_seed
from quorate.lab.sim.campaigns.report import LINES, Report
from quorate.lab.sim.campaigns.shrink import Case
from quorate.lab.sim.scenarios.named import simulate, simulate_case

INSIDE = (
    "configuration", "committed entries stay", "damaged replica", "durable log", "durable majority", "durable vote",
    "election safety", "leader completeness", "log matching", "monotone epochs", "node", "own epoch", "sound disk",
    "state machine safety",
)  # fmt: skip
"""Every judge that looks inside nodes; with *node* silenced a core that fails an assertion ends its node only."""
SEEN = (
    "acknowledged write lost", "exactly once", "linearizability", "lost tail", "replicas equal", "same answer",
    "true answer",
)  # fmt: skip
"""Judges of what callers see: of their answers, and of what all replicas say in the end (for *lost tail*: that every
acknowledged write is in the log, or was committed and kept)."""


SQL = "sql"
"""Not a scenario of the simulator: the seeds are those of `lab.fuzz`."""


@dataclass(frozen=True)
class Swap:
    """Replace `owner.name` (a module's function or a class's method) by what `make` makes of the original."""

    owner: Any
    name: str
    make: Callable[[Any], Any]


@dataclass(frozen=True)
class Mutant:
    """One bug, where it happened before, and how the laboratory finds it."""

    name: str
    bug: str
    where: str
    """In the world: a system and its issue, or a paper."""
    scenario: str
    swaps: tuple[Swap, ...]
    judges: tuple[str, ...]
    """Those whose business it is. Caught by any other, it was caught by accident."""
    inner: tuple[str, ...] = ()
    """Judges that look inside; silenced, what the bug leads to must be noticed too, within some more seeds."""
    outer: tuple[str, ...] = ()
    """The judges that notice then. With `inner` only."""
    outer_scenario: str = ""
    """Where they do; empty: in the same scenario."""
    storage: str = ""
    """What must keep the data because the mutant breaks it: SQLite, or empty for what the seed says."""


@contextmanager
def sabotaged(mutant: Mutant) -> Iterator[None]:
    """Our code is wrong in this one way until the end of the block."""
    with ExitStack() as stack:
        for swap in mutant.swaps:
            stack.enter_context(_swapped(swap))
        yield


@contextmanager
def _swapped(swap: Swap) -> Iterator[None]:
    original = vars(swap.owner)[swap.name]
    replacement = swap.make(original.fget if isinstance(original, property) else original)
    if isinstance(original, property):
        replacement = property(replacement)
    classes: set[type] = set()
    if isinstance(swap.owner, type):
        kept = {id(table): table for table in vars(swap.owner).values() if type(table) is dict}
        classes.add(swap.owner)
    else:
        kept = {id(vars(module)): vars(module) for module in _ours()}
        names = [value for module in list(kept.values()) for value in module.values()]
        kept |= {id(value): value for value in names if type(value) is dict}
        classes.update(value for value in names if isinstance(value, type))  # a function may be a method there
    places = [(table, key) for table in kept.values() for key, value in list(table.items()) if value is original]
    methods = [(each, key) for each in classes for key, value in list(vars(each).items()) if value is original]
    for table, key in places:
        table[key] = replacement
    for each, key in methods:
        setattr(each, key, replacement)
    try:
        yield
    finally:
        for table, key in places:
            table[key] = original
        for each, key in methods:
            setattr(each, key, original)


def _ours() -> list[Any]:
    return [module for name, module in list(sys.modules.items()) if name.startswith("quorate.")]


def run(
    mutant: Mutant,
    seed: int,
    *,
    scenario: str = "",
    storage: str = "",
    skip: tuple[str, ...] = (),
    tail: int = LINES,
) -> Report:
    """One seed of the mutant's scenario (or of another) with the sabotaged code."""
    if (scenario or mutant.scenario) == SQL:
        return _fuzzed(mutant, seed)
    storage = storage or mutant.storage
    with sabotaged(mutant):
        return simulate(seed, scenario or mutant.scenario, core=mutant.name, storage=storage, skip=skip, tail=tail)


def _fuzzed(mutant: Mutant, seed: int) -> Report:
    with sabotaged(mutant):
        found = run_seed(seed)
    judge = "same as SQLite" if found.difference else ""
    return Report(seed, SQL, core=mutant.name, judge=judge, message=found.difference)


def run_case(case: Case, *, tail: int = LINES) -> Report:
    """A case with the core it names."""
    with ExitStack() as stack:
        if case.core != "real":
            stack.enter_context(sabotaged(find(case.core)))
        return simulate_case(case, tail=tail)


def find(name: str) -> Mutant:
    """The mutant of this name. Raises KeyError."""
    from quorate.lab.mutants import MUTANTS

    return {mutant.name: mutant for mutant in MUTANTS}[name]
