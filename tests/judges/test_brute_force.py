"""Judges of single objects against their definition: small random histories, every order that real time allows.

A history is right when some order of its operations, each at one instant between its beginning and its end, explains
every answer; what failed is in no such order, what has no known end may be. A judge that says `broken` of a right
history raises a false alarm. Where a judge claims to be complete, a wrong history must be `broken` too.
"""

import json
import random
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from tests.judges.definitions import NEVER, Asked, Op, Step, chosen, fits, right

from quorate.lab.judges.catalogue import Options, judge_text
from quorate.lab.judges.report import BROKEN, OK, UNKNOWN

Row = dict[str, Any]


NAMES = ("a", "b", 1)


def drawn(
    rng: random.Random, ask: Callable[[random.Random], Asked], count: int, *, begun: float = 0.9
) -> tuple[list[Row], list[Op]]:
    """A random history of so many operations on three processes; its answers are drawn, not made. `begun` of the
    operations have their beginning recorded."""
    rows: list[Row] = []
    ops: list[Op] = []
    running: dict[int, Op] = {}
    while len(ops) < count or running:
        process = rng.randrange(3)
        op = running.pop(process, None)
        if op is None and len(ops) < count:
            end = rng.choice(["ok", "ok", "ok", "fail", "info"])
            op = running[process] = Op(ask(rng), end, len(rows), NEVER, process)
            ops.append(op)
            f, value, _ = op.asked
            if rng.random() < begun:
                rows.append({"process": NAMES[process], "type": "invoke", "f": f, "value": value})
            else:
                op.start = -1
        elif op is not None:
            f, value, seen = op.asked
            if op.end != "info":
                op.stop = len(rows)
            rows.append({"process": NAMES[process], "type": op.end, "f": f, "value": seen if op.end == "ok" else value})
    return rows, ops


def counter(state: int, asked: Asked) -> tuple[bool, int]:
    f, value, seen = asked
    return (seen is None or seen == state, state) if f == "read" else (True, state + value)


def ask_counter(rng: random.Random) -> Asked:
    if rng.random() < 0.5:
        return "read", None, rng.randint(-2, 4)
    amount = rng.choice([1, 2, -1])
    return "add", amount, amount


def a_set(state: frozenset[int], asked: Asked) -> tuple[bool, frozenset[int]]:
    f, value, seen = asked
    return (seen is None or frozenset(seen) == state, state) if f == "read" else (True, state | {value})


def set_asker() -> Callable[[random.Random], Asked]:
    """Every element is added once, as in Jepsen's workload."""
    last = 0

    def ask(rng: random.Random) -> Asked:
        nonlocal last
        if rng.random() < 0.5:
            return "read", None, sorted(rng.sample(range(1, last + 1), rng.randint(0, last)))
        last += 1
        return "add", last, last

    return ask


def mutex(held: bool, asked: Asked) -> tuple[bool, bool]:
    return (not held, True) if asked[0] == "acquire" else (held, False)


def ask_mutex(rng: random.Random) -> Asked:
    return rng.choice(["acquire", "release"]), None, None


def register(state: Any, asked: Asked) -> tuple[bool, Any]:
    f, value, seen = asked
    if f == "read":
        return seen is None or seen == state, state
    if f == "write":
        return True, value
    return value[0] == state, value[1]


def ask_register(rng: random.Random) -> Asked:
    kind = rng.choice(["read", "read", "write", "cas"])
    if kind == "read":
        return "read", None, rng.randint(0, 2)
    value: Any = rng.randint(0, 2) if kind == "write" else [rng.randint(0, 2), rng.randint(0, 2)]
    return kind, value, value


def values() -> Callable[[random.Random], Asked]:
    """Values that Python takes for equal, and others."""
    fresh = iter(range(2, 100))
    several = (1, True, 1.0, "1", 0, False, None)

    def ask(rng: random.Random) -> Asked:
        if rng.random() < 0.5:
            return "read", None, rng.choice(several[:-1])
        value = rng.choice((*several[:-1], next(fresh)))
        return "write", value, value

    return ask


