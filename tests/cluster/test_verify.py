"""A row changed by hand after a `kill -9`, which nothing else notices: verify finds it, and the node is rebuilt."""

import sqlite3
import time
from pathlib import Path

import pytest
from tests.cluster.conftest import wait_level

import quorate
from quorate.runtime.cluster import LocalCluster

LIMIT_S = 20.0


def edit(folder: str, database_file: str) -> None:
    (path,) = Path(folder).glob(database_file)
    connection = sqlite3.connect(path)
    with connection:
        changed = connection.execute("UPDATE t SET v = 'edited' WHERE k = 77").rowcount
    connection.close()
    assert changed == 1


@pytest.mark.parametrize("who", ["a follower", "the leader"])
def test_an_edited_replica_is_found_and_rebuilt(tmp_path: Path, who: str) -> None:
    with LocalCluster.start(3, tmp_path) as cluster, quorate.Cluster(cluster.url) as whole:
        with quorate.connect(f"{cluster.url}/main", timeout=10.0) as db:
            db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT NOT NULL)")
            db.executemany("INSERT INTO t VALUES (?, ?)", [(number, f"row {number}") for number in range(1000)])
            wait_level(cluster)
            assert {report.verdict for report in whole.verify()} == {"equal"}
            leader = cluster.leader()
            name = leader if who == "the leader" else next(each for each in cluster.names if each != leader)
            assert name is not None
            cluster.kill(name)
            edit(cluster.place(name).folder, "group-1-*.db")
            cluster.restart(name)
            wait_level(cluster)
            (report,) = whole.verify("main")
            assert [(each.name, each.verdict, each.rebuilt) for each in report.replicas if each.verdict != "equal"] == [
                (name, "differs", True)
            ]
            deadline = time.monotonic() + LIMIT_S
            while {each.verdict for each in whole.verify("main")} != {"equal"}:
                assert time.monotonic() < deadline, cluster.log_end(name)
            with quorate.connect(f"quorate://{cluster.place(name).address}/main", read="eventual") as there:
                assert there.execute("SELECT v FROM t WHERE k = 77").fetchone() == ("row 77",)
            assert db.execute("SELECT count(*) FROM t").fetchone() == (1000,)
        own = cluster.status(name)
        assert own is not None
        assert "a majority holds something else" in next(group.damage for group in own.groups if group.group == 1)
