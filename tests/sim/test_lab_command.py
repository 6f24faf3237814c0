"""`quorate lab`, as a person types it."""

import json
from pathlib import Path

from click.testing import CliRunner

from quorate.cli.lab.main import lab
from quorate.lab.judges.history import OK, History, dump


def test_run_says_how_much_was_tried() -> None:
    done = CliRunner().invoke(lab, ["run", "--seeds", "3", "--json"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["seeds"], summary["failed"], summary["scenario"]) == (3, [], "mixed")
    assert summary["steps"] > 1_000
    assert summary["marks"]["elections"] > 0


def test_a_failing_seed_is_shown_and_replayed() -> None:
    arguments = ["--scenario", "votes", "--core", "vote-not-persisted"]
    ran = CliRunner().invoke(lab, ["run", "--seeds", "5", *arguments])
    assert ran.exception is not None
    assert "again: quorate lab replay 0 --scenario votes --core vote-not-persisted" in ran.stderr
    again = CliRunner().invoke(lab, ["replay", "0", "--lines", "7", *arguments])
    assert again.exception is not None
    assert "the last 7 steps" in again.output


def test_a_replay_of_a_good_seed_gives_its_trace() -> None:
    first, second = (CliRunner().invoke(lab, ["replay", "4"]) for _ in range(2))
    assert first.exit_code == 0
    assert "trace " in first.output
    assert first.output == second.output


def test_an_unknown_scenario_names_those_there_are() -> None:
    done = CliRunner().invoke(lab, ["run", "--scenario", "doom"])
    assert done.exit_code == 2
    assert "mixed" in done.output


def test_an_unknown_core_names_those_there_are() -> None:
    done = CliRunner().invoke(lab, ["run", "--core", "doom"])
    assert done.exit_code == 2
    assert "vote-not-persisted" in done.output


def test_judge_reads_a_file(tmp_path: Path) -> None:
    history = History()
    write = history.invoke(1, "write", "k", 1, 1)
    history.end(write, OK, 2)
    read = history.invoke(2, "read", "k", None, 3)
    history.end(read, OK, 4, None)
    file = tmp_path / "history.json"
    file.write_bytes(dump(history))
    done = CliRunner().invoke(lab, ["judge", str(file)])
    assert done.exception is not None
    assert "broken" in done.output
    assert "process 1: write 1" in done.output
    done = CliRunner().invoke(lab, ["judge", str(file), "--json"])
    assert json.loads(done.stdout)["verdict"] == "broken"


def test_judge_refuses_what_is_no_history(tmp_path: Path) -> None:
    file = tmp_path / "noise"
    file.write_bytes(b"\x00\x01\x02")
    done = CliRunner().invoke(lab, ["judge", str(file)])
    assert "not a history" in str(done.exception)


def test_a_failing_seed_is_made_small_and_replayed_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    arguments = ["0", "--scenario", "calm", "--core", "commits-twice", "--runs", "40", "--write", str(file)]
    done = CliRunner().invoke(lab, ["shrink", *arguments, "--story", "twice"])
    assert done.exit_code == 0, done.output
    assert f"again: quorate lab replay {file}" in done.output
    again = CliRunner().invoke(lab, ["replay", str(file)])
    assert again.exception is not None
    assert "store is broken" in again.output


def test_a_seed_that_fails_nothing_cannot_be_made_small() -> None:
    done = CliRunner().invoke(lab, ["shrink", "0", "--scenario", "calm"])
    assert "breaks no promise" in str(done.exception)


def test_replay_refuses_what_is_neither_seed_nor_case(tmp_path: Path) -> None:
    assert CliRunner().invoke(lab, ["replay", "nonsense"]).exit_code == 2
    file = tmp_path / "noise.json"
    file.write_text("{}")
    assert "is not a case" in str(CliRunner().invoke(lab, ["replay", str(file)]).exception)
