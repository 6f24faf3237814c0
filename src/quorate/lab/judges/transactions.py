"""What the judges of transactions share: the search for circles of every kind, their telling as sentences,
and the verdict under the model that was promised.

A history keeps serializability when its transactions can be put in one order that explains every read. If
the dependencies that the reads prove run in a circle, no such order exists; which edges the circle has
gives it its name (Adya 1999; Kingsbury and Alvaro, Elle, 2020).
"""

from collections.abc import Callable

from msgspec import Struct

from quorate.lab.judges.graph import (
    ANY,
    APART,
    PROCESS,
    RW,
    THROUGH,
    TIME,
    WR,
    WW,
    Graph,
    Search,
    circle_within,
    components,
)
from quorate.lab.judges.isolation import SUFFIXES, boundary, impossible
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.patterns import Views, sought
from quorate.lab.judges.report import BROKEN, OK, UNKNOWN, Anomaly, Report, brief

Because = Callable[[int, int, int], str]
"""(transaction, transaction, kind of edge) -> why the first comes before the second; T1 and T2 stand for them."""

_LEVEL_KINDS = (0, 1 << PROCESS, (1 << PROCESS) | (1 << TIME))
_DEPENDS = (1 << WW) | (1 << WR)
BY_WRITES, BY_READS, BY_ALL = range(3)
"""Grounds on which an order of versions is inferred from an order in time: who wrote a version came before who wrote
another; who met one, too, came before who wrote another; who left one came before who met another. Were it the other
way round, there would be a G0, a G1c, a G-single: so a circle that rests on it says that one of them is there."""

COMPONENTS_MAX = 12
"""In how many separate tangles every kind of circle is told of. In the others only kinds not met so far are sought."""


class Effort(Struct, frozen=True):
    """Budgets for one history of transactions."""

    operations: int = 5_000_000
    edges: int = 12_000_000
    """Edges to follow in the search for short circles."""


class Evidence(Struct):
    """What a history of transactions proves, gathered by its judge."""

    model: str
    ops: list[Op]
    """The transactions that took effect; a node of the graph is a place in this list."""
    build: Callable[[int, int], Graph]
    """(level, grounds) -> the graph that holds by the data alone (0), with the order within processes (1), with real
    time (2), where the order of versions rests on these grounds."""
    because: Because
    views: Views
    anomalies: list[Anomaly]
    notes: list[str]
    operations: int


def decide(evidence: Evidence, expect: str, effort: Effort) -> Report:
    """Look for circles, name what there is, and say whether the promised model forbids it."""
    found, missed = circles(evidence, effort)
    names = {one.name for one in (*evidence.anomalies, *found)}
    more, also_missed = beyond(evidence, names, missed, effort)
    anomalies = [*evidence.anomalies, *found, *more]
    names |= {one.name for one in more}
    weakest, stronger = boundary(names)
    verdict, reason = OK, ""
    if expect in impossible(names):
        verdict = BROKEN
        guilty = [name for name in dict.fromkeys(one.name for one in anomalies) if expect in impossible([name])]
        reason = f"{expect} forbids {', '.join(guilty)}"
    elif expect in impossible(missed | also_missed):
        verdict, reason = UNKNOWN, "there are circles whose kind the search did not find within its budget"
    anomalies.sort(key=lambda one: expect not in impossible([one.name]))
    return Report(
        evidence.model, verdict, reason, (), tuple(anomalies), weakest, stronger, tuple(evidence.notes),
        evidence.operations,
    )  # fmt: skip


