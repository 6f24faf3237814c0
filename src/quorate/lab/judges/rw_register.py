"""Transactions that read and write registers, each write a value of its own.

A read proves who wrote what it saw (wr). The order of a register's versions must be inferred: the initial
value, nil, comes first; what a transaction read comes before what it wrote; and under the models that
promise it, what an earlier transaction left (of the same process, or in real time) is not newer than what a
later one met. Orders that follow from processes or real time are used only for circles of those names.
A value that nobody wrote is taken for an initial value that is not known, noted, and not ordered.
"""

from collections.abc import Iterator
from typing import Any

from quorate.lab.judges.graph import WR, WW, Graph, many_to_many
from quorate.lab.judges.history import FAIL, FOREVER, INFO, HistoryError
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.isolation import SUFFIXES
from quorate.lab.judges.jepsen import Op, triples
from quorate.lab.judges.report import UNKNOWN, Anomaly, Report
from quorate.lab.judges.transactions import BY_ALL, BY_READS, BY_WRITES, Effort, Evidence, decide, transaction
from quorate.lab.judges.values import freeze

MODEL = "rw-register"
TOLD_MAX = 8

Versions = dict[Any, dict[Any, tuple[int, int]]]
"""version -> a later version -> the two transactions that prove it (-1: it needs no proof)."""


class _Touch:
    """A transaction's dealings with one register: the version it met, the one it left."""

    __slots__ = ("left", "met", "node", "start", "stop", "wrote")

    def __init__(self, node: int, op: Op, met: Any, left: Any, *, wrote: bool) -> None:
        self.node, self.met, self.left, self.wrote = node, met, left, wrote
        self.start, self.stop = op.start, op.stop


def judge(
    ops: list[Op], expect: str = "strict-serializable", effort: Effort | None = None, *, in_time: bool = True
) -> Report:
    """The verdict. Without `in_time` neither processes nor real time say anything of the order of versions.
    Raises HistoryError when these are no such transactions."""
    effort = effort or Effort()
    if len(ops) > effort.operations:
        return Report(MODEL, UNKNOWN, f"more than {effort.operations:,} operations", operations=len(ops))
    facts = _Facts(ops, in_time=in_time)
    if facts.doubled:
        return Report(MODEL, UNKNOWN, facts.doubled, operations=len(ops))
    facts.check_reads()
    evidence = Evidence(
        MODEL, facts.nodes, facts.graph, facts.because, _Views(facts), facts.anomalies,
        facts.notes, len(ops),
    )  # fmt: skip
    return decide(evidence, expect, effort)


