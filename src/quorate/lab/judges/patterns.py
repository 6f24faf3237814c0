"""Circles that take more than the kinds of their edges to tell (see the table in `isolation`): those that ask which key
an edge is of, where in a transaction a read stands, or which transactions only read.

All but two of them are transactions that saw something, directly or through others, and yet missed what some other
transaction among those had written.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from quorate.lab.judges.graph import AFTER_WR, RW, WR, WW, Graph, Search, circle_within

Circle = list[tuple[int, int]]
"""(transaction, kind of the edge that leaves it), in turn."""
Seek = Callable[[Search, list[int], "Views"], Circle | None]
_READS = 1 << WR
_DEPENDS = (1 << WW) | (1 << WR)


class Views(Protocol):
    """What a judge of transactions knows of single reads and writes. Nodes are transactions; places count what a
    transaction did, from 0."""

    def missed(self, node: int, other: int) -> int:
        """The last place where the transaction read a key older than what the other left there; -1 where none is."""

    def met(self, node: int, other: int, kind: int) -> int:
        """The first place at which the edge from the other, ww or wr, meets the transaction."""

    def only_reads(self, node: int) -> bool:
        """Whether the transaction wrote nothing."""


def sought(names: set[str]) -> Iterator[tuple[str, Seek]]:
    """The kinds that can be there beside those of these names, the weakest first."""
    if "G-single" in names:
        yield "fractured-read", _fractured
        yield "causality-violation", _causal
        yield "G-monotonic", _monotonic
    if names & {"G-single", "G-nonadjacent"}:
        yield "prefix-violation", _prefix
    if names:
        yield "G-update", _update


def _fractured(search: Search, part: list[int], views: Views) -> Circle | None:
    return _saw_and_missed(search, part, views, _READS, depth=1)


def _causal(search: Search, part: list[int], views: Views) -> Circle | None:
    return _saw_and_missed(search, part, views, _READS)


def _monotonic(search: Search, part: list[int], views: Views) -> Circle | None:
    return _saw_and_missed(search, part, views, _DEPENDS, in_turn=True)


def _saw_and_missed(
    search: Search, part: list[int], views: Views, mask: int, *, depth: int = 0, in_turn: bool = False
) -> Circle | None:
    """A transaction that other transactions lead to by edges of these kinds (by so many at most), one of whose writes
    it missed; `in_turn`: in a read that comes after the event that the last of these edges meets."""
    before = _reversed(search.graph, part, mask)
    reads = [node for node in part if node < search.graph.real and any(e & 7 == RW for e in search.graph.out[node])]
    for node in reads:
        circle = _back(search, node, before, views, depth=depth, in_turn=in_turn)
        if circle is not None or search.left < 0:
            return circle
    return None


def _reversed(graph: Graph, part: list[int], mask: int) -> dict[int, list[tuple[int, int]]]:
    inside = set(part)
    before: dict[int, list[tuple[int, int]]] = {}
    for node in part:
        if node < graph.real:
            for edge in graph.out[node]:
                if mask >> (edge & 7) & 1 and edge >> 3 in inside:
                    before.setdefault(edge >> 3, []).append((node, edge & 7))
    return before


def _back(
    search: Search, node: int, before: dict[int, list[tuple[int, int]]], views: Views, *, depth: int, in_turn: bool
) -> Circle | None:
    first = [(views.met(node, other, kind) if in_turn else -1, other, kind) for other, kind in before.get(node, ())]
    first.sort()
    toward: dict[int, tuple[int, int, int]] = {}  # a transaction -> the next on the way, the edge there, its length
    for place, other, kind in first:
        if other in toward:
            continue
        toward[other] = (node, kind, 1)
        waiting = deque([other])
        while waiting:
            at = waiting.popleft()
            if views.missed(node, at) > place:
                return [(node, RW), *_way(toward, at, node)]
            length = toward[at][2]
            if depth and length >= depth:
                continue
            for earlier, edge in before.get(at, ()):
                search.left -= 1
                if earlier != node and earlier not in toward:
                    toward[earlier] = (at, edge, length + 1)
                    waiting.append(earlier)
        if search.left < 0:
            return None
    return None


def _way(toward: dict[int, tuple[int, int, int]], at: int, node: int) -> Circle:
    steps: Circle = []
    while at != node:
        following, kind, _ = toward[at]
        steps.append((at, kind))
        at = following
    return steps


def _prefix(search: Search, part: list[int], _views: Views) -> Circle | None:
    return circle_within(search, part, RW, _DEPENDS | (1 << RW), AFTER_WR)


def _update(search: Search, part: list[int], views: Views) -> Circle | None:
    real = search.graph.real
    updates = [node for node in part if node >= real or not views.only_reads(node)]
    rest = _DEPENDS | (1 << RW)
    circle = circle_within(search, updates, RW, rest)
    if circle is not None:
        return circle
    inside = set(updates)
    for node in part:
        if node < real and views.only_reads(node):
            inside.add(node)
            circle = search.through(node, inside, RW, rest)
            inside.discard(node)
            if circle is not None or search.left < 0:
                return circle
    return None
