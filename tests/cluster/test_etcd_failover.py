"""Real processes and a real etcd: who leads is permitted, and nothing else depends on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import quorate
from quorate.cli.main import main
from quorate.lab.nemesis.etcd import Etcd, installed
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime.cluster import LocalCluster

pytestmark = pytest.mark.skipif(not installed(), reason="no etcd is installed here")


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with Etcd(tmp_path / "etcd") as process:
        yield process


@pytest.fixture
def nodes(tmp_path: Path, etcd: Etcd) -> Iterator[LocalCluster]:
    with LocalCluster.start(3, tmp_path / "cluster", options={"etcd": etcd.address}) as cluster:
        done = CliRunner().invoke(main, ["alter", "main", "--failover", "etcd", "--cluster", str(cluster.folder)])
        assert done.exit_code == 0, done.stderr
        yield cluster


def epoch(cluster: LocalCluster, name: str) -> int:
    report = cluster.status(name)
    assert report is not None
    return next(group.epoch for group in report.groups if group.database == "main")


def test_another_leads_with_a_permit_when_the_leader_was_killed(nodes: LocalCluster) -> None:
    with quorate.connect(f"{nodes.url}/main", timeout=20.0) as db:
        db.execute("CREATE TABLE t(n INTEGER)")
        led: list[int] = []
        for number in range(2):  # the second has the permit of the first to wait for
            leader = nodes.leader("main")
            assert leader is not None
            led.append(epoch(nodes, leader))
            nodes.kill(leader)
            db.execute("INSERT INTO t VALUES (?)", (number,))
            other = nodes.leader("main")
            assert other not in (None, leader)
            nodes.restart(leader)
        assert db.execute("SELECT count(*) FROM t").fetchone() == (2,)
        last = nodes.leader("main")
        assert last is not None
        assert led[0] < led[1] < epoch(nodes, last)
        assert quorate.Cluster(nodes.url).explain("main").options["failover"] == "etcd"


def test_while_etcd_is_away_writes_go_on_and_elections_wait(nodes: LocalCluster, etcd: Etcd) -> None:
    where = ["--cluster", str(nodes.folder)]
    with quorate.connect(f"{nodes.url}/main", timeout=20.0) as db:
        db.execute("CREATE TABLE t(n INTEGER)")
        etcd.kill()
        db.execute("INSERT INTO t VALUES (1)")
        leader = nodes.leader("main")
        assert leader is not None
        nodes.kill(leader)

        def told() -> bool:
            return "etcd gives no permit" in CliRunner().invoke(main, ["status", *where]).stdout

        wait_until(told, 20.0, "status does not say that etcd is away")
        assert nodes.leader("main") is None
        etcd.start()
        db.execute("INSERT INTO t VALUES (2)")
        assert db.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_without_an_etcd_it_is_refused(tmp_path: Path) -> None:
    with LocalCluster.start(1, tmp_path / "plain") as plain, quorate.Cluster(plain.url) as cluster:
        with pytest.raises(quorate.OperationalError) as refused:
            cluster.alter("main", failover="etcd")
        assert 'etcd = "HOST:PORT"' in (refused.value.hint or "")
