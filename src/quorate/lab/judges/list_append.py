"""Transactions that append unique elements to lists and read whole lists.

A read proves the order of everything appended before it, so the longest list read of a key is its version
order, and each read has an exact place in it: who wrote what it saw (wr), who wrote next (rw), and who
wrote after whom (ww). Lists never shrink, so an append that took effect and that no read ever saw comes
after the longest list.
"""

from collections.abc import Iterator
from typing import Any

from quorate.lab.judges.graph import RW, WR, WW, Graph, many_to_many
from quorate.lab.judges.history import FAIL, INFO, HistoryError
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op, triples
from quorate.lab.judges.report import UNKNOWN, Anomaly, Report, brief
from quorate.lab.judges.transactions import Effort, Evidence, decide, transaction
from quorate.lab.judges.values import freeze

MODEL = "list-append"
TOLD_MAX = 8
"""How many examples of one anomaly are told."""


_SIMPLE = {int, str}
"""What can be a key as it is."""

_UNSEEN = 1 << 60
"""The place of a version after all that were seen."""


class Duplicate(Exception):
    """An element was appended twice: the versions cannot be told apart."""


def judge(ops: list[Op], expect: str = "strict-serializable", effort: Effort | None = None) -> Report:
    """The verdict. Raises HistoryError when these are no such transactions."""
    effort = effort or Effort()
    if len(ops) > effort.operations:
        return Report(MODEL, UNKNOWN, f"more than {effort.operations:,} operations", operations=len(ops))
    try:
        facts = _Facts(ops)
    except Duplicate as trouble:
        return Report(MODEL, UNKNOWN, str(trouble), operations=len(ops))
    facts.check_reads()
    evidence = Evidence(
        MODEL, facts.nodes, lambda _level, _grounds: facts.graph(), facts.because, _Views(facts), facts.anomalies, [],
        len(ops),
    )  # fmt: skip
    return decide(evidence, expect, effort)


