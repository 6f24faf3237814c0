"""Results that are fetched in pieces, and transactions that read one state, on real nodes."""

import asyncio
from typing import Any

import pytest
from tests.cluster.conftest import Started

import quorate
import quorate.aio

ROWS = 6_000


def prepare(db: Any) -> None:
    """About 1.2 MB, which is several pieces."""
    db.execute("CREATE TABLE big(id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    db.executemany("INSERT INTO big(text) VALUES (?)", [("x" * 200,)] * ROWS)


def test_a_stream_gives_one_state_however_long_it_takes(start: Started) -> None:
    url = start(1).url + "/main"
    with quorate.connect(url) as db:
        prepare(db)
        numbers = []
        with db.stream("SELECT id, text FROM big ORDER BY id") as rows:
            for number, _ in rows:
                if number == 2:
                    db.execute("DELETE FROM big WHERE id % 2 = 0")
                    assert db.execute("SELECT count(*) FROM big").fetchone() == (ROWS // 2,)
                numbers.append(number)
        assert numbers == list(range(1, ROWS + 1))
        with db.stream("SELECT id FROM big WHERE id < ?", (0,)) as rows:
            assert (rows.fetchmany(5), rows.description[0][0]) == ([], "id")
        with db.stream("SELECT none FROM big") as rows, pytest.raises(quorate.ProgrammingError, match="none"):
            rows.fetchone()

    async def tasks() -> int:
        async with quorate.aio.connect(url) as one, one.stream("SELECT * FROM big") as found:
            return len([row async for row in found])

    assert asyncio.run(tasks()) == ROWS // 2


def test_a_transaction_that_reads_has_one_snapshot(start: Started) -> None:
    with quorate.connect(start(3).url + "/main") as db:
        db.batch(["CREATE TABLE t(v INTEGER)", "INSERT INTO t VALUES (1)"])
        with db.transaction(read_only=True) as tx:
            seen = [tx.execute("SELECT v FROM t").fetchone()]
            for value in (2, 3):
                db.execute("UPDATE t SET v = ?", (value,))
                seen.append(tx.execute("SELECT v FROM t").fetchone())
            with pytest.raises(quorate.ProgrammingError):
                tx.execute("SELECT none FROM t")
            assert [*seen, tx.execute("SELECT sum(v) FROM t").fetchone()] == [(1,)] * 4
        with db.transaction(read_only=True) as tx:
            assert tx.execute("SELECT v FROM t").fetchone() == (3,)
