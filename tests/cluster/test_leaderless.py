"""No leader, on real processes: every node takes writes, one is killed and comes back, and all hold the same."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import quorate
from quorate.runtime.cluster import LocalCluster

PATIENCE_S = 30.0
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def connected(address: str, read: str | None = None) -> quorate.Connection:
    found: list[quorate.Connection] = []

    def answers() -> bool:
        try:
            found.append(quorate.connect(f"quorate://{address}/carts", timeout=PATIENCE_S, read=read))
        except quorate.Unavailable:
            return False
        return True

    until(answers)
    return found[0]


def knows(db: quorate.Connection) -> bool:
    try:
        db.execute("SELECT 1 FROM items", read="eventual")
    except quorate.ProgrammingError:
        return False
    return True


def test_writes_go_on_without_a_node_that_then_holds_all_of_them(tmp_path: Path) -> None:
    with LocalCluster.start(3, tmp_path / "cluster") as cluster, quorate.Cluster(cluster.url) as whole:
        whole.create("carts", replication="leaderless", replicas=3, w="2", r="2", timeout=PATIENCE_S)
        one, two, three = (connected(each) for each in cluster.addresses)
        one.execute("CREATE TABLE items(id TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL)")
        for db in (two, three):  # who has not made the table may be ahead of it
            until(lambda db=db: knows(db))  # type: ignore[misc]
        for number, db in enumerate((one, two, three)):
            db.execute("INSERT INTO items VALUES (?, ?)", (f"of {number}", number))
        with pytest.raises(quorate.IntegrityError):
            two.execute("INSERT INTO items VALUES ('of 0', 5)")
        with pytest.raises(quorate.StatementTimeout):  # and no node stops, or keeps others waiting
            one.execute(ENDLESS, timeout=0.5)
        cluster.kill("n3", signal.SIGKILL)
        one.execute("UPDATE items SET n = 7 WHERE id = 'of 2'")
        two.execute("INSERT INTO items VALUES ('missed', 1)")
        one.execute("DELETE FROM items WHERE id = 'of 1'")
        cluster.restart("n3")
        wanted = [("missed", 1), ("of 0", 0), ("of 2", 7)]
        for db in (one, two, three):
            assert db.execute("SELECT * FROM items WHERE id = 'of 2'").fetchall() == [("of 2", 7)]
            assert db.execute("SELECT id, n FROM items ORDER BY id").fetchall() == wanted
        local = connected(cluster.addresses[2], read="eventual")
        until(lambda: local.execute("SELECT id, n FROM items ORDER BY id").fetchall() == wanted)
        for db in (one, two, three, local):
            db.close()
