"""Connections to a database without a leader: what each call does there, over real sockets."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client.fake import HANG_UP, SILENCE, FakeCluster, FakeNode, answer

from quorate import errors
from quorate.client.without_leader import REFUSED
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.options import LEADERLESS
from quorate.core.requests import CreateDatabase, Refused, Run
from quorate.core.row_requests import ByRow, ChangeSchema, Minted, RunRow, SchemaFits

PAGE = Path(__file__).parent.parent.parent / "docs" / "leaderless.md"
TOLD = Minted(b"state", 1, 2)
ADD = "UPDATE stock SET n = n + 1 WHERE item = 'chairs'"


class Replicas:
    """Fake nodes of a database without a leader. `said` answers a `RunRow`; `asked` is all of them, by node."""

    def __init__(self, cluster: FakeCluster, said: Callable[[int, RunRow], Any] | None = None) -> None:
        self.asked: list[tuple[int, RunRow]] = []
        self.strange: list[Any] = []
        """What only databases with a leader take."""
        self.said = said or (lambda number, body: answer((number,), rowcount=1))
        for node in cluster.nodes:
            node.script = self._script(node)

    def _script(self, node: FakeNode) -> Callable[[Any], Any]:
        def script(body: Any) -> Any:
            if isinstance(body, RunRow):
                self.asked.append((node.number, body))
                return self.said(node.number, body)
            if isinstance(body, Run) and body.database == CATALOG_DATABASE:
                return answer(("shop", LEADERLESS, "{}", 3))
            self.strange.append(body)
            return ByRow()

        return script


def test_a_connection_finds_out_by_itself(cluster: FakeCluster, face: Any) -> None:
    """One that greets a node has heard it; a lazy one hears it with its first statement, which does nothing."""
    replicas = Replicas(cluster)
    with face.connect(cluster.url) as db:
        assert db.execute(ADD).rowcount == 1
        assert db.execute("SELECT 1").fetchall() == [(replicas.asked[0][0],)]
    assert len(replicas.strange) == 1
    assert len({number for number, _ in replicas.asked}) == 1
    assert [body.statement.sql for _, body in replicas.asked] == [ADD, "SELECT 1"]


def test_connect_asks_how_the_database_is_replicated(cluster: FakeCluster) -> None:
    import quorate

    replicas = Replicas(cluster)
    cluster.replication = LEADERLESS
    with quorate.connect(cluster.url) as db:
        db.execute(ADD)
        assert not replicas.strange
    with pytest.raises(errors.NotSupportedError, match="autocommit=False"):
        quorate.connect(cluster.url, autocommit=False)
    with pytest.raises(errors.NotSupportedError, match="read_your_writes"):
        quorate.connect(cluster.url, read="eventual", read_your_writes="bookmark")


def test_a_write_is_not_sent_to_a_node_that_has_closed_the_connection(
    cluster: FakeCluster, face: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent there it might have happened, as far as anybody could tell: `MaybeDone`."""
    monkeypatch.setattr("quorate.client.conversation.RESTED", 0.0)
    replicas = Replicas(cluster)
    with face.connect(cluster.url) as db:
        for _ in range(len(cluster.nodes) - 1):
            db.execute(ADD)
            cluster.nodes[replicas.asked[-1][0] - 1].kill()
        assert db.execute(ADD).rowcount == 1
    assert len({number for number, _ in replicas.asked}) == len(cluster.nodes)


def test_a_write_whose_node_is_lost_is_asked_for_with_what_it_was_told(cluster: FakeCluster, face: Any) -> None:
    lost: list[int] = []

    def said(number: int, body: RunRow) -> Any:
        if body.minted:
            return answer(rowcount=1)
        lost.append(number)
        return [TOLD, SILENCE]

    replicas = Replicas(cluster, said)
    with face.connect(cluster.url, timeout=5.0) as db:
        assert db.execute(ADD).rowcount == 1
    assert [body.minted for _, body in replicas.asked] == [b"", b"state"]
    assert len({number for number, _ in replicas.asked}) == 2
    assert len(lost) == 1


def test_a_write_of_which_nothing_was_told_is_not_repeated(cluster: FakeCluster, face: Any) -> None:
    replicas = Replicas(cluster, lambda number, body: HANG_UP)
    with face.connect(cluster.url, timeout=3.0) as db, pytest.raises(errors.MaybeDone, match="may have happened"):
        db.execute(ADD)
    assert len(replicas.asked) == 1


def test_a_read_is_repeated(cluster: FakeCluster, face: Any) -> None:
    replicas = Replicas(cluster, lambda number, body: HANG_UP if len(replicas.asked) == 1 else answer((7,)))
    with face.connect(cluster.url, timeout=3.0) as db:
        assert db.execute("SELECT n FROM stock WHERE item = 'chairs'").fetchall() == [(7,)]
    assert len(replicas.asked) == 2


