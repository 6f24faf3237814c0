"""Several registers as one object: `multi-register` (linearizable) and `sequential` (Lamport 1979).

An operation is `read`, `write` or `cas` of the register `key`, or a list of [r key value] and [w key value] that
happens at once. Sequential consistency asks for one order of all operations, of all registers together, that keeps the
order within each process and explains every answer; real time says nothing.
"""

from collections.abc import Hashable
from typing import Any

from quorate.lab.judges.history import FAIL, FOREVER, INFO, HistoryError, Operation
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op, triples
from quorate.lab.judges.linearizability import Budget
from quorate.lab.judges.models import IMPOSSIBLE
from quorate.lab.judges.report import BROKEN, OK, UNKNOWN, Report, show
from quorate.lab.judges.values import FALSE, Map, freeze

Parts = tuple[tuple[Any, ...], ...]
"""(r, key, what was seen), (w, key, value), (cas, key, old, new, whether it found the old)."""
_NAMES = {"r": "r", "read": "r", "w": "w", "write": "w"}


class Registers:
    """The model: a state is what each register holds, in the order in which the history first names them."""

    name = "multi-register"

    def __init__(self, ops: list[Op], initial: Any = None) -> None:
        self.parts = {op.number: parts(op) for op in ops}
        keys = dict.fromkeys(key for each in self.parts.values() for _, key, *_ in each)
        self.places = {key: place for place, key in enumerate(keys)}
        begin = freeze(initial)
        if isinstance(begin, Map):
            known = dict(begin)
            self.initial: Hashable = tuple(known.get(key) for key in keys)
        else:
            self.initial = tuple(begin for _ in keys)

    def prepare(self, operations: list[Operation]) -> list[Operation]:
        return operations

    def step(self, state: Any, operation: Operation) -> Any:
        return self.apply(state, operation.value)

    def apply(self, state: Any, some: Parts) -> Any:
        """The next state, or IMPOSSIBLE."""
        now = list(state)
        for part in some:
            f, place = part[0], self.places[part[1]]
            if f == "r":
                if now[place] != part[2]:
                    return IMPOSSIBLE
            elif f == "w":
                now[place] = part[2]
            else:
                _, _, old, new, found = part
                if found is not None and found != (now[place] == old):
                    return IMPOSSIBLE
                now[place] = new if now[place] == old else now[place]
        return tuple(now)

    def refuted(self, operations: list[Operation]) -> tuple[list[Operation], str] | None:
        """A read of what nobody had begun to write."""
        begun: dict[tuple[Any, Any], int] = {(key, self.initial[place]): -FOREVER for key, place in self.places.items()}  # type: ignore[index]
        for one in operations:
            for f, key, *rest in one.value:
                if f != "r":
                    value = rest[0] if f == "w" else rest[1]
                    begun[key, value] = min(begun.get((key, value), FOREVER), one.invoked)
        for one in operations:
            for f, key, *rest in one.value:
                if f == "r" and begun.get((key, rest[0]), FOREVER) > one.returned:
                    return [one], f"nobody had begun to write {key!r} as {rest[0]!r}"
                if f == "r" and (key, rest[0]) not in begun:
                    return [one], f"nobody wrote {key!r} as {rest[0]!r}"
        return None

    def may_drop(self, operation: Operation, others: list[Operation]) -> bool:  # noqa: ARG002 - the protocol's
        return all(part[0] == "r" for part in operation.value)


def parts(op: Op) -> Parts:
    """What an operation did; reads whose end is not known say nothing. Raises HistoryError."""
    value = op.value if op.value is not None else op.result
    done = op.end == DONE
    listed = op.key is None and isinstance(value, list) and value and isinstance(value[0], list)
    if op.f in {"read", "write", "cas"} and not listed:
        key = freeze(op.key)
        if op.f == "read":
            return (("r", key, freeze(op.result)),) if done else ()
        if op.f == "write":
            return (("w", key, freeze(value)),)
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise HistoryError(f"a cas needs the old value and the new one: {op!r}")
        found = op.result is not False and op.result is not FALSE if done else None
        return (("cas", key, freeze(value[0]), freeze(value[1]), found),)
    found_parts: list[tuple[Any, ...]] = []
    for f, key, each in triples(op):
        if f not in _NAMES:
            raise HistoryError(f"registers do not know {f!r}: {op!r}")
        if done or _NAMES[f] == "w":
            found_parts.append((_NAMES[f], freeze(key), freeze(each)))
    return tuple(found_parts)


