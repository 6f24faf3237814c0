"""Guarantees to sessions, consistent prefix, staleness and convergence: each is broken by its own history
and by no other."""

import random
from typing import Any

import pytest
from tests.judges.worlds import Row, lists, registers, strict

from quorate.lab.judges.catalogue import Options, judge
from quorate.lab.judges.history import HistoryError
from quorate.lab.judges.jepsen import join
from quorate.lab.judges.report import Report, lines
from quorate.lab.judges.sessions import GUARANTEES


def told(model: str, rows: list[Row], **options: Any) -> Report:
    return judge(model, join(rows), Options(**options))


def deeds(*each: tuple[int, str, Any, Any]) -> list[Row]:
    """(process, function, key, value), one after another."""
    rows: list[Row] = []
    for process, f, key, value in each:
        asked = None if f == "read" else value
        rows.append({"process": process, "type": "invoke", "f": f, "key": key, "value": asked})
        rows.append({"process": process, "type": "ok", "f": f, "key": key, "value": value})
    return rows


def at_once(process: int, *mops: list[Any]) -> list[Row]:
    return [{"process": process, "type": kind, "f": "txn", "value": list(mops)} for kind in ("invoke", "ok")]


W, R = "write", "read"

BREAKS: dict[str, list[Row]] = {
    "read-your-writes": deeds((0, W, "x", 1), (0, W, "x", 2), (0, R, "x", 1)),
    "monotonic-reads": deeds((0, W, "x", 1), (0, W, "x", 2), (1, R, "x", 2), (1, R, "x", 1)),
    "monotonic-writes": deeds((0, W, "x", 1), (0, W, "y", 1), (1, R, "y", 1), (1, R, "x", None)),
    "writes-follow-reads": deeds((0, W, "x", 1), (1, R, "x", 1), (1, W, "y", 1), (2, R, "y", 1), (2, R, "x", None)),
}


@pytest.mark.parametrize("broken", GUARANTEES)
@pytest.mark.parametrize("judged", GUARANTEES)
def test_each_guarantee_is_broken_by_its_own_history_only(broken: str, judged: str) -> None:
    report = told(judged, BREAKS[broken])
    assert report.verdict == ("broken" if judged == broken else "ok"), lines(report)
    assert report.names() == ([broken] if judged == broken else [])


@pytest.mark.parametrize("broken", GUARANTEES)
def test_sessions_judges_all_that_was_promised(broken: str) -> None:
    assert told("sessions", BREAKS[broken]).names() == [broken]
    others = tuple(name for name in GUARANTEES if name != broken)
    assert told("sessions", BREAKS[broken], promised=others).verdict == "ok"


def test_what_one_read_shows_together_counts_too() -> None:
    writes = deeds((0, W, "x", 1), (0, W, "y", 1))
    torn = at_once(1, ["r", "y", 1], ["r", "x", None])
    assert told("monotonic-writes", writes + torn).verdict == "broken"
    assert told("monotonic-writes", writes + at_once(1, ["r", "x", 1], ["r", "y", None])).verdict == "ok"


def test_what_is_seen_brings_along_what_it_depends_on_through_others() -> None:
    chain = deeds((0, W, "x", 1), (1, R, "x", 1), (1, W, "y", 1), (2, R, "y", 1), (2, W, "z", 1), (3, R, "z", 1))
    assert told("writes-follow-reads", chain + deeds((3, R, "x", None))).verdict == "broken"
    assert told("writes-follow-reads", chain + deeds((3, R, "x", 1))).verdict == "ok"


def test_writes_of_a_session_that_took_effect_backwards() -> None:
    rows = deeds((0, W, "x", 2), (0, W, "x", 1))
    assert told("monotonic-writes", rows, order="numbers").verdict == "broken"
    rows = deeds((0, W, "x", 5), (1, R, "x", 5), (1, W, "x", 3))
    assert told("writes-follow-reads", rows, order="numbers").verdict == "broken"


@pytest.mark.parametrize("seed", range(4))
def test_a_strictly_serializable_history_keeps_them_all(seed: int) -> None:
    rows = registers(random.Random(seed), 200, unsure=0.1, failing=0.1)
    for order in ("auto", "inferred"):
        assert told("sessions", rows, order=order).verdict == "ok", lines(told("sessions", rows, order=order))


def test_where_versions_have_no_known_order_circles_of_constraints_break_the_promise() -> None:
    rows = deeds((0, W, "x", "b"), (0, W, "x", "a"), (1, R, "x", "a"), (1, R, "x", "b"))
    assert told("monotonic-reads", rows).verdict == "broken", "a was written after b"
    report = told("sessions", rows, order="inferred")
    assert report.names() == ["monotonic-reads"]
    assert "not known" in report.notes[0]
    assert told("monotonic-reads", rows, order="inferred").verdict == "ok", (
        "without monotonic writes b may be the newer"
    )
    back = deeds((1, R, "x", "a"), (1, R, "x", "b"), (1, R, "x", "a"))
    assert told("monotonic-reads", deeds((0, W, "x", "b"), (2, W, "x", "a")) + back).verdict == "broken"
    assert told("read-your-writes", deeds((0, W, "x", "a"), (0, R, "x", None))).verdict == "broken"