class _Facts:
    """Everything the reads prove."""

    def __init__(self, ops: list[Op], *, in_time: bool) -> None:
        self.in_time = in_time
        self.anomalies: list[Anomaly] = []
        self.notes: list[str] = []
        self.doubled = ""
        self.counts: dict[str, int] = {}
        self.writers: dict[Any, dict[Any, Op]] = {}
        self.overwritten: dict[Any, dict[Any, Any]] = {}
        """key -> a value -> the one that the same transaction wrote after it."""
        self.readers: dict[Any, dict[Any, list[int]]] = {}
        self.touches: dict[Any, list[_Touch]] = {}
        self.nodes: list[Op] = []
        self.node_of: dict[int, int] = {}
        self.known: dict[tuple[int, int], dict[Any, Versions]] = {}
        """(level, grounds) -> key -> what is known of its versions."""
        self.graphs: dict[tuple[int, int], Graph] = {}
        self.cyclic: set[Any] = set()
        for op in ops:
            self._take(op)
        self._uncertain(ops)

    def tell(self, name: str, *story: str) -> None:
        count = self.counts[name] = self.counts.get(name, 0) + 1
        if count <= TOLD_MAX:
            self.anomalies.append(Anomaly(name, story))

    def _take(self, op: Op) -> None:
        done = op.end == DONE
        node = len(self.nodes)
        if done:
            self.nodes.append(op)
            self.node_of[op.number] = node
        state: dict[Any, Any] = {}
        met: dict[Any, Any] = {}
        wrote: dict[Any, Any] = {}
        for f, key, value in mops(op):
            if f == "w":
                self._write(op, key, value)
                if key in wrote:
                    self.overwritten.setdefault(key, {})[wrote[key]] = value
                state[key] = wrote[key] = value
            elif f != "r":
                raise HistoryError(f"a rw-register transaction does not know {f!r}")
            elif done:
                if key not in state:
                    met[key] = value
                elif state[key] != value:
                    self.tell("internal", transaction(op), f"read {value!r} of {key!r}, expected {state[key]!r}")
                    if key in wrote and wrote[key] != value:
                        self.tell("own-write-lost", transaction(op), f"read {key!r} as {value!r}, not as it wrote it")
                if key not in wrote or wrote[key] != value:
                    self.readers.setdefault(key, {}).setdefault(value, []).append(node)
                state[key] = value
        if done:
            for key, value in state.items():
                touch = _Touch(node, op, met.get(key, value), wrote.get(key, value), wrote=key in wrote)
                self.touches.setdefault(key, []).append(touch)

    def _write(self, op: Op, key: Any, value: Any) -> None:
        if value is None:
            raise HistoryError(f"a write of nil: {op!r}")
        writers = self.writers.setdefault(key, {})
        other = writers.setdefault(value, op)
        if other is not op:
            if FAIL not in (other.end, op.end):
                self.doubled = f"{value!r} was written to {key!r} more than once"
            elif other.end == FAIL:
                writers[value] = op

    def _uncertain(self, ops: list[Op]) -> None:
        """Transactions whose end is unknown took effect when somebody saw what they wrote."""
        for op in ops:
            if op.end != INFO:
                continue
            last = {key: value for f, key, value in mops(op) if f == "w"}
            if any(value in self.readers.get(key, ()) for f, key, value in mops(op) if f == "w"):
                node = self.node_of[op.number] = len(self.nodes)
                self.nodes.append(op)
                for key, value in last.items():
                    self.touches.setdefault(key, []).append(_Touch(node, op, value, value, wrote=True))

    def check_reads(self) -> None:
        """What single reads prove."""
        for key, by_value in self.readers.items():
            writers = self.writers.get(key, {})
            for value, nodes in by_value.items():
                if value is None:
                    continue
                op = writers.get(value)
                reader = self.nodes[nodes[0]]
                if op is None:
                    if len(self.notes) < TOLD_MAX:
                        self.notes.append(f"{key!r} was read as {value!r}, which nobody wrote")
                elif op.end == FAIL:
                    story = (f"T1 = {transaction(op)}", f"T2 = {transaction(reader)}")
                    self.tell("G1a", *story, f"T2 read {key!r} as {value!r}, which T1 wrote")
                elif value in self.overwritten.get(key, ()) and any(self.nodes[each] is not op for each in nodes):
                    reader = next(self.nodes[each] for each in nodes if self.nodes[each] is not op)
                    story = (f"T1 = {transaction(op)}", f"T2 = {transaction(reader)}")
                    self.tell("G1b", *story, f"T2 read {key!r} as {value!r}, which T1 then overwrote itself")
        for key, touches in self.touches.items():
            self._lost_updates(key, touches)

    def _lost_updates(self, key: Any, touches: list[_Touch]) -> None:
        changed: dict[Any, list[int]] = {}
        for touch in touches:
            if touch.wrote and touch.met != touch.left and touch.node in self._read_first(key, touch.met):
                changed.setdefault(touch.met, []).append(touch.node)
        for value, nodes in changed.items():
            if len(nodes) > 1:
                story = [f"T{place} = {transaction(self.nodes[node])}" for place, node in enumerate(nodes[:3], 1)]
                self.tell("lost-update", *story, f"they read {key!r} as {value!r} and each wrote it")

    def _read_first(self, key: Any, value: Any) -> list[int]:
        return self.readers.get(key, {}).get(value, [])

    def versions(self, level: int, grounds: int = BY_ALL) -> dict[Any, Versions]:
        """What is known of the order of versions at a level, on these grounds. A key whose order would run in a circle
        keeps what its writes alone prove, or what is known on weaker grounds, or one level lower."""
        if not level or not self.in_time:
            level, grounds = 0, BY_ALL
        if (level, grounds) not in self.known:
            self.known[level, grounds] = {
                key: self._versions(key, touches, level, grounds) if level else self._by_data_alone(key, touches)
                for key, touches in self.touches.items()
            }
        return self.known[level, grounds]

    def _by_data_alone(self, key: Any, touches: list[_Touch]) -> Versions:
        found = self._by_data(key, touches)
        circle = _circle(found)
        if circle:
            self._tell_versions(key, found, circle, 0)
        return {} if circle else found

    def _versions(self, key: Any, touches: list[_Touch], level: int, grounds: int) -> Versions:
        if grounds == BY_WRITES and level == 1:
            below = self._by_data(key, [])  # not even that a transaction's write came after what it had read
        else:
            below = self.versions(level - 1, grounds)[key]
        for pairs in self._pairs(touches, level, grounds):
            found = {version: dict(later) for version, later in below.items()}
            for one, version, other in pairs:
                if one.left != version and self._orderable(key, one.left) and self._orderable(key, version):
                    found.setdefault(one.left, {}).setdefault(version, (one.node, other.node))
            circle = _circle(found)
            if not circle:
                return found
            if key not in self.cyclic and grounds == BY_ALL:
                self._tell_versions(key, found, circle, level)
        return self.versions(level, grounds - 1)[key] if grounds else below

    def _pairs(self, touches: list[_Touch], level: int, grounds: int) -> Iterator[list[tuple[_Touch, Any, _Touch]]]:
        """(an earlier transaction, the version that comes after the one it left, a later transaction), in one way or
        two, the second of fewer."""

        def after(some: list[_Touch], *, writers: bool = False) -> Iterator[tuple[_Touch, _Touch]]:
            return _in_time(some, writers=writers) if level == 2 else _in_process(some, self.nodes, writers=writers)

        wrote = [touch for touch in touches if touch.wrote]
        if grounds == BY_ALL:
            yield [(one, other.met, other) for one, other in after(touches)]
            yield [(one, other.met, other) for one, other in after(wrote)]
        else:
            some = touches if grounds == BY_READS else wrote
            yield [(one, other.left, other) for one, other in after(some, writers=True)]

    def _orderable(self, key: Any, version: Any) -> bool:
        return version is None or version in self.writers.get(key, ())

    def _by_data(self, key: Any, touches: list[_Touch]) -> Versions:
        """Within one transaction: what it met before what it left, and its own writes in their order."""
        found: Versions = {}
        for touch in touches:
            if touch.met != touch.left and touch.met is not None:
                found.setdefault(touch.met, {})[touch.left] = (touch.node, touch.node)
        for earlier, later in self.overwritten.get(key, {}).items():
            if earlier != later:
                found.setdefault(earlier, {}).setdefault(later, (-1, -1))
        return found

    def _tell_versions(self, key: Any, versions: Versions, circle: list[Any], level: int) -> None:
        self.cyclic.add(key)
        story = []
        for place, version in enumerate(circle):
            after = circle[(place + 1) % len(circle)]
            a, b = versions[version][after]
            proof = "one transaction wrote both in this order"
            if a >= 0 and a == b:
                proof = f"of {transaction(self.nodes[a])}"
            elif a >= 0:
                why = "ended before" if level == 2 else "came, in the same process, before"
                proof = f"[{transaction(self.nodes[a])}] {why} [{transaction(self.nodes[b])}]"
            story.append(f"{key!r} was {version!r} before it was {after!r}, because {proof}")
        self.tell("cyclic-versions" + SUFFIXES[level], *story)

    def graph(self, level: int, grounds: int = BY_ALL) -> Graph:
        """The dependencies by what is known at a level, on these grounds. Its helpers for the order in processes and in
        real time are there at every level; the search follows them only where it should."""
        if not level or not self.in_time:
            grounds = BY_ALL
        if (level, grounds) not in self.graphs:
            graph = self.graphs[level, grounds] = Graph(len(self.nodes))
            for key, versions in self.versions(level, grounds).items():
                self._edges(graph, key, versions)
            graph.add_processes(self.nodes)
            graph.add_time(self.nodes)
        return self.graphs[level, grounds]

    def _edges(self, graph: Graph, key: Any, versions: Versions) -> None:
        node_of = self.node_of
        writers = {value: node_of[op.number] for value, op in self.writers.get(key, {}).items() if op.number in node_of}
        readers = self.readers.get(key, {})
        for value, nodes in readers.items():
            writer = writers.get(value)
            if writer is not None:
                for node in nodes:
                    graph.add(writer, node, WR)
        if None in readers and writers:
            many_to_many(graph, list(dict.fromkeys(readers[None])), list(dict.fromkeys(writers.values())))
        for version, later in versions.items():
            if version is None:
                continue
            targets = [writers[each] for each in later if each in writers]
            if version in writers:
                for target in targets:
                    graph.add(writers[version], target, WW)
            if version in readers and targets:
                many_to_many(graph, list(dict.fromkeys(readers[version])), targets)

    def because(self, a: int, b: int, kind: int) -> str:
        """Why `a` comes before `b`; {a} and {b} stand for their names."""
        wrote = [(key, value) for f, key, value in mops(self.nodes[b]) if f == "w"]
        if kind == WR:
            theirs = {(key, value) for f, key, value in mops(self.nodes[a]) if f == "w"}
            for f, key, value in mops(self.nodes[b]):
                if f == "r" and (key, value) in theirs:
                    return f"{{b}} read {key!r} as {value!r}, which {{a}} wrote"
        for f, key, value in mops(self.nodes[a]):
            for other, later in wrote:
                if other != key or f != ("w" if kind == WW else "r"):
                    continue
                if value is None or any(later in known[key].get(value, ()) for known in self._all(key)):
                    first = "wrote" if f == "w" else "read"
                    return f"{{a}} {first} {key!r} as {value!r}, and {{b}} wrote the later {later!r}"
        return "{b} wrote a later version"

    def _all(self, key: Any) -> Iterator[dict[Any, Versions]]:
        return (known for known in self.known.values() if key in known)


