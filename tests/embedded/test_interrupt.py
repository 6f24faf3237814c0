"""`interrupt()`: another thread ends what a connection runs, and nothing else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import quorate

NUMBERS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) "
ENDLESS = NUMBERS + "SELECT count(*) FROM c"
ENDLESS_WRITE = "INSERT INTO t " + ENDLESS


@pytest.fixture(params=["folder", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with quorate.connect(tmp_path / "shop" if request.param == "folder" else ":memory:") as connection:
        connection.execute("CREATE TABLE t(a)")
        yield connection


@contextmanager
def interrupting(db: Any) -> Iterator[None]:
    """Another thread interrupts, again and again: a call that comes before the statement runs does nothing."""
    over = threading.Event()

    def again() -> None:
        while not over.wait(0.005):
            db.interrupt()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS_WRITE])
def test_the_running_statement_ends(db: Any, sql: str, timeout: float | None) -> None:
    for _ in range(2):
        with interrupting(db), pytest.raises(quorate.OperationalError, match=r"^interrupted$") as caught:
            db.execute(sql, timeout=timeout)
        assert type(caught.value) is quorate.OperationalError
        assert caught.value.sqlite_errorname == "SQLITE_INTERRUPT"
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        db.execute("INSERT INTO t VALUES (1)")
        db.execute("DELETE FROM t")
    with interrupting(db), pytest.raises(quorate.OperationalError, match=r"^interrupted$"):
        db.batch(["SELECT 1", sql])


@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS_WRITE])
def test_a_statement_of_a_transaction_ends(db: Any, sql: str) -> None:
    with suppress(quorate.Error), db.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (1)")
        with interrupting(db), pytest.raises(quorate.OperationalError, match=r"^interrupted$"):
            tx.execute(sql)
        tx.rollback()
    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
    db.execute("BEGIN")
    db.execute("INSERT INTO t VALUES (1)")
    with interrupting(db), pytest.raises(quorate.OperationalError, match=r"^interrupted$"):
        db.execute(sql)
    db.rollback()
    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_token_may_be_used_again(db: Any) -> None:
    with interrupting(db), pytest.raises(quorate.OperationalError, match=r"^interrupted$"):
        db.execute(ENDLESS_WRITE + " WHERE (SELECT count(*) FROM t) = 0", token="once")
    with pytest.raises(quorate.StatementTimeout):
        db.execute(ENDLESS_WRITE + " WHERE (SELECT count(*) FROM t) = 0", token="once", timeout=0.01)


def test_time_that_is_over_is_no_interrupt(db: Any) -> None:
    db.interrupt()
    for sql in (ENDLESS, ENDLESS_WRITE):
        with pytest.raises(quorate.StatementTimeout):
            db.execute(sql, timeout=0.01)


def test_what_other_connections_run_goes_on(tmp_path: Path) -> None:
    other: Any
    with quorate.connect(tmp_path) as one, quorate.connect(tmp_path) as other:
        one.execute("CREATE TABLE t(a)")
        count = NUMBERS + "SELECT count(*) FROM (SELECT n FROM c LIMIT 300000)"
        with interrupting(other):
            assert one.execute(count).fetchone() == (300_000,)
            one.execute("INSERT INTO t " + count)
        assert one.execute("SELECT a FROM t").fetchone() == (300_000,)


def test_a_closed_connection_has_nothing_to_interrupt(db: Any) -> None:
    db.close()
    with pytest.raises(quorate.InterfaceError, match="closed"):
        db.interrupt()
