"""Is a history linearizable? Each operation must seem to happen at one instant between its beginning
and its end (Herlihy and Wing 1990).

The search is that of Wing and Gong (1993) with Lowe's memory of configurations already tried (2017):
take any operation that began before the first end still ahead, let the model do it, go on; come back
when nothing fits. What has been done is a bitmask, so a configuration is (mask, state). The problem is
NP-complete, so the search has budgets, and beyond them the verdict is `unknown`, never a guess.
Registers whose written values are all different have a fast, exact test of their own.
"""

import time
from typing import Any

from msgspec import Struct

from quorate.lab.judges.distinct import distinct_register
from quorate.lab.judges.history import INFO, History, Operation
from quorate.lab.judges.models import IMPOSSIBLE, Model, Register

OK = "ok"
BROKEN = "broken"
UNKNOWN = "unknown"


class Budget(Struct, frozen=True):
    """How hard to try, for one key."""

    steps: int = 5_000_000
    configurations: int = 1_000_000
    """Tried (mask, state) pairs to remember; each costs some 200 bytes and more with long histories."""


GENEROUS = Budget()


class Verdict(Struct, frozen=True):
    """What the judge says of one key, or of a whole history (the worst of its keys)."""

    verdict: str
    key: Any = ""
    witness: tuple[Operation, ...] = ()
    """When broken: a small set of operations that is already impossible."""
    reason: str = ""
    steps: int = 0


def judge(history: History, model: Model, budget: Budget = GENEROUS, *, fast: bool = True) -> Verdict:
    """The verdict on a whole history, key by key: broken before unknown before ok."""
    worst = Verdict(OK)
    steps = 0
    for key, operations in by_key(history):
        verdict = judge_key(key, operations, model, budget, fast=fast)
        steps += verdict.steps
        if verdict.verdict == BROKEN:
            return verdict
        if verdict.verdict == UNKNOWN:
            worst = verdict
    return Verdict(worst.verdict, worst.key, worst.witness, worst.reason, steps)


def by_key(history: History) -> list[tuple[Any, list[Operation]]]:
    """The operations of each key, in an order of keys that does not depend on their types."""
    return sorted(history.partition().items(), key=lambda pair: repr(pair[0]))


def judge_key(
    key: Any, operations: list[Operation], model: Model, budget: Budget = GENEROUS, *, fast: bool = True
) -> Verdict:
    """The verdict on one object."""
    kept = model.prepare(operations)
    if fast and isinstance(model, Register):
        answer = distinct_register(kept, model.initial)
        if answer is not None:
            witness, reason = answer
            return Verdict(BROKEN if reason else OK, key, tuple(witness), reason, len(kept))
    refuted = model.refuted(kept)
    if refuted is not None:
        return Verdict(BROKEN, key, tuple(refuted[0]), refuted[1], len(kept))
    verdict, steps = search(kept, model, budget)
    if verdict == UNKNOWN:
        return Verdict(UNKNOWN, key, (), f"gave up after {steps:,} steps", steps)
    if verdict == OK:
        return Verdict(OK, key, (), "", steps)
    witness = shrink(kept, model, budget)
    return Verdict(BROKEN, key, tuple(witness), "no order of these operations explains what they returned", steps)


class _Link:
    """A beginning or an end, in a doubly linked list ordered by time."""

    __slots__ = ("end", "following", "mask", "operation", "preceding")

    def __init__(self, mask: int, operation: Operation | None) -> None:
        self.mask = mask
        self.operation = operation
        """None for an end."""
        self.end: _Link | None = None
        """Of a beginning: its end, None when nobody saw it."""
        self.following: _Link | None = None
        self.preceding: _Link | None = None


def _links(operations: list[Operation]) -> _Link:
    """The list of beginnings and ends; beginnings first where times are equal."""
    moments: list[tuple[int, int, int, _Link]] = []
    for number, operation in enumerate(operations):
        begin = _Link(1 << number, operation)
        moments.append((operation.invoked, 0, number, begin))
        if operation.end != INFO:
            begin.end = _Link(1 << number, None)
            moments.append((operation.returned, 1, number, begin.end))
    moments.sort(key=lambda moment: moment[:3])
    head = last = _Link(0, None)
    for _, _, _, link in moments:
        last.following = link
        link.preceding = last
        last = link
    return head


