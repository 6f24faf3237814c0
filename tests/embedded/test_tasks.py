"""A folder, or memory, for asyncio: the loop is never stopped, and what is cancelled leaves nothing open."""

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import quorate
import quorate.aio

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
PLACES = ["folder", "memory"]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return tmp_path / "shop" if request.param == "folder" else ":memory:"


def run(place: Any, work: Callable[[Any], Awaitable[Any]], **options: Any) -> Any:
    """Run this with a connection that has a table."""

    async def main() -> Any:
        async with quorate.aio.connect(place, **options) as db:
            await db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v)")
            await db.commit()
            return await work(db)

    return asyncio.run(main())


async def count(db: Any) -> int:
    return int((await db.execute("SELECT count(*) FROM t")).fetchone()[0])


def test_quorums_of_a_call_are_refused(place: Any) -> None:
    async def work(db: Any) -> None:
        for quorums in ({"w": 1}, {"r": 1}):
            with pytest.raises(quorate.NotSupportedError, match="without a leader"):
                await db.execute("SELECT 1", **quorums)

    run(place, work)


async def begun(db: Any, sql: str) -> "asyncio.Task[Any]":
    """A task whose statement runs."""
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    await db.set_trace_callback(lambda text: text == sql and loop.call_soon_threadsafe(started.set))
    task: asyncio.Task[Any] = asyncio.ensure_future(db.execute(sql))
    await started.wait()
    return task


def test_statements_batches_and_cursors(place: Any) -> None:
    async def work(db: Any) -> None:
        cursor = await db.execute("INSERT INTO t(v) VALUES (?)", ("a",))
        assert (cursor.rowcount, cursor.lastrowid) == (1, 1)
        assert (await db.executemany("INSERT INTO t(v) VALUES (?)", [("b",), ("c",)])).rowcount == 2
        one, two = await db.batch(["SELECT count(*) FROM t", ("SELECT v FROM t WHERE k = :k", {"k": 2})])
        assert (one.fetchall(), two.fetchall()) == ([(3,)], [("b",)])
        again = await db.cursor().execute("SELECT v FROM t")
        assert [row async for row in rows(again)] == [("a",), ("b",), ("c",)]
        assert db.total_changes == 3
        with pytest.raises(quorate.IntegrityError):
            await db.execute("INSERT INTO t VALUES (1, 'd')")
        await db.execute("DELETE FROM t", token="once")
        assert [each.rowcount for each in await db.outcome("once")] == [3]
        await db.executescript("BEGIN; INSERT INTO t VALUES (7, 'e'); COMMIT;")
        assert "INSERT INTO \"t\" VALUES(7,'e');" in list(await db.iterdump())
        await db.create_function("twice", 1, lambda value: value * 2)
        assert (await db.execute("SELECT twice(k) FROM t")).fetchone() == (14,)
        await db.ping()

    run(place, work)


async def rows(cursor: Any) -> Any:
    for row in cursor:
        yield row


def test_rows_and_types_are_those_of_the_connection(place: Any) -> None:
    async def work(db: Any) -> None:
        assert (await db.execute("SELECT 1 AS one")).fetchone() == {"one": 1}
        await db.executescript("CREATE TABLE price(amount DECIMAL_TEXT)")
        import decimal

        await db.execute("INSERT INTO price VALUES (?)", (decimal.Decimal("1.10"),))
        assert (await db.execute("SELECT amount FROM price")).fetchone() == {"amount": decimal.Decimal("1.10")}

    run(place, work, row_factory=quorate.dict_row, types=quorate.PYTHON_TYPES)


def test_a_transaction_commits_or_undoes(place: Any) -> None:
    async def work(db: Any) -> None:
        async with db.transaction() as tx:
            cursor = await tx.execute("INSERT INTO t(v) VALUES ('a')")
            await cursor.execute("INSERT INTO t(v) VALUES ('b')")
            async with tx.savepoint() as point:
                await tx.execute("DELETE FROM t")
                await point.rollback()
            assert (await tx.execute("SELECT count(*) FROM t")).fetchone() == (2,)
            with pytest.raises(quorate.ProgrammingError, match="this task has a transaction open"):
                await db.execute("DELETE FROM t")
        assert await count(db) == 2
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with db.transaction() as tx:
                await tx.execute("DELETE FROM t")
                _ = 1 / 0
        with pytest.raises(quorate.ProgrammingError, match="over"):
            await tx.execute("SELECT 1")
        async with db.transaction(read_only=True) as tx:
            with pytest.raises(quorate.ProgrammingError, match="only reads"):
                await tx.execute("DELETE FROM t")

        async def twice(tx: Any) -> int:
            await tx.execute("UPDATE t SET v = v || v")
            return 7

        assert await db.run_transaction(twice) == 7
        assert (await db.execute("SELECT v FROM t")).fetchall() == [("aa",), ("bb",)]
        assert not db.transactions

    run(place, work)


