"""The fast test for texts agrees with the general search, and neither eats the memory."""

import itertools
import random
import resource
from typing import Any

from quorate.lab.judges.catalogue import Options, judge
from quorate.lab.judges.history import FOREVER, INFO, OK, Operation
from quorate.lab.judges.jepsen import join
from quorate.lab.judges.linearizability import Budget, search
from quorate.lab.judges.models import Text
from quorate.lab.judges.texts import ChainText, distinct_texts


def tiny(rng: random.Random) -> list[Operation]:
    """Up to seven operations; gets return what some order (not always a good one) would show them."""
    fresh = itertools.count(1)
    asked: list[tuple[str, Any]] = []
    for _ in range(rng.randint(2, 7)):
        f = rng.choice(["get", "get", "append", "append", "put"])
        asked.append((f, None if f == "get" else f"<{next(fresh)}>"))
    shown: dict[int, str] = {}
    text = ""
    for place in rng.sample(range(len(asked)), len(asked)):
        f, value = asked[place]
        if f == "get":
            shown[place] = text[3:] if text and rng.random() < 0.07 else text
        else:
            text = value if f == "put" else text + value
    operations = []
    for place, (f, value) in enumerate(asked):
        invoked = rng.randint(0, 12) * 20 + place
        end = INFO if f != "get" and rng.random() < 0.2 else OK
        returned = FOREVER if end == INFO else invoked + rng.randint(1, 9) * 20 + 10
        operations.append(Operation(place, f, "k", value, invoked, returned, end, shown.get(place)))
    return operations


def test_fast_test_and_search_agree() -> None:
    rng = random.Random("texts")
    seen = {True: 0, False: 0}
    for _ in range(3_000):
        operations = tiny(rng)
        truth = search(Text().prepare(operations), Text(), Budget())[0] == "ok"
        answer = distinct_texts(operations)
        assert answer is not None
        assert (not answer[1]) == truth, operations
        if not truth:
            assert answer[0], "a broken history has a witness"
        assert (search(operations, ChainText(), Budget())[0] == "ok") == truth
        seen[truth] += 1
    assert min(seen.values()) > 500


def test_texts_that_repeat_or_begin_with_one_another_are_left_to_the_search() -> None:
    def append(value: str, at: int) -> Operation:
        return Operation(at, "append", "k", value, at, at + 1, OK)

    assert distinct_texts([append("a", 0), append("a", 2)]) is None
    assert distinct_texts([append("a", 0), append("ab", 2)]) is None
    assert distinct_texts([append("", 0)]) is None
    assert distinct_texts([append("a", 0), append("b", 2)]) == ([], "")


def rows_of(count: int, processes: int) -> list[dict[str, Any]]:
    """Everybody appends at once, round after round; then everybody reads."""
    rows: list[dict[str, Any]] = []
    text = ""
    for turn in range(count):
        for kind in ("invoke", "ok"):
            for process in range(processes):
                value = f"x {process} {turn} y"
                rows.append({"process": process, "type": kind, "f": "append", "key": "k", "value": value})
                text += value if kind == "ok" else ""
        for kind in ("invoke", "ok"):
            for process in range(processes):
                shown = text if kind == "ok" else None
                rows.append({"process": process, "type": kind, "f": "get", "key": "k", "value": shown})
    return rows


def test_fifty_callers_with_one_impossible_read_are_judged_at_once() -> None:
    rows = rows_of(12, 50)
    assert judge("text", join(rows)).verdict == "ok"
    last = rows[-1]["value"]
    rows[-1]["value"] = last.replace("x 7 11 y", "")
    report = judge("text", join(rows))
    assert report.verdict == "broken"
    assert len(report.witness) <= 4


def test_without_the_fast_test_the_budget_holds_time_and_memory() -> None:
    rows = rows_of(3, 12)
    rows[-1]["value"] += "x 0 0 y"
    rows += [{"process": 0, "type": kind, "f": "append", "key": "k", "value": "x 0 0 y"} for kind in ("invoke", "ok")]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = judge("text", join(rows), Options(steps=50_000))
    assert report.verdict in {"unknown", "broken"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kilobytes"
