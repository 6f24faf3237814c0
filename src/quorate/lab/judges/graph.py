"""Which transaction must come before which, why, and the search for a circle of a given kind.

Nodes below `real` are transactions. Those above are helpers that keep the graph linear in the history: a
moment of time (all that ended before it precede all that began after it), or "everybody who read this
version" before "everybody who wrote a later one". A path through helpers counts as one edge.
"""

from collections import deque
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from quorate.lab.judges.history import FOREVER
from quorate.lab.judges.jepsen import Op

WW, WR, RW, PROCESS, TIME, THROUGH = range(6)
"""Kinds of edges: overwrote; read what the other wrote; read what the other then overwrote; same process,
later; began after the other had ended; and onward from a helper."""

NAMES = ("ww", "wr", "rw", "process", "realtime")
ALL = (1 << WW) | (1 << WR) | (1 << RW) | (1 << PROCESS) | (1 << TIME) | (1 << THROUGH)


class Graph:
    """Edges grow by `add`; an edge of a node to itself is left out."""

    def __init__(self, real: int) -> None:
        self.real = real
        self.out: list[list[int]] = [[] for _ in range(real)]
        self.when: dict[int, int] = {}
        """When a node began, roughly; helps the search to begin with the likely order."""

    def add(self, source: int, target: int, kind: int) -> None:
        """One more edge."""
        if source != target:
            self.out[source].append(target << 3 | kind)

    def helper(self) -> int:
        """A new node that is no transaction."""
        self.out.append([])
        return len(self.out) - 1

    def add_processes(self, ops: list[Op]) -> None:
        """Operations of one process, one after another. Nothing follows one whose end is unknown."""
        last: dict[object, int] = {}
        for node in sorted(range(self.real), key=lambda node: (ops[node].start, ops[node].stop)):
            process = ops[node].process
            before = last.get(process)
            if process is None or ops[node].start < 0:
                continue
            if before is not None and ops[before].stop != FOREVER:
                self.out[before].append(node << 3 | PROCESS)
            last[process] = node

    def add_time(self, ops: list[Op]) -> None:
        """Real time: who ended before whom began. One helper for each stretch of ends before a beginning."""
        moments = [(ops[node].stop, 1, node) for node in range(self.real) if ops[node].stop != FOREVER]
        moments += [(ops[node].start, 0, node) for node in range(self.real) if ops[node].start >= 0]
        moments.sort()
        self.when.update({node: ops[node].start for node in range(self.real)})
        now, ended = -1, []
        for moment, end, node in moments:
            if end:
                ended.append(node)
                continue
            if ended:
                before, now = now, self.helper()
                self.when[now] = moment
                if before >= 0:
                    self.out[before].append(now << 3 | TIME)
                for one in ended:
                    self.out[one].append(now << 3 | TIME)
                ended.clear()
            if now >= 0:
                self.out[now].append(node << 3 | TIME)

    def circular(self) -> list[int]:
        """The nodes that remain when those with nothing before them are taken away, again and again: none
        when there is no circle."""
        out = self.out
        before = [0] * len(out)
        for edges in out:
            for edge in edges:
                before[edge >> 3] += 1
        free = [node for node, count in enumerate(before) if not count]
        gone = 0
        while free:
            gone += 1
            for edge in out[free.pop()]:
                target = edge >> 3
                before[target] -= 1
                if not before[target]:
                    free.append(target)
        return [] if gone == len(out) else [node for node, count in enumerate(before) if count]


def components(graph: Graph, nodes: Iterable[int], mask: int) -> list[list[int]]:
    """Strongly connected components of more than one node, by edges of these kinds (Tarjan 1972)."""
    out = graph.out
    inside = set(nodes)
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    waiting: list[int] = []
    on_stack: set[int] = set()
    found: list[list[int]] = []
    for root in sorted(inside):
        if root in number:
            continue
        work = [(root, 0)]
        while work:
            node, place = work.pop()
            if not place:
                number[node] = low[node] = len(number)
                waiting.append(node)
                on_stack.add(node)
            edges = out[node]
            deeper = False
            while place < len(edges):
                edge = edges[place]
                place += 1
                target = edge >> 3
                if not mask >> (edge & 7) & 1 or target not in inside:
                    continue
                if target not in number:
                    work += [(node, place), (target, 0)]
                    deeper = True
                    break
                if target in on_stack:
                    low[node] = min(low[node], number[target])
            if deeper:
                continue
            if work:
                above = work[-1][0]
                low[above] = min(low[above], low[node])
            if low[node] == number[node]:
                found += _component(node, waiting, on_stack)
    return found


