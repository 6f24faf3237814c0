"""A counter: `add` some amount, `read` the sum; and identities that must all differ.

A read must lie between what had certainly been added before it began and all that can have been added
before it ended.
"""

from typing import Any

from quorate.lab.judges.history import FAIL, FOREVER, HistoryError
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN, OK, Anomaly, Report, show
from quorate.lab.judges.values import freeze

TOLD_MAX = 5
NAMES = {"add": 1, "increment": 1, "inc": 1, "decrement": -1, "dec": -1}


def judge(ops: list[Op], initial: Any = None) -> Report:
    """Every read within its bounds."""
    begin: Any = 0 if initial is None else initial
    if isinstance(begin, bool) or not isinstance(begin, int | float):
        raise HistoryError(f"a counter begins with a number, not with {initial!r}")
    moments: list[tuple[int, int, int, Op]] = []
    for op in ops:
        if op.f == "read":
            if op.end != DONE or op.result is None:
                continue
        elif op.end == FAIL:
            continue
        moments.append((op.start, 0, op.number, op))
        if op.stop != FOREVER:
            moments.append((op.stop, 1, op.number, op))
    moments.sort(key=lambda moment: moment[:3])
    up_begun = up_done = down_begun = down_done = 0
    before: dict[int, tuple[int, int]] = {}
    wrong: list[tuple[Op, float, float]] = []
    for _, end, number, op in moments:
        if op.f == "read":
            if not end:
                before[number] = (up_done, down_done)
                continue
            if not isinstance(op.result, int | float):
                raise HistoryError(f"not a number: {op!r}")
            ups, downs = before.pop(number)
            bottom, top = begin + ups + down_begun, begin + up_begun + downs
            if not bottom <= op.result <= top:
                wrong.append((op, bottom, top))
            continue
        amount = _amount(op)
        up, down = max(amount, 0), min(amount, 0)
        if end:
            up_done, down_done = up_done + up, down_done + down
        else:
            up_begun, down_begun = up_begun + up, down_begun + down
    if not wrong:
        return Report("counter", OK, operations=len(ops))
    anomalies = tuple(
        Anomaly("out-of-bounds", (show(op), f"must lie between {bottom} and {top}"))
        for op, bottom, top in wrong[:TOLD_MAX]
    )
    reason = f"{len(wrong):,} reads out of bounds"
    return Report("counter", BROKEN, reason, (), anomalies, operations=len(ops))


def _amount(op: Op) -> int:
    sign = NAMES.get(op.f)
    if sign is None:
        raise HistoryError(f"a counter does not know {op.f!r}")
    value = 1 if op.value is None else op.value
    if not isinstance(value, int):
        raise HistoryError(f"not an amount: {op!r}")
    return sign * value


def judge_identities(ops: list[Op]) -> Report:
    """No identity was handed out twice. Whatever ended well with a value handed out that value."""
    first: dict[Any, Op] = {}
    again: dict[Any, list[Op]] = {}
    for op in ops:
        if op.end != DONE or op.result is None:
            continue
        identity = freeze(op.result)
        other = first.setdefault(identity, op)
        if other is not op:
            again.setdefault(identity, [other]).append(op)
    if not again:
        return Report("unique-ids", OK, operations=len(ops))
    anomalies = tuple(
        Anomaly("duplicated", tuple(show(op) for op in owners[:TOLD_MAX]))
        for _, owners in list(again.items())[:TOLD_MAX]
    )
    reason = f"{len(again):,} identities were handed out more than once"
    return Report("unique-ids", BROKEN, reason, (), anomalies, operations=len(ops))
