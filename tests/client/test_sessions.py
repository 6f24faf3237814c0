"""A connection to a cluster that is itself a transaction, or in one: `autocommit=False`, BEGIN, SAVEPOINT as text."""

import asyncio
from typing import Any

import pytest
from tests.client.dictionary import Node
from tests.client.fake import FakeCluster, answer, outcome

import quorate
import quorate.aio
from quorate.core.requests import Answer, Run


@pytest.fixture
def node(cluster: FakeCluster) -> Node:
    node = Node()
    cluster.lead(
        cluster.nodes[0],
        lambda body: answer((1,), rowcount=1) if isinstance(body, Run) else Answer(outcome(node.answer(body)), 7),
    )
    return node


def commits(node: Node) -> int:
    return sum(script.commit for script in node.scripts)


def test_the_first_statement_begins_a_transaction_and_commit_ends_it(
    face: Any, cluster: FakeCluster, node: Node
) -> None:
    db = face.connect(cluster.url, autocommit=False)
    assert (db.autocommit, db.in_transaction) == (False, False)
    db.execute("UPDATE a 1")
    assert db.in_transaction
    assert node.rows == {}
    db.commit()
    assert (node.rows, db.in_transaction) == ({"a": 1}, False)
    db.execute("UPDATE a 2")
    db.rollback()
    db.commit()
    assert (node.rows, commits(node)) == ({"a": 1}, 1)
    db.execute("UPDATE a 3")
    db.close()
    assert node.rows == {"a": 1}


def test_text_begins_and_ends_one(face: Any, cluster: FakeCluster, node: Node) -> None:
    with face.connect(cluster.url) as db:
        db.execute("BEGIN")
        assert db.in_transaction
        with pytest.raises(quorate.OperationalError, match="within a transaction"):
            db.execute("BEGIN")
        db.execute("UPDATE a 1")
        db.execute("COMMIT")
        assert (node.rows, db.in_transaction) == ({"a": 1}, False)
        for text, message in (
            ("COMMIT", "cannot commit - no transaction is active"),
            ("ROLLBACK", "cannot rollback - no transaction is active"),
            ("RELEASE s", "no such savepoint: s"),
        ):
            with pytest.raises(quorate.OperationalError, match=message):
                db.execute(text)
        db.execute("BEGIN")
        db.execute("UPDATE a 2")
        db.execute("ROLLBACK")
        assert (node.rows, db.in_transaction) == ({"a": 1}, False)


def test_a_savepoint_begins_one_and_its_release_commits_it(face: Any, cluster: FakeCluster, node: Node) -> None:
    with face.connect(cluster.url) as db:
        db.execute("SAVEPOINT outer")
        db.execute("UPDATE a 1")
        db.execute("SAVEPOINT outer")
        db.execute("UPDATE a 2")
        db.execute("ROLLBACK TO outer")
        db.execute("RELEASE outer")
        assert (node.rows, db.in_transaction) == ({}, True)
        db.execute("RELEASE outer")
        assert (node.rows, db.in_transaction) == ({"a": 1}, False)


def test_a_batch_is_done_as_a_whole_or_not_at_all(face: Any, cluster: FakeCluster, node: Node) -> None:
    with face.connect(cluster.url, autocommit=False) as db:
        db.execute("UPDATE a 1")
        with pytest.raises(quorate.IntegrityError) as caught:
            db.batch(["UPDATE a 2", "UPDATE a 13"])
        assert caught.value.statement == 1
        db.batch(["UPDATE b 1", "UPDATE c 1"])
        db.commit()
    assert node.rows == {"a": 1, "b": 1, "c": 1}


def test_one_that_has_failed_says_so_until_it_is_rolled_back(face: Any, cluster: FakeCluster, node: Node) -> None:
    with face.connect(cluster.url, autocommit=False) as db:
        db.execute("SELECT a")
        node.rows = {"a": 5}
        for _ in range(2):
            with pytest.raises(quorate.SerializationFailure):
                db.execute("UPDATE a 6")
        db.rollback()
        db.execute("UPDATE a 6")
        db.commit()
    assert node.rows == {"a": 6}


def test_commit_ends_one_also_when_it_fails(face: Any, cluster: FakeCluster, node: Node) -> None:
    with face.connect(cluster.url, autocommit=False) as db:
        db.execute("SELECT a")
        db.execute("UPDATE b 1")
        node.rows = {"a": 5}
        with pytest.raises(quorate.SerializationFailure):
            db.commit()
        assert not db.in_transaction
    assert node.rows == {"a": 5}


def test_no_token_and_no_transaction_within(face: Any, cluster: FakeCluster, node: Node) -> None:
    with face.connect(cluster.url, autocommit=False) as db:
        with pytest.raises(quorate.ProgrammingError, match="no token of its own"):
            db.execute("UPDATE a 1", token="mine")
        with pytest.raises(quorate.ProgrammingError, match="another connection"):
            db.transaction()


def test_setting_autocommit_commits(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url, autocommit=False) as db:
        db.execute("UPDATE a 1")
        db.autocommit = True
        assert node.rows == {"a": 1}
        db.execute("SELECT a")
        assert not db.in_transaction


def test_a_with_block_commits_or_rolls_back(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url, autocommit=False) as db:
        db.execute("UPDATE a 1")
    assert node.rows == {"a": 1}
    with pytest.raises(ZeroDivisionError), quorate.connect(cluster.url, autocommit=False) as db:  # noqa: PT012
        db.execute("UPDATE a 2")
        raise ZeroDivisionError
    assert node.rows == {"a": 1}


def test_another_task_is_told_to_use_a_transaction_of_its_own(cluster: FakeCluster, node: Node) -> None:
    async def work() -> None:
        async with quorate.aio.connect(cluster.url, autocommit=False) as db:
            await db.execute("UPDATE a 1")

            async def other() -> None:
                for call in (db.execute("UPDATE a 2"), db.commit(), db.rollback()):
                    with pytest.raises(quorate.InterfaceError, match=r"db\.transaction\(\)"):
                        await call

            await asyncio.create_task(other())
            with pytest.raises(quorate.ProgrammingError, match=r"await db\.commit\(\) first"):
                db.autocommit = True

    asyncio.run(work())
    assert node.rows == {"a": 1}
