"""Texts that are appended to: linearizable or not in the time of a sort, where every text written differs.

Every `get` shows the put it stands on (or none, at the beginning) and the appends since, in order. So the
operations fall into clusters that stand together in any linearization: a put, the appends that were seen on
top of it, and the gets that saw them, in an order that is known up to gets that saw the same. A cluster
alone is possible when each operation, taken in that order as early as it can, is not too late. Between
clusters the rule is that of registers with different values (see `distinct`): where the first end in a
cluster comes before its last beginning the text certainly was this cluster's all that time, and nothing
else fits in there; a put or an append that nobody saw is a cluster of its own.

Where texts repeat, are empty, or begin with one another, the general search decides. Its states are then
numbers that stand for (the text before, what was appended), so that memory does not grow with the texts.
"""

from bisect import bisect_right
from collections.abc import Hashable
from itertools import pairwise
from typing import Any

from quorate.lab.judges.history import ALWAYS, OK, HistoryError, Operation
from quorate.lab.judges.models import IMPOSSIBLE, Text

Answer = tuple[list[Operation], str]
"""(evidence, reason), both empty when linearizable."""


class _Cluster:
    """A put (None: the empty text at the beginning), and what stands on it."""

    __slots__ = ("first", "first_end", "gets", "initial", "last", "last_begin", "longest", "members", "put")

    def __init__(self, put: Operation | None, *, initial: bool = False) -> None:
        self.put = put
        self.initial = initial
        self.gets: list[Operation] = []
        self.longest: Operation | None = None
        self.members: list[Operation] = []

    def close(self) -> None:
        """All members are known: work out the zone."""
        self.first_end = min(self.members, key=lambda one: one.returned)
        self.last_begin = max(self.members, key=lambda one: one.invoked)
        self.first = ALWAYS if self.initial else self.first_end.returned
        self.last = self.last_begin.invoked

    def evidence(self) -> list[Operation]:
        chosen = [one for one in (self.put, self.first_end, self.last_begin) if one is not None]
        return list({id(one): one for one in chosen}.values())


def distinct_texts(operations: list[Operation]) -> Answer | None:
    """None when this test does not fit the history."""
    written: dict[str, Operation] = {}
    for one in operations:
        if one.function in {"put", "append"}:
            if not isinstance(one.value, str) or not one.value or one.value in written:
                return None
            written[one.value] = one
    if any(longer.startswith(shorter) for shorter, longer in pairwise(sorted(written))):
        return None
    return _Clusters(operations, written).answer()