def _lift(link: _Link) -> None:
    """Take a beginning and its end out of the list; they keep their own pointers."""
    for one in (link, link.end):
        if one is not None:
            assert one.preceding is not None
            one.preceding.following = one.following
            if one.following is not None:
                one.following.preceding = one.preceding


def _unlift(link: _Link) -> None:
    """Put them back, in the opposite order."""
    for one in (link.end, link):
        if one is not None:
            assert one.preceding is not None
            one.preceding.following = one
            if one.following is not None:
                one.following.preceding = one


def search(operations: list[Operation], model: Model, budget: Budget) -> tuple[str, int]:
    """(verdict, steps). An operation without an end need never be placed."""
    head = _links(operations)
    step = model.step
    state: Any = model.initial
    mask = steps = 0
    tried: set[tuple[int, Any]] = set()
    path: list[tuple[_Link, Any]] = []
    at = head.following
    while at is not None:
        operation = at.operation
        if operation is not None:
            steps += 1
            after = step(state, operation)
            if after is not IMPOSSIBLE and (mask | at.mask, after) not in tried:
                if steps > budget.steps or len(tried) > budget.configurations:
                    return UNKNOWN, steps
                path.append((at, state))
                mask |= at.mask
                tried.add((mask, after))
                state = after
                _lift(at)
                at = head.following
            else:
                at = at.following
        else:  # the end of an operation that nothing could place: go back
            if not path:
                return BROKEN, steps
            link, state = path.pop()
            mask &= ~link.mask
            _unlift(link)
            at = link.following
    return OK, steps


def shrink(operations: list[Operation], model: Model, budget: Budget, seconds: float = 2.0) -> list[Operation]:
    """A small part of a broken history that is broken by itself.

    First the shortest broken beginning (every beginning of a linearizable history is linearizable, so
    halving finds it), then one operation after another is left out, where the model allows it.
    """
    small = Budget(min(budget.steps, 500_000), min(budget.configurations, 200_000))
    deadline = time.monotonic() + seconds  # effort only; the verdict itself does not depend on it

    def broken(part: list[Operation]) -> bool:
        return search(part, model, small)[0] == BROKEN

    ends = sorted(one.returned for one in operations if one.end != INFO)
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if broken(until(operations, ends[middle])):
            high = middle
        else:
            low = middle + 1
    part = until(operations, ends[low]) if ends else operations
    if not broken(part):
        return operations
    for candidate in list(part):
        if time.monotonic() > deadline:
            break
        without = [one for one in part if one is not candidate]
        if model.may_drop(candidate, without) and broken(without):
            part = without
    return part


def until(operations: list[Operation], moment: int) -> list[Operation]:
    """The history as it stood just after this moment: later ends are not known yet."""
    part: list[Operation] = []
    for one in operations:
        if one.invoked > moment:
            continue
        if one.end != INFO and one.returned > moment:
            if one.function in {"read", "get"}:
                continue
            one = Operation(one.process, one.function, one.key, one.value, one.invoked)
        part.append(one)
    return part


def describe(verdict: Verdict) -> list[str]:
    """The verdict for people: one line each, operations in order of their beginnings."""
    name = f"key {verdict.key!r}: " if verdict.key != "" else ""
    lines = [f"{name}{verdict.verdict}" + (f": {verdict.reason}" if verdict.reason else "")]
    for one in sorted(verdict.witness, key=lambda operation: operation.invoked):
        returned = "..." if one.end == INFO else str(one.returned)
        value = "" if one.value is None else f" {one.value!r}"
        result = " -> ?" if one.end == INFO else f" -> {one.result!r}" if one.function not in {"write", "put"} else ""
        lines.append(f"  {one.invoked:>12} .. {returned:<12} process {one.process}: {one.function}{value}{result}")
    return lines
