"""`run_transaction` with a token, of both clients, against nodes that run scripts on a dictionary."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.client.dictionary import CHANGED, Node
from tests.client.fake import HANG_UP, FakeCluster, outcome

import quorate
import quorate.aio
from quorate.client import directory, routing
from quorate.core.requests import Answer, Expired, Refused, RequestBody
from quorate.core.scripts import BeginAttempt, Script


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


def add(tx: Any) -> int:
    found = (tx.execute("SELECT a").fetchone()[0] or 0) + 1
    tx.execute(f"UPDATE a {found}")
    return int(found)


def answers(node: Node, other: Callable[[RequestBody], Any]) -> Callable[[RequestBody], Any]:
    """A leader which says what a function gives, and where that is None what the dictionary does."""
    return lambda body: other(body) or Answer(outcome(node.answer(body)), 7)


def is_commit(body: RequestBody) -> bool:
    return isinstance(body, Script) and body.commit


def test_it_is_done_once_across_processes_whatever_its_statements_are_by_then(cluster: FakeCluster, node: Node) -> None:
    async def again() -> Any:
        async def function(tx: Any) -> int:
            raise AssertionError(tx)

        async with quorate.aio.connect(cluster.url) as db:
            return await db.run_transaction(function, token="order-17")

    with quorate.connect(cluster.url) as db:
        assert db.run_transaction(add, token="order-17") == 1
    with quorate.connect(cluster.url) as db:
        assert db.run_transaction(add, token="order-17") is None
        assert db.run_transaction(add, token="order-18") == 2
    assert asyncio.run(again()) is None
    assert node.rows == {"a": 2}


@pytest.mark.parametrize("done", [True, False])
def test_a_commit_whose_answer_was_lost_is_settled_by_the_next_attempt(
    cluster: FakeCluster, node: Node, *, done: bool
) -> None:
    calls: list[int] = []
    lost: list[RequestBody] = []

    def loses(body: RequestBody) -> Any:
        if not is_commit(body) or len(lost) == 2:
            return None
        lost.append(body)
        if done:
            node.answer(body)
        return HANG_UP if len(lost) == 1 else Refused("OperationalError", "no more of this")

    def function(tx: Any) -> str:
        calls.append(add(tx))
        return f"call {len(calls)}"

    cluster.nodes[0].script = answers(node, loses)
    with quorate.connect(cluster.url) as db:
        assert db.run_transaction(function, token="order-17") == ("call 1" if done else "call 2")
    node.answer(lost[0])  # it comes once more
    assert node.rows == {"a": 1}


@pytest.mark.parametrize("token", ["order-17", None])
def test_one_that_is_not_done_and_not_tried_again_is_not_called_maybe_done(
    cluster: FakeCluster, node: Node, token: str | None
) -> None:
    lost: list[RequestBody] = []

    def loses(body: RequestBody) -> Any:
        if not is_commit(body):
            return None
        lost.append(body)
        return HANG_UP if len(lost) == 1 else Refused("OperationalError", "no more of this")

    cluster.nodes[0].script = answers(node, loses)
    with quorate.connect(cluster.url) as db, pytest.raises(quorate.Unavailable, match="nothing was done"):
        db.run_transaction(add, token=token, retries=0)


def test_maybe_done_is_raised_where_the_next_attempt_cannot_begin(cluster: FakeCluster, node: Node) -> None:
    lost: list[RequestBody] = []

    def loses(body: RequestBody) -> Any:
        if is_commit(body):
            lost.append(body)
            return HANG_UP if len(lost) == 1 else Refused("OperationalError", "no more of this")
        return Refused("NotSupportedError", "nor of that") if lost and isinstance(body, BeginAttempt) else None

    cluster.nodes[0].script = answers(node, loses)
    with quorate.connect(cluster.url) as db, pytest.raises(quorate.MaybeDone) as caught:
        db.run_transaction(add, token="order-17")
    assert caught.value.token == "order-17"


@pytest.mark.parametrize("token", ["order-17", None])
def test_a_function_that_commits_and_loses_the_answer_has_returned_nothing(
    cluster: FakeCluster, node: Node, token: str | None
) -> None:
    lost: list[RequestBody] = []

    def loses(body: RequestBody) -> Any:
        if not is_commit(body):
            return None
        lost.append(body)
        node.answer(body)
        return HANG_UP if len(lost) == 1 else Refused("OperationalError", "no more of this")

    def function(tx: Any) -> int:
        add(tx)
        tx.commit()
        return 5

    cluster.nodes[0].script = answers(node, loses)
    with quorate.connect(cluster.url) as db:
        assert db.run_transaction(function, token=token) is None
    assert node.rows == {"a": 1}


def test_the_value_of_an_attempt_that_lost_the_race_is_not_returned(cluster: FakeCluster, node: Node) -> None:
    def overtaken(tx: Any) -> str:
        add(tx)
        with quorate.connect(cluster.url) as other:
            assert other.run_transaction(add, token="order-17") == 1
        return "mine"

    with quorate.connect(cluster.url) as db:
        assert db.run_transaction(overtaken, token="order-17") is None
    assert node.rows == {"a": 1}


def test_an_attempt_that_another_has_fenced_is_made_again(cluster: FakeCluster, node: Node) -> None:
    calls: list[int] = []

    def function(tx: Any) -> int:
        calls.append(add(tx))
        if len(calls) == 1:
            node.answer(begun[0])  # another process is about to try
        return len(calls)

    begun: list[Any] = []

    def notes(body: RequestBody) -> None:
        if isinstance(body, BeginAttempt):
            begun.append(body)

    cluster.nodes[0].script = answers(node, notes)
    with quorate.connect(cluster.url) as db:
        assert db.run_transaction(function, token="order-17") == 2
    assert node.rows == {"a": 1}


def test_a_commit_that_fails_after_one_that_was_not_answered_ends_no_run(cluster: FakeCluster, node: Node) -> None:
    sent: list[RequestBody] = []

    def late(body: RequestBody) -> Any:
        if not is_commit(body):
            return None
        sent.append(body)
        if len(sent) == 1:
            return HANG_UP
        node.answer(body)  # the first send, which comes late
        return Answer(outcome(CHANGED), 7)

    cluster.nodes[0].script = answers(node, late)
    with quorate.connect(cluster.url) as db:
        assert db.run_transaction(add, token="order-17") == 1
    assert node.rows == {"a": 1}
    assert len(sent) == 2


def test_who_has_asked_what_became_of_it_has_ended_it(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url) as db:
        with pytest.raises(quorate.Cancelled):
            db.outcome("order-17")
        with pytest.raises(quorate.Cancelled):
            db.run_transaction(add, token="order-17")
    assert node.rows == {}


def test_the_token_of_another_write_is_refused(cluster: FakeCluster, node: Node) -> None:
    with quorate.connect(cluster.url) as db:
        with db.transaction(token="order-17") as tx:
            add(tx)
        with pytest.raises(quorate.TokenReused):
            db.run_transaction(add, token="order-17")
        with pytest.raises(quorate.ProgrammingError):
            db.run_transaction(add, token="")
    assert node.rows == {"a": 1}


def test_a_token_that_may_have_been_forgotten_is_only_believed_at_the_first_attempt(
    cluster: FakeCluster, node: Node
) -> None:
    def forgets(body: RequestBody) -> Any:
        if isinstance(body, BeginAttempt) and not body.token.seen:
            return Answer(outcome(Expired()), 7)
        return Answer(outcome(Expired()), 9) if is_commit(body) else None

    cluster.nodes[0].script = answers(node, forgets)
    with quorate.connect(cluster.url) as db:
        with pytest.raises(quorate.MaybeDone):
            db.run_transaction(lambda tx: tx.execute("UPDATE a 1"), token="order-17", retries=0, timeout=0.3)
        commits = [body for body in cluster.nodes[0].asked if isinstance(body, Script) and body.commit]
    assert [script.token.seen for script in commits if script.token is not None] == [7]
