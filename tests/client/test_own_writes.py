"""`connect(read_your_writes=)`: the anomaly without it, and its cure with it, on replicas that are behind."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.client.fake import SILENCE, FakeCluster, FakeNode, answer

import quorate
import quorate.aio
from quorate.core.copy_requests import OpenCopy
from quorate.core.read_levels import EVENTUAL, LEADER, SESSION
from quorate.core.requests import NotLeader, Refused, Run
from quorate.core.scripts import Script

WRITE, READ = "UPDATE profile SET name = 'new'", "SELECT name FROM Profile"
OLD, NEW = [("old",)], [("new",)]


@pytest.fixture
def lagging(cluster: FakeCluster) -> FakeCluster:
    """Its replicas have not heard of the write yet, and only the leader has."""
    leader = cluster.nodes[0]

    def behaves(node: FakeNode) -> Any:
        def script(body: Any) -> Any:
            assert isinstance(body, Run | Script)
            if body.token is not None:
                return answer(rowcount=1) if node is leader else NotLeader(leader.address)
            if body.level == LEADER:
                return answer(("new",)) if node is leader else NotLeader(leader.address)
            if body.level == SESSION:  # it would wait until it has what the bookmark says
                return answer(("new",))
            assert body.level == EVENTUAL
            return answer(("old",))

        return script

    for node in cluster.nodes:
        node.script = behaves(node)
    return cluster


def connect(face: Any, cluster: FakeCluster, own: str | None, read: str = EVENTUAL) -> Any:
    return face.connect(cluster.url, read=read, read_your_writes=own)


@pytest.mark.parametrize("own", ["leader:10m", "bookmark", "own:settings, PROFILE"])
def test_a_write_is_seen_that_was_not(face: Any, lagging: FakeCluster, own: str) -> None:
    with connect(face, lagging, None) as db:
        db.execute(WRITE)
        assert db.execute(READ).fetchall() == OLD  # the anomaly
    with connect(face, lagging, own) as db:
        db.execute(WRITE)
        assert db.execute(READ).fetchall() == NEW
        assert db.batch([READ])[0].fetchall() == NEW


def test_the_time_behind_a_write_ends(face: Any, lagging: FakeCluster) -> None:
    with connect(face, lagging, "leader:1ms") as db:
        assert db.execute(READ).fetchall() == OLD  # nothing was written
        db.execute(WRITE)
        for _ in range(10_000):
            if db.execute(READ).fetchall() == OLD:
                break
        else:
            raise AssertionError("all reads go to the leader for ever")


def test_what_others_change_is_read_anywhere(face: Any, lagging: FakeCluster) -> None:
    with connect(face, lagging, "own:profile") as db:
        db.execute(WRITE)
        assert db.execute("SELECT * FROM feed").fetchall() == OLD
        assert db.execute('SELECT * FROM feed JOIN "profile"').fetchall() == NEW
    with connect(face, lagging, "own:profile") as other:  # on another device
        assert other.execute(READ).fetchall() == NEW


def test_other_levels_stay_as_they_are(face: Any, lagging: FakeCluster) -> None:
    with connect(face, lagging, "own:profile", read="session") as db:
        db.execute(READ)
        asked = [body for node in lagging.nodes for body in node.runs]
        assert [body.level for body in asked] == [SESSION]


def test_those_with_one_key_read_from_one_replica(face: Any, cluster: FakeCluster) -> None:
    def reads_from(key: str) -> int:
        with connect(face, cluster, f"sticky:{key}") as db:
            return int(db.execute(READ).fetchone()[0])

    homes = {key: reads_from(key) for key in map(str, range(40))}  # of fewer, none may go with one of the nodes
    assert set(homes.values()) == {1, 2, 3}
    assert homes == {key: reads_from(key) for key in homes}
    cluster.nodes[0].kill()
    after = {key: reads_from(key) for key in homes}
    assert {key: home for key, home in homes.items() if home != 1} == {
        key: home for key, home in after.items() if homes[key] != 1
    }
    assert 1 not in after.values()


@pytest.mark.parametrize(
    "text", ["", "leader", "leader:", "leader:10", "leader:-1s", "bookmark:x", "own", "own:", "own:a,,b", "sticky", 7]
)
def test_what_is_no_way_is_named(text: Any) -> None:
    for target in (":memory:", "quorate://127.0.0.1:1/shop"):
        with pytest.raises(quorate.ProgrammingError, match="read"):
            quorate.connect(target, read_your_writes=text, lazy=True)


@pytest.mark.parametrize(("own", "level"), [("leader:10m", LEADER), ("bookmark", SESSION), ("own:profile", LEADER)])
def test_a_copy_has_what_a_read_would_see(
    face: Any, lagging: FakeCluster, own: str, level: str, tmp_path: Path
) -> None:
    with connect(face, lagging, own) as db:
        db.execute(WRITE)
        for node in lagging.nodes:
            node.script = lambda _body: Refused("OperationalError", "no copy is made here")
        with pytest.raises(quorate.OperationalError, match="no copy is made here"):
            db.copy_to(tmp_path / "copy.db")
    (asked,) = [body for node in lagging.nodes for body in node.asked if isinstance(body, OpenCopy)]
    assert asked.level == level


def test_behind_a_write_that_was_cancelled_reads_go_to_the_leader_too(lagging: FakeCluster) -> None:
    """It may have been done, or may still be."""
    leader = lagging.nodes[0]
    usual, arrived = leader.script, threading.Event()

    def script(body: Any) -> Any:
        if body.token is None:
            return usual(body)
        arrived.set()
        return SILENCE

    leader.script = script

    async def work() -> list[Any]:
        async with quorate.aio.connect(
            f"quorate://{leader.address}/shop", read=EVENTUAL, read_your_writes="leader:10m", timeout=10
        ) as db:
            written = asyncio.ensure_future(db.execute(WRITE))
            assert await asyncio.to_thread(arrived.wait, 10)
            written.cancel()
            with pytest.raises(asyncio.CancelledError):
                await written
            return (await db.execute(READ)).fetchall()

    assert asyncio.run(work()) == NEW
