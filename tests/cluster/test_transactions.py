"""Transactions on real nodes: their statements sent one by one, and committed, through the death of a leader."""

from typing import Any

from tests.cluster.conftest import Started
from tests.storage.open_transaction import OpenTransaction

import quorate
from quorate.client._sync.connection import Connection
from quorate.core.read_levels import LEADER
from quorate.core.requests import Done
from quorate.core.scripts import Script
from quorate.core.statements import Failed
from quorate.runtime.cluster import LocalCluster


def opened(db: Connection) -> OpenTransaction:
    def execute(script: Script) -> bytes:
        answer, _ = db._client.request(script, "main", level=LEADER, token=script.token)
        return bytes(answer.outcome)

    return OpenTransaction(execute)


def on_another(cluster: LocalCluster, db: Connection) -> None:
    """Kill the leader."""
    report = cluster.status(cluster.names[0])
    assert report is not None
    (leader,) = {group.leader for group in report.groups if group.database == "main"}
    cluster.kill(next(member.name for member in report.members if member.node == leader))
    db.execute("UPDATE t SET v = v WHERE id = 0")


def test_a_transaction_survives_its_leader(start: Started) -> None:
    cluster = start(3)
    with quorate.connect(f"{cluster.url}/main", timeout=30.0) as db:
        assert isinstance(db, Connection)
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        db.executemany("INSERT INTO t VALUES (?, ?)", [(number, 10 * number) for number in range(4)])
        tx, late = opened(db), opened(db)
        assert tx.rows("SELECT v FROM t WHERE id = 1") == [(10,)]
        assert tx.rows("UPDATE t SET v = v + 1 WHERE id = 1 RETURNING v") == [(11,)]
        assert late.rows("UPDATE t SET v = v + 5 WHERE id = 1 RETURNING v") == [(15,)]
        assert value(db) == 10
        on_another(cluster, db)
        assert tx.rows("SELECT v FROM t WHERE id = 1") == [(11,)]
        assert tx.commit("first") == Done(())
        assert value(db) == 11
        failed = late.commit("second")
        assert isinstance(failed, Failed)
        assert failed.error == "SerializationFailure"
        assert tx.commit("first") == Done(())
        assert value(db) == 11


def value(db: Any) -> Any:
    return db.execute("SELECT v FROM t WHERE id = 1").fetchone()[0]
