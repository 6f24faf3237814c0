"""What a database promises, on what conditions, and who judges it: what all replications have in common.

Each replication says it of its own databases (`Replication.promises`; of a single leader: `single_leader.promises`).
`quorate explain` and docs/promises.md say it, and the laboratory judges every run by it: a promise names its judge, and
a run is held to those that its database makes and to no others.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from quorate.core.own_writes import WAYS
from quorate.core.read_levels import LEVELS


class Promise(Struct, frozen=True):
    """One guarantee."""

    name: str
    says: str
    judge: str
    """Who finds it broken in the laboratory: the name of a judge of `lab.sim`."""


ONCE = Promise("exactly once", "a write with a token takes effect once, however often it is sent", "exactly once")
ATOMIC = Promise("all or nothing", "a write happens as a whole or not at all", "atomicity")
EQUAL = Promise("equal replicas", "replicas that stand at the same position hold the same", "replicas equal")
TRUE = Promise("true answers", "an error means that it did not happen, except MaybeDone, which says so", "true answer")
SERIAL = Promise(
    "strict serializable",
    "transactions happen as if one after the other, in an order that agrees with real time, and whatever one was shown"
    " was so at one moment, also if it was not committed; one that only reads, at linearizable",
    "strict serializability",
)

ALWAYS = (ONCE, ATOMIC, EQUAL, TRUE)
"""What every database of one leader promises whatever its acks are."""

READS = {level.name: Promise(level.name, level.says, level.judge) for level in LEVELS.values()}
"""What each read level promises."""

ONCE_AND_TRUE = (
    "A write with a token takes effect once, however often it is sent; every error means that it did not happen, except"
    " MaybeDone, whose outcome can be asked for."
)


class Explanation(Struct, frozen=True, kw_only=True):
    """What one database promises, in numbers and sentences. A replication that has more numbers derives its own."""

    replication: str
    options: dict[str, str]
    replicas: int
    away_for_writes: int
    """How many nodes, whichever they are, may be away while writes go on (after a failover, if there are any)."""
    away_for_reads: dict[str, int]
    """The same for each read level that is offered."""
    disks: int
    """How many disks may be lost, whichever they are, without losing an acknowledged write."""
    default_read: str
    sentences: tuple[str, ...]


class Promises(Struct, frozen=True):
    """What a replication promises of its databases. Each function is given the options of one, which are the
    replication's own."""

    explain: Callable[[Any, int], Explanation]
    """Everything there is to say about a database of so many replicas."""
    made: Callable[[Any], tuple[Promise, ...]]
    """What is promised to a caller who names no read level."""
    judges: Callable[[Any], frozenset[str]]
    """The judges of the laboratory that it is answerable to."""
    every: tuple[Promise, ...]
    """All that some choice of options promises."""
    document: Callable[[], list[str]]
    """The lines of its part of docs/promises.md, from headings of the second level on."""


PAGE_BEGINS = (
    "Generated from what each replication declares (`Replication.promises`) by `tools/promises_page.py`; a test holds"
    " it to the code. `quorate explain DATABASE` says the same of one database, with its numbers; [acks.md](acks.md)"
    " tells how to choose."
)


def document(known: Iterable[Promises]) -> str:
    """docs/promises.md, generated: `python tools/promises_page.py`."""
    lines = ["# What is promised", "", PAGE_BEGINS]
    known = list(known)
    for each in known:
        lines += ["", *each.document()]
    lines += ["", "## Read levels", "", "| level | a read sees | served by | cost |", "|---|---|---|---|"]
    lines += [f"| `{each.spelling}` | {each.says} | {each.served} | {each.cost} |" for each in LEVELS.values()]
    lines += ["", "## Reading one's own writes", ""]
    lines += ["For reads at `eventual`, as `connect(read_your_writes=)` says ([sessions.md](sessions.md)):", ""]
    lines += ["| read_your_writes | promises | does not hold | cost |", "|---|---|---|---|"]
    lines += [f"| `{each.spelling}` | {each.says} | {each.limits} | {each.cost} |" for each in WAYS.values()]
    lines += ["", "## The promises", "", "| promise | in words | judged in the laboratory as |", "|---|---|---|"]
    every = dict.fromkeys(promise for each in known for promise in each.every)
    lines += [f"| {each.name} | {each.says} | {each.judge} |" for each in every]
    return "\n".join(lines) + "\n"
