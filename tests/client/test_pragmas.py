"""Settings of a connection to a cluster: no node keeps them, so they go with what they hold for."""

from typing import Any

from tests.client.fake import FakeCluster, outcome

from quorate.core.requests import Answer, Done, Result

WRITE_ONE = "INSERT INTO t VALUES (1)"


def test_settings_travel_with_the_writes_that_they_hold_for(face: Any, cluster: FakeCluster) -> None:
    results = tuple(Result((), [], number) for number in (-1, 1, 2))
    cluster.lead(cluster.nodes[0], lambda _: Answer(outcome(Done(results)), 7))
    off = "PRAGMA foreign_keys = 0"
    with face.connect(cluster.url) as db:
        assert db.execute("PRAGMA foreign_keys = OFF").description is None
        assert db.execute("PRAGMA foreign_keys").fetchall() == [(0,)]
        assert [cursor.rowcount for cursor in db.batch([WRITE_ONE, WRITE_ONE])] == [1, 2]
        db.execute("SELECT 1")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(WRITE_ONE)
    sent = [[each.sql for each in run.statements] for run in cluster.nodes[0].runs]
    assert sent == [[off, WRITE_ONE, WRITE_ONE], ["SELECT 1"], [WRITE_ONE]]
