"""Three processes: leadership is handed about under load, and no caller meets an error."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import quorate
from quorate.cli.main import main
from quorate.lab.nemesis.transfers import run_transfers
from quorate.lab.nemesis.trial import Trial


def test_no_request_fails_while_leadership_is_handed_about(tmp_path: Path) -> None:
    report = run_transfers(4, 3, 7, folder=tmp_path)
    assert report.account.acknowledged > 100, "there was load"
    assert report.account.register_operations > 100
    assert report.failed_requests == 0
    assert report.passed


def test_the_command_names_the_new_leader_and_refuses_what_cannot_be(three: Trial) -> None:
    leader = three.cluster.leader("main")
    assert leader is not None
    to = next(name for name in three.cluster.names if name != leader)
    where = ["--cluster", str(three.cluster.folder)]
    done = CliRunner().invoke(main, ["failover", "main", "--to", to, *where])
    assert done.exit_code == 0, done.stderr
    assert f"main: {to} leads from here on" in done.stderr
    assert f"it was {leader}" in done.stderr
    assert three.cluster.leader("main") == to
    again = CliRunner().invoke(main, ["failover", "main", "--to", to, *where])
    assert f"main: {to} leads already" in again.stderr
    three.kill(leader)
    with quorate.Cluster(three.cluster.url) as cluster, pytest.raises(quorate.ProgrammingError) as unknown:
        cluster.failover("main", to="n9")
    assert unknown.value.hint == "there are: n1, n2, n3"