def test_transactions_of_tasks_wait_for_each_other(tmp_path: Path) -> None:
    async def work(db: Any) -> None:
        await db.execute("INSERT INTO t VALUES (1, 0)")

        async def add() -> None:
            async with db.transaction() as tx:
                (value,) = (await tx.execute("SELECT v FROM t")).fetchone()
                await tx.execute("UPDATE t SET v = ?", (value + 1,))

        await asyncio.gather(*(add() for _ in range(20)))
        assert (await db.execute("SELECT v FROM t")).fetchone() == (20,)

    run(tmp_path, work, timeout=60)


def test_without_autocommit_a_connection_is_one_tasks_transaction(place: Any) -> None:
    async def work(db: Any) -> None:
        await db.execute("INSERT INTO t VALUES (1, 'a')")
        assert db.in_transaction
        other = asyncio.ensure_future(db.execute("INSERT INTO t VALUES (2, 'b')"))
        with pytest.raises(quorate.InterfaceError, match=r"db\.transaction\(\)"):
            await other
        with pytest.raises(quorate.ProgrammingError, match=r"await db\.commit\(\)"):
            db.autocommit = True
        await db.commit()
        await asyncio.ensure_future(db.execute("DELETE FROM t"))
        await db.rollback()  # the task that began it is over
        assert await count(db) == 1
        await db.commit()
        db.autocommit = True
        await db.execute("INSERT INTO t VALUES (3, 'c')")
        assert not db.in_transaction
        await db.execute("BEGIN")
        await db.execute("DELETE FROM t")
        assert db.in_transaction
        await db.execute("ROLLBACK")
        assert await count(db) == 2

    run(place, work, autocommit=False)


def test_the_block_of_a_connection_commits_or_rolls_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with quorate.aio.connect(tmp_path, autocommit=False) as one:
            await one.execute("CREATE TABLE t(a)")
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with quorate.aio.connect(tmp_path, autocommit=False) as one:
                await one.execute("INSERT INTO t VALUES (1)")
                _ = 1 / 0
        db: Any = await quorate.aio.connect(tmp_path)
        assert await count(db) == 0
        await db.close()
        await db.close()
        with pytest.raises(quorate.InterfaceError, match="closed"):
            await db.execute("SELECT 1")

    asyncio.run(main())


def test_the_loop_goes_on_while_a_statement_runs_and_interrupt_ends_it(place: Any) -> None:
    async def work(db: Any) -> None:
        task = await begun(db, ENDLESS)
        while not task.done():
            db.interrupt()
            await asyncio.sleep(0)
        with pytest.raises(quorate.OperationalError, match=r"^interrupted$"):
            await task

    run(place, work)


@pytest.mark.parametrize("sql", [ENDLESS, "INSERT INTO t(v) " + ENDLESS])
def test_a_cancelled_statement_ends_and_others_go_on(place: Any, sql: str) -> None:
    async def work(db: Any) -> None:
        task = await begun(db, sql)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await db.execute("INSERT INTO t VALUES (1, 'a')", timeout=60)
        assert await count(db) == 1

    run(place, work)


@pytest.mark.parametrize("inner", [False, True])
def test_a_cancelled_transaction_is_undone(place: Any, *, inner: bool) -> None:
    async def work(db: Any) -> None:
        written = asyncio.Event()

        async def stall() -> None:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO t VALUES (1, 'a')")
                written.set()
                await (tx.execute(ENDLESS) if inner else asyncio.Event().wait())

        task = asyncio.ensure_future(stall())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await db.execute("INSERT INTO t VALUES (2, 'b')", timeout=60)
        assert (await db.execute("SELECT k FROM t")).fetchall() == [(2,)]
        assert not db.transactions

    run(place, work)


