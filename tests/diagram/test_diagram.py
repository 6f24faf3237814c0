"""Runs and histories as space-time diagrams: what is told, that it survives as JSON, and the page's shape."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from quorate.cli.lab.main import lab
from quorate.lab.diagram.histories import LANES_MAX, tell
from quorate.lab.diagram.model import (
    COUNT,
    LEADERSHIP,
    LOST,
    MESSAGE,
    SPAN,
    UNENDED,
    Diagram,
    Event,
    Lane,
    decode,
    encode,
    newest,
)  # fmt: skip
from quorate.lab.diagram.page import render
from quorate.lab.diagram.simulated import watched
from quorate.lab.judges.catalogue import judge
from quorate.lab.judges.history import OK, History, dump
from quorate.lab.judges.jepsen import from_history, join
from quorate.lab.mutants import MUTANTS, run
from quorate.lab.sim.scenarios.named import simulate

FORGETFUL = next(mutant for mutant in MUTANTS if mutant.name == "vote-not-persisted")


def broken_history() -> History:
    history = History()
    for process, value in ((1, 5), (2, 6)):
        number = history.invoke(process, "write", "k", value, 10 * process)
        history.end(number, OK, 10 * process + 1)
    number = history.invoke(3, "read", "k", None, 30)
    history.end(number, OK, 31, 5)
    return history


def test_watching_a_run_does_not_change_it() -> None:
    report, diagram = watched(lambda: simulate(4))
    assert report.trace == simulate(4).trace
    assert report.ok
    assert diagram.verdict is None


def test_a_run_is_told_whole() -> None:
    report, diagram = watched(lambda: simulate(0), limit=1_000_000)
    nodes = [lane for lane in diagram.lanes if lane.kind == "node"]
    assert (len(nodes), diagram.left_out) == (int(diagram.facts["nodes"]), 0)
    messages = [event for event in diagram.events if event.shape == MESSAGE]
    assert all(event.until >= event.time for event in messages if event.until != UNENDED)
    assert sum(event.fate == LOST for event in messages) >= report.marks["dropped"] - report.marks.get("clogged", 0)
    assert any(event.until - event.time > 0 for event in messages)
    leaderships = [event for event in diagram.events if event.shape == LEADERSHIP]
    assert {event.epoch for event in leaderships if event.kind == "leader"}
    committed = [
        event.index for event in diagram.events if event.shape == COUNT and (event.lane, event.group) == (0, 0)
    ]
    assert committed
    calls = [event for event in diagram.events if event.shape == SPAN and event.lane >= len(nodes)]
    assert {event.fate for event in calls} >= {"ok"}
    assert all(0 <= event.lane < len(diagram.lanes) for event in calls)


def test_a_database_without_a_leader_is_drawn_by_its_messages() -> None:
    report, diagram = watched(lambda: simulate(0, "quorums"), limit=1_000_000)
    assert report.ok, report.message
    kinds = {event.kind for event in diagram.events}
    assert {"RowAsk", "RowReply", "Store", "Stored", "row read"} <= kinds


def test_a_broken_promise_is_marked_where_it_happened() -> None:
    report, diagram = watched(lambda: run(FORGETFUL, 0))
    assert not report.ok
    assert diagram.verdict is not None
    assert (diagram.verdict.judge, diagram.verdict.time) == (report.judge, diagram.end)
    assert diagram.lanes[diagram.verdict.lane].kind == "node"
    assert diagram.again == "quorate lab replay 0 --scenario votes --core vote-not-persisted"


def test_a_history_is_told_with_its_witness() -> None:
    ops = from_history(broken_history())
    diagram = tell(ops, judge("register", ops), "three calls")
    assert [lane.name for lane in diagram.lanes] == ["process 1", "process 2", "process 3"]
    assert diagram.verdict is not None
    assert [event.marked for event in diagram.events] == [True, True, True]
    assert diagram.verdict.time == diagram.end == 31


def test_many_processes_share_lanes() -> None:
    history = History()
    for process in range(LANES_MAX + 10):
        number = history.invoke(process, "write", "k", process, 10 * process)
        history.end(number, OK, 10 * process + 1)
    ops = from_history(history)
    diagram = tell(ops, judge("register", ops), "one after the other")
    assert len(diagram.lanes) == 1


def test_recorded_times_begin_with_the_first_call() -> None:
    events = [
        {"process": 0, "type": kind, "f": "write", "value": 1, "time": 5_000_000_000 + time}
        for kind, time in (("invoke", 0), ("ok", 7_000))
    ]
    ops = join(events)
    diagram = tell(ops, judge("register", ops), "one call")
    assert (diagram.unit, diagram.begin, diagram.end) == ("us", 0, 7)
    assert [(event.time, event.until) for event in diagram.events] == [(0, 7)]


def test_json_round_trip() -> None:
    _, diagram = watched(lambda: run(FORGETFUL, 0))
    assert decode(encode(diagram)) == diagram


def test_the_newest_are_kept_with_what_reaches_into_them() -> None:
    leadership = Event(0, 0, "leader", shape=LEADERSHIP, group=1, epoch=3)
    counts = [Event(time, 0, "committed", shape=COUNT, group=1, index=time) for time in (1, 2, 3)]
    messages = [Event(time, 0, "Append", shape=MESSAGE, to=1, until=time + 1) for time in range(100)]
    cut = newest(Diagram("x", [Lane("a"), Lane("b")], [*messages, leadership, *counts], 0, 101), 10)
    assert (cut.left_out, cut.begin) == (90, 90)
    assert [event for event in cut.events if event.shape == COUNT] == counts[-1:]
    assert leadership in cut.events
    assert len(cut.events) == 12


def test_the_page_needs_nothing_from_anywhere() -> None:
    diagram = Diagram("a <b> & </script>", [Lane("</script><script>")], [Event(1, 0, "x", "</script>")], 0, 2)
    page = render(diagram)
    assert "http:" not in page
    assert "https:" not in page
    assert not re.search(r"<(?:link|script|img|iframe)[^>]*\b(?:src|href)=\"(?!data:)", page)
    assert not re.search(r"@import|url\(", page)
    assert page.count("</script>") == 2
    assert "<title>a &lt;b&gt; &amp; &lt;/script&gt;</title>" in page
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["events"][0]["text"] == "</script>"


def test_replay_and_judge_write_pages(tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    done = CliRunner().invoke(lab, ["replay", "4", "--html", str(page)])
    assert done.exit_code == 0, done.output
    assert "node 1" in page.read_text()
    file = tmp_path / "history.json"
    file.write_bytes(dump(broken_history()))
    done = CliRunner().invoke(lab, ["judge", str(file), "--html", str(page)])
    assert done.exception is not None
    assert '"marked":true' in page.read_text()


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    done = CliRunner().invoke(lab, ["replay", "4", "--html", str(tmp_path / "none" / "run.html")])
    assert "cannot be written" in str(done.exception)


@pytest.mark.parametrize("name", ["page.html", "page.css", "scene.js", "paint.js", "page.js"])
def test_the_parts_lie_beside_the_code(name: str) -> None:
    from quorate.lab import diagram

    assert (Path(diagram.__file__).parent / name).is_file()
