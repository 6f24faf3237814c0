"""Judging by definition: every order of a few operations, and every circle of a few transactions.

Slow and plain on purpose, and sharing nothing with the judges. The names of anomalies are Adya's (1999) as Elle
(Kingsbury and Alvaro, 2020) uses them; a phenomenon with a session or real-time order allows those edges in its
circles, too.
"""

from collections.abc import Callable, Iterator
from itertools import combinations, permutations, product
from typing import Any

Asked = tuple[str, Any, Any]
"""What, with which value, and what the end says."""
Step = Callable[[Any, Asked], tuple[bool, Any]]
"""A state and an operation -> whether its answer fits, and the next state."""
NEVER = 10**9


class Op:
    """One operation, its moments those of its rows."""

    def __init__(self, asked: Asked, end: str, start: int, stop: int, process: int = 0) -> None:
        self.asked, self.end, self.start, self.stop, self.process = asked, end, start, stop, process

    @property
    def mops(self) -> list[Any]:
        """What a transaction did, with what it saw where it ended well."""
        return self.asked[2] if self.end == "ok" else self.asked[1]  # type: ignore[no-any-return]


def right(ops: list[Op], initial: Any, step: Step, *, timely: bool = True) -> bool:
    """Whether some order explains the history; `timely`: one that real time allows."""
    return any(
        fits(order, initial, step)
        for some in chosen(ops)
        for order in permutations(some)
        if not timely or in_time(order)
    )


def chosen(ops: list[Op]) -> Iterator[list[Op]]:
    """What ended well, with every choice of what may have happened."""
    sure, maybe = [op for op in ops if op.end == "ok"], [op for op in ops if op.end == "info"]
    for bits in range(1 << len(maybe)):
        yield sure + [op for place, op in enumerate(maybe) if bits >> place & 1]


def in_time(order: tuple[Op, ...]) -> bool:
    return all(later.stop > op.start for place, op in enumerate(order) for later in order[place + 1 :])


def fits(order: tuple[Op, ...], state: Any, step: Step) -> bool:
    for op in order:
        good, state = step(state, op.asked if op.end == "ok" else (*op.asked[:2], None))
        if not good:
            return False
    return True


# ---- circles ---------------------------------------------------------------------------------------------

Edges = dict[tuple[int, int], set[str]]
"""(transaction, another) -> why the first comes before the second: ww, wr, rw."""

SUFFIXES = {"": (), "-process": ("process",), "-realtime": ("process", "time")}


def ordered(ops: list[Op]) -> Edges:
    """The order within each process, and of time."""
    edges: Edges = {}
    for (a, one), (b, other) in permutations(list(enumerate(ops)), 2):
        if one.stop < other.start:
            edges.setdefault((a, b), set()).add("time")
            between = any(one.stop < op.start < other.start for op in ops if op.process == one.process)
            if one.process == other.process and not between:
                edges[a, b].add("process")
    return edges


def circles(count: int, edges: Edges) -> Iterator[list[set[str]]]:
    """Every circle that meets a transaction once: for each of its edges, of which kinds it can be."""
    for size in range(2, count + 1):
        for some in combinations(range(count), size):
            for rest in permutations(some[1:]):
                ring = (some[0], *rest)
                kinds = [edges.get((a, b), set()) for a, b in zip(ring, (*ring[1:], ring[0]), strict=True)]
                if all(kinds):
                    yield kinds


def phenomena(count: int, edges: Edges) -> set[str]:
    """The names of all circles that there are, with the suffix of the weakest order that they need."""
    found: set[str] = set()
    for kinds in circles(count, edges):
        for suffix, order in SUFFIXES.items():
            allowed = [each & {"ww", "wr", "rw", *order} for each in kinds]
            found |= {name + suffix for choice in product(*allowed) for name in named(choice)}
    return found


def named(circle: tuple[str, ...]) -> Iterator[str]:
    """What Adya calls a circle of these edges; an order of processes or time counts for none of them."""
    count = circle.count("rw")
    apart = not any(one == other == "rw" for one, other in zip(circle, (*circle[1:], circle[0]), strict=True))
    if not count and "wr" in circle:
        yield "G1c"
    elif not count and "ww" in circle:
        yield "G0"
    if count == 1:
        yield "G-single"
    if count and apart:
        yield "G-nonadjacent"
    if count:
        yield "G2-item"


LADDER = (
    ("G0", ("read-uncommitted", "strong-session-read-uncommitted", "strong-read-uncommitted")),
    ("G1a", ("read-committed", "strong-session-read-committed", "strong-read-committed")),
    ("G1b", ("read-committed", "strong-session-read-committed", "strong-read-committed")),
    ("G1c", ("read-committed", "strong-session-read-committed", "strong-read-committed")),
    ("G-single", ("consistent-view", "strong-session-snapshot-isolation", "strong-snapshot-isolation")),
    ("G-nonadjacent", ("snapshot-isolation", "strong-session-snapshot-isolation", "strong-snapshot-isolation")),
    ("G2-item", ("serializable", "strong-session-serializable", "strict-serializable")),
)
"""Phenomenon -> the weakest model that forbids it: by the data alone, with sessions, with real time."""


def ruled_out(names: set[str]) -> set[str]:
    """The models of the ladder that do not allow these phenomena."""
    out: set[str] = set()
    rungs = ("read-uncommitted", "read-committed", "consistent-view", "snapshot-isolation", "serializable")
    for place, suffix in enumerate(SUFFIXES):
        for base, models in LADDER:
            if base + suffix not in names:
                continue
            for stronger in range(place, 3):
                weakest = models[stronger]
                plain = weakest.removeprefix("strong-session-").removeprefix("strong-").replace("strict-", "")
                for rung in rungs[rungs.index(plain) :]:
                    out.add(with_order(rung, stronger))
    return out & MODELS


def with_order(model: str, place: int) -> str:
    """The model's name by the data alone (0), with sessions (1), with real time (2)."""
    if place == 2 and model == "serializable":
        return "strict-serializable"
    return ("", "strong-session-", "strong-")[place] + model


MODELS = {
    *(name for _, names in LADDER for name in names),
}
