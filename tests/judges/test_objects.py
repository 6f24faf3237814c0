"""Queues, several registers, sequential consistency, and what an object holds at first."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.judges.test_verdicts import CODES, ends, ran
from tests.judges.worlds import Row, strict

from quorate.cli.output import Exit
from quorate.lab.judges.catalogue import Options, judge
from quorate.lab.judges.history import HistoryError
from quorate.lab.judges.jepsen import join
from quorate.lab.judges.report import lines

UNSURE = [{"process": 9, "type": kind, "f": "dequeue", "value": None} for kind in ("invoke", "info")]
IN = ends(("enqueue", 1), ("enqueue", 2))
BOTH = ends(("txn", [["w", "x", 1], ["w", "y", 1]]))
ABROAD = ends(("write", 1), key="x") + ends(("write", 2), key="y")

RIGHT: dict[str, tuple[str, list[Row], str]] = {
    "out as it went in": ("queue", [*IN, *ends(("dequeue", 1), ("dequeue", 2))], "ok"),
    "the last first": ("queue", [*IN, *ends(("dequeue", 2), ("dequeue", 1))], "ok"),
    "nothing was there": ("queue", [*IN, *ends(("dequeue", None))], "ok"),
    "out of nowhere": ("queue", [*IN, *ends(("dequeue", 3))], "broken"),
    "out twice": ("queue", [*IN, *ends(("dequeue", 1), ("dequeue", 1))], "broken"),
    "out twice, in twice": ("queue", [*IN, *ends(("enqueue", 1), ("dequeue", 1), ("dequeue", 1))], "ok"),
    "out before it went in": ("queue", ends(("dequeue", 1), ("enqueue", 1)), "broken"),
    "out as another type": ("queue", [*IN, *ends(("dequeue", True))], "broken"),
    "drained twice": ("queue", [*IN, *ends(("dequeue", 1), ("drain", [1, 2]))], "broken"),
    "all drained": ("total-queue", [*IN, *ends(("dequeue", 1), ("drain", [2]))], "ok"),
    "lost": ("total-queue", [*IN, *ends(("drain", [2]))], "broken"),
    "came again": ("total-queue", [*IN, *ends(("dequeue", 1), ("drain", [1, 2]))], "ok"),
    "never there": ("total-queue", [*IN, *ends(("drain", [1, 2, 3]))], "broken"),
    "drained before it went in": ("total-queue", [*ends(("drain", [1])), *IN], "broken"),
    "after the drain": ("total-queue", [*ends(("drain", [])), *IN], "ok"),
    "not drained": ("total-queue", [*IN, *ends(("dequeue", 1))], "unknown"),
    "perhaps taken": ("total-queue", [*IN, *UNSURE, *ends(("drain", [2]))], "unknown"),
    "two lost, one perhaps taken": ("total-queue", [*IN, *UNSURE, *ends(("drain", []))], "broken"),
    "no list of elements": ("queue", [*IN, *ends(("drain", 5))], "unknown"),
    "both or neither": ("multi-register", [*BOTH, *ends(("txn", [["r", "x", 1], ["r", "y", 1]]))], "ok"),
    "one of two": ("multi-register", [*BOTH, *ends(("txn", [["r", "x", 1], ["r", "y", None]]))], "broken"),
    "Knossos's names": ("multi-register", ends(("txn", [["write", "x", 1]]), ("txn", [["read", "x", 2]])), "broken"),
    "late, but in turn": ("sequential", [*ABROAD, *ends(("read", None), key="y", process=1)], "ok"),
    "late, and then not": ("sequential", [
        *ABROAD, *ends(("read", 2), key="y", process=1), *ends(("read", None), key="x", process=1)], "broken"),
    "two orders of two writes": ("sequential", [
        *ends(("write", 1), key="x"), *ends(("write", 2), key="x", process=1),
        *ends(("read", 1), ("read", 2), key="x", process=2), *ends(("read", 2), ("read", 1), key="x", process=3)],
        "broken"),
    "each key in turn, both not": ("sequential", [
        *ends(("write", 1), key="x"), *ends(("read", None), key="y"),
        *ends(("write", 1), key="y", process=1), *ends(("read", None), key="x", process=1)], "broken"),
    "never written": ("sequential", ends(("read", 7), key="x"), "broken"),
    "a cas in turn": ("sequential", [*ends(("write", 1), ("cas", [1, 2]), ("read", 2), key="x")], "ok"),
    "a cas of what was not there": ("sequential", [*ends(("write", 1), ("cas", [3, 2]), key="x")], "broken"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_small_history_has_the_right_verdict(name: str, tmp_path: Path) -> None:
    model, rows, verdict = RIGHT[name]
    code, said = ran(tmp_path, model, json.dumps(rows))
    assert code == CODES[verdict], said
    assert said.startswith(verdict) or "not a list of elements" in said


INITIAL = [
    ("register", ends(("read", "a")), "a", "ok"),
    ("register", ends(("read", "a")), '"a"', "ok"),
    ("register", ends(("read", 5)), "5", "ok"),
    ("register", ends(("read", 5)), '"5"', "broken"),
    ("register", ends(("read", True)), "true", "ok"),
    ("register", ends(("read", True)), "1", "broken"),
    ("register", ends(("read", [1, {"a": None}])), '[1, {"a": null}]', "ok"),
    ("register", ends(("read", [1, {"a": None}])), "[1 {:a nil}]", "ok"),
    ("register", ends(("read", None)), "null", "ok"),
    ("cas-register", ends(("cas", ["a", "b"]), ("read", "b")), "a", "ok"),
    ("counter", ends(("read", 3)), "3", "ok"),
    ("multi-register", ends(("txn", [["r", "x", 1], ["r", "y", 2]])), '{"x": 1, "y": 2}', "ok"),
    ("multi-register", ends(("txn", [["r", "x", 1], ["r", "y", 2]])), "1", "broken"),
    ("sequential", ends(("read", 4), key="x"), "4", "ok"),
]


@pytest.mark.parametrize(("model", "rows", "initial", "verdict"), INITIAL)
def test_an_object_can_begin_with_any_value(
    model: str, rows: list[Row], initial: str, verdict: str, tmp_path: Path
) -> None:
    assert ran(tmp_path, model, json.dumps(rows), "--initial", initial)[0] == CODES[verdict]


def test_a_counter_begins_with_a_number(tmp_path: Path) -> None:
    code, said = ran(tmp_path, "counter", json.dumps(ends(("read", 3))), "--initial", "many")
    assert code == Exit.USAGE
    assert "a counter begins with a number" in said
    with pytest.raises(HistoryError, match="a queue does not know"):
        judge("queue", join(ends(("steal", 1))))


@pytest.mark.parametrize("seed", range(4))
def test_a_sound_queue_is_ok_until_an_element_is_lost(seed: int) -> None:
    rng = random.Random(f"queue/{seed}")
    inside: list[int] = []
    last = 0

    def ask() -> tuple[str, Any]:
        nonlocal last
        last += 1
        return ("enqueue", last) if rng.random() < 0.6 else ("dequeue", None)

    def apply(f: str, value: Any) -> Any:
        if f == "enqueue":
            inside.append(value)
            return value
        return inside.pop(0) if inside else None

    rows = strict(rng, 300, ask, apply, failing=0.1)
    drained = [*rows, *ends(("drain", inside), process=99)]
    for model in ("queue", "total-queue"):
        assert judge(model, join(drained)).verdict == "ok", lines(judge(model, join(drained)))
    short = [*rows, *ends(("drain", inside[1:]), process=99)]
    assert judge("total-queue", join(short)).names() == ["lost"]
    assert judge("queue", join(short)).verdict == "ok"


def test_a_budget_that_runs_out_gives_unknown() -> None:
    rows = [row for n in range(8) for row in ends(("write", n % 3), ("write", n % 2), key="x", process=n)]
    rows += ends(("read", 0), ("read", 1), ("read", 2), ("read", 2), ("read", 0), ("read", 1), key="x", process=20) * 3
    for model in ("sequential", "multi-register"):
        assert judge(model, join(rows), Options(steps=20)).verdict in {"unknown", "broken"}
    assert judge("sequential", join(rows), Options(steps=20)).verdict == "unknown"
