"""Models of consistency by their definitions: the axioms of Cerone, Bernardi and Gotsman (2015), tried with every
visibility and arbitration of a few transactions, and phenomena of Adya (1999) that ask for more than kinds of edges.

Slow and plain on purpose, and sharing nothing with the judges.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, pairwise, permutations
from typing import Any

from tests.judges.definitions import Op

Lines = dict[str, list[int]]
"""Key -> its versions in the order in which they were installed."""
Edge = tuple[int, int, str, str]
"""(transaction, another, kind, key)."""


@dataclass
class Deal:
    """What a transaction did with the rest of the world: place and version of each read of others, place and version of
    its last write of each key."""

    reads: list[tuple[int, str, int | None]] = field(default_factory=list)
    writes: dict[str, tuple[int, int]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    """Key -> its first version: in a list all versions of one transaction stand together."""


def deals(nodes: list[Op], write: str) -> list[Deal]:
    found = []
    for op in nodes:
        deal = Deal()
        for place, (f, key, value) in enumerate(op.mops):
            if f == write:
                deal.first.setdefault(key, value)
                deal.writes[key] = (place, value)
            elif op.end == "ok" and key not in deal.writes:
                last = (value[-1] if value else None) if isinstance(value, list) else value
                deal.reads.append((place, key, last))
        found.append(deal)
    return found


# ---- axioms ----------------------------------------------------------------------------------------------


def kept(deals: list[Deal], lines: Lines) -> set[str]:
    """The models of which some arbitration (a total order that installs the versions as they were) and some visibility
    within it explain every read: it shows the last version, by the arbitration, of those that are visible."""
    found: set[str] = set()
    writer = {(key, value): n for n, deal in enumerate(deals) for key, (_, value) in deal.writes.items()}
    for order in permutations(range(len(deals))):
        spot = {n: place for place, n in enumerate(order)}
        installed = [[spot[writer[key, v]] for v in line if (key, v) in writer] for key, line in lines.items()]
        if any(places != sorted(places) for places in installed):
            continue
        choices = [[seen for seen in subsets(order[: spot[n]]) if sees(deals, order, n, seen)] for n in order]
        if all(choices):
            found.add("read-atomic")
            found |= {name for name, rules in AXIOMS.items() if possible(deals, order, choices, *rules)}
    return found


AXIOMS = {
    "causal": (False, False),
    "parallel-snapshot-isolation": (False, True),
    "prefix": (True, False),
    "snapshot-isolation": (True, True),
}
"""Model -> whether each transaction sees a prefix of the arbitration (else: all that what it sees has seen); whether it
sees all earlier writers of what it writes."""


def subsets(some: tuple[int, ...]) -> Iterator[frozenset[int]]:
    return (frozenset(each) for size in range(len(some) + 1) for each in combinations(some, size))


def sees(deals: list[Deal], order: tuple[int, ...], node: int, seen: frozenset[int]) -> bool:
    """EXT."""
    for _, key, version in deals[node].reads:
        writers = [n for n in order if n in seen and key in deals[n].writes]
        if version != (deals[writers[-1]].writes[key][1] if writers else None):
            return False
    return True


def possible(
    deals: list[Deal], order: tuple[int, ...], choices: list[list[frozenset[int]]], prefix: bool, conflicts: bool
) -> bool:
    def go(place: int, chosen: dict[int, frozenset[int]]) -> bool:
        if place == len(order):
            return True
        node = order[place]
        rivals = {n for n in order[:place] if deals[n].writes.keys() & deals[node].writes.keys()}
        for seen in choices[place]:
            if conflicts and not rivals <= seen:
                continue
            if prefix and seen != set(order[: len(seen)]):
                continue
            if any(not chosen[n] <= seen for n in seen):
                continue
            if go(place + 1, {**chosen, node: seen}):
                return True
        return False

    return go(0, {})


# ---- phenomena -------------------------------------------------------------------------------------------


def edges(deals: list[Deal], lines: Lines) -> set[Edge]:
    """Direct dependencies, each with its key."""
    found: set[Edge] = set()
    writer = {(key, deal.first[key]): n for n, deal in enumerate(deals) for key in deal.writes}
    writer |= {(key, value): n for n, deal in enumerate(deals) for key, (_, value) in deal.writes.items()}
    for key, line in lines.items():
        owners = [writer.get((key, v)) for v in line]
        row = [n for place, n in enumerate(owners) if n is not None and (not place or owners[place - 1] != n)]
        found |= {(a, b, "ww", key) for a, b in pairwise(row)}
    for n, deal in enumerate(deals):
        for _, key, version in deal.reads:
            line = lines.get(key, [])
            if version is not None and (key, version) in writer:
                found.add((writer[key, version], n, "wr", key))
            after = line[line.index(version) + 1 :] if version is not None else line
            following = next((writer[key, v] for v in after if (key, v) in writer), None)
            if following is not None:
                found.add((n, following, "rw", key))
    return {edge for edge in found if edge[0] != edge[1]}


def rings(some: set[Edge], nodes: range) -> Iterator[list[list[Edge]]]:
    """Every circle that meets a transaction once: for each of its steps the edges that it can take."""
    for size in range(2, len(nodes) + 1):
        for members in combinations(nodes, size):
            for rest in permutations(members[1:]):
                ring = (members[0], *rest)
                steps = list(zip(ring, (*ring[1:], ring[0]), strict=True))
                kinds = [[edge for edge in some if edge[:2] == step] for step in steps]
                if all(kinds):
                    yield kinds


def phenomena(deals: list[Deal], lines: Lines) -> set[str]:
    """G-cursor, G-update and G-monotonic, where they are there."""
    some, nodes = edges(deals, lines), range(len(deals))
    found: set[str] = set()
    for ring in rings(some, nodes):
        if sum(not deals[step[0][0]].writes for step in ring) <= 1 and any(
            "rw" in kind for s in ring for *_, kind, _ in s
        ):
            found.add("G-update")
        for key in lines:
            mine = [{kind for *_, kind, each in step if each == key} for step in ring]
            if any(
                "rw" in mine[n] and all("ww" in other for m, other in enumerate(mine) if m != n)
                for n in range(len(mine))
            ):
                found.add("G-cursor")
    if any(monotonic(deals, some, node) for node in nodes):
        found.add("G-monotonic")
    return found


def monotonic(deals: list[Deal], some: set[Edge], node: int) -> bool:
    """A circle in the graph in which this transaction is unfolded into its reads and writes: one rw from a read, and
    from there by ww and wr into an event no later than that read."""
    reach: dict[int, set[int]] = {n: {n} for n in range(len(deals))}
    for _ in deals:
        for a, b, kind, _ in some:
            if kind != "rw" and node not in (a, b):
                reach[a] |= reach[b]
    for a, b, kind, key in some:
        if (a, kind) != (node, "rw"):
            continue
        for place, read, _ in deals[node].reads:
            if read == key and misses(deals, some, node, place, b):
                for c, d, other, into in some:
                    if (
                        d == node
                        and other != "rw"
                        and c in reach[b]
                        and event(deals[node], other, into, c, deals) <= place
                    ):
                        return True
    return False


def misses(deals: list[Deal], some: set[Edge], node: int, place: int, other: int) -> bool:
    """Whether the edge rw to the other is that of the read at this place."""
    alone = [Deal(reads=[read for read in deals[node].reads if read[0] == place]) if n == node else deal
             for n, deal in enumerate(deals)]  # fmt: skip
    key = alone[node].reads[0][1]
    return (node, other, "rw", key) in some and (node, other, "rw", key) in edges(alone, LINES[0])


LINES: list[Lines] = [{}]
"""The order of versions that is being looked at."""


def event(deal: Deal, kind: str, key: str, other: int, deals: list[Deal]) -> int:
    """Where an edge ww or wr of this key from the other meets the transaction first."""
    if kind == "ww":
        return deal.writes[key][0]
    theirs = {deals[other].first[key], deals[other].writes[key][1]}
    return min(place for place, read, version in deal.reads if read == key and version in theirs)


# ---- models ----------------------------------------------------------------------------------------------

BY_PHENOMENA: dict[str, tuple[str, ...]] = {
    "cursor-stability": ("G-cursor",),
    "monotonic-view": ("G-monotonic",),
    "consistent-view": ("G-cursor", "G-monotonic", "G-single"),
    "update-serializable": ("G-cursor", "G-monotonic", "G-single", "G-update"),
    "repeatable-read": ("G-cursor", "G2-item"),
}
"""Model of Adya's -> the phenomena that it forbids beside those of read-committed."""


def forbidden(deals: list[Deal], lines: Lines, names: set[str]) -> set[str]:
    """The models that a history with these installed versions, whose plain circles have these names, does not keep."""
    if {"G0", "G1a", "G1b", "G1c"} & names:
        return {*AXIOMS, *BY_PHENOMENA, "read-atomic"}
    LINES[0] = lines
    more = names | phenomena(deals, lines)
    out = {model for model, those in BY_PHENOMENA.items() if more & set(those)}
    return out | ({*AXIOMS, "read-atomic"} - kept(deals, lines))


MODELS: frozenset[Any] = frozenset({*AXIOMS, *BY_PHENOMENA, "read-atomic"})
