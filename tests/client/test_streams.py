"""Streams and snapshots of a cluster: pieces whose answers are lost, and nodes that do not keep them any more."""

from typing import Any

import pytest
from tests.client.faces import Tasks
from tests.client.fake import HANG_UP, FakeCluster, outcome

import quorate
from quorate.core.requests import Answer, Refused
from quorate.core.scripts import Evaluated, Script
from quorate.core.statements import Result
from quorate.core.view_requests import CloseView, OpenView, Piece, ReadView, Viewed

COLUMNS = (("n", "INTEGER"),)
EXPIRED = Refused("SnapshotExpired", "it is gone", retryable=True)


def piece(*numbers: int, more: bool = True) -> Answer:
    rows: list[tuple[Any, ...]] = [(number,) for number in numbers]
    return Answer(outcome(Viewed(7, outcome(Piece(COLUMNS, rows, more)))), 5, 1, 1)


class Keeper:
    """What a node says that keeps a state: three pieces, and some answers are lost."""

    def __init__(self, *said: Any) -> None:
        self.said = list(said)
        self.closed = 0

    def __call__(self, body: Any) -> Any:
        if isinstance(body, CloseView):
            self.closed += 1
            return piece()
        assert isinstance(body, OpenView | ReadView)
        return self.said.pop(0)


def every(cluster: FakeCluster, script: Any) -> None:
    for node in cluster.nodes:
        node.script = script


def fetched(face: Any, db: Any, sql: str) -> list[Any]:
    """All rows of a stream."""

    async def work() -> list[Any]:
        async with db.inner.stream(sql) as rows:
            return [row async for row in rows]

    if isinstance(face, Tasks):
        return face.runner.run(work())
    with db.stream(sql) as rows:
        return list(rows)


def asked(cluster: FakeCluster, kind: type) -> list[Any]:
    return [body for node in cluster.nodes for body in node.asked if isinstance(body, kind)]


def test_a_piece_whose_answer_is_lost_is_asked_for_again(face: Any, cluster: FakeCluster) -> None:
    every(cluster, Keeper(piece(1, 2), HANG_UP, piece(3), piece(4, more=False)))
    with face.connect(cluster.url, timeout=10) as db:
        rows = fetched(face, db, "SELECT n FROM t")
        assert rows == [(1,), (2,), (3,), (4,)]
    assert [body.number for body in asked(cluster, ReadView)] == [1, 1, 2]


@pytest.mark.parametrize("said", [EXPIRED, HANG_UP])
def test_a_stream_ends_whose_node_does_not_keep_the_state(face: Any, cluster: FakeCluster, said: Any) -> None:
    every(cluster, Keeper(piece(1), said, said, said))
    with face.connect(cluster.url, timeout=10) as db, pytest.raises(quorate.SnapshotExpired) as caught:
        fetched(face, db, "SELECT n FROM t")
    assert caught.value.retryable


def test_a_transaction_ends_whose_snapshot_is_gone(cluster: FakeCluster) -> None:
    every(cluster, Keeper(piece(1, more=False), EXPIRED))
    with quorate.connect(cluster.url, timeout=10) as db:
        tx = db.transaction(read_only=True)
        tx.__enter__()
        assert tx.execute("SELECT n FROM t").fetchall() == [(1,)]
        for _ in range(2):  # it stays so
            with pytest.raises(quorate.SnapshotExpired):
                tx.execute("SELECT n FROM t")
        with pytest.raises(quorate.SnapshotExpired):
            tx.commit()
    assert len(asked(cluster, ReadView)) == 1


def test_where_no_node_has_room_for_a_snapshot_the_statements_run_again(cluster: FakeCluster) -> None:
    def script(body: Any) -> Any:
        if isinstance(body, OpenView):
            return Refused("NotSupportedError", "no snapshots here")
        assert isinstance(body, Script)
        new = sum(not step.digest for step in body.steps)
        found = Evaluated((Result(COLUMNS, [(1,)], -1),) * new, (None,) * new, (b"d",) * new, (None,) * new)
        return Answer(outcome(found), 5, 1, 1)

    every(cluster, script)
    with quorate.connect(cluster.url, timeout=10) as db, db.transaction(read_only=True) as tx:
        for _ in range(3):
            assert tx.execute("SELECT n FROM t").fetchall() == [(1,)]
    assert [len(body.steps) for body in asked(cluster, Script)] == [1, 2, 3]
    assert len(asked(cluster, OpenView)) == 1


def test_a_stream_only_reads_and_only_outside_of_transactions(face: Any, cluster: FakeCluster) -> None:
    with face.connect(cluster.url, timeout=10) as db, pytest.raises(quorate.ProgrammingError, match="only reads"):
        fetched(face, db, "DELETE FROM t")
    outside = pytest.raises(quorate.ProgrammingError, match="outside of transactions")
    with face.connect(cluster.url, timeout=10, autocommit=False) as db, outside:
        fetched(face, db, "SELECT 1")