def _component(root: int, waiting: list[int], on_stack: set[int]) -> list[list[int]]:
    members = []
    while True:
        node = waiting.pop()
        on_stack.discard(node)
        members.append(node)
        if node == root:
            return [sorted(members)] if len(members) > 1 else []


def likely_order(graph: Graph, members: list[int], mask: int) -> dict[int, int]:
    """A place for each of these nodes that respects the edges of these kinds, and time where they leave a
    choice; empty when such edges run in a circle."""
    inside = set(members)
    before = dict.fromkeys(members, 0)
    for node in members:
        for edge in graph.out[node]:
            if mask >> (edge & 7) & 1 and edge >> 3 in inside:
                before[edge >> 3] += 1
    when = graph.when
    free = [(when.get(node, -1), node) for node in members if not before[node]]
    heapify(free)
    places: dict[int, int] = {}
    while free:
        _, node = heappop(free)
        places[node] = len(places)
        for edge in graph.out[node]:
            after = edge >> 3
            if mask >> (edge & 7) & 1 and after in inside:
                before[after] -= 1
                if not before[after]:
                    heappush(free, (when.get(after, -1), after))
    return places if len(places) == len(members) else {}


ANY, APART, AFTER_WR = range(3)
"""Where an edge rw may stand in a circle: anywhere; not after an edge rw; only after an edge wr."""


def _bars(kind: int, before: int, rule: int) -> bool:
    """Whether no edge rw may follow an edge of this kind; `before`: whether none might follow the one before it."""
    if kind == THROUGH:
        return bool(before)
    return kind == RW if rule == APART else kind != WR if rule == AFTER_WR else False


class _Doubled(Graph):
    """Each node twice: met by an edge that no edge rw may follow, or by another. A circle that keeps the rule in the
    one graph is a circle of the other."""

    def __init__(self, graph: Graph, members: list[int], mask: int, rule: int) -> None:
        super().__init__(0)
        inside = set(members)
        self.states = [node << 1 | flag for node in members for flag in (0, 1)]
        doubled: dict[int, list[int]] = {}
        for state in self.states:
            line = doubled[state] = []
            for edge in graph.out[state >> 1]:
                kind, after = edge & 7, edge >> 3
                if after in inside and mask >> kind & 1 and not (state & 1 and kind == RW):
                    flag = _bars(kind, state & 1, rule)
                    line.append((after << 1 | flag) << 3 | kind)
        self.out = doubled  # type: ignore[assignment]


