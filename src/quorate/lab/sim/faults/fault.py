"""What the laboratory has to know of a fault. All else is derived from the declarations (`faults.registry`): how the
mixed scenario draws its dials, what `shrink` tries them at, what seeds must have seen, and the rows of the table.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from quorate.lab.sim.campaigns.rows import Row

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults

Draw = Callable[[random.Random], Any]


class Dial(Struct, frozen=True):
    """How a field of `Dials` varies."""

    name: str
    draw: Draw | None = None
    """What the mixed scenario makes it; None: only other scenarios, or rows of the table, turn it."""
    quiet: tuple[object, ...] = (0,)
    """What the shrinker tries it at, quietest first."""


class Fault(Struct, frozen=True, kw_only=True):
    """One kind of fault."""

    dials: tuple[Dial, ...]
    """The first says how often it happens: a mean time (`_us`), or a chance. The others say how."""
    mark: str
    """What is committed when it strikes."""
    expected: bool = True
    """Whether seeds that asked for it often enough must have seen the mark; False: it also needs something else."""
    needs_between_nodes: bool = False
    """It happens between nodes, or only where a majority remains: little is expected of less than three."""
    needs_files: bool = False
    """It strikes only where the data is kept in real files."""
    one_node: bool = False
    """It harms the disk of the one node that a run may harm."""
    strike: "Callable[[Faults], None] | None" = None
    """Do it, at random times with this mean between them; None: the host, the network or an actor does it."""
    begin: "Callable[[Faults], None] | None" = None
    """Called once before the first fault, whatever its dial says."""
    rows: tuple[Row, ...] = ()

    @property
    def dial(self) -> str:
        return self.dials[0].name


def or_zero(low: int, high: int, chance: float = 0.5) -> Draw:
    """Something between, with this chance; otherwise zero."""

    def draw(rng: random.Random) -> int:
        drawn = rng.randint(low, high)
        return drawn if rng.random() < chance else 0

    return draw


def part_or_zero(high: float, chance: float = 0.5) -> Draw:
    """A part of `high`, with this chance; otherwise zero."""

    def draw(rng: random.Random) -> float:
        drawn = round(rng.random() * high, 4)
        return drawn if rng.random() < chance else 0.0

    return draw


def one_of(*values: Any) -> Draw:
    """One of these."""
    return lambda rng: rng.choice(values)


def between(low: int, high: int) -> Draw:
    """Something between."""
    return lambda rng: rng.randint(low, high)
