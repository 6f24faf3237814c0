"""What the judges of transactions share: the search for circles of every kind, their telling as sentences,
and the verdict under the model that was promised.

A history keeps serializability when its transactions can be put in one order that explains every read. If
the dependencies that the reads prove run in a circle, no such order exists; which edges the circle has
gives it its name (Adya 1999; Kingsbury and Alvaro, Elle, 2020).
"""

from collections.abc import Callable

from msgspec import Struct

from quorate.lab.judges.graph import PROCESS, RW, THROUGH, TIME, WR, WW, Graph, Search, components
from quorate.lab.judges.isolation import SUFFIXES, boundary, impossible
from quorate.lab.judges.jepsen import Op
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
"""How many separate tangles are told of."""


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
    anomalies: list[Anomaly]
    notes: list[str]
    operations: int


def decide(evidence: Evidence, expect: str, effort: Effort) -> Report:
    """Look for circles, name what there is, and say whether the promised model forbids it."""
    found, complete = circles(evidence, effort)
    anomalies = [*evidence.anomalies, *found]
    names = {one.name for one in anomalies}
    weakest, stronger = boundary(names)
    verdict, reason = OK, ""
    if expect in impossible(names):
        verdict = BROKEN
        guilty = [name for name in dict.fromkeys(one.name for one in anomalies) if expect in impossible([name])]
        reason = f"{expect} forbids {', '.join(guilty)}"
    elif not complete:
        verdict, reason = UNKNOWN, "there are circles whose kind the search did not find within its budget"
    anomalies.sort(key=lambda one: expect not in impossible([one.name]))
    return Report(
        evidence.model, verdict, reason, (), tuple(anomalies), weakest, stronger, tuple(evidence.notes),
        evidence.operations,
    )  # fmt: skip


def circles(evidence: Evidence, effort: Effort) -> tuple[list[Anomaly], bool]:
    """Every kind of circle that there is, an example of each; and whether the search was complete."""
    whole = evidence.build(2, BY_ALL)
    if not whole.circular():
        return [], True
    found: list[Anomaly] = []
    names: set[str] = set()
    complete = True
    for level, suffix in enumerate(SUFFIXES):
        mask = _DEPENDS | (1 << RW) | (1 << THROUGH) | _LEVEL_KINDS[level]
        for graph, kinds in _graphs(evidence, level):
            for members in components(graph, graph.circular(), mask)[:COMPONENTS_MAX]:
                before = len(names)
                search = Search(graph, effort.edges // 8)
                for name, circle in _kinds(kinds, search, members, level, names):
                    names.add(name)
                    found.append(Anomaly(name + suffix, tuple(tell(evidence, circle))))
                if search.left < 0:
                    complete = False
                if len(names) == before and search.left < 0:
                    count = sum(1 for node in members if node < graph.real)
                    found.append(Anomaly("G2" + suffix, (f"some circle among {count:,} transactions",)))
    return found, complete


_Kind = tuple[str, int, int, bool, tuple[str, ...]]
"""Name, the edge it has, those it may have, whether no two edges rw follow each other, beside what it is no news."""

_KINDS: tuple[tuple[int, tuple[_Kind, ...]], ...] = (
    (BY_WRITES, (("G0", WW, 1 << WW, False, ()),)),
    (BY_READS, (("G1c", WR, _DEPENDS, False, ()), ("G1c", WW, _DEPENDS, False, ("G0", "G1c")))),
    (
        BY_ALL,
        (
            ("G-single", RW, _DEPENDS, False, ()),
            ("G-single", WW, _DEPENDS, False, ("G0", "G1c", "G-single")),
            ("G-nonadjacent", RW, _DEPENDS | (1 << RW), True, ("G-single",)),
            ("G2-item", RW, _DEPENDS | (1 << RW), False, ("G-single", "G-nonadjacent")),
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
    kinds: tuple[_Kind, ...], search: Search, members: list[int], level: int, known: set[str]
) -> list[tuple[str, list[tuple[int, int]]]]:
    """(name, circle) for each kind that these nodes have and that no weaker level had."""
    order = _LEVEL_KINDS[level]
    here: list[tuple[str, list[tuple[int, int]]]] = []
    names: set[str] = set()
    for name, first, rest, apart, unless in kinds:
        if (level and name in known) or names.intersection(unless) or (level and known.intersection(unless)):
            continue
        circle = _circle(search, members, first, rest | order, apart=apart)
        if circle is not None:
            names.add(name)
            if name not in known or not level:
                here.append((name, circle))
    return [one for one in here if one[0] not in known or not level]


def _circle(search: Search, members: list[int], first: int, rest: int, *, apart: bool) -> list[tuple[int, int]] | None:
    """Look in the parts of these nodes that hang together by the edges that are allowed."""
    for part in components(search.graph, members, rest | (1 << first) | (1 << THROUGH)):
        circle = search.circle(part, first, rest, apart=apart)
        if circle is not None:
            return circle
    return None


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
