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


def test_a_manual_database_waits_for_a_person_when_its_leader_was_killed(three: Trial) -> None:
    where = ["--cluster", str(three.cluster.folder)]
    with quorate.Cluster(three.cluster.url) as cluster, quorate.connect(f"{three.cluster.url}/main") as db:
        db.execute("CREATE TABLE t(n INTEGER)")
        altered = CliRunner().invoke(main, ["alter", "main", "--failover", "manual", *where])
        assert altered.exit_code == 0, altered.stderr
        assert [each.failover for each in cluster.databases() if each.name == "main"] == ["manual"]
        said = cluster.explain("main")
        assert said.failover == "manual"
        assert said.away_for_writes == 0
        leader = three.cluster.leader("main")
        assert leader is not None
        three.kill(leader)
        with pytest.raises((quorate.Unavailable, quorate.MaybeDone)):
            db.execute("INSERT INTO t VALUES (1)", timeout=2.0, token="one")
        assert three.cluster.leader("main") is None, "nobody has said who is to lead"
        status = CliRunner().invoke(main, ["status", *where])
        assert "main waits for you: quorate failover main --to NODE" in status.stdout
        done = CliRunner().invoke(main, ["failover", "main", *where])
        assert done.exit_code == 0, done.stderr
        assert "nobody did" in done.stderr
        db.execute("INSERT INTO t VALUES (1)", token="one")
        assert db.execute("SELECT count(*) FROM t").fetchone() == (1,)
