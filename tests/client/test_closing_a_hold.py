"""A connection that is closed while a transaction of it holds the writer tells the leader; other ones ask nothing."""

import asyncio
import time
from typing import Any

import pytest
from tests.client.dictionary import Node
from tests.client.fake import SILENCE, FakeCluster, Said, outcome

import quorate
import quorate.aio
from quorate.client import extras_aio
from quorate.client._sync import extras
from quorate.core.requests import Answer, Done, RequestBody
from quorate.core.scripts import LetGo, Script


@pytest.fixture
def leader(cluster: FakeCluster) -> Node:
    node = Node()

    def said(body: RequestBody) -> Said:
        return Answer(outcome(Done(()) if isinstance(body, LetGo) else node.answer(body)), 7)

    cluster.lead(cluster.nodes[0], said)
    return node


def let_go(cluster: FakeCluster) -> list[str]:
    """The names of the transactions that the leader was told of."""
    return [body.name for body in cluster.nodes[0].asked if isinstance(body, LetGo)]


def holders(leader: Node) -> list[str]:
    """The names of those that asked to hold."""
    return list(dict.fromkeys(script.hold.name for script in leader.scripts if script.hold is not None))


def test_close_lets_go_of_its_own_transaction(cluster: FakeCluster, leader: Node) -> None:
    with quorate.connect(cluster.url) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE a 1")
    assert leader.rows == {}
    assert let_go(cluster) == holders(leader) != []
    db.close()
    assert len(let_go(cluster)) == 1


def test_close_lets_go_of_every_transaction_that_was_left_open(cluster: FakeCluster, leader: Node) -> None:
    db = quorate.connect(cluster.url)
    for number in range(2):
        tx = db.transaction(begin="immediate").__enter__()
        tx.execute(f"UPDATE a {number}")
    db.close()
    assert let_go(cluster) == holders(leader)
    assert len(let_go(cluster)) == 2


def test_close_of_a_task_lets_go(cluster: FakeCluster, leader: Node) -> None:
    async def work() -> None:
        async with quorate.aio.connect(cluster.url) as db:
            await db.execute("BEGIN IMMEDIATE")
            await db.execute("UPDATE a 1")

    asyncio.run(work())
    assert let_go(cluster) == holders(leader) != []


def test_what_holds_nothing_asks_nobody(cluster: FakeCluster, leader: Node) -> None:
    with quorate.connect(cluster.url) as db:
        with db.transaction(begin="immediate") as tx:
            tx.execute("UPDATE a 1")
        told = let_go(cluster)
        db.execute("BEGIN")
        db.execute("UPDATE a 2")
    assert leader.rows == {"a": 1}
    assert let_go(cluster) == told
    assert all(isinstance(body, Script | LetGo) for body in cluster.nodes[0].asked)


def test_close_waits_for_no_leader_that_is_silent(
    cluster: FakeCluster, leader: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (extras, extras_aio):
        monkeypatch.setattr(module, "CLOSES", 0.05)
    db: Any = quorate.connect(cluster.url)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE a 1")
    for node in cluster.nodes:
        node.script = lambda _body: SILENCE
    began = time.monotonic()
    db.close()
    assert time.monotonic() - began < 5
    with pytest.raises(quorate.InterfaceError):
        db.execute("SELECT a")
