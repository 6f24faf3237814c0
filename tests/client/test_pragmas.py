"""Settings of a connection to a cluster: no node keeps them, so they go with what they hold for."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.client.fake import FakeCluster, outcome

import quorate
import quorate.aio
from quorate.core.requests import Answer, Done, RequestBody, Run
from quorate.core.statements import Result

WRITE_ONE = "INSERT INTO t VALUES (1)"


def test_settings_travel_with_the_writes_that_they_hold_for(face: Any, cluster: FakeCluster) -> None:
    results = tuple(Result((), [], number) for number in (-1, 1, 2))
    cluster.lead(cluster.nodes[0], lambda _: Answer(outcome(Done(results)), 7))
    off = "PRAGMA foreign_keys = 0"
    with face.connect(cluster.url) as db:
        assert db.execute("PRAGMA foreign_keys = OFF").description is None
        assert db.execute("PRAGMA foreign_keys").fetchall() == [(0,)]
        assert [cursor.rowcount for cursor in db.batch([WRITE_ONE, WRITE_ONE])] == [1, 2]
        db.execute("SELECT 1")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(WRITE_ONE)
    sent = [[each.sql for each in run.statements] for run in cluster.nodes[0].runs]
    assert sent == [[off, WRITE_ONE, WRITE_ONE], ["SELECT 1"], [WRITE_ONE]]


def test_scripts_make_batches_of_what_is_between_begin_and_commit(face: Any, cluster: FakeCluster) -> None:
    cluster.lead(cluster.nodes[0], lambda body: Answer(outcome(Done(_nothing(body))), 7))
    with face.connect(cluster.url) as db:
        db.ping()
        db.executescript("CREATE TABLE a(b); BEGIN; INSERT INTO a VALUES (1); DELETE FROM a; COMMIT; BEGIN; COMMIT;")
    sent = [[each.sql for each in run.statements] for run in cluster.nodes[0].runs]
    assert sent == [["CREATE TABLE a(b)"], ["INSERT INTO a VALUES (1)", "DELETE FROM a"]]


def test_awaiting_a_connection_waits_for_an_answer(cluster: FakeCluster) -> None:
    async def opens() -> tuple[Any, ...] | None:
        db = await quorate.aio.connect(cluster.url)
        async with db:
            row: tuple[Any, ...] | None = (await db.execute("SELECT 1")).fetchone()
            return row

    async def finds_nobody(ports: list[int]) -> None:
        await quorate.aio.connect("quorate://" + ",".join(f"127.0.0.1:{port}" for port in ports), timeout=1)

    cluster.lead(cluster.nodes[0])
    assert asyncio.run(opens()) == (cluster.nodes[0].number,)
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
        with pytest.raises(quorate.Unavailable, match="refused") as caught:
            asyncio.run(finds_nobody(ports))
    assert all(str(port) in str(caught.value) for port in ports)


def _nothing(body: RequestBody) -> tuple[Result, ...]:
    assert isinstance(body, Run)
    return tuple(Result((), [], -1) for _ in body.statements)


@contextmanager
def nobody() -> Iterator[tuple[str, list[str]]]:
    """A URL of two addresses that refuse, and their ports."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [str(each.getsockname()[1]) for each in (one, other)]
        yield "quorate://" + ",".join(f"127.0.0.1:{port}" for port in ports), ports


def test_connecting_meets_a_node_unless_it_is_lazy(cluster: FakeCluster) -> None:
    with nobody() as (url, ports):
        with pytest.raises(quorate.Unavailable, match="refused") as caught:
            quorate.connect(url, timeout=60)
        assert all(port in str(caught.value) for port in ports)
        quorate.connect(url, lazy=True).close()
    with pytest.raises(quorate.ProgrammingError, match="lazy"):
        quorate.connect(cluster.url, lazy=1)  # type: ignore[arg-type]
    quorate.connect(cluster.url, lazy=True).close()
    assert [node.connections for node in cluster.nodes] == [0, 0, 0]
    quorate.connect(cluster.url).close()
    assert sum(node.connections for node in cluster.nodes) == 1


def test_entering_a_connection_of_asyncio_meets_a_node_unless_it_is_lazy() -> None:
    async def enters(url: str, *, lazy: bool) -> None:
        async with quorate.aio.connect(url, timeout=60, lazy=lazy):
            pass

    with nobody() as (url, ports):
        with pytest.raises(quorate.Unavailable, match="refused") as caught:
            asyncio.run(enters(url, lazy=False))
        assert all(port in str(caught.value) for port in ports)
        asyncio.run(enters(url, lazy=True))


def test_functions_and_collations_are_not_there(face: Any, cluster: FakeCluster) -> None:
    with face.connect(cluster.url) as db:
        for call, arguments in (("create_function", ("f", 1, abs)), ("create_collation", ("c", max))):
            with pytest.raises(quorate.NotSupportedError, match="on every node"):
                getattr(db, call)(*arguments)
