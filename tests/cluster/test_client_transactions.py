"""Interactive transactions on three real nodes: with each other, and while the leader is killed."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.cluster.conftest import Started

import quorate
import quorate.aio


def value(db: Any) -> Any:
    return db.execute("SELECT v FROM t WHERE n = 1").fetchone()[0]


def prepare(db: Any) -> None:
    db.batch(
        [
            "CREATE TABLE t(n INTEGER PRIMARY KEY, v INTEGER NOT NULL CHECK (v >= 0))",
            "CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, sku TEXT NOT NULL)",
            "INSERT INTO t VALUES (1, 10)",
        ]
    )


def test_read_decide_write(start: Started) -> None:
    with quorate.connect(start(3).url + "/main") as db:
        prepare(db)
        with db.transaction() as tx:
            if value(tx) == 10:
                assert tx.execute("UPDATE t SET v = v + 1 WHERE n = 1").rowcount == 1
            assert (value(tx), value(db)) == (11, 10)
            first = tx.execute("INSERT INTO orders(sku) VALUES ('mug') RETURNING id").fetchone()
            assert tx.execute("INSERT INTO orders(sku) VALUES ('jug')").lastrowid == first[0] + 1
            with pytest.raises(quorate.IntegrityError):
                tx.execute("UPDATE t SET v = -1 WHERE n = 1")
            with pytest.raises(ZeroDivisionError), tx.savepoint():  # noqa: PT012
                tx.execute("UPDATE t SET v = 0 WHERE n = 1")
                raise ZeroDivisionError
            assert tx.executemany("INSERT INTO t VALUES (?, 0)", [(2,), (3,)]).rowcount == 2
        assert value(db) == 11
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (2,)
        with pytest.raises(quorate.SerializationFailure), db.transaction() as tx:  # noqa: PT012
            assert value(tx) == 11
            db.execute("UPDATE t SET v = 20 WHERE n = 1")
            tx.execute("UPDATE t SET v = v + 1 WHERE n = 1")
        with db.transaction(read_only=True) as tx:
            assert value(tx) == 20


def test_transactions_on_one_row_all_happen_once(start: Started) -> None:
    url = start(3).url + "/main"
    with quorate.connect(url) as db:
        prepare(db)

        def add(tx: Any) -> int:
            found = int(value(tx))
            tx.execute("UPDATE t SET v = ? WHERE n = 1", (found + 1,))
            return found + 1

        def some(_number: int) -> list[int]:
            return [db.run_transaction(add, retries=1_000, timeout=60.0) for _ in range(5)]

        with ThreadPoolExecutor(4) as pool:
            found = [each for one in pool.map(some, range(4)) for each in one]
        assert sorted(found) == list(range(11, 31))
        assert value(db) == 30


def test_a_transaction_outlives_the_leader(start: Started) -> None:
    cluster = start(3)
    with quorate.connect(f"{cluster.url}/main", timeout=30.0) as db:
        prepare(db)
        with db.transaction(token="order-1") as tx:
            found = value(tx)
            tx.execute("UPDATE t SET v = ? WHERE n = 1", (found + 1,))
            leader = cluster.leader()
            assert leader is not None
            cluster.kill(leader)
            assert value(tx) == found + 1
        assert value(db) == found + 1
        assert db.outcome("order-1") == []


def test_a_token_is_done_once_across_processes_and_a_lost_leader(start: Started) -> None:
    cluster = start(3)
    with quorate.connect(f"{cluster.url}/main", timeout=30.0) as db:
        prepare(db)

        def add(tx: Any) -> int:
            found = int(value(tx)) + 1
            tx.execute("UPDATE t SET v = ? WHERE n = 1", (found,))
            return found

        def slowly(tx: Any) -> int:
            found = add(tx)
            leader = cluster.leader()
            assert leader is not None
            if len(killed) == 0:
                cluster.kill(leader)
                killed.append(leader)
            return found

        killed: list[Any] = []
        assert db.run_transaction(slowly, token="order-17") == 11
        with quorate.connect(f"{cluster.url}/main", timeout=30.0) as other:
            assert other.run_transaction(add, token="order-17") is None
            assert other.run_transaction(add, token="order-18") == 12
        assert value(db) == 12


def test_tasks_have_transactions_of_their_own(start: Started) -> None:
    url = start(1).url + "/main"

    async def add(tx: Any) -> None:
        found = (await tx.execute("SELECT v FROM t WHERE n = 1")).fetchone()[0]
        await tx.execute("UPDATE t SET v = ? WHERE n = 1", (found + 1,))

    async def work() -> Any:
        async with quorate.aio.connect(url) as db:
            await db.batch(["CREATE TABLE t(n INTEGER PRIMARY KEY, v INTEGER)", "INSERT INTO t VALUES (1, 0)"])
            await asyncio.gather(*(db.run_transaction(add, retries=1_000, timeout=60.0) for _ in range(8)))
            async with db.transaction() as tx:
                return (await tx.execute("SELECT v FROM t WHERE n = 1")).fetchall()

    assert asyncio.run(work()) == [(8,)]
