"""Three processes: leadership is handed about under load, and no caller meets an error."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.cluster.conftest import wait_level

import quorate
from quorate.cli.main import main
from quorate.lab.nemesis.transfers import run_transfers
from quorate.lab.nemesis.trial import Trial
from quorate.runtime.cluster import LocalCluster


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
        assert [each.options["failover"] for each in cluster.databases() if each.name == "main"] == ["manual"]
        said = cluster.explain("main")
        assert said.options["failover"] == "manual"
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


def test_an_accepted_loss_is_kept_by_who_comes_back(start: Callable[[int], LocalCluster]) -> None:
    nodes = start(5)
    where = ["--cluster", str(nodes.folder)]
    with quorate.Cluster(nodes.url) as cluster:
        cluster.create("shop", acks="semi-sync:1", failover="manual", replicas=5)
        with quorate.connect(f"{nodes.url}/shop", timeout=10.0) as db:
            db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)")
            wait_level(nodes, "shop")
            leader = nodes.leader("shop")
            assert leader is not None
            near, *far = [name for name in nodes.names if name != leader]
            for name in far:
                nodes.kill(name)
            db.execute("INSERT INTO t VALUES (1)")  # on the disks of two
        for name in (leader, near):
            nodes.kill(name)
        for name in far:
            nodes.restart(name)
        refused = CliRunner().invoke(main, ["failover", "shop", "--to", far[0], "--timeout", "20", *where])
        assert refused.exit_code == 4, refused.output
        assert "got 3 of the 4 votes that it needs" in refused.stderr
        assert "--accept-loss" in refused.stderr
        done = CliRunner().invoke(main, ["failover", "shop", "--to", far[0], "--accept-loss", *where])
        assert done.exit_code == 0, done.stderr
        assert [each.name for each in cluster.lost("shop").unknown] == [leader]
        nodes.restart(leader)
        nodes.restart(near)
        wait_level(nodes, "shop")
        lost = cluster.lost("shop")
        assert lost.unknown == ()
        assert len(lost.writes) == 1
        assert cluster.replay(lost.writes[0]).applied == 1
        with quorate.connect(f"{nodes.url}/shop", timeout=10.0) as db:
            assert db.execute("SELECT n FROM t").fetchall() == [(1,)]