class _Clusters:
    """The work of one history of one key."""

    def __init__(self, operations: list[Operation], written: dict[str, Operation]) -> None:
        self.operations = operations
        self.written = written
        self.sizes = sorted({len(text) for text in written})
        self.owner: dict[int, _Cluster] = {}
        """id of a put or append that was seen -> its cluster."""

    def answer(self) -> Answer:
        beginning = _Cluster(None, initial=True)
        clusters: dict[str, _Cluster] = {}
        for one in self.operations:
            if one.function != "get":
                continue
            text = one.result or ""
            start = self._token(text, 0)
            if start is None and text:
                return [one], "this text begins with something that was never written"
            put = self.written[start] if start and self.written[start].function == "put" else None
            cluster = beginning if put is None else clusters.setdefault(put.value, _Cluster(put))
            cluster.gets.append(one)
            if cluster.longest is None or len(text) > len(cluster.longest.result or ""):
                cluster.longest = one
        alive = list(clusters.values())
        if beginning.gets:
            alive.insert(0, beginning)
        for cluster in alive:
            found = self._inside(cluster)
            if found is not None:
                return found
        for one in self.operations:
            if one.function != "get" and one.end == OK and id(one) not in self.owner:
                alone = _Cluster(None)
                alone.members = [one]
                alive.append(alone)
        for cluster in alive:
            cluster.close()
        return _zones(alive)

    def _token(self, text: str, place: int) -> str | None:
        for size in self.sizes:
            part = text[place : place + size]
            if part in self.written:
                return part
        return None

    def _inside(self, cluster: _Cluster) -> Answer | None:
        """Put the cluster's members in their order and see whether they fit in time; None when they do."""
        assert cluster.longest is not None
        whole = cluster.longest.result or ""
        marks: dict[int, int] = {0: 0}
        line: list[Operation] = []
        place = 0
        while place < len(whole):
            token = self._token(whole, place)
            if token is None:
                return [cluster.longest], f"this text was never written: {whole[place : place + 30]!r}"
            one = self.written[token]
            if place and one.function == "put":
                return [one, cluster.longest], "a put does not stand at the beginning"
            if id(one) in self.owner:
                return [one, cluster.longest], "one text was seen in two places"
            self.owner[id(one)] = cluster
            line.append(one)
            place += len(token)
            marks[place] = len(line)
        seen: list[list[Operation]] = [[] for _ in range(len(line) + 1)]
        for get in cluster.gets:
            text = get.result or ""
            if len(text) not in marks or not whole.startswith(text):
                return [cluster.longest, get], "one text is no beginning of the other"
            seen[marks[len(text)]].append(get)
        cluster.members = [*line, *cluster.gets]
        return self._in_order(cluster, line, seen)

    def _in_order(self, cluster: _Cluster, line: list[Operation], seen: list[list[Operation]]) -> Answer | None:
        """Each as early as it can, and none too late. Gets that saw the same have no order among them."""
        reason = "the second comes after the first, and had ended before that began"
        latest: Operation | None = None
        for step, gets in enumerate(seen):
            if step:
                one = line[step - 1]
                if latest is not None and one.returned < latest.invoked:
                    return self._late(cluster, latest, one), reason
                latest = one if latest is None or one.invoked > latest.invoked else latest
            before = latest
            for one in gets:
                if before is not None and one.returned < before.invoked:
                    return self._late(cluster, before, one), reason
                latest = one if latest is None or one.invoked > latest.invoked else latest
        return None

    @staticmethod
    def _late(cluster: _Cluster, first: Operation, second: Operation) -> list[Operation]:
        """The two, and a get that shows their order."""
        found = [first, second]
        if cluster.longest is not None and all(cluster.longest is not one for one in found):
            found.append(cluster.longest)
        return found


def _zones(clusters: list[_Cluster]) -> Answer:
    forward = sorted((one for one in clusters if one.first < one.last), key=lambda one: (one.first, one.last))
    for left, right in pairwise(forward):
        if right.first < left.last:
            return (
                left.evidence() + right.evidence(),
                "each of two texts must have been there before and after the other",
            )
    starts = [one.first for one in forward]
    for one in clusters:
        if one.first < one.last:
            continue
        place = bisect_right(starts, one.last) - 1
        if place >= 0 and forward[place].first < one.last and one.first < forward[place].last:
            reason = "the one text was there all the while in which the other must have been"
            return forward[place].evidence() + one.evidence(), reason
    return [], ""


class ChainText(Text):
    """The model `Text` with numbers for states. One instance judges one key."""

    initial: Hashable = 0

    def __init__(self) -> None:
        self.parents: list[int] = [0]
        self.parts: list[str] = [""]
        self.lengths: list[int] = [0]
        self.known: dict[tuple[int, str], int] = {}

    def step(self, state: Any, operation: Operation) -> Any:
        function = operation.function
        if function == "get":
            return state if self._is(state, operation.result or "") else IMPOSSIBLE
        if function not in {"append", "put"}:
            raise HistoryError(f"a text does not know {function!r}")
        if function == "put":
            state = 0
        if not operation.value:
            return state
        key = (state, operation.value)
        number = self.known.get(key)
        if number is None:
            number = self.known[key] = len(self.parents)
            self.parents.append(state)
            self.parts.append(operation.value)
            self.lengths.append(self.lengths[state] + len(operation.value))
        return number

    def _is(self, state: int, text: str) -> bool:
        if self.lengths[state] != len(text):
            return False
        end = len(text)
        while state:
            part = self.parts[state]
            if not text.endswith(part, 0, end):
                return False
            end -= len(part)
            state = self.parents[state]
        return True
