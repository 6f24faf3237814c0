"""`interrupt()` on a cluster: whoever waits hears at once, and what can be certain is."""

from typing import Any

import pytest
from tests.client.fake import SILENCE, FakeCluster, answer
from tests.client.fake import outcome as encode_outcome

import quorate
import quorate.client._sync.outcomes
import quorate.client.outcomes_aio
from quorate.core.requests import Answer, Cancelled, Expired, NotLeader, Outcome

WRITE = "INSERT INTO t VALUES (1)"


def connect(face: Any, cluster: FakeCluster) -> Any:
    return face.connect(cluster.url, timeout=60)


def interrupt(db: Any) -> None:
    """Called in another thread."""
    getattr(db, "inner", db).interrupt()


def interrupting(db: Any, outcome: Any = SILENCE) -> Any:
    """What a leader does whose client is interrupted while it is at work."""

    def script(body: Any) -> Any:
        if isinstance(body, Outcome):
            return outcome
        interrupt(db)
        return SILENCE

    return script


def test_a_read_ends_and_the_node_is_told(face: Any, cluster: FakeCluster) -> None:
    with connect(face, cluster) as db:
        cluster.lead(cluster.nodes[0], interrupting(db))
        with pytest.raises(quorate.OperationalError, match=r"^interrupted$") as caught:
            db.execute("SELECT 1")
        assert type(caught.value) is quorate.OperationalError
        assert caught.value.sqlite_errorname == "SQLITE_INTERRUPT"
        assert cluster.nodes[0].left.wait(10)
        cluster.lead(cluster.nodes[0])
        assert db.execute("SELECT 1").fetchall() == [(1,)]


def test_all_calls_that_wait_end(face: Any, cluster: FakeCluster) -> None:
    with connect(face, cluster) as db:
        cluster.lead(cluster.nodes[0])
        db.execute("SELECT 1")
        asked: list[Any] = []

        def script(body: Any) -> Any:
            asked.append(body)
            if len(asked) == 3:
                interrupt(db)
            return SILENCE

        cluster.lead(cluster.nodes[0], script)
        ended = face.at_once(*(lambda: db.execute("SELECT 1") for _ in range(3)))
        assert [str(each) for each in ended] == ["interrupted"] * 3


def test_a_call_that_looks_for_a_leader_ends(face: Any, cluster: FakeCluster) -> None:
    with connect(face, cluster) as db:
        asked: list[Any] = []

        def script(body: Any) -> Any:
            asked.append(body)
            if len(asked) == 5:
                interrupt(db)
            return NotLeader()

        for node in cluster.nodes:
            node.script = script
        with pytest.raises(quorate.OperationalError, match=r"^interrupted$"):
            db.execute("SELECT 1")


def test_a_write_that_was_not_done_never_will_be(face: Any, cluster: FakeCluster) -> None:
    with connect(face, cluster) as db:
        cluster.lead(cluster.nodes[0], interrupting(db, answer_of(Cancelled())))
        with pytest.raises(quorate.OperationalError, match=r"^interrupted$") as caught:
            db.execute(WRITE, token="once")
        assert type(caught.value) is quorate.OperationalError
        assert cluster.nodes[0].left.wait(10)


def test_a_write_that_was_done_gives_its_result(face: Any, cluster: FakeCluster) -> None:
    with connect(face, cluster) as db:
        cluster.lead(cluster.nodes[0], interrupting(db, answer(rowcount=7)))
        assert db.execute(WRITE).rowcount == 7


@pytest.mark.parametrize("outcome", [SILENCE, "expired"])
def test_a_write_of_which_nobody_can_tell_is_maybe_done(
    face: Any, cluster: FakeCluster, outcome: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (quorate.client.outcomes_aio, quorate.client._sync.outcomes):
        monkeypatch.setattr(module, "SETTLE", 0.05)
    with connect(face, cluster) as db:
        told = answer_of(Expired()) if outcome == "expired" else outcome
        cluster.lead(cluster.nodes[0], interrupting(db, told))
        with pytest.raises(quorate.MaybeDone, match="interrupted before the answer came") as caught:
            db.execute(WRITE, token="once")
        assert caught.value.token.startswith("once")


def answer_of(outcome: Any) -> Any:
    """A node's answer with this outcome."""
    return Answer(encode_outcome(outcome), 5)


def test_nothing_that_waits_is_nothing_to_interrupt(face: Any, cluster: FakeCluster) -> None:
    db = connect(face, cluster)
    cluster.lead(cluster.nodes[0])
    interrupt(db)
    assert db.execute("SELECT 1").fetchall() == [(1,)]
    db.close()
    with pytest.raises(quorate.InterfaceError, match="closed"):
        interrupt(db)