def circles(evidence: Evidence, effort: Effort) -> tuple[list[Anomaly], set[str]]:
    """Every kind of circle that there is, with examples; and the kinds whose search was cut short."""
    if not evidence.build(2, BY_ALL).circular():
        return [], set()
    found: list[Anomaly] = []
    names: set[str] = set()
    missed: set[str] = set()
    for level, suffix in enumerate(SUFFIXES):
        mask = _DEPENDS | (1 << RW) | (1 << THROUGH) | _LEVEL_KINDS[level]
        for graph, kinds in _graphs(evidence, level):
            left = effort.edges
            for place, members in enumerate(components(graph, graph.circular(), mask)):
                before = len(names)
                edges = min(left, effort.edges // 8)
                search = Search(graph, edges)
                only_new = bool(level) or place >= COMPONENTS_MAX
                for name, circle in _kinds(kinds, search, members, level, names, only_new=only_new):
                    names.add(name)
                    found.append(Anomaly(name + suffix, tuple(tell(evidence, circle))))
                left -= edges - max(search.left, 0)
                if search.left < 0:
                    missed.update(name + suffix for name, *_ in kinds)
                    if len(names) == before and "G2" + suffix not in {one.name for one in found}:
                        count = sum(1 for node in members if node < graph.real)
                        found.append(Anomaly("G2" + suffix, (f"some circle among {count:,} transactions",)))
    return found, missed


_Kind = tuple[str, int, int, int, tuple[str, ...]]
"""Name, the edge it has, those it may have, where edges rw may stand, beside what it is no news."""

_KINDS: tuple[tuple[int, tuple[_Kind, ...]], ...] = (
    (BY_WRITES, (("G0", WW, 1 << WW, ANY, ()),)),
    (BY_READS, (("G1c", WR, _DEPENDS, ANY, ()), ("G1c", WW, _DEPENDS, ANY, ("G0", "G1c")))),
    (
        BY_ALL,
        (
            ("G-single", RW, _DEPENDS, ANY, ()),
            ("G-single", WW, _DEPENDS, ANY, ("G0", "G1c", "G-single")),
            ("G-nonadjacent", RW, _DEPENDS | (1 << RW), APART, ("G-single",)),
            ("G2-item", RW, _DEPENDS | (1 << RW), ANY, ("G-single", "G-nonadjacent")),
        ),
    ),
)
"""Grounds -> the kinds of circles that may rest on them."""


def _graphs(evidence: Evidence, level: int) -> list[tuple[Graph, tuple[_Kind, ...]]]:
    """Each graph of a level, and the kinds of circles to look for in it; one graph where all grounds give the same."""
    found: list[tuple[Graph, tuple[_Kind, ...]]] = []
    for grounds, kinds in _KINDS:
        graph = evidence.build(level, grounds)
        if found and found[-1][0] is graph:
            found[-1] = (graph, found[-1][1] + kinds)
        else:
            found.append((graph, kinds))
    return found


def _kinds(
    kinds: tuple[_Kind, ...], search: Search, members: list[int], level: int, known: set[str], *, only_new: bool
) -> list[tuple[str, list[tuple[int, int]]]]:
    """(name, circle) for each kind that these nodes have; `only_new`: that was not known, nor made no news by one."""
    order = _LEVEL_KINDS[level]
    here: list[tuple[str, list[tuple[int, int]]]] = []
    names: set[str] = set()
    for name, first, rest, rule, unless in kinds:
        if names.intersection(unless) or (only_new and (name in known or known.intersection(unless))):
            continue
        circle = circle_within(search, members, first, rest | order, rule)
        if circle is not None:
            names.add(name)
            here.append((name, circle))
    return here


def beyond(evidence: Evidence, names: set[str], missed: set[str], effort: Effort) -> tuple[list[Anomaly], set[str]]:
    """The circles of the data alone that take more than kinds of edges to tell, where they could be and would rule out
    a model more; and the names whose search was cut short."""
    graph = evidence.build(0, BY_ALL)
    mask = _DEPENDS | (1 << RW) | (1 << THROUGH)
    circular = {"G-single", "G-nonadjacent", "G2-item", "G2"} & (names | missed)
    parts = components(graph, graph.circular(), mask) if circular else []
    found: list[Anomaly] = []
    cut: set[str] = set()
    for name, seek in sought(names | missed):
        known = impossible(names)
        if impossible([name]) <= known:
            continue
        search = Search(graph, effort.edges)
        circle = next((circle for part in parts if (circle := seek(search, part, evidence.views)) is not None), None)
        if circle is not None:
            names = names | {name}
            found.append(Anomaly(name, tuple(tell(evidence, circle))))
        elif search.left < 0:
            cut.add(name)
    return found, cut


def tell(evidence: Evidence, circle: list[tuple[int, int]]) -> list[str]:
    """The circle as sentences that end in a contradiction."""
    names = {node: f"T{number}" for number, (node, _) in enumerate(circle, 1)}
    story = [f"{names[node]} = {transaction(evidence.ops[node])}" for node, _ in circle]
    for place, (node, kind) in enumerate(circle):
        after = circle[(place + 1) % len(circle)][0]
        last = place == len(circle) - 1
        text = _because(evidence, node, after, kind).replace("{a}", names[node]).replace("{b}", names[after])
        start = "however, " if last else ""
        story.append(f"{start}{names[node]} < {names[after]}, because {text}{': a contradiction' if last else ''}")
    return story


def _because(evidence: Evidence, node: int, after: int, kind: int) -> str:
    if kind == PROCESS:
        return f"process {evidence.ops[node].process} did {{a}} before {{b}}"
    if kind == TIME:
        return "{a} had ended before {b} began"
    return evidence.because(node, after, kind)


def transaction(op: Op) -> str:
    """A transaction on one line."""
    value = op.result if op.end == "ok" and op.result is not None else op.value
    doubt = " (its end is unknown)" if op.end == "info" else " (it failed)" if op.end == "fail" else ""
    return f"process {op.process}: {brief(value, 200)}{doubt}"