class _Views:
    """Single reads and writes, for the circles that ask for more than edges (`patterns.Views`), by the data alone."""

    def __init__(self, facts: _Facts) -> None:
        self.facts = facts
        self.order = facts.versions(0)
        self.known: dict[int, tuple[list[tuple[int, Any, Any]], dict[Any, tuple[int, Any, Any]]]] = {}
        self.reach: dict[tuple[Any, Any], set[Any]] = {}

    def missed(self, node: int, other: int) -> int:
        wrote = self._of(other)[1]
        reads = self._of(node)[0]
        return max((at for at, key, v in reads if key in wrote and self._before(key, v, wrote[key][2])), default=-1)

    def met(self, node: int, other: int, kind: int) -> int:
        reads, wrote = self._of(node)
        before = self._of(other)[1]
        if kind == WW:
            places = [at for key, (at, first, _) in wrote.items() if key in before
                      and self._before(key, before[key][2], first)]  # fmt: skip
        else:
            theirs = {(key, value) for f, key, value in mops(self.facts.nodes[other]) if f == "w"}
            places = [at for at, key, value in reads if (key, value) in theirs]
        return min(places, default=-1)

    def only_reads(self, node: int) -> bool:
        return not self._of(node)[1]

    def _before(self, key: Any, version: Any, other: Any) -> bool:
        return version is None or other in self._later(key, version)

    def _later(self, key: Any, version: Any) -> set[Any]:
        if (key, version) not in self.reach:
            later: set[Any] = set()
            waiting = [version]
            while waiting:
                fresh = set(self.order.get(key, {}).get(waiting.pop(), ())) - later
                later |= fresh
                waiting += fresh
            self.reach[key, version] = later
        return self.reach[key, version]

    def _of(self, node: int) -> tuple[list[tuple[int, Any, Any]], dict[Any, tuple[int, Any, Any]]]:
        """(place, key, version) of each read of others, and key -> (the last place that wrote it, the first and the
        last version)."""
        if node not in self.known:
            op = self.facts.nodes[node]
            reads: list[tuple[int, Any, Any]] = []
            wrote: dict[Any, tuple[int, Any, Any]] = {}
            for at, (f, key, value) in enumerate(mops(op)):
                if f == "w":
                    wrote[key] = (at, wrote[key][1] if key in wrote else value, value)
                elif op.end == DONE and key not in wrote:
                    reads.append((at, key, value))
            self.known[node] = (reads, wrote)
        return self.known[node]


