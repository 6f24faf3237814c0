"""Clients that leave a request, and nodes that close a connection which was not used."""

from typing import Any

import pytest
from tests.client.fake import GIVE_UP_PLACE, SILENCE, FakeCluster, answer
from tests.client.test_routing import TOKEN, Scene

import quorate
from quorate.client.routing import Ask
from quorate.core.requests import Refused, RequestBody


@pytest.mark.parametrize("sql", ["SELECT 1", "INSERT INTO t VALUES (1)"])
def test_a_connection_that_was_closed_for_others_is_opened_again_without_a_word(
    face: Any, cluster: FakeCluster, sql: str
) -> None:
    leader = cluster.nodes[1]
    said: list[Any] = [answer((1,), rowcount=1), GIVE_UP_PLACE, answer((2,), rowcount=1)]

    def script(_body: RequestBody) -> Any:
        return said.pop(0)

    cluster.lead(leader, script)
    with face.connect(f"quorate://{leader.address}/shop", timeout=10) as db:
        db.execute(sql)
        others = [len(node.asked) for node in cluster.nodes if node is not leader]
        assert db.execute(sql).rowcount in (1, -1)
    assert said == []
    assert leader.connections == 2
    assert [len(node.asked) for node in cluster.nodes if node is not leader] == others, "nobody else was asked"


def test_a_node_that_is_still_at_a_read_is_told_when_another_has_answered(face: Any, cluster: FakeCluster) -> None:
    slow, quick = cluster.nodes[:2]
    slow.script = lambda _body: answer((1,))
    cluster.members = [slow, quick]
    with face.connect(f"quorate://{slow.address}/shop", timeout=10, read="eventual") as db:
        for _ in range(2):  # until it knows both
            db.execute("SELECT 1")
        slow.script = lambda _body: SILENCE
        quick.script = lambda _body: answer((2,))
        assert db.execute("SELECT 1").fetchone() == (2,)
        db.execute("SELECT 1")
        assert slow.left.wait(10)
        assert not quick.left.is_set()


def test_a_read_that_was_ended_at_its_deadline_is_asked_of_nobody_else(face: Any, cluster: FakeCluster) -> None:
    ended = Refused("StatementTimeout", "not done: the read was ended at its caller's deadline")
    for node in cluster.nodes:
        node.script = lambda _body: ended
    with face.connect(cluster.url, timeout=10) as db, pytest.raises(quorate.StatementTimeout) as raised:
        db.execute("SELECT 1")
    assert not raised.value.retryable
    assert sum(len(node.asked) for node in cluster.nodes) == 1


def test_a_read_that_is_running_is_sent_nowhere_else_while_its_node_is_silent() -> None:
    scene = Scene()
    call = scene.call(seconds=5.0)
    first = scene.ask(call)
    call.runs(first)
    scene.now += 2.0
    call.silent(first)
    step = call.next(scene.now)
    assert isinstance(step, Ask)
    assert step.address == first
    assert step.patience == pytest.approx(3.0)
    error = scene.end(call)
    assert isinstance(error, quorate.StatementTimeout)
    assert "was reading" in str(error)


def test_a_read_that_was_running_is_repeated_when_its_node_is_lost() -> None:
    scene = Scene()
    call = scene.call()
    first = scene.ask(call)
    call.runs(first)
    call.lost(first, scene.now, "it died", sent=True)
    assert scene.ask(call) != first


def test_a_closed_connection_costs_no_repetition_and_no_wait() -> None:
    scene = Scene(budget=0)
    for token in (None, TOKEN):
        call = scene.call(token=token)
        first = scene.ask(call)
        before = scene.now
        call.dropped(first)
        assert scene.ask(call) == first
        assert scene.now == before
        assert not call.unsettled
