"""Both clients against nodes that say what a test tells them to: who is asked, what is sent again, what is raised."""

import asyncio
import datetime as dt
import os
import socket
import time
from typing import Any

import pytest
from tests.client.fake import HANG_UP, SILENCE, FakeCluster, answer, outcome

import quorate
import quorate.aio
from quorate.client import directory, routing
from quorate.core.options import SingleLeaderOptions
from quorate.core.requests import (
    Answer,
    Cancelled,
    CreateDatabase,
    Done,
    Expired,
    MemberStatus,
    NotLeader,
    Outcome,
    Refused,
    Run,
    Status,
    StatusReport,
    Unsure,
)
from quorate.core.statements import Failed, Result
from quorate.wire.frames import WireError
from quorate.wire.handshake import VersionRefused, refusal

WRITE = "INSERT INTO t VALUES (?)"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "BACKOFF_CAP", 0.02)
    monkeypatch.setattr(routing, "PATIENCE_FIRST", 0.05)
    monkeypatch.setattr(directory, "SHUNNED", 0.05)


def test_a_read_finds_the_leader_and_stays_with_it(face: Any, cluster: FakeCluster) -> None:
    leader = cluster.nodes[1]
    cluster.lead(leader)
    with face.connect(cluster.url) as db:
        for _ in range(5):
            assert db.execute("SELECT ?", (1,)).fetchall() == [(leader.number,)]
    others = sum(len(node.asked) for node in cluster.nodes if node is not leader)
    assert len(leader.asked) == 5
    assert others <= 1, "one redirection at most"
    run = leader.runs[0]
    assert (run.database, run.level, run.token) == ("shop", "linearizable", None)
    assert run.statements[0].sets == ((1,),)


def test_a_write_carries_a_token_and_what_was_seen(face: Any, cluster: FakeCluster) -> None:
    cluster.lead(cluster.nodes[0], lambda body: answer(index=41 + len(cluster.nodes[0].asked), rowcount=1))
    with face.connect(cluster.url) as db:
        assert db.execute(WRITE, (1,)).rowcount == 1
        db.execute(WRITE, (2,))
        db.execute(WRITE, (3,), token="order-8731")
    tokens = [run.token for run in cluster.nodes[0].runs]
    assert all(tokens)
    assert [token.seen for token in tokens if token] == [0, 42, 43]
    assert len({token.id for token in tokens if token}) == 3
    assert tokens[2] is not None
    assert tokens[2].name == "order-8731"
    assert tokens[2].id != "order-8731", "it is bound to its statement"


@pytest.mark.parametrize(
    "fault", [HANG_UP, Unsure(), Refused("Overloaded", "busy", retryable=True)], ids=["lost", "unsure", "busy"]
)
def test_a_write_is_sent_again_with_the_same_token(face: Any, cluster: FakeCluster, fault: Any) -> None:
    leader = cluster.nodes[0]
    cluster.lead(leader, lambda body: fault if len(leader.asked) <= 2 else answer(rowcount=1))
    with face.connect(cluster.url, timeout=5) as db:
        assert db.execute(WRITE, (1,)).rowcount == 1
    runs = leader.runs
    assert len(runs) == 3
    assert len({run.token for run in runs}) == 1, "the same token, the same index"


def test_a_lost_write_may_be_done_and_is_settled_by_its_token(face: Any, cluster: FakeCluster) -> None:
    for node in cluster.nodes:
        node.script = lambda body: SILENCE if isinstance(body, Run) else answer(rowcount=1)
    with face.connect(cluster.url) as db:
        with pytest.raises(quorate.MaybeDone) as caught:
            db.execute(WRITE, (1,), timeout=0.3)
        error = caught.value
        assert {run.token.id for node in cluster.nodes for run in node.runs if run.token} == {error.token}
        assert "outcome" in error.hint
        assert not error.retryable
        assert db.outcome(error.token)[0].rowcount == 1
    asked = [body for node in cluster.nodes for body in node.asked if isinstance(body, Outcome)]
    assert [(body.token.id, body.token.seen) for body in asked] == [(error.token, error.seen)]