def mops(op: Op) -> Iterator[tuple[str, Any, Any]]:
    """The reads and writes of one transaction. Raises HistoryError."""
    try:
        for f, key, value in triples(op):
            yield f, freeze(key), freeze(value)
    except (TypeError, ValueError) as error:
        raise HistoryError(f"not a rw-register transaction: {op!r}") from error


def _in_process(touches: list[_Touch], ops: list[Op], *, writers: bool) -> Iterator[tuple[_Touch, _Touch]]:
    """Each process's dealings with the register, one after another; `writers`: only what comes before a write, without
    the pairs that follow from others by way of a write."""
    last: dict[Any, list[_Touch]] = {}
    for touch in sorted(touches, key=lambda one: one.start):
        process = ops[touch.node].process
        if process is None or touch.start < 0:
            continue
        before = last.setdefault(process, [])
        if touch.wrote or not writers:
            yield from ((one, touch) for one in before if one.stop != FOREVER)
            before.clear()
        before.append(touch)


def _in_time(touches: list[_Touch], *, writers: bool) -> Iterator[tuple[_Touch, _Touch]]:
    """Who ended before whom began, without the pairs that follow from others; `writers` as above."""
    moments = [(touch.start, 0, place) for place, touch in enumerate(touches) if touch.start >= 0]
    moments += [(touch.stop, 1, place) for place, touch in enumerate(touches) if touch.stop != FOREVER]
    moments.sort()
    latest: list[_Touch] = []
    for _, end, place in moments:
        touch = touches[place]
        if end:
            if touch.wrote or not writers:
                latest = [other for other in latest if other.stop > touch.start]
            latest.append(touch)
        elif touch.wrote or not writers:
            for other in latest:
                yield other, touch


def _circle(versions: Versions) -> list[Any]:
    """Versions that come before each other, in order; empty when there are none."""
    state: dict[Any, int] = {}
    for root in versions:
        if root in state:
            continue
        path: list[tuple[Any, Iterator[Any]]] = [(root, iter(versions[root]))]
        state[root] = 1
        while path:
            version, rest = path[-1]
            for after in rest:
                known = state.get(after)
                if known == 1:
                    trail = [each for each, _ in path]
                    return trail[trail.index(after) :]
                if known is None:
                    state[after] = 1
                    path.append((after, iter(versions.get(after, ()))))
                    break
            else:
                state[version] = 2
                path.pop()
    return []