class Search:
    """Looks for short circles. `left` is how many edges it may still follow; below zero it has given up."""

    def __init__(self, graph: Graph, edges: int) -> None:
        self.graph = graph
        self.left = edges

    def circle(self, members: list[int], first: int, rest: int, rule: int = ANY) -> list[tuple[int, int]] | None:
        """The shortest circle found that has an edge of kind `first` and further edges of the kinds in the
        mask `rest`, its edges rw where the rule allows them. As (transaction, kind of its edge)."""
        inside = set(members)
        places: dict[int, int] = {}
        if rule:
            inside = self._ruled(members, rest | (1 << first), rule)
        elif not rest >> first & 1:
            places = likely_order(self.graph, members, rest | (1 << THROUGH))
        best: list[tuple[int, int]] | None = None
        patience = 200_000
        for source in members:
            if source not in inside:
                continue
            for edge in self.graph.out[source]:
                target = edge >> 3
                if edge & 7 != first or target not in inside or (places and places[target] > places[source]):
                    continue
                if self.left < 0 or (best is not None and patience < 0):
                    return best
                before = self.left
                path = self._path(target, source, inside, rest, places, rule)
                patience -= before - self.left
                if path is not None:
                    circle = self._without_helpers([(source, first), *path])
                    if best is None or len(circle) < len(best):
                        best = circle
                    if len(best) == 2:
                        return best
        return best

    def through(self, source: int, inside: set[int], first: int, rest: int) -> list[tuple[int, int]] | None:
        """A circle that leaves this transaction by an edge of kind `first` and comes back through these nodes."""
        for edge in self.graph.out[source]:
            if edge & 7 == first and edge >> 3 in inside:
                path = self._path(edge >> 3, source, inside, rest, {}, ANY)
                if path is not None:
                    return self._without_helpers([(source, first), *path])
        return None

    def _ruled(self, members: list[int], mask: int, rule: int) -> set[int]:
        """The nodes of circles that keep the rule."""
        doubled = _Doubled(self.graph, members, mask | (1 << THROUGH), rule)
        return {state >> 1 for part in components(doubled, doubled.states, ALL) for state in part}

    def _path(
        self, source: int, target: int, inside: set[int], mask: int, places: dict[int, int], rule: int
    ) -> list[tuple[int, int]] | None:
        """The path of fewest transactions, as (node, kind of the edge that leaves it). Where places are given
        no edge goes back, so nothing beyond the target's place can lead to it."""
        limit = places[target] if places else 0
        out, real = self.graph.out, self.graph.real
        start = source << 1 | bool(rule)  # the lowest bit says that no edge rw may follow, as after the first edge
        parent: dict[int, tuple[int, int]] = {start: (-1, 0)}
        queue = deque([start])
        mask |= 1 << THROUGH
        while queue:
            state = queue.popleft()
            node, barred = state >> 1, state & 1
            for edge in out[node]:
                kind, after = edge & 7, edge >> 3
                self.left -= 1
                if not mask >> kind & 1 or after not in inside or (barred and kind == RW):
                    continue
                if limit and places[after] > limit:
                    continue
                bars = _bars(kind, barred, rule)
                if after == target and bars:
                    continue  # the circle begins with an edge rw
                reached = after << 1 | bars
                if reached in parent:
                    continue
                parent[reached] = (state, kind)
                if after == target:
                    return self._walk(parent, reached)
                if after < real:
                    queue.append(reached)
                else:
                    queue.appendleft(reached)
            if self.left < 0:
                return None
        return None

    @staticmethod
    def _walk(parent: dict[int, tuple[int, int]], state: int) -> list[tuple[int, int]]:
        steps: list[tuple[int, int]] = []
        while parent[state][0] >= 0:
            state, kind = parent[state]
            steps.append((state >> 1, kind))
        return steps[::-1]

    def _without_helpers(self, steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """A stretch through helpers becomes the one edge it stands for."""
        return [(node, kind) for node, kind in steps if node < self.graph.real]


def circle_within(
    search: Search, members: Iterable[int], first: int, rest: int, rule: int = ANY
) -> list[tuple[int, int]] | None:
    """Look in the parts of these nodes that hang together by the edges that are allowed."""
    for part in components(search.graph, members, rest | (1 << first) | (1 << THROUGH)):
        circle = search.circle(part, first, rest, rule)
        if circle is not None:
            return circle
    return None


def many_to_many(graph: Graph, readers: list[int], writers: list[int]) -> None:
    """Every reader before every writer but itself, with few edges. A helper stands for "this one of those who did both,
    or an earlier one", another for "or a later one": so each reaches all but itself."""
    if len(readers) * len(writers) <= 16:
        for node in readers:
            for other in writers:
                graph.add(node, other, RW)
        return
    doing_both = set(readers) & set(writers)
    both = sorted(doing_both)
    pure = graph.helper()  # those who wrote and did not read
    for other in writers:
        if other not in doing_both:
            graph.add(pure, other, THROUGH)
    ahead = _chain(graph, both, pure)
    behind = _chain(graph, both[::-1], pure)[::-1]
    everybody = behind[0] if both else pure
    for node in readers:
        if node not in doing_both:
            graph.add(node, everybody, RW)
    for place, node in enumerate(both):
        graph.add(node, ahead[place - 1] if place else pure, RW)
        graph.add(node, behind[place + 1] if place + 1 < len(both) else pure, RW)


def _chain(graph: Graph, nodes: list[int], last: int) -> list[int]:
    """For each of these nodes a helper that leads to it, to those before it, and to `last`."""
    helpers: list[int] = []
    for node in nodes:
        helper = graph.helper()
        graph.add(helper, node, THROUGH)
        graph.add(helper, helpers[-1] if helpers else last, THROUGH)
        helpers.append(helper)
    return helpers