def test_asking_for_an_outcome_cancels_what_did_not_happen(face: Any, cluster: FakeCluster) -> None:
    cluster.lead(cluster.nodes[0], lambda body: Answer(outcome(Cancelled()), 9))
    with face.connect(cluster.url) as db, pytest.raises(quorate.Cancelled, match="not done and never will be"):
        db.outcome("order-1")


def test_a_read_that_nobody_answers_is_not_done(face: Any, cluster: FakeCluster) -> None:
    for node in cluster.nodes:
        node.script = lambda body: SILENCE
    started = time.monotonic()
    with face.connect(cluster.url) as db, pytest.raises(quorate.Unavailable) as caught:
        db.execute("SELECT 1", timeout=0.3)
    assert caught.value.retryable
    assert 0.25 < time.monotonic() - started < 2


def test_a_write_that_nobody_took_is_not_done(face: Any, cluster: FakeCluster) -> None:
    for node in cluster.nodes:
        node.script = lambda body: NotLeader("")
    with face.connect(cluster.url) as db, pytest.raises(quorate.Unavailable, match="has no leader"):
        db.execute(WRITE, (1,), timeout=1)


def test_nobody_listens(face: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"quorate://127.0.0.1:{free.getsockname()[1]}/shop"
        with face.connect(url) as db, pytest.raises(quorate.Unavailable, match="refused"):
            db.execute(WRITE, (1,), timeout=0.2)


def test_a_silent_leader_is_left_for_the_next(face: Any, cluster: FakeCluster) -> None:
    """The old leader is paused; the others have elected another. Both may get the write: it has one token."""
    old, new, _ = cluster.nodes
    cluster.lead(old)
    with face.connect(cluster.url, timeout=5) as db:
        db.execute(WRITE, (1,))
        cluster.lead(new)
        old.script = lambda body: SILENCE
        assert db.execute(WRITE, (2,)).rowcount == 1
        assert db.execute(WRITE, (3,)).rowcount == 1
    sent = [run.token for run in (*old.runs, *new.runs) if run.statements[0].sets == ((2,),)]
    assert len(sent) >= 2
    assert len(set(sent)) == 1
    assert [run.statements[0].sets[0] for run in new.runs][-2:] == [(2,), (3,)]


def test_a_slow_leader_is_waited_for(face: Any, cluster: FakeCluster) -> None:
    """It is slow and it is the leader: the others say so, and its answer counts. It is not asked twice."""
    leader = cluster.nodes[2]

    async def slowly() -> Answer:
        await asyncio.sleep(0.3)
        return answer((1,), rowcount=1)

    cluster.lead(leader, lambda body: slowly())
    with face.connect(cluster.url, timeout=5) as db:
        assert db.execute(WRITE, (1,)).rowcount == 1
    assert len(leader.runs) == 1


def test_a_dead_leader_is_left_for_the_next(face: Any, cluster: FakeCluster) -> None:
    old, new = cluster.nodes[:2]
    cluster.lead(old)
    with face.connect(cluster.url, timeout=5) as db:
        db.execute(WRITE, (1,))
        old.kill()
        cluster.lead(new)
        assert db.execute(WRITE, (2,)).rowcount == 1


def test_eventual_reads_stay_with_one_node_and_leave_it_when_it_dies(face: Any, cluster: FakeCluster) -> None:
    with face.connect(cluster.url, timeout=5, read="eventual") as db:
        home = {db.execute("SELECT 1").fetchone() for _ in range(6)}
        assert len(home) == 1
        (number,) = home.pop()
        cluster.nodes[number - 1].kill()
        others = {db.execute("SELECT 1").fetchone() for _ in range(6)}
        assert (number,) not in others
        assert len(others) == 1
    assert all(run.level == "eventual" for node in cluster.nodes for run in node.runs)


def test_the_read_level_of_a_call_goes_before_the_connections(face: Any, cluster: FakeCluster) -> None:
    cluster.lead(cluster.nodes[0])
    with face.connect(cluster.url + "?read=leader") as db:
        db.execute("SELECT 1")
        db.execute("SELECT 1", read="linearizable")
        with pytest.raises(quorate.ProgrammingError, match="did you mean 'linearizable'"):
            db.execute("SELECT 1", read="linearisable")
    assert [run.level for run in cluster.nodes[0].runs] == ["leader", "linearizable"]


def test_what_a_statement_failed_with_is_raised_by_its_name(face: Any, cluster: FakeCluster) -> None:
    failed = Failed("IntegrityError", "UNIQUE constraint failed: t.a", "", "SQLITE_CONSTRAINT_UNIQUE", 1)
    cluster.lead(cluster.nodes[0], lambda body: Answer(outcome(failed), 3))
    with face.connect(cluster.url) as db:
        with pytest.raises(quorate.IntegrityError) as caught:
            db.batch([(WRITE, (1,)), (WRITE, (1,))])
        assert caught.value.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE"
        assert caught.value.statement == 1
        assert isinstance(caught.value, db.IntegrityError)
    assert len(cluster.nodes[0].runs) == 1, "it is not tried again"


def test_a_refusal_that_will_not_change_is_raised_at_once(face: Any, cluster: FakeCluster) -> None:
    refused = Refused("UnknownDatabase", "there is no database 'shop'", "there are: main")
    cluster.lead(cluster.nodes[0], lambda body: refused)
    with face.connect(cluster.url) as db, pytest.raises(quorate.UnknownDatabase, match="there are: main"):
        db.execute(WRITE, (1,))
    assert len(cluster.nodes[0].runs) == 1


def test_an_error_of_a_later_version_is_an_error_still(face: Any, cluster: FakeCluster) -> None:
    cluster.lead(cluster.nodes[0], lambda body: Refused("SomethingNew", "no"))
    with face.connect(cluster.url) as db, pytest.raises(quorate.DatabaseError, match="no"):
        db.execute("SELECT 1")


def test_a_fresh_connection_learns_where_the_log_stands(face: Any, cluster: FakeCluster) -> None:
    """To an old database, index 0 looks like a repetition from before its memory; sent once, nothing ran."""
    leader = cluster.nodes[0]

    def script(body: Any) -> Answer:
        seen = body.token.seen
        return Answer(outcome(Expired()), 900) if seen < 500 else answer(rowcount=1, index=901)

    cluster.lead(leader, script)
    with face.connect(cluster.url) as db:
        assert db.execute(WRITE, (1,)).rowcount == 1
        with pytest.raises(quorate.Expired):
            db.outcome("order-1")
    tokens = [run.token for run in leader.runs]
    assert [token.seen for token in tokens if token] == [0, 900]
    assert len({token.id for token in tokens if token}) == 1


def test_an_old_repetition_stays_expired(face: Any, cluster: FakeCluster) -> None:
    """The first answer was lost, so the write may have happened before it was forgotten."""
    leader = cluster.nodes[0]
    cluster.lead(leader, lambda body: HANG_UP if len(leader.asked) == 1 else Answer(outcome(Expired()), 900))
    with face.connect(cluster.url) as db, pytest.raises(quorate.Expired):
        db.execute(WRITE, (1,))


def test_many_callers_share_one_socket_to_each_node(
    face: Any, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "PATIENCE_FIRST", 30.0)
    leader = cluster.nodes[0]

    async def later(value: Any) -> Answer:
        await asyncio.sleep(0.02 * (value % 3))
        return answer((value,))

    def script(body: Any) -> Any:
        return later(body.statements[0].sets[0][0])

    cluster.lead(leader, script)
    with face.connect(cluster.url) as db:
        db.execute("SELECT ?", (0,))
        calls = [lambda value=value: db.execute("SELECT ?", (value,)) for value in range(40)]
        found = [cursor.fetchall() for cursor in face.at_once(*calls)]
    assert found == [[(value,)] for value in range(40)]
    assert max(node.connections for node in cluster.nodes) == 1


def test_all_callers_hear_that_the_connection_broke(face: Any, cluster: FakeCluster) -> None:
    for node in cluster.nodes:
        node.script = lambda body: SILENCE
    with face.connect(cluster.url, timeout=5) as db:
        calls = [lambda: db.execute(WRITE, (1,), timeout=0.4) for _ in range(8)]
        found = face.at_once(*calls)
    assert [type(each) for each in found] == [quorate.MaybeDone] * 8
    assert len({each.token for each in found}) == 8


def test_strangers_on_the_port_are_named(face: Any, cluster: FakeCluster) -> None:
    for node in cluster.nodes:
        node.hello = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    with face.connect(cluster.url) as db, pytest.raises(quorate.Unavailable, match="does not begin with a greeting"):
        db.execute("SELECT 1", timeout=0.2)


def test_a_node_that_refuses_says_why(face: Any, cluster: FakeCluster) -> None:
    error: WireError = VersionRefused("this side speaks versions 5 to 6")
    for node in cluster.nodes:
        node.hello = refusal(error)
    with face.connect(cluster.url) as db, pytest.raises(quorate.Unavailable, match="versions 5 to 6"):
        db.execute("SELECT 1", timeout=0.2)


def test_parameters_are_checked_before_anything_is_sent(face: Any, cluster: FakeCluster) -> None:
    with face.connect(cluster.url) as db:
        with pytest.raises(quorate.DataError, match="parameter 2 is an integer beyond 64 bits"):
            db.execute("SELECT ?, ?", (1, 2**63))
        with pytest.raises(quorate.DataError, match="parameter :when has type date"):
            db.execute("SELECT :when", {"when": dt.date(2024, 1, 1)})
        with pytest.raises(quorate.ProgrammingError, match=r"write \(value,\)"):
            db.execute("SELECT ?", "text")
        with pytest.raises(quorate.DataError, match="set 1: parameter 1"):
            db.executemany(WRITE, [(1,), (object(),)])
    assert not any(node.asked for node in cluster.nodes)


def test_a_request_beyond_a_frame_is_refused_here(
    face: Any, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.wire.frames.FRAME_BYTES_MAX", 1000)
    with face.connect(cluster.url) as db:
        with pytest.raises(quorate.DataError, match="too large"):
            db.execute(WRITE, ("x" * 1000,))
        assert db.execute("SELECT 1").fetchall(), "the connection goes on"


def test_a_closed_connection_says_so(face: Any, cluster: FakeCluster) -> None:
    cluster.lead(cluster.nodes[0])
    db = face.connect(cluster.url)
    db.execute("SELECT 1")
    cursor = db.cursor()
    db.close()
    db.close()
    for use in (lambda: db.execute("SELECT 1"), db.cursor, db.commit, lambda: cursor.execute("SELECT 1")):
        with pytest.raises(quorate.InterfaceError, match="closed"):
            use()


def test_a_database_can_be_used_once_it_is_created(face: Any, cluster: FakeCluster) -> None:
    """The catalog answers before the replicas are up: `create` waits for their leader."""
    leader = cluster.nodes[0]

    def script(body: Any) -> Any:
        if isinstance(body, CreateDatabase):
            return Answer(outcome_done(), 5)
        tries = len(leader.runs)
        if tries == 1:
            return Refused("UnknownDatabase", "not applied here yet")
        return NotLeader("") if tries == 2 else answer((1,))

    cluster.lead(leader, script)
    with face.cluster(cluster.url) as found:
        found.create("orders", replicas=3)
        with pytest.raises(quorate.ProgrammingError, match="unknown acks 'quorum'"):
            found.create("orders", acks="quorum")
        with pytest.raises(quorate.ProgrammingError, match="asks for 3 followers, but 3 replicas have 2 followers"):
            found.create("orders", acks="semi-sync:3")
    created = [body for body in leader.asked if isinstance(body, CreateDatabase)]
    assert [(body.database, body.options, body.replicas, body.exists_ok) for body in created] == [
        ("orders", SingleLeaderOptions().spelt, 3, False)
    ]
    assert len(leader.runs) == 3


def outcome_done() -> Any:
    return answer().outcome


def test_databases_are_read_from_the_catalog(face: Any, cluster: FakeCluster) -> None:
    cluster.lead(cluster.nodes[1], lambda body: answer(("main", "single-leader", '{"acks":"sync","newer":"x"}', 3)))
    with face.cluster(cluster.url) as found:
        (info,) = found.databases()
    assert (info.name, info.replication, info.replicas) == ("main", "single-leader", 3)
    assert info.options == {"acks": "sync", "newer": "x"}, "also what only a later release knows"
    assert cluster.nodes[1].runs[0].database == "quorate"


def test_status_asks_nodes_that_others_name_and_leaves_out_the_dead(face: Any, cluster: FakeCluster) -> None:
    members = tuple(MemberStatus(node.number, f"n{node.number}", node.address, alive=True) for node in cluster.nodes)
    for node in cluster.nodes:
        report = StatusReport("fake", node.number, f"n{node.number}", 1, members, ())

        def script(body: Any, report: StatusReport = report) -> Any:
            return report if isinstance(body, Status) else NotLeader("")

        node.script = script
    cluster.nodes[1].kill()
    with face.cluster(f"quorate://{cluster.nodes[2].address}") as found:
        assert [report.name for report in found.status()] == ["n1", "n3"]
    for node in (cluster.nodes[0], cluster.nodes[2]):
        node.kill()
    with face.cluster(cluster.url) as found, pytest.raises(quorate.Unavailable, match="no node answers"):
        found.status()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_connection_carried_over_a_fork_is_refused(cluster: FakeCluster) -> None:
    cluster.lead(cluster.nodes[0])
    with quorate.connect(cluster.url) as db:
        db.execute("SELECT 1")
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                db.execute("SELECT 1")
                said = b"it worked"
            except quorate.InterfaceError as error:
                said = str(error).encode()
            except BaseException as error:  # noqa: BLE001
                said = repr(error).encode()
            db.close()
            os.write(write, said)
            os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        assert b"before a fork" in os.read(read, 1000)
        os.close(read)
        assert db.execute("SELECT 1").fetchall(), "the parent's connection lives"
        assert cluster.nodes[0].connections == 1


def test_a_connection_that_is_dropped_hangs_up(cluster: FakeCluster) -> None:
    """Without a warning: warnings are errors here."""
    import gc

    cluster.lead(cluster.nodes[0])
    db: Any = quorate.connect(cluster.url)
    db.execute("SELECT 1")
    del db
    gc.collect()


def test_a_connection_stays_with_its_event_loop(cluster: FakeCluster) -> None:
    cluster.lead(cluster.nodes[0])
    first = asyncio.Runner()

    async def connect() -> Any:
        db = quorate.aio.connect(cluster.url)
        await db.execute("SELECT 1")
        return db

    async def close(db: Any) -> None:
        await db.close()

    with first:
        db = first.run(connect())
        with asyncio.Runner() as second, pytest.raises(quorate.InterfaceError, match="another event loop"):
            second.run(use(db))
        first.run(close(db))


def test_it_works_on_uvloop_too(cluster: FakeCluster) -> None:
    uvloop = pytest.importorskip("uvloop")
    cluster.lead(cluster.nodes[0])

    async def once() -> list[Any]:
        async with quorate.aio.connect(cluster.url) as db:
            cursor = await db.execute("SELECT 1")
            return cursor.fetchall()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(once()) == [(1,)]


async def use(db: Any) -> None:
    await db.execute("SELECT 1")


def test_dialling_is_bounded(face: Any) -> None:
    """A node that accepts and never greets is left soon, not at the deadline."""
    with socket.socket() as mute, FakeCluster(1) as other:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        other.lead(other.nodes[0])
        url = f"quorate://127.0.0.1:{mute.getsockname()[1]},{other.nodes[0].address}/shop"
        with face.connect(url, timeout=5) as db:
            assert db.execute("SELECT 1").fetchall() == [(1,)]


def test_a_call_may_have_types_of_its_own(face: Any, cluster: FakeCluster) -> None:
    day = dt.date(2026, 11, 30)
    dated = Answer(outcome(Done((Result((("d", "DATE"),), [("2026-11-30",)], -1),))), 7)
    cluster.lead(cluster.nodes[0], lambda _: dated)
    with face.connect(cluster.url) as db:
        calls: list[Any] = [
            lambda: db.execute("SELECT d FROM t WHERE d = ?", (day,), types=quorate.PYTHON_TYPES),
            lambda: db.executemany("INSERT INTO t VALUES (?)", [(day,)], types=quorate.PYTHON_TYPES),
            lambda: db.batch([("SELECT d FROM t WHERE d = ?", (day,))], types=quorate.PYTHON_TYPES)[0],
        ]
        for call in calls:
            assert call().fetchall() == [(day,)]
        assert [run.statements[0].sets[0] for run in cluster.nodes[0].runs] == [("2026-11-30",)] * 3
        assert db.execute("SELECT d FROM t").fetchall() == [("2026-11-30",)]
        with pytest.raises(quorate.DataError):
            db.execute("SELECT ?", (day,))