def typed_register(state: Any, asked: Asked) -> tuple[bool, Any]:
    f, value, seen = asked
    if f == "write":
        return True, value
    return seen is None or repr(seen) == repr(state), state


def distinct() -> Callable[[random.Random], Asked]:
    """Every value is written once, so that no search is needed."""
    last = 0

    def ask(rng: random.Random) -> Asked:
        nonlocal last
        if rng.random() < 0.5:
            return "read", None, rng.randint(0, last)
        last += 1
        return "write", last, last

    return ask


def writings(*texts: str) -> Callable[[], Callable[[random.Random], Asked]]:
    """Puts and appends of these texts, and gets of one, two or none of them."""

    def asker() -> Callable[[random.Random], Asked]:
        left = list(texts) * (2 if len(texts) < 4 else 1)

        def ask(rng: random.Random) -> Asked:
            if rng.random() < 0.5 or not left:
                return "get", None, "".join(rng.sample(texts, rng.randint(0, 2)))
            value = left.pop(rng.randrange(len(left)))
            return rng.choice(["put", "append", "append"]), value, value

        return ask

    return asker


def a_text(state: str, asked: Asked) -> tuple[bool, str]:
    f, value, seen = asked
    if f == "get":
        return seen is None or seen == state, state
    return True, value if f == "put" else state + value


def several(state: dict[str, Any], asked: Asked) -> tuple[bool, dict[str, Any]]:
    """Transactions of two registers that begin with 0."""
    now = {"x": 0, "y": 0, **state}
    for (f, key, value), (_, _, seen) in zip(asked[1], asked[2] or asked[1], strict=True):
        if f == "w":
            now[key] = value
        elif asked[2] is not None and seen != now[key]:
            return False, now
    return True, now


def ask_several(rng: random.Random) -> Asked:
    asked, told = [], []
    for _ in range(rng.randint(1, 2)):
        key, value = rng.choice("xy"), rng.randint(0, 2)
        write = rng.random() < 0.5
        asked.append(["w", key, value] if write else ["r", key, None])
        told.append(["w" if write else "r", key, value])
    return "txn", asked, told


def a_queue(state: tuple[int, ...], asked: Asked) -> tuple[bool, tuple[int, ...]]:
    """In no order: a dequeue of unknown end took anything, or nothing."""
    f, value, seen = asked
    if f == "enqueue":
        return True, (*state, value)
    if seen is None:
        return True, state
    if seen not in state:
        return False, state
    place = state.index(seen)
    return True, (*state[:place], *state[place + 1 :])


def ask_queue(rng: random.Random) -> Asked:
    value = rng.randint(1, 2)
    return ("enqueue", value, value) if rng.random() < 0.5 else ("dequeue", None, value)


CASES: dict[str, tuple[Callable[[], Callable[[random.Random], Asked]], Any, Step, bool]] = {
    "counter": (lambda: ask_counter, 0, counter, False),
    "set": (set_asker, frozenset(), a_set, False),
    "set-full": (set_asker, frozenset(), a_set, False),
    "mutex": (lambda: ask_mutex, False, mutex, True),
    "cas-register": (lambda: ask_register, 0, register, True),
    "register of any type": (values, 0, typed_register, True),
    "register": (distinct, 0, register, True),
    "multi-register": (lambda: ask_several, {}, several, True),
    "queue": (lambda: ask_queue, (), a_queue, True),
    "text": (writings("a", "b", "c", "d"), "", a_text, True),
    "text that repeats": (writings("a", "ab"), "", a_text, True),
}
"""Model -> what is asked, the first state, its definition, and whether the judge finds whatever is wrong."""


@pytest.mark.parametrize("model", sorted(CASES))
def test_a_judge_agrees_with_the_definition(model: str) -> None:
    asker, initial, step, complete = CASES[model]
    seen = {OK: 0, BROKEN: 0, UNKNOWN: 0}
    for seed in range(600):
        rng = random.Random(f"{model}/{seed}")
        rows, ops = drawn(rng, asker(), rng.randint(2, 5))
        options = Options(initial=(initial or 0) if "register" in model else None)
        report = judge_text(model.split(" ", maxsplit=1)[0], json.dumps(rows).encode(), options)
        seen[report.verdict] += 1
        sound = right(ops, initial, step)
        if report.verdict == BROKEN:
            assert not sound, (seed, rows, report)
        elif complete:
            assert sound, (seed, rows, report)
    assert seen[OK] > 30, seen
    assert seen[BROKEN] > 30, seen


