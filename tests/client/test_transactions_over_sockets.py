"""Transactions of both clients against nodes that run them on a dictionary: who is asked, what is sent again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.client.dictionary import CHANGED, Node
from tests.client.fake import HANG_UP, SILENCE, FakeCluster, outcome

import quorate
import quorate.aio
from quorate.client import directory, routing
from quorate.core.requests import Answer, NotLeader, Outcome, Refused, RequestBody
from quorate.core.scripts import Script


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "BACKOFF_CAP", 0.02)
    monkeypatch.setattr(routing, "PATIENCE_FIRST", 0.05)
    monkeypatch.setattr(directory, "SHUNNED", 0.05)


@pytest.fixture
def node(cluster: FakeCluster) -> Node:
    """The dictionary that the leader has."""
    node = Node()
    cluster.lead(cluster.nodes[0], lambda body: Answer(outcome(node.answer(body)), 7))
    return node


def tasks(cluster: FakeCluster, work: Callable[[Any], Awaitable[Any]], **options: Any) -> Any:
    """Run a function of a connection as a task."""

    async def run() -> Any:
        async with quorate.aio.connect(cluster.url, **options) as db:
            return await work(db)

    return asyncio.run(run())


def scripts(cluster: FakeCluster) -> list[Script]:
    return [body for node in cluster.nodes for body in node.asked if isinstance(body, Script)]


def test_a_block_commits_at_its_end(cluster: FakeCluster, node: Node) -> None:
    async def work(db: Any) -> None:
        async with db.transaction() as tx:
            cursor = await tx.execute("SELECT a")
            assert cursor.fetchall() == [(None,)]
            assert (await tx.execute("UPDATE a 1")).rowcount == 1
            assert (await tx.execute("SELECT a")).fetchone() == (1,)
            assert node.rows == {}

    tasks(cluster, work)
    assert node.rows == {"a": 1}


def test_a_block_that_raises_commits_nothing_and_asks_nobody(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url) as db:
        with pytest.raises(ZeroDivisionError), db.transaction() as tx:  # noqa: PT012
            tx.execute("UPDATE a 1")
            asked = len(node.scripts)
            raise ZeroDivisionError
        assert len(node.scripts) == asked
    assert node.rows == {}


def test_savepoints_undo_their_block(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url) as db, db.transaction() as tx:
        tx.execute("UPDATE a 1")
        with pytest.raises(ZeroDivisionError), tx.savepoint():  # noqa: PT012
            tx.execute("UPDATE a 2")
            raise ZeroDivisionError
        with tx.savepoint() as point:
            tx.execute("UPDATE b 3")
            point.rollback()
            tx.execute("UPDATE c 4")
    assert node.rows == {"a": 1, "c": 4}


def test_text_does_what_the_methods_do(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url) as db:
        with db.transaction() as tx:
            tx.execute("UPDATE a 1")
            tx.execute("SAVEPOINT here")
            tx.execute("UPDATE a 2")
            tx.execute("rollback transaction to savepoint HERE")
            with pytest.raises(quorate.OperationalError, match="within a transaction"):
                tx.execute("BEGIN")
            with pytest.raises(quorate.OperationalError, match="no such savepoint: there"):
                tx.execute("RELEASE there")
            tx.execute("COMMIT")
        with db.transaction() as tx:
            tx.execute("UPDATE a 3")
            tx.execute("ROLLBACK")
    assert node.rows == {"a": 1}


def test_a_cursor_of_a_transaction_belongs_to_it(cluster: FakeCluster, node: Node) -> None:
    async def work(db: Any) -> None:
        async with db.transaction() as tx:
            cursor = await tx.execute("UPDATE a 1")
            assert await cursor.execute("SELECT a") is cursor
            assert cursor.fetchone() == (1,)
            await (await cursor.executemany("UPDATE b 2", [()])).execute("SAVEPOINT here")
            await cursor.execute("UPDATE c 3")
            await cursor.execute("ROLLBACK TO here")
            with pytest.raises(quorate.ProgrammingError, match="no token of its own"):
                await cursor.execute("UPDATE c 3", token="c")
            assert node.rows == {}
        for sql in ("SELECT a", "UPDATE c 3", "ROLLBACK", "BEGIN"):
            with pytest.raises(quorate.ProgrammingError, match="this transaction is committed"):
                await cursor.execute(sql)
        with pytest.raises(quorate.ProgrammingError, match="this transaction is committed"):
            await cursor.executemany("UPDATE c 3", [()])

    tasks(cluster, work)
    assert node.rows == {"a": 1, "b": 2}


def test_a_cursor_of_a_transaction_belongs_to_it_in_threads_too(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url) as db:
        with db.transaction() as tx:
            cursor = tx.execute("UPDATE a 1")
            assert cursor.execute("SELECT a").fetchone() == (1,)
            cursor.executemany("UPDATE b 2", [()])
            cursor.execute("ROLLBACK")
        with pytest.raises(quorate.ProgrammingError, match="this transaction is rolled back"):
            cursor.execute("UPDATE c 3")
    assert node.rows == {}


def test_a_block_that_swallowed_the_failure_fails_at_its_end(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url) as db:
        with pytest.raises(quorate.SerializationFailure), db.transaction() as tx:  # noqa: PT012
            tx.execute("SELECT a")
            node.rows = {"a": 5}
            with pytest.raises(quorate.SerializationFailure):
                tx.execute("UPDATE a 6")
        assert node.rows == {"a": 5}


def test_a_statement_whose_answer_is_lost_runs_elsewhere(cluster: FakeCluster, node: Node) -> None:
    first, second, _ = cluster.nodes

    def dies(body: RequestBody) -> Any:
        cluster.lead(second, lambda body: Answer(outcome(node.answer(body)), 8))
        return HANG_UP

    with quorate.connect(cluster.url) as db, db.transaction() as tx:
        tx.execute("UPDATE a 1")
        first.script = dies
        assert tx.execute("SELECT a").fetchone() == (1,)
    assert node.rows == {"a": 1}


def test_a_commit_whose_answer_is_lost_is_sent_again_under_its_token(cluster: FakeCluster, node: Node) -> None:
    lost: list[str] = []

    def loses_the_first(body: RequestBody) -> Any:
        answer = Answer(outcome(node.answer(body)), 7)
        if isinstance(body, Script) and body.token is not None and not lost:
            lost.append(body.token.id)
            return HANG_UP
        return answer

    cluster.nodes[0].script = loses_the_first
    with quorate.connect(cluster.url) as db, db.transaction() as tx:
        tx.execute("UPDATE a 1")
    commits = [script for script in scripts(cluster) if script.commit]
    assert {script.token.id for script in commits if script.token is not None} == set(lost)
    assert len(commits) > 1
    assert [script.commit for script in node.scripts] == [False, True]


@pytest.mark.parametrize("done", [True, False])
def test_a_commit_that_fails_after_one_that_was_not_answered_is_settled(
    cluster: FakeCluster, node: Node, *, done: bool
) -> None:
    sent: list[Script] = []

    def answers(body: RequestBody) -> Any:
        if isinstance(body, Script) and body.commit:
            sent.append(body)
            if len(sent) == 1:
                return HANG_UP
            if done:
                node.answer(body)  # the first send, which comes late
            return Answer(outcome(CHANGED), 7)
        return Answer(outcome(node.answer(body)), 7)

    cluster.nodes[0].script = answers
    with quorate.connect(cluster.url) as db:
        if done:
            with db.transaction() as tx:
                tx.execute("UPDATE a 1")
        else:
            with pytest.raises(quorate.SerializationFailure), db.transaction() as tx:
                tx.execute("UPDATE a 1")
    asked = [body for body in cluster.nodes[0].asked if isinstance(body, Outcome)]
    assert len(asked) == 1
    assert node.rows == ({"a": 1} if done else {})


def test_a_commit_that_fails_at_its_only_send_is_believed(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url) as db, pytest.raises(quorate.SerializationFailure), db.transaction() as tx:  # noqa: PT012
        tx.execute("SELECT a")
        tx.execute("UPDATE b 1")
        node.rows = {"a": 5}
    assert not [body for each in cluster.nodes for body in each.asked if isinstance(body, Outcome)]


def test_a_token_names_it(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url) as db, db.transaction(token="order-1") as tx:
        tx.execute("UPDATE a 1")
    assert list(node.remembered) == ["order-1"]


def test_arguments_are_looked_at_first(cluster: FakeCluster) -> None:
    with quorate.connect(cluster.url) as db:
        for options in ({"begin": "soon"}, {"read_only": 1}, {"token": ""}, {"timeout": -1}):
            with pytest.raises(quorate.ProgrammingError):
                db.transaction(**options)
        with pytest.raises(quorate.ProgrammingError):
            db.run_transaction(lambda tx: None, retries=-1)


# ---- run_transaction ---------------------------------------------------------------------------------------


def test_it_runs_the_function_again_where_others_were_first(cluster: FakeCluster, node: Node) -> None:
    calls: list[int] = []

    async def work(db: Any) -> Any:
        async def function(tx: Any) -> int:
            calls.append(1)
            value = (await tx.execute("SELECT a")).fetchone()[0] or 0
            if len(calls) < 3:
                node.rows = {"a": 10 * len(calls)}
            await tx.execute(f"UPDATE a {value + 1}")
            return int(value)

        return await db.run_transaction(function)

    assert tasks(cluster, work) == 20
    assert (len(calls), node.rows) == (3, {"a": 21})


def test_it_gives_up_after_so_many_times(cluster: FakeCluster, node: Node) -> None:
    calls: list[int] = []

    def function(tx: Any) -> None:
        calls.append(1)
        tx.execute("SELECT a")
        node.rows = {"a": len(calls)}
        tx.execute("UPDATE a 0")

    with quorate.connect(cluster.url) as db, pytest.raises(quorate.SerializationFailure):
        db.run_transaction(function, retries=2)
    assert len(calls) == 3


def test_it_raises_what_would_come_again(cluster: FakeCluster, node: Node) -> None:
    calls: list[int] = []

    def function(tx: Any) -> None:
        calls.append(1)
        tx.execute("UPDATE a 13")

    with quorate.connect(cluster.url) as db, pytest.raises(quorate.IntegrityError):
        db.run_transaction(function)
    assert len(calls) == 1


def test_it_asks_what_became_of_a_commit_before_it_runs_the_function_again(cluster: FakeCluster, node: Node) -> None:
    for done, runs in ((True, 1), (False, 2)):
        node.rows, node.remembered = {}, {}
        calls: list[int] = []
        lost: list[int] = []

        def script(body: RequestBody, done: bool = done, lost: list[int] = lost) -> Any:
            if isinstance(body, Script) and body.commit and len(lost) < 2:
                lost.append(1)
                if done:
                    node.answer(body)
                return HANG_UP if len(lost) == 1 else Refused("OperationalError", "no more of this")
            return Answer(outcome(node.answer(body)), 7)

        cluster.nodes[0].script = script

        def function(tx: Any, calls: list[int] = calls) -> int:
            calls.append(1)
            tx.execute("UPDATE a 1")
            return len(calls)

        with quorate.connect(cluster.url) as db:
            assert db.run_transaction(function) == runs
        assert (len(calls), node.rows) == (runs, {"a": 1})


def test_maybe_done_reaches_the_caller_when_time_is_over(cluster: FakeCluster, node: Node) -> None:
    def script(body: RequestBody) -> Any:
        if isinstance(body, Outcome) or (isinstance(body, Script) and body.commit):
            return SILENCE
        return Answer(outcome(node.answer(body)), 7)

    cluster.nodes[0].script = script
    for other in cluster.nodes[1:]:
        other.script = lambda _body: NotLeader(cluster.nodes[0].address)
    with quorate.connect(cluster.url) as db, pytest.raises(quorate.MaybeDone) as caught:
        db.run_transaction(lambda tx: tx.execute("UPDATE a 1"), token="order-1", timeout=0.5)
    assert caught.value.token == "order-1"
