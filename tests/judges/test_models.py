"""What each model of consistency forbids, against the definitions of the models."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.judges.definitions import Asked, Op, phenomena
from tests.judges.models_by_definition import MODELS, deals, forbidden
from tests.judges.test_by_definition import (
    Data,
    dependencies,
    drawn,
    effective,
    installations,
    judged,
    middles,
    seen,
    timed,
    writes,
)  # fmt: skip
from tests.judges.worlds import Row, registers, together

from quorate.lab.judges import isolation, list_append, rw_register
from quorate.lab.judges.isolation import impossible
from quorate.lab.judges.jepsen import join
from quorate.lab.judges.report import Report, lines
from quorate.lab.judges.transactions import Effort

SKIPPED = {"internal", "own-write-lost", "future-read", "G1a", "dirty-update", "incompatible-order"}
"""Anomalies of single reads: they have tests of their own."""


def by_definition(nodes: list[Op], write: str, known: dict[str, list[int]]) -> set[str]:
    """The models that this history keeps in no order in which the versions can have been installed."""
    more = middles(nodes, write)
    told = deals(nodes, write)
    out = set(MODELS)
    for order in installations(nodes, write, known):
        names = phenomena(len(nodes), dependencies(nodes, order, write))
        out &= forbidden(
            told, order, {name for name in names if "-process" not in name and "-realtime" not in name} | more
        )
    return out


PLANS = ("rx ry", "ry rx", "ry wx", "rx wy", "wy", "wx", "wx wy", "rx wx", "wx ry")


def woven(model: str, seed: int) -> tuple[list[Row], list[Op]]:
    """Three or four transactions of few shapes: what tells the models apart needs little more."""
    rng = random.Random(f"woven/{model}/{seed}")
    write = "append" if model == "list-append" else "w"
    shapes = [rng.choice(PLANS).split() for _ in range(rng.randint(3, 4))]
    plans: list[list[list[Any]]] = [[[mop[0], mop[1], 0] for mop in shape] for shape in shapes]
    states: list[Data] = [{"x": [], "y": []}]
    before = []
    for number, mop in enumerate((mop for plan in plans for mop in plan), 1):
        mop[2] = number
        mop[0] = write if mop[0] == "w" else "r"
    for plan in plans:
        before.append(states[-1])
        for f, key, value in plan:
            if f == write:
                states.append({each: [*line, value] if each == key else line for each, line in states[-1].items()})
    asked: list[Asked] = []
    for plan, view in zip(plans, before, strict=True):
        asked.append(("txn", *seen(rng, plan, states if rng.random() < 0.6 else [view], write)))
    rng.shuffle(asked)
    return timed(rng, asked, ["ok"] * len(asked))


SOURCES: dict[str, tuple[Callable[[str, int], tuple[list[Row], list[Op]]], int]] = {
    "drawn": (drawn, 600),
    "woven": (woven, 900),
}


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_list_append_rules_out_just_what_the_definitions_do(source: str) -> None:
    make, count = SOURCES[source]
    met: dict[str, int] = {}
    for seed in range(count):
        rows, ops = make("list-append", seed)
        report = judged("list-append", rows)
        nodes = effective(ops, "append")
        if SKIPPED & set(report.names()) or len(nodes) > 4:
            continue
        known: dict[str, list[int]] = {
            key: max(
                (v for op in ops if op.end == "ok" for f, k, v in op.mops if (f, k) == ("r", key)), key=len, default=[]
            )
            for key in "xy"
        }
        expected = by_definition(nodes, "append", known)
        found = {*report.ruled_out, *report.also_ruled_out} & MODELS
        unseen = [sum(v not in known[key] for op in nodes for v in writes(op, "append", key)) for key in "xy"]
        assert found <= expected if max(unseen) > 1 else found == expected, (seed, rows, report, found ^ expected)
        for name in found:
            met[name] = met.get(name, 0) + 1
    assert met.keys() == MODELS
    assert len(set(met.values())) > 3, "the models must differ on these histories"


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_rw_register_rules_out_no_model_that_some_order_of_versions_keeps(source: str) -> None:
    make, count = SOURCES[source]
    met: dict[str, int] = {}
    missed = 0
    for seed in range(count):
        rows, ops = make("rw-register", seed)
        report = judged("rw-register", rows)
        nodes = effective(ops, "w")
        if SKIPPED & set(report.names()) or "cyclic-versions" in report.names() or len(nodes) > 4:
            continue
        expected = by_definition(nodes, "w", {"x": [], "y": []})
        found = {*report.ruled_out, *report.also_ruled_out} & MODELS
        assert found <= expected, (seed, rows, report, found - expected)
        missed += found < expected
        for name in found:
            met[name] = met.get(name, 0) + 1
    assert met.keys() == MODELS
    assert missed < 20


A, R, W = "append", "r", "w"
FRACTURED = together([[A, "x", 1], [A, "y", 1]], [[R, "x", [1]], [R, "y", []]])
BACKWARDS = together([[A, "x", 1], [A, "y", 1]], [[R, "y", []], [R, "x", [1]]])
CHAIN = together([[A, "x", 1]], [[R, "x", [1]], [A, "y", 1]], [[R, "y", [1]], [R, "x", []]])
LOST = together([[R, "x", []], [A, "x", 1]], [[R, "x", []], [A, "x", 2]], [[R, "x", [1, 2]]])
BLIND = together([[R, "x", []], [A, "x", 2]], [[A, "x", 1]], [[R, "x", [1, 2]]])
FORK = together([[A, "x", 1]], [[R, "x", [1]], [R, "y", []]], [[A, "y", 1]], [[R, "y", [1]], [R, "x", []]])
SKEW = together([[R, "x", []], [A, "y", 1]], [[R, "y", []], [A, "x", 1]])
LOOKED = together([[R, "y", []], [A, "x", 1]], [[A, "y", 1]], [[R, "y", [1]], [R, "x", []]])
OWN = together([[A, "x", 1], [R, "x", []]])

FORBIDDEN: dict[str, tuple[list[Row], set[str]]] = {
    "a fractured read": (FRACTURED, {
        "read-atomic", "causal", "parallel-snapshot-isolation", "prefix", "monotonic-view", "consistent-view",
        "update-serializable", "snapshot-isolation", "repeatable-read"}),
    "a fractured read, the older first": (BACKWARDS, {
        "read-atomic", "causal", "parallel-snapshot-isolation", "prefix", "consistent-view", "update-serializable",
        "snapshot-isolation", "repeatable-read"}),
    "a chain": (CHAIN, {"causal", "parallel-snapshot-isolation", "prefix", "monotonic-view", "consistent-view",
                        "update-serializable", "snapshot-isolation", "repeatable-read"}),
    "a lost update": (LOST, {"cursor-stability", "parallel-snapshot-isolation", "consistent-view",
                             "update-serializable", "snapshot-isolation", "repeatable-read"}),
    "an update lost to a blind one": (BLIND, {"cursor-stability", "parallel-snapshot-isolation", "consistent-view",
                                              "update-serializable", "snapshot-isolation", "repeatable-read"}),
    "a long fork": (FORK, {"prefix", "snapshot-isolation", "repeatable-read"}),
    "a write skew": (SKEW, {"update-serializable", "repeatable-read"}),
    "a skew that only a reader sees": (LOOKED, {"update-serializable", "repeatable-read"}),
    "an own write that is not seen": (OWN, set(MODELS) | {"read-uncommitted", "read-committed"}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_an_anomaly_rules_out_its_models_and_no_others(name: str) -> None:
    rows, models = FORBIDDEN[name]
    for model in isolation.MODELS:
        plain = model not in MODELS | {"read-uncommitted", "read-committed", "forward-consistent-view"}
        report = list_append.judge(join(rows), model)
        if model == "forward-consistent-view":
            assert report.verdict == ("broken" if "consistent-view" in models else "ok"), model
        elif not plain:
            assert report.verdict == ("broken" if model in models else "ok"), (model, lines(report))


# ---- searches that are cut -------------------------------------------------------------------------------


def tangles(count: int, write: str) -> list[Row]:
    """So many separate write skews."""
    rows: list[Row] = []
    for number in range(count):
        x, y = f"x{number}", f"y{number}"
        nothing: Any = [] if write == A else None
        rows += together([[R, x, nothing], [write, y, 1]], [[R, y, nothing], [write, x, 1]])
    return rows


def judge_of(write: str) -> Callable[..., Report]:
    return list_append.judge if write == A else rw_register.judge


@pytest.mark.parametrize("write", [A, W])
@pytest.mark.parametrize("count", [0, 11, 12, 13, 60])
def test_a_circle_is_found_behind_however_many_others(write: str, count: int) -> None:
    one: Any = [1] if write == A else 1
    nothing: Any = [] if write == A else None
    seen_circle = together([[write, "x", 1], [R, "y", one]], [[write, "y", 1], [R, "x", one]])
    fractured = together([[write, "x", 1], [write, "y", 1]], [[R, "x", one], [R, "y", nothing]])
    for rows, model in ((seen_circle, "read-committed"), (fractured, "snapshot-isolation"), (fractured, "read-atomic")):
        judge = judge_of(write)
        assert judge(join(tangles(count, write)), model).verdict == "ok"
        assert judge(join(tangles(count, write) + rows), model).verdict == "broken"


def test_a_cut_search_makes_unknown_only_what_it_could_have_found() -> None:
    rows = tangles(40, A)
    for edges in (0, 10, 100, 1000):
        for model in ("read-committed", "causal", "snapshot-isolation"):
            verdict = list_append.judge(join(rows), model, Effort(edges=edges)).verdict
            assert verdict in ({"unknown"} if edges < 100 else {"unknown", "ok"}), (edges, model)
        assert list_append.judge(join(rows), "serializable", Effort(edges=edges)).verdict == "broken"
    assert list_append.judge(join(rows), "causal").verdict == "ok"


@pytest.mark.parametrize("count", [3, 30, 60])
def test_every_reader_that_wrote_comes_before_every_other_writer(count: int) -> None:
    """Many that read nothing and wrote, of which the last also wrote what the first saw: only one edge in thousands
    closes the circle."""
    many: list[list[Any]] = [[[R, "x", []], [A, "x", number]] for number in range(1, count)]
    rows = together(*many)
    rows += together([[R, "x", []], [A, "x", count], [A, "y", 1]])
    for number in range(1, count):
        more = together([[R, "y", [1]], [A, "z", 1]], [[R, "z", [1]], [R, "x", []], [A, "x", 100 + number]])
        report = list_append.judge(join([*rows, *more]), "causal")
        assert report.verdict == "broken", lines(report)


@pytest.mark.parametrize("seed", range(3))
def test_a_sound_history_keeps_every_model(seed: int) -> None:
    rows = registers(random.Random(f"sound/{seed}"), 200, unsure=0.1)
    report = rw_register.judge(join(rows))
    assert not impossible(report.names()), lines(report)
    assert json.dumps(rows)