def test_only_the_process_that_holds_an_owned_mutex_can_release_it() -> None:
    def step(holder: Any, asked: Asked) -> tuple[bool, Any]:
        f, process, _ = asked
        return (holder is None, process) if f == "acquire" else (holder == process, None)

    seen = {OK: 0, BROKEN: 0}
    for seed in range(600):
        rng = random.Random(f"owned/{seed}")
        rows, ops = drawn(rng, ask_mutex, rng.randint(2, 5))
        report = judge_text("owned-mutex", json.dumps(rows).encode())
        for op in ops:
            op.asked = (op.asked[0], op.process, None)
        assert report.verdict == (OK if right(ops, None, step) else BROKEN), (seed, rows, report)
        seen[report.verdict] += 1
    assert min(seen.values()) > 30, seen


def in_turn(order: tuple[Op, ...]) -> bool:
    """Whether each process did what it did in its own order; what has no beginning or no known end has none."""
    return all(
        one.process != other.process or one.start < other.start or {one.end, other.end} != {"ok"} or other.start < 0
        for place, one in enumerate(order)
        for other in order[place + 1 :]
    )


@pytest.mark.parametrize("single", [True, False])
def test_sequential_is_broken_just_where_no_order_keeps_that_of_every_process(single: bool) -> None:
    seen = {OK: 0, BROKEN: 0}
    for seed in range(500):
        rng = random.Random(f"sequential/{single}/{seed}")
        rows, ops = drawn(rng, ask_several, rng.randint(2, 5))
        if single:  # one register each
            for op in ops:
                op.asked = ("txn", op.asked[1][:1], op.asked[2][:1])
            for row in rows:
                f, row["key"], row["value"] = row["value"][0]
                row["f"] = {"r": "read", "w": "write"}[f]
        report = judge_text("sequential", json.dumps(rows).encode(), Options(initial=0))
        sound = any(fits(order, {}, several) for some in chosen(ops) for order in permutations(some) if in_turn(order))
        assert report.verdict == (OK if sound else BROKEN), (seed, rows, report)
        seen[report.verdict] += 1
    assert min(seen.values()) > 60, seen


def versions(state: dict[str, int], asked: Asked) -> tuple[bool, dict[str, int]]:
    """Transactions of reads and writes of two registers, on one copy of the data."""
    now = dict(state)
    for (f, key, value), (_, _, seen) in zip(asked[1], asked[2] or asked[1], strict=True):
        if f == "w":
            now[key] = value
        elif asked[2] is not None and seen != now.get(key):
            return False, now
    return True, now


def writer() -> Callable[[random.Random], Asked]:
    last = 0

    def ask(rng: random.Random) -> Asked:
        nonlocal last
        asked, told = [], []
        for _ in range(rng.randint(1, 2)):
            key = rng.choice("xy")
            if rng.random() < 0.5:
                last += 1
                asked.append(["w", key, last])
                told.append(["w", key, last])
            else:
                asked.append(["r", key, None])
                told.append(["r", key, rng.choice([None, *range(1, last + 1)])])
        return "txn", asked, told

    return ask


@pytest.mark.parametrize("model", ["rw-register", "sessions", "consistent-prefix", "long-fork"])
def test_no_judge_of_transactions_raises_a_false_alarm(model: str) -> None:
    sound = broken = 0
    for seed in range(900):
        rng = random.Random(f"{model}/{seed}")
        rows, ops = drawn(rng, writer(), rng.randint(2, 5), begun=0.96)
        if right(ops, {}, versions):
            sound += 1
            report = judge_text(model, json.dumps(rows).encode())
            assert report.verdict in (OK, UNKNOWN), (seed, rows, report)
        else:
            broken += judge_text(model, json.dumps(rows).encode()).verdict == BROKEN
    assert sound > 40, sound
    assert broken > 40 or model == "long-fork", broken