def test_a_schema_change_is_tried_then_ordered_by_the_catalog_and_seen_by_what_follows(
    cluster: FakeCluster, face: Any
) -> None:
    """Somebody else is faster once: then it is tried again on what the schema is by now."""
    changes: list[ChangeSchema] = []

    def said(number: int, body: RunRow) -> Any:
        return SchemaFits(5 + len(changes)) if body.statement.sql.startswith("CREATE") else answer(rowcount=1)

    replicas = Replicas(cluster, said)

    def catalog(script: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def says(body: Any) -> Any:
            if not isinstance(body, ChangeSchema):
                return script(body)
            changes.append(body)
            if len(changes) == 1:
                return Refused("ChangeUnderWay", "the schema was changed meanwhile", retryable=True)
            return answer((6 + len(changes) - 1,))

        return says

    for node in cluster.nodes:
        node.script = catalog(node.script)
    with face.connect(cluster.url, timeout=5.0) as db:
        db.execute("CREATE TABLE stock(item TEXT PRIMARY KEY NOT NULL, n INTEGER)")
        db.execute(ADD)
    assert [change.after for change in changes] == [5, 6]
    assert len({change.token.id for change in changes}) == 2
    assert [body.schema for _, body in replicas.asked] == [0, 0, 7]


def test_the_node_that_is_asked_answers_reads_at_eventual(cluster: FakeCluster, face: Any) -> None:
    replicas = Replicas(cluster)
    with face.connect(cluster.url) as db:
        db.execute("SELECT 1", read="eventual")
        db.execute("SELECT 1")
        for level in ("linearizable", "leader", "session", "bounded:2s"):
            with pytest.raises(errors.NotSupportedError, match=re.escape(level)):
                db.execute("SELECT 1", read=level)
    assert [body.level for _, body in replicas.asked] == ["eventual", ""]


def _autocommit(db: Any) -> Any:
    db.autocommit = False


def _bookmark(db: Any) -> Any:
    return db.bookmark


CALLS: dict[str, Callable[[Any], Any]] = {
    "transaction": lambda db: db.transaction(),
    "run_transaction": lambda db: db.run_transaction(lambda tx: None),
    "autocommit=False": _autocommit,
    "batch": lambda db: db.batch([ADD, ADD]),
    "executemany": lambda db: db.executemany("DELETE FROM stock WHERE item = ?", [("a",), ("b",)]),
    "stream": lambda db: db.stream("SELECT * FROM stock"),
    "copy_to": lambda db: db.copy_to("copy.db"),
    "iterdump": lambda db: db.iterdump(),
    "outcome": lambda db: db.outcome("order-1"),
    "conflicts": lambda db: db.conflicts(),
    "bookmark": _bookmark,
    "token": lambda db: db.execute(ADD, token="order-1"),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_there_is_refused_before_anything_is_sent(cluster: FakeCluster, face: Any, call: str) -> None:
    replicas = Replicas(cluster)
    with face.connect(cluster.url) as db:
        db.execute("SELECT 1")  # from here on it knows
        before = len(replicas.asked), len(replicas.strange)
        with pytest.raises(errors.NotSupportedError, match=call) as caught:
            CALLS[call](db)
        assert caught.value.hint == REFUSED[call][1]
        assert (len(replicas.asked), len(replicas.strange)) == before


@pytest.mark.parametrize("call", ["batch", "executemany", "copy_to", "iterdump", "outcome", "conflicts", "token"])
def test_it_is_refused_too_where_the_kind_was_not_known(cluster: FakeCluster, face: Any, call: str) -> None:
    replicas = Replicas(cluster)
    with face.connect(cluster.url) as db, pytest.raises(errors.NotSupportedError):
        CALLS[call](db)
    assert len(replicas.strange) == 1
    assert [body for _, body in replicas.asked if "quorate_conflicts" not in body.statement.sql] == []


def test_a_transaction_that_began_unawares_ends_with_its_first_statement(cluster: FakeCluster, face: Any) -> None:
    Replicas(cluster)
    with face.connect(cluster.url, autocommit=False) as db:
        with pytest.raises(errors.NotSupportedError, match="no leader"):
            db.execute(ADD)
        db.rollback()
        with pytest.raises(errors.NotSupportedError, match="autocommit=False"):
            db.execute(ADD)


def test_batches_and_sets_of_one_are_statements(cluster: FakeCluster, face: Any) -> None:
    replicas = Replicas(cluster)
    with face.connect(cluster.url) as db:
        db.execute("SELECT 1")
        db.batch([ADD])
        db.executemany("DELETE FROM stock WHERE item = ?", [("a",)])
        db.executescript(f"{ADD}; {ADD};")
    assert [(body.statement.sql[:6], body.statement.many) for _, body in replicas.asked[1:]] == [
        ("UPDATE", False), ("DELETE", False), ("UPDATE", False), ("UPDATE", False),
    ]  # fmt: skip


def test_the_page_names_all_that_is_refused() -> None:
    assert CALLS.keys() | {"read_your_writes"} == REFUSED.keys()
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [call for call in REFUSED if not any(f"`{call}`" in line.split("|")[1] for line in lines)] == []


def test_create_waits_until_a_replica_answers(cluster: FakeCluster, face: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks as such a database is asked: what others take would be refused."""
    for module in ("quorate.client.cluster_aio", "quorate.client._sync.cluster"):
        monkeypatch.setattr(f"{module}.check_options", lambda *_: {})
    replicas = Replicas(cluster)
    for node in cluster.nodes:
        says = node.script
        node.script = lambda body, says=says: answer() if isinstance(body, CreateDatabase) else says(body)  # type: ignore[misc]
    with face.cluster(cluster.url.rpartition("/")[0], timeout=5.0) as whole:
        whole.create("shop", replication=LEADERLESS)
    assert [body.statement.sql for _, body in replicas.asked] == ["SELECT 1"]
    assert not replicas.strange


def test_a_call_says_how_many_replicas(cluster: FakeCluster, face: Any) -> None:
    replicas = Replicas(cluster)
    with face.connect(cluster.url) as db:
        db.execute(ADD, w=3)
        db.execute("SELECT 1", r=1)
        db.execute(ADD, w=1, r=2)
        for wrong in (0, -1, True, "2", 1 << 20):
            with pytest.raises(errors.ProgrammingError, match="w is a number of replicas"):
                db.execute(ADD, w=wrong)
        with pytest.raises(errors.ProgrammingError, match="r is a number of replicas"):
            db.execute(ADD, r=0)
    assert [(body.w, body.r) for _, body in replicas.asked] == [(3, 0), (0, 1), (1, 2)]