def operations(ops: list[Op], model: Registers) -> list[Operation]:
    """The form that the judge of linearizability reads."""
    return [
        Operation(
            op.process, op.f, "", model.parts[op.number], op.start, op.stop if op.end != INFO else FOREVER, op.end
        )
        for op in ops
        if op.end != FAIL and model.parts[op.number]
    ]


def judge_sequential(ops: list[Op], initial: Any, budget: Budget) -> Report:
    """Is there an order of all operations that keeps every process's own and explains every answer?"""
    model = Registers(ops, initial)
    ones = operations(ops, model)
    timeless = [Operation(one.process, one.function, "", one.value, 0, FOREVER, one.end) for one in ones]
    refuted = model.refuted(timeless)
    if refuted is not None:
        one = ones[timeless.index(refuted[0][0])]
        told = [show(op) for op in ops if model.parts[op.number] is one.value]
        return Report("sequential", BROKEN, refuted[1], tuple(told[:1]), operations=len(ops))
    verdict, steps, stuck = _search(_threads(ones), model, budget)
    reason = {OK: "", UNKNOWN: f"gave up after {steps:,} steps"}.get(verdict, "no order keeps that of every process")
    told = [show(op) for op in ops if any(model.parts[op.number] is one.value for one in stuck)]
    return Report("sequential", verdict, reason, tuple(told), operations=len(ops), steps=steps)


def _threads(ones: list[Operation]) -> list[list[Operation]]:
    """The operations of each process in turn; alone stands what has no known end, no beginning or no process."""
    threads: dict[Any, list[Operation]] = {}
    for number, one in enumerate(sorted(ones, key=lambda each: each.invoked)):
        alone = one.end == INFO or one.invoked < 0 or one.process is None
        threads.setdefault((number,) if alone else one.process, []).append(one)
    return list(threads.values())


def _search(threads: list[list[Operation]], model: Registers, budget: Budget) -> tuple[str, int, list[Operation]]:
    """(verdict, steps, what came next where the search got furthest). A read that fits may always go first."""
    needed = [len(line) if line[0].end != INFO else 0 for line in threads]
    begin = _forward(tuple(0 for _ in threads), model.initial, threads, model)
    waiting = [(begin, model.initial)]
    tried = set(waiting)
    steps, furthest = 0, begin
    while waiting:
        at, state = waiting.pop()
        if sum(at) > sum(furthest):
            furthest = at
        if all(place >= need for place, need in zip(at, needed, strict=True)):
            return OK, steps, []
        for number, line in enumerate(threads):
            steps += 1
            if at[number] == len(line):
                continue
            after = model.apply(state, line[at[number]].value)
            if after is IMPOSSIBLE:
                continue
            ahead = _forward((*at[:number], at[number] + 1, *at[number + 1 :]), after, threads, model)
            if (ahead, after) not in tried:
                tried.add((ahead, after))
                waiting.append((ahead, after))
        if steps > budget.steps or len(tried) > budget.configurations:
            return UNKNOWN, steps, []
    return BROKEN, steps, [line[place] for line, place in zip(threads, furthest, strict=True) if place < len(line)]


def _reads(one: Operation, state: Any, model: Registers) -> bool:
    return all(part[0] == "r" for part in one.value) and model.apply(state, one.value) is not IMPOSSIBLE


def _forward(at: tuple[int, ...], state: Any, threads: list[list[Operation]], model: Registers) -> tuple[int, ...]:
    """Further by all reads that fit now."""
    places = list(at)
    for number, line in enumerate(threads):
        while places[number] < len(line) and _reads(line[places[number]], state, model):
            places[number] += 1
    return tuple(places)