class _Facts:
    """Everything the reads prove."""

    def __init__(self, ops: list[Op]) -> None:
        self.anomalies: list[Anomaly] = []
        self.counts: dict[str, int] = {}
        self.writers: dict[Any, dict[Any, Op]] = {}
        self.not_last: dict[Any, set[Any]] = {}
        """key -> elements after which their transaction appended more to the key."""
        self.updates: dict[tuple[Any, int], list[tuple[int, list[Any], Any]]] = {}
        """(key, size of the list) -> (node, list, element) of those that read a key and then appended to it."""
        self.reads: list[tuple[int, Any, list[Any]]] = []
        """(node, key, list), one for each read of a transaction that ended well."""
        self.orders: dict[Any, list[Any]] = {}
        """key -> the longest list read."""
        self.nodes: list[Op] = []
        self.node_of: dict[int, int] = {}
        self.built: Graph | None = None
        self.unseen: dict[Any, list[int]] = {}
        for op in ops:
            self._take(op)
        self._uncertain()

    def tell(self, name: str, *story: str) -> None:
        """One anomaly more; after some of one kind they are only counted."""
        count = self.counts[name] = self.counts.get(name, 0) + 1
        if count <= TOLD_MAX:
            self.anomalies.append(Anomaly(name, story))

    def _take(self, op: Op) -> None:
        done = op.end == DONE
        mops = triples(op)
        node = len(self.nodes)
        if done:
            self.nodes.append(op)
            self.node_of[op.number] = node
        seen: set[Any] = set()
        again = False
        try:
            for f, key, value in mops:
                if key.__class__ not in _SIMPLE:
                    key = freeze(key)
                again = again or key in seen
                seen.add(key)
                if f == "append":
                    self._append(op, key, value)
                elif f == "r":
                    if done:  # nil is the empty list; where the end is unknown it says nothing
                        self._read(node, key, value)
                else:
                    raise HistoryError(f"a list-append transaction does not know {f!r}")
        except (TypeError, ValueError) as error:
            raise HistoryError(f"not a list-append transaction ({error}): {op!r}") from error
        if again:
            self._within(op, mops)

    def _append(self, op: Op, key: Any, element: Any) -> None:
        if element.__class__ not in _SIMPLE:
            element = freeze(element)
        writers = self.writers.get(key)
        if writers is None:
            self.writers[key] = {element: op}
            return
        other = writers.get(element)
        if other is None or (other.end == FAIL and other is not op):
            writers[element] = op
        elif other is op or op.end != FAIL:
            raise Duplicate(f"{element!r} was appended to {key!r} more than once")

    def _read(self, node: int, key: Any, value: Any) -> None:
        value = _list(value)
        self.reads.append((node, key, value))
        order = self.orders.get(key)
        if order is None or len(value) > len(order):
            self.orders[key] = value

    def _within(self, op: Op, mops: list[Any]) -> None:
        """Within one transaction: intermediate appends, and reads that contradict what it did before."""
        done = op.end == DONE
        state: dict[Any, tuple[bool, list[Any]]] = {}  # key -> (is the whole list known, its known end)
        mine: dict[Any, list[Any]] = {}
        first: dict[Any, list[Any]] = {}
        for f, key, value in mops:
            if key.__class__ not in _SIMPLE:
                key = freeze(key)
            whole, known = state.get(key, (False, []))
            if f == "append":
                if key in mine:
                    self.not_last.setdefault(key, set()).add(freeze(mine[key][-1]))
                elif key in first:
                    update = (self.node_of[op.number], first[key], freeze(value))
                    self.updates.setdefault((key, len(first[key])), []).append(update)
                if whole and value in known:
                    self.tell("future-read", transaction(op), f"read {value!r} of {key!r} before appending it")
                mine.setdefault(key, []).append(value)
                state[key] = (whole, [*known, value])
            elif done:
                value = _list(value)
                if (value != known) if whole else (bool(known) and value[-len(known) :] != known):
                    expected = f"{'' if whole else '... '}{brief(known)}"
                    self.tell("internal", transaction(op), f"read {brief(value)} of {key!r}, expected {expected}")
                    if key in mine and value[-len(mine[key]) :] != mine[key]:
                        self.tell("own-write-lost", transaction(op), f"read {key!r} without what it had appended")
                if key not in mine:
                    first.setdefault(key, value)
                state[key] = (True, value)

    def _uncertain(self) -> None:
        """Transactions whose end is unknown took effect when somebody saw what they appended."""
        for key, order in self.orders.items():
            writers = self.writers.get(key, {})
            for element in order:
                op = writers.get(freeze(element))
                if op is not None and op.end == INFO and op.number not in self.node_of:
                    self.node_of[op.number] = len(self.nodes)
                    self.nodes.append(op)

    def check_reads(self) -> None:
        """What single reads prove: lists that contradict each other, repeated, aborted, intermediate and
        unwritten elements."""
        for key, order in self.orders.items():
            self._check_list(key, order)
        for node, key, value in self.reads:
            size = len(value)
            order = self.orders[key]
            if value is not order and value != (order if size == len(order) else order[:size]):
                self.tell(
                    "incompatible-order", transaction(self.nodes[node]),
                    f"read {brief(value)} of {key!r}, which is no beginning of {brief(order)}",
                )  # fmt: skip
                self._check_list(key, value)
            if size:
                last = freeze(value[-1])
                if key in self.not_last and last in self.not_last[key]:
                    writer = self.writers[key][last]
                    if writer is not self.nodes[node] and writer.end != FAIL:
                        self.tell(
                            "G1b", f"T1 = {transaction(writer)}", f"T2 = {transaction(self.nodes[node])}",
                            f"T2 read {key!r} up to {last!r}, after which T1 appended more to it",
                        )  # fmt: skip
        self._lost_updates()

    def _check_list(self, key: Any, value: list[Any]) -> None:
        writers = self.writers.get(key, {})
        frozen = [freeze(each) for each in value]
        if len(set(frozen)) < len(frozen):
            twice = next(each for place, each in enumerate(frozen) if each in frozen[:place])
            self.tell("duplicate-elements", f"{key!r} was read as {brief(value)}, with {twice!r} more than once")
        dirty: tuple[Any, Op] | None = None
        for element in frozen:
            op = writers.get(element)
            if op is None:
                self.tell("unwritten-element", f"{key!r} was read as {brief(value)}; nobody appended {element!r}")
            elif op.end == FAIL:
                self.tell(
                    "G1a", f"T1 = {transaction(op)}", f"{key!r} was read as {brief(value)}, with T1's {element!r}"
                )
                dirty = dirty or (element, op)
            elif dirty is not None and op.end == DONE:
                self.tell(
                    "dirty-update", f"T1 = {transaction(dirty[1])}", f"T2 = {transaction(op)}",
                    f"T2 appended {element!r} to {key!r} after T1's {dirty[0]!r}",
                )  # fmt: skip
                dirty = None

    def _lost_updates(self) -> None:
        """Two transactions that read the same version of a key, and both appended to it; or one that appended after an
        append that it had not read."""
        for (key, size), updates in self.updates.items():
            alike: dict[Any, list[int]] = {}
            for node, value, _ in updates:
                alike.setdefault(freeze(value), []).append(node)
            for both in alike.values():
                if len(both) > 1:
                    story = [f"T{place} = {transaction(self.nodes[node])}" for place, node in enumerate(both[:3], 1)]
                    self.tell("lost-update", *story, f"they read the same version of {key!r} and each appended to it")
            order = self.orders.get(key, [])
            if len(order) <= size:
                continue
            following = self.writers.get(key, {}).get(freeze(order[size]))
            for node, _, element in updates:
                if following is not None and following.end != FAIL and following is not self.nodes[node]:
                    self.tell(
                        "G-cursor", f"T1 = {transaction(self.nodes[node])}", f"T2 = {transaction(following)}",
                        f"T1 read {key!r} without T2's {order[size]!r} and appended {element!r} after it",
                    )  # fmt: skip

    def graph(self) -> Graph:
        """The dependencies; they are the same with and without an order in time."""
        if self.built is None:
            graph = self.built = Graph(len(self.nodes))
            writers = self._version_writers(graph)
            self._read_edges(graph, writers)
            graph.add_processes(self.nodes)
            graph.add_time(self.nodes)
        return self.built

    def _version_writers(self, graph: Graph) -> dict[Any, list[int]]:
        """key -> the node that wrote each version, -1 where it is not known; and the edges ww."""
        found: dict[Any, list[int]] = {}
        node_of = self.node_of
        for key, by_element in self.writers.items():
            order = self.orders.get(key, [])
            line: list[int] = []
            before = -1
            for element in order:
                op = by_element.get(freeze(element))
                node = -1 if op is None else node_of.get(op.number, -1)
                line.append(node)
                if node >= 0:
                    if before >= 0 and before != node:
                        graph.out[before].append(node << 3 | WW)
                    before = node
            found[key] = line
            if len(by_element) > len(order):
                shown = {freeze(each) for each in order}
                later = [node_of.get(op.number, -1) for each, op in by_element.items() if each not in shown]
                self.unseen[key] = list(dict.fromkeys(node for node in later if node >= 0))
                if before >= 0:
                    for node in self.unseen[key]:
                        graph.add(before, node, WW)
        return found

    def _read_edges(self, graph: Graph, writers: dict[Any, list[int]]) -> None:
        out = graph.out
        latest: dict[Any, list[int]] = {}
        nothing: list[int] = []
        for node, key, value in self.reads:
            line = writers.get(key, nothing)
            size = len(value)
            if size and line:
                writer = line[size - 1]
                if writer >= 0 and writer != node:
                    out[writer].append(node << 3 | WR)
            while size < len(line) and line[size] < 0:
                size += 1
            if size < len(line):
                if line[size] != node:
                    out[node].append(line[size] << 3 | RW)
            elif key in self.unseen:
                latest.setdefault(key, []).append(node)
        for key, readers in latest.items():
            many_to_many(graph, list(dict.fromkeys(readers)), self.unseen[key])

    def because(self, a: int, b: int, kind: int) -> str:
        """Why `a` comes before `b`; {a} and {b} stand for their names."""
        if kind == RW:
            return self._because_read(a, b)
        for key, element in _appends(self.nodes[a]):
            order = [freeze(each) for each in self.orders.get(key, [])]
            if element not in order:
                continue
            place = order.index(element)
            if kind == WR and any(size == place + 1 for size in _sizes(self.nodes[b], key)):
                return f"{{b}} read {key!r} up to {element!r}, which {{a}} appended"
            if kind == WW:
                for other, later in _appends(self.nodes[b]):
                    if other == key and later in order and order.index(later) > place:
                        return f"{{b}} appended {later!r} to {key!r} after {{a}} had appended {element!r}"
                    if other == key and later not in order:
                        return f"no read of {key!r} saw {{b}}'s {later!r}, and {{a}}'s {element!r} was seen"
        return "{b} appended after {a}" if kind == WW else "{b} read what {a} appended"

    def _because_read(self, a: int, b: int) -> str:
        for key, element in _appends(self.nodes[b]):
            order = [freeze(each) for each in self.orders.get(key, [])]
            for size in _sizes(self.nodes[a], key):
                if element not in order[:size]:
                    seen = brief([*order[:size]])
                    return f"{{a}} read {key!r} as {seen}, without {element!r}, which {{b}} appended"
        return "{a} did not see what {b} appended"