def test_lists_show_the_order_of_their_versions() -> None:
    rows = at_once(0, ["append", "x", "b"]) + at_once(0, ["append", "x", "a"])
    ahead = at_once(1, ["r", "x", ["b", "a"]])
    behind = at_once(1, ["r", "x", ["b"]])
    assert told("sessions", rows + behind + ahead).verdict == "ok"
    assert told("monotonic-reads", rows + ahead + behind).verdict == "broken"


def test_a_version_written_twice_is_refused() -> None:
    with pytest.raises(HistoryError, match="more than once"):
        told("sessions", deeds((0, W, "x", 1), (1, W, "x", 1)))


def test_a_prefix_shows_nothing_without_what_came_before_it() -> None:
    log = deeds((0, W, "x", 1), (1, W, "y", 2), (0, W, "x", 3))
    for x, y, verdict in (
        (None, None, "ok"), (1, None, "ok"), (1, 2, "ok"), (3, 2, "ok"), (None, 2, "broken"), (3, None, "broken"),
    ):  # fmt: skip
        report = told("consistent-prefix", log + at_once(5, ["r", "x", x], ["r", "y", y]))
        assert report.verdict == verdict, (x, y)
    assert told("consistent-prefix", log + at_once(5, ["r", "x", 9])).names() == ["unwritten"]
    overlapping = [
        {"process": p, "type": t, "f": "write", "key": k, "value": p}
        for t in ("invoke", "ok")
        for p, k in ((1, "x"), (2, "y"))
    ]
    backwards = overlapping + at_once(5, ["r", "x", None], ["r", "y", 2])
    assert told("consistent-prefix", backwards).verdict == "ok", "either may have been first"
    assert told("consistent-prefix", backwards, order="numbers").verdict == "broken"


def test_what_was_written_together_is_shown_together() -> None:
    log = at_once(0, ["w", "x", 1], ["w", "y", 1])
    assert told("consistent-prefix", log + at_once(5, ["r", "x", 1], ["r", "y", 1])).verdict == "ok"
    assert told("consistent-prefix", log + at_once(5, ["r", "x", 1], ["r", "y", None])).verdict == "broken"
    rows = registers(random.Random("prefix"), 300, unsure=0.1, failing=0.1)
    assert told("consistent-prefix", rows).verdict == "ok"
    rows = lists(random.Random("prefix"), 300, unsure=0.1, failing=0.1)
    assert told("consistent-prefix", rows).verdict == "ok"


def lagging(seed: int, lag: int) -> list[Row]:
    """One writer; readers of a copy that is `lag` versions behind."""
    versions: list[int | None] = [None] * (lag + 1)
    rng = random.Random(seed)

    def ask() -> tuple[str, Any]:
        return ("read", None) if rng.random() < 0.5 else ("write", len(versions) + 1)

    def apply(f: str, value: Any) -> Any:
        if f == "write":
            versions.append(value)
            return value
        return versions[-1 - lag]

    rows = strict(rng, 80, ask, apply, processes=1)
    return [{**row, "key": "x"} for row in rows]


def test_a_bound_in_versions() -> None:
    for lag in (0, 1, 3):
        rows = lagging(lag, lag)
        assert told("bounded-staleness", rows, versions=lag).verdict == "ok"
        if lag:
            assert told("bounded-staleness", rows, versions=lag - 1).names() == ["stale"]
    assert told("bounded-staleness", lagging(1, 0)).verdict == "ok"
    assert told("bounded-staleness", lagging(1, 1)).verdict == "broken", "without a bound nothing may be missed"


def test_a_bound_in_seconds() -> None:
    rows = deeds((0, W, "x", 1), (0, W, "x", 2), (1, R, "x", 1))
    assert told("bounded-staleness", rows, seconds=1.0).verdict == "unknown", "there are no times"
    for second, row in enumerate(rows):
        row["time"] = second * 1_000_000_000
    assert told("bounded-staleness", rows, seconds=0.5).verdict == "broken"
    assert told("bounded-staleness", rows, seconds=1.5).verdict == "ok"


def test_in_the_end_all_agree() -> None:
    writes = deeds((0, W, "x", 1), (1, W, "x", 2))
    assert told("convergence", writes).verdict == "unknown"
    assert told("convergence", writes + deeds((2, R, "x", 2), (3, R, "x", 2))).verdict == "ok"
    assert told("convergence", writes + deeds((2, R, "x", 1), (3, R, "x", 2))).names() == ["diverged"]
    later = deeds((2, R, "x", 1), (3, R, "x", 2), (2, R, "x", 2))
    assert told("convergence", writes + later).verdict == "ok", "the last read of each counts"
    assert told("convergence", writes + deeds((2, R, "x", 7), (3, R, "x", 7))).verdict == "broken"
    unsure = [*deeds((0, W, "x", 1))[:1], *deeds((2, R, "x", None), (3, R, "x", 1))]
    assert told("convergence", unsure).verdict == "unknown"
