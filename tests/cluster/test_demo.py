"""The demo and the campaign, shortened."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from quorate.cli.demo import main as demo
from quorate.cli.main import main
from quorate.lab.nemesis.campaign import Round, run_campaign


def test_the_demo_ends_in_a_correct_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BEFORE_S", "AWAY_S", "AFTER_S"):
        monkeypatch.setattr(demo, name, 0.5)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = CliRunner().invoke(main, ["demo", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert list(report)[:8] == [
        "acknowledged",
        "lost",
        "duplicated",
        "maybe",
        "failover_ms",
        "writes_per_s",
        "reads_per_s",
        "replicas_equal",
    ]
    assert report["acknowledged"] > 0
    assert report["lost"] == report["duplicated"] == report["invented"] == report["reads_went_back"] == 0
    assert report["replicas_equal"] is True
    assert report["stock_agrees"] is True
    assert 0 < report["failover_ms"] < 20_000
    assert "kill -9" in done.stderr
    assert not list(tmp_path.iterdir()), "the demo cleans up"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_short_campaign_passes(tmp_path: Path, tls: bool) -> None:
    rounds: list[Round] = []
    report = run_campaign(rounds=2, nodes=3, seed=7, told=rounds.append, folder=tmp_path, tls=tls)
    assert report.passed, report
    assert list(report.rounds) == rounds
    assert [each.number for each in rounds] == [1, 2]
    assert report.acknowledged > 0
    assert report.register_operations > 0


def test_the_asynchronous_demo_loses_keeps_and_replays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = CliRunner().invoke(main, ["demo", "--acks", "async", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert 0 < report["lost"] == report["kept"] < report["acknowledged"]
    assert report["missing"] == report["duplicated"] == 0
    assert "lost.db" in done.stderr


def test_the_demo_of_two_leaders_ends_with_one_conflict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = CliRunner().invoke(main, ["demo", "--replication", "multi-leader", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["stock"], found["title"], found["equal"]) == (39, "Chairs of the south", True)
    assert found["body"] == "From north.\nFrom south."
    assert [each["lost"] for each in found["conflicts"]] == [{"title": "Chairs of the north"}]


def test_the_demo_without_a_leader_loses_no_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = CliRunner().invoke(main, ["demo", "--replication", "leaderless", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["while_away"] == 30
    assert found["acknowledged"] == 60
    assert found["maybe"] + found["refused"] == 3
    assert 60 <= found["there"] <= 60 + found["maybe"]
    assert found["replicas"] == [found["replicas"][0]] * 3