def _mops(op: Op) -> Iterator[tuple[str, Any, Any]]:
    for f, key, value in triples(op):
        yield f, freeze(key), value


def _appends(op: Op) -> Iterator[tuple[Any, Any]]:
    return ((key, freeze(value)) for f, key, value in _mops(op) if f == "append")


def _sizes(op: Op, key: Any) -> Iterator[int]:
    return (len(value or ()) for f, each, value in _mops(op) if f == "r" and each == key)


def _list(value: Any) -> list[Any]:
    """The list that was read; nil is the empty one. Raises HistoryError."""
    if value.__class__ is list:
        return value
    if value is not None and not isinstance(value, tuple):
        raise HistoryError(f"a read of a list shows {value!r}")
    return list(value or ())


class _Views:
    """Single reads and appends, for the circles that ask for more than edges (`patterns.Views`)."""

    def __init__(self, facts: _Facts) -> None:
        self.facts = facts
        self.orders: dict[Any, dict[Any, int]] = {}
        self.known: dict[int, tuple[list[tuple[int, Any, int]], dict[Any, tuple[int, int, int]]]] = {}

    def missed(self, node: int, other: int) -> int:
        wrote = self._of(other)[1]
        return max((at for at, key, size in self._of(node)[0] if key in wrote and wrote[key][2] >= size), default=-1)

    def met(self, node: int, other: int, kind: int) -> int:
        reads, wrote = self._of(node)
        before = self._of(other)[1]
        if kind == WW:
            places = [at for key, (at, first, _) in wrote.items() if key in before and before[key][2] <= first]
        else:
            places = [at for at, key, size in reads if key in before and before[key][1] < size]
        return min(places, default=-1)

    def only_reads(self, node: int) -> bool:
        return not self._of(node)[1]

    def _of(self, node: int) -> tuple[list[tuple[int, Any, int]], dict[Any, tuple[int, int, int]]]:
        """(place, key, how much of the list) of each read of others, and key -> (the last place that appended, the
        first and the last version)."""
        if node not in self.known:
            op = self.facts.nodes[node]
            reads: list[tuple[int, Any, int]] = []
            wrote: dict[Any, tuple[int, int, int]] = {}
            for at, (f, key, value) in enumerate(_mops(op)):
                if f == "append":
                    version = self._place(key, freeze(value))
                    first, last = (wrote[key][1], wrote[key][2]) if key in wrote else (version, version)
                    wrote[key] = (at, min(first, version), max(last, version))
                elif op.end == DONE and key not in wrote:
                    reads.append((at, key, len(value or ())))
            self.known[node] = (reads, wrote)
        return self.known[node]

    def _place(self, key: Any, element: Any) -> int:
        if key not in self.orders:
            order = self.facts.orders.get(key, [])
            self.orders[key] = {freeze(each): place for place, each in enumerate(order)}
        return self.orders[key].get(element, _UNSEEN)