def test_one_that_waits_for_the_writer_can_be_cancelled(place: Any) -> None:
    async def work(db: Any) -> None:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1, 'a')")

            async def waits() -> None:
                async with db.transaction():
                    raise AssertionError("it was cancelled")

            tasks = [asyncio.ensure_future(waits()), asyncio.ensure_future(db.execute("DELETE FROM t"))]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [
                asyncio.CancelledError,
                asyncio.CancelledError,
            ]
        await db.execute("INSERT INTO t VALUES (2, 'b')")
        assert await count(db) == 2

    run(place, work, timeout=600)


@pytest.mark.parametrize("turns", range(4))
def test_a_cancelled_connect_leaves_nothing_open(tmp_path: Path, turns: int) -> None:
    async def main() -> None:
        async def opens() -> None:
            async with quorate.aio.connect(tmp_path) as db:
                await db.execute("SELECT 1")

        task = asyncio.ensure_future(opens())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    wait_for_threads()
    code = "import quorate, sys; quorate.connect(sys.argv[1]).execute('SELECT 1')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)  # AlreadyOpen if it is


def wait_for_threads() -> None:
    """Until no thread of a connection is left."""
    for thread in threading.enumerate():
        if thread.name == "quorate":
            thread.join(60)
    assert not [thread for thread in threading.enumerate() if thread.name == "quorate"]


def test_closing_ends_what_runs_and_undoes_what_is_open(tmp_path: Path) -> None:
    async def work(db: Any) -> None:
        task = await begun(db, ENDLESS)
        with pytest.raises(quorate.InterfaceError, match="closed"):  # noqa: PT012
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO t VALUES (1, 'a')")
                await db.close()
        with pytest.raises(quorate.OperationalError, match=r"^interrupted$"):
            await task

    run(tmp_path, work)
    wait_for_threads()
    with quorate.connect(tmp_path) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_connection_that_is_dropped_lets_its_threads_go(tmp_path: Path) -> None:
    async def main() -> None:
        db = await quorate.aio.connect(tmp_path)
        await db.execute("SELECT 1")

    asyncio.run(main())
    gc.collect()
    wait_for_threads()


def test_another_loop_gets_an_error(place: Any) -> None:
    async def connect() -> Any:
        return await quorate.aio.connect(place)

    async def use(db: Any) -> None:
        await db.execute("SELECT 1")

    async def close(db: Any) -> None:
        await db.close()

    with asyncio.Runner() as first:
        db = first.run(connect())
        with asyncio.Runner() as second:
            for call in (use, close):
                with pytest.raises(quorate.InterfaceError, match="another event loop"):
                    second.run(call(db))
        first.run(close(db))


def test_a_bookmark_goes_from_one_connection_to_another(tmp_path: Path) -> None:
    async def main() -> None:
        async with quorate.aio.connect(tmp_path) as db, quorate.aio.connect(tmp_path) as other:
            await db.execute("CREATE TABLE t(a)")
            before = str(db.bookmark)
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO t VALUES (1)")
                assert str(other.bookmark) == before  # nothing was committed since, and nobody was waited for
            other.bookmark = str(db.bookmark)
            assert (await other.execute("SELECT a FROM t")).fetchall() == [(1,)]
            assert str(other.bookmark) == str(db.bookmark) != before
        async with quorate.aio.connect(":memory:") as foreign:
            foreign.bookmark = before
            with pytest.raises(quorate.ProgrammingError, match="another cluster"):
                await foreign.execute("SELECT 1")

    asyncio.run(main())


LEFT_OPEN = f"""
import asyncio, sys, quorate.aio

async def main():
    db = await quorate.aio.connect(sys.argv[1])
    await db.execute("CREATE TABLE t(a)")
    running = asyncio.ensure_future(db.execute({ENDLESS!r}))
    tx = db.transaction()
    await tx.__aenter__()
    await tx.execute("INSERT INTO t VALUES (1)")
    globals().update(locals())

asyncio.run(main())
print("over", flush=True)
"""


def test_a_process_with_open_connections_exits(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", LEFT_OPEN, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"over"
        began = time.monotonic()
        assert process.wait(60) == 0
        assert time.monotonic() - began < 10  # a second, but this machine may be busy
    with quorate.connect(tmp_path) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_it_has_what_a_clusters_connection_has() -> None:
    there = {name for name in dir(quorate.aio.Connection) if not name.startswith("_")}
    here = {name for name in dir(quorate.aio.EmbeddedConnection) if not name.startswith("_")}
    inner = {
        "begin",
        "conflicts",
        "begin_attempt",
        "commit_script",
        "evaluate",
        "let_all_go",
        "let_go",
        "meet",
        "open_view",
        "setting",
        "view",
    }
    assert there - here == inner
