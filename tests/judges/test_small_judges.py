"""Banks, sets, counters, identities, forks and locks, by their definitions."""

import random
from typing import Any

import pytest
from tests.judges.worlds import Row, strict

from quorate.lab.judges.catalogue import Options, judge
from quorate.lab.judges.history import HistoryError
from quorate.lab.judges.jepsen import join
from quorate.lab.judges.report import Report, lines


def told(model: str, rows: list[Row], **options: Any) -> Report:
    return judge(model, join(rows), Options(**options))


def done(f: str, value: Any, seen: Any = None, *, process: int = 0, end: str = "ok") -> list[Row]:
    answer = value if seen is None else seen
    return [
        {"process": process, "type": "invoke", "f": f, "value": value},
        {"process": process, "type": end, "f": f, "value": answer},
    ]


def accounts(rng: random.Random) -> list[Row]:
    balances = dict.fromkeys("abc", 10)

    def ask() -> tuple[str, Any]:
        if rng.random() < 0.4:
            return "read", None
        return "transfer", {"from": rng.choice("abc"), "to": rng.choice("abc"), "amount": rng.randint(1, 5)}

    def apply(f: str, value: Any) -> Any:
        if f == "read":
            return dict(balances)
        if balances[value["from"]] >= value["amount"]:
            balances[value["from"]] -= value["amount"]
            balances[value["to"]] += value["amount"]
        return value

    return strict(rng, 200, ask, apply, unsure=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_a_sound_bank_is_ok_and_a_lost_coin_is_not(seed: int) -> None:
    rows = accounts(random.Random(seed))
    assert told("bank", rows).verdict == told("bank", rows, total=30).verdict == "ok"
    assert told("bank", rows, total=31).verdict == "broken"
    reads = [row for row in rows if row["f"] == "read" and row["type"] == "ok"]
    reads[-1]["value"] = {**reads[-1]["value"], "a": reads[-1]["value"]["a"] - 1}
    assert told("bank", rows).names()[0] == "wrong-total"


def test_balances_below_zero_are_forbidden_unless_they_are_allowed() -> None:
    rows = done("read", None, {"a": 11, "b": -1})
    assert told("bank", rows).names() == ["negative-balance"]
    assert told("bank", rows, allow_negative=True).verdict == "ok"
    assert told("bank", done("read", None, {"a": 11, "b": None})).names() == ["nil-balance"]
    with pytest.raises(HistoryError):
        told("bank", done("read", None, 5))


def test_the_last_read_of_a_set_has_everything_once() -> None:
    adds = done("add", 1) + done("add", 2) + done("add", 3, end="info", process=3) + done("add", 4, end="fail")
    assert told("set", adds).verdict == "unknown"
    assert told("set", adds + done("read", None, [1, 2])).verdict == "ok"
    assert told("set", adds + done("read", None, [1, 2, 3])).notes == ("1 adds of unknown end took effect",)
    assert told("set", adds + done("read", None, [1])).names() == ["lost"]
    assert told("set", adds + done("read", None, [1, 2, 2])).names() == ["duplicated"]
    assert told("set", adds + done("read", None, [1, 2, 9])).names() == ["unexpected"]
    assert told("set", adds + done("read", None, [1, 2, 4])).names() == ["added-by-a-failure"]
    beginning, end = done("add", 7, process=9)
    assert told("set", [*adds, beginning, *done("read", None, [1, 2]), end]).verdict == "ok", "they overlap"


def test_set_full_follows_every_element_through_every_read() -> None:
    add = done("add", 1)
    assert told("set-full", add + done("read", None, [1])).verdict == "ok"
    assert told("set-full", add + done("read", None, [])).names() == ["lost"]
    stale = add + done("read", None, []) + done("read", None, [1])
    assert told("set-full", stale).names() == ["stale"]
    assert told("set-full", stale, allow_stale=True).verdict == "ok"
    gone = add + done("read", None, [1]) + done("read", None, [])
    assert told("set-full", gone, allow_stale=True).names() == ["lost"]
    assert told("set-full", add).verdict == "unknown"
    late = done("read", None, [0]) + add
    assert told("set-full", done("add", 0) + late).notes == ("1 elements were added, and no read began after that",)
    unsure = done("add", 5, end="info", process=7)
    assert told("set-full", add + unsure + done("read", None, [1])).verdict == "ok"
    seen = add + unsure + done("read", None, [1, 5]) + done("read", None, [1])
    assert told("set-full", seen).names() == ["lost"], "a read had shown it"


@pytest.mark.parametrize("seed", range(4))
def test_a_sound_set_is_ok(seed: int) -> None:
    rng = random.Random(seed)
    there: list[int] = []
    last = 0

    def ask() -> tuple[str, Any]:
        nonlocal last
        last += 1
        return ("add", last) if rng.random() < 0.6 else ("read", None)

    def apply(f: str, value: Any) -> Any:
        if f == "add":
            there.append(value)
            return value
        return list(there)

    rows = strict(rng, 200, ask, apply, unsure=0.1, failing=0.1)
    assert told("set-full", rows).verdict == "ok", lines(told("set-full", rows))
    assert told("set", rows + done("read", None, list(there), process=99)).verdict == "ok"


@pytest.mark.parametrize("seed", range(4))
def test_a_sound_counter_is_ok_and_a_read_out_of_bounds_is_not(seed: int) -> None:
    rng = random.Random(seed)
    value = 0

    def apply(f: str, amount: Any) -> Any:
        nonlocal value
        value += amount or 0
        return value if f == "read" else amount

    rows = strict(
        rng, 300, lambda: rng.choice([("add", rng.randint(-3, 3)), ("read", None)]), apply, unsure=0.1, failing=0.1
    )
    assert told("counter", rows).verdict == "ok"
    assert told("counter", rows, initial=10_000).verdict == "broken"
    rows += done("read", None, 5_000, process=99)
    assert told("counter", rows).names() == ["out-of-bounds"]


def test_the_bounds_of_a_counter() -> None:
    beginning, end = done("add", 5, process=1)
    for seen, verdict in ((0, "ok"), (5, "ok"), (6, "broken"), (-1, "broken")):
        assert told("counter", [beginning, *done("read", None, seen), end]).verdict == verdict
    for seen, verdict in ((0, "broken"), (5, "ok")):
        assert told("counter", [beginning, end, *done("read", None, seen)]).verdict == verdict
    failed = done("add", 5, end="fail")
    assert told("counter", failed + done("read", None, 5)).verdict == "broken"
    with pytest.raises(HistoryError):
        told("counter", done("double", 2))


def test_identities_are_handed_out_once() -> None:
    rows = done("generate", None, "a") + done("generate", None, "b")
    assert told("unique-ids", rows).verdict == "ok"
    assert told("unique-ids", rows + done("generate", None, [1, 2])).verdict == "ok"
    assert told("unique-ids", rows + done("generate", None, "a")).names() == ["duplicated"]


def test_a_long_fork_is_two_reads_that_saw_opposite_orders() -> None:
    writes = done("write", [["w", "x", 1]]) + done("write", [["w", "y", 1]], process=1)

    def reads(x: Any, y: Any) -> list[Row]:
        return done("read", [["r", "x", None], ["r", "y", None]], [["r", "x", x], ["r", "y", y]])

    assert told("long-fork", writes + reads(1, None) + reads(1, 1) + reads(None, None)).verdict == "ok"
    report = told("long-fork", writes + reads(1, None) + reads(None, 1))
    assert report.names() == ["long-fork"]
    assert told("long-fork", writes + done("write", [["w", "x", 2]])).verdict == "unknown"
    assert told("long-fork", writes + reads(7, None)).names() == ["unwritten"]
    assert told("long-fork", reads(1, None) + reads(None, 1)).names() == ["long-fork"], "the writes need not be there"
    assert told("long-fork", reads(1, None) + reads(1, 1)).verdict == "ok"
    assert told("list-append", [{**row, "f": "txn"} for row in done("t", [["append", "x", 1]])]).verdict == "ok"


def test_a_lock_is_held_once() -> None:
    first = done("acquire", None)
    assert told("mutex", first + done("release", None) + done("acquire", None, process=1)).verdict == "ok"
    report = told("mutex", first + done("acquire", None, process=1))
    assert report.verdict == "broken"
    assert len(report.witness) == 2
    assert told("mutex", done("release", None)).verdict == "broken"
    assert told("mutex", first + done("acquire", None, process=1, end="fail")).verdict == "ok"
    unsure = done("release", None, end="info")
    assert told("mutex", first + unsure + done("acquire", None, process=1)).verdict == "ok"
    foreign = first + done("release", None, process=1)
    assert told("mutex", foreign).verdict == "ok"
    assert told("owned-mutex", foreign).verdict == "broken"
    with pytest.raises(HistoryError):
        told("mutex", done("steal", None))
