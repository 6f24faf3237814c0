"""Long fork: two reads that saw two independent writes happen in opposite orders.

Each key is written once, and reads look at several keys at once. If one read shows x without y and another
y without x, no order of the two writes explains both: parallel snapshot isolation allows that, snapshot
isolation does not. Operations are lists of [r key value] and [w key value].
"""

from typing import Any

from quorate.lab.judges.history import FAIL
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op, triples
from quorate.lab.judges.report import BROKEN, OK, UNKNOWN, Anomaly, Report, show
from quorate.lab.judges.values import freeze

MODEL = "long-fork"
TOLD_MAX = 5


def judge(ops: list[Op], pairs: int = 20_000_000) -> Report:
    """`pairs`: how many pairs of keys, over all reads, to look at before giving up."""
    written: dict[Any, Any] = {}
    begun: dict[Any, Op] = {}
    reads: list[tuple[Op, dict[Any, Any]]] = []
    for op in ops:
        seen: dict[Any, Any] = {}
        for f, key, value in _mops(op):
            if f in {"w", "append"}:
                if op.end == FAIL:
                    continue
                if written.setdefault(key, value) != value:
                    return Report(MODEL, UNKNOWN, f"{key!r} was written more than once", operations=len(ops))
                begun[key] = min(op, begun.get(key, op), key=lambda each: each.start)
            elif f == "r" and op.end == DONE:
                seen[key] = value
        if len(seen) > 1:
            reads.append((op, seen))
    first: dict[tuple[Any, Any], Op] = {}  # (x, y) -> a read that showed x without y
    forks: list[tuple[Any, Any, Op, Op]] = []
    for op, seen in reads:
        there = [key for key, value in seen.items() if value is not None]
        for key in there:
            if written and written.setdefault(key, seen[key]) != seen[key]:
                reason = f"{key!r} was read as {seen[key]!r}, not as {written[key]!r}"
                return Report(MODEL, BROKEN, reason, (show(op),), (Anomaly("unwritten"),), operations=len(ops))
            if key in begun and begun[key].start > op.stop:
                reason = f"{key!r} was read before it was written"
                return Report(MODEL, BROKEN, reason, (show(op), show(begun[key])), (Anomaly("future"),),
                              operations=len(ops))  # fmt: skip
        missing = [key for key, value in seen.items() if value is None]
        pairs -= len(there) * len(missing)
        if pairs < 0 and forks:
            break
        if pairs < 0:
            return Report(MODEL, UNKNOWN, "the reads are too wide for the budget", operations=len(ops))
        for x in there:
            for y in missing:
                first.setdefault((x, y), op)
                if (y, x) in first and len(forks) < TOLD_MAX:
                    forks.append((x, y, op, first[y, x]))
    if not forks:
        return Report(MODEL, OK, operations=len(ops))
    anomalies = tuple(
        Anomaly("long-fork", (show(one), f"shows {x!r} without {y!r}", show(other), f"shows {y!r} without {x!r}"))
        for x, y, one, other in forks
    )
    reason = "reads saw independent writes in opposite orders"
    return Report(MODEL, BROKEN, reason, (), anomalies, operations=len(ops))


def _mops(op: Op) -> list[tuple[str, Any, Any]]:
    return [(f, freeze(key), freeze(each)) for f, key, each in triples(op)]
