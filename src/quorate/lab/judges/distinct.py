"""Registers whose written values are all different: linearizable or not in the time of a sort.

Gibbons and Korach (1997). The write of a value and the reads that returned it form a cluster; in any
linearization a cluster stands together. Let `first` be the earliest end in the cluster and `last` the
latest beginning. Where first < last the register certainly held the value during [first, last] (a forward
zone); otherwise it can have held it at any one moment of [last, first] (a backward zone). The history is
linearizable exactly when no read ended before its write began, no two forward zones overlap, and no
backward zone lies inside a forward one.
"""

from bisect import bisect_right
from itertools import pairwise
from typing import Any

from quorate.lab.judges.history import ALWAYS, FOREVER, OK, Operation


class Cluster:
    """A value's write (None for the initial value) and its reads."""

    __slots__ = ("first", "first_end", "last", "last_begin", "reads", "write")

    def __init__(self, write: Operation | None, reads: list[Operation]) -> None:
        self.write = write
        self.reads = reads
        members = reads if write is None else [write, *reads]
        self.first_end = min(members, key=lambda one: one.returned, default=None)
        self.last_begin = max(members, key=lambda one: one.invoked, default=None)
        self.first = ALWAYS if write is None else _returned(self.first_end)
        self.last = -1 if self.last_begin is None else self.last_begin.invoked

    def evidence(self) -> list[Operation]:
        """The write and the two members that span the zone."""
        chosen = [one for one in (self.write, self.first_end, self.last_begin) if one is not None]
        return list({id(one): one for one in chosen}.values())


def _returned(operation: Operation | None) -> int:
    return FOREVER if operation is None else operation.returned


def distinct_register(operations: list[Operation], initial: Any) -> tuple[list[Operation], str] | None:
    """(evidence, reason), both empty when linearizable; None when the test does not fit this history:
    a compare-and-set, a value written twice, or the initial value written again."""
    writes: dict[Any, Operation] = {}
    reads: dict[Any, list[Operation]] = {}
    for one in operations:
        if one.function == "write":
            if one.value in writes or one.value == initial:
                return None
            writes[one.value] = one
        elif one.function == "read" and one.end == OK:
            reads.setdefault(one.result, []).append(one)
        else:
            return None
    clusters: list[Cluster] = []
    for value, seen in reads.items():
        write = writes.get(value)
        if write is None and value != initial:
            return [seen[0]], "this value was never written"
        early = min(seen, key=lambda one: one.returned)
        if write is not None and early.returned < write.invoked:
            return [early, write], "a read saw a value before its write began"
        clusters.append(Cluster(write, seen))
    clusters.extend(Cluster(write, []) for value, write in writes.items() if value not in reads and write.end == OK)
    return _zones(clusters)


def _zones(clusters: list[Cluster]) -> tuple[list[Operation], str]:
    forward = sorted((one for one in clusters if one.first < one.last), key=lambda one: one.first)
    for left, right in pairwise(forward):
        if right.first < left.last:
            reason = "each of two values must have been there before and after the other"
            return left.evidence() + right.evidence(), reason
    starts = [one.first for one in forward]
    for one in clusters:
        if one.first < one.last:
            continue
        place = bisect_right(starts, one.last) - 1
        if place >= 0 and forward[place].first < one.last and one.first < forward[place].last:
            reason = "the one value was there all the while in which the other must have been"
            return forward[place].evidence() + one.evidence(), reason
    return [], ""
