"""Transactions in a folder and in memory, by the names that they have on a cluster too."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quorate


@pytest.fixture(params=["folder", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[quorate.Connection]:
    with quorate.connect(str(tmp_path / "data") if request.param == "folder" else ":memory:") as made:
        made.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, v INTEGER)")
        made.execute("INSERT INTO t VALUES (1, 10)")
        yield made


def value(db: Any) -> Any:
    return db.execute("SELECT v FROM t WHERE n = 1").fetchone()[0]


@pytest.mark.parametrize("begin", ["deferred", "immediate", "EXCLUSIVE"])
def test_it_begins_as_sqlite_says(db: quorate.Connection, begin: str) -> None:
    with db.transaction(begin=begin) as tx:
        tx.execute("UPDATE t SET v = 11 WHERE n = 1")
        assert value(tx) == 11
    assert value(db) == 11


def test_arguments_are_looked_at_first(db: quorate.Connection) -> None:
    with pytest.raises(quorate.ProgrammingError, match="deferred, immediate or exclusive"):
        db.transaction(begin="concurrent")
    with pytest.raises(quorate.ProgrammingError, match="read_only"):
        db.transaction(read_only="yes")  # type: ignore[arg-type]


def test_commit_and_rollback_end_it_before_its_block_does(db: quorate.Connection) -> None:
    with db.transaction() as tx:
        tx.execute("UPDATE t SET v = 11 WHERE n = 1")
        tx.commit()
        with pytest.raises(quorate.ProgrammingError, match="committed"):
            tx.execute("SELECT 1")
        db.execute("UPDATE t SET v = v + 1 WHERE n = 1")
    with db.transaction() as tx:
        tx.execute("UPDATE t SET v = 0 WHERE n = 1")
        tx.rollback()
        tx.rollback()
        with pytest.raises(quorate.ProgrammingError, match="rolled back"):
            tx.commit()
    assert value(db) == 12


def test_a_cursor_of_a_transaction_belongs_to_it(db: quorate.Connection) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:  # noqa: PT012
        cursor = tx.execute("SELECT v FROM t WHERE n = 1")
        assert cursor.execute("UPDATE t SET v = v + 1 WHERE n = 1").rowcount == 1
        assert cursor.execute("SELECT v FROM t WHERE n = 1").fetchone() == (11,)
        assert cursor.executemany("INSERT INTO t VALUES (?, 0)", [(7,), (8,)]).rowcount == 2
        with pytest.raises(quorate.ProgrammingError, match="no token of its own"):
            cursor.execute("DELETE FROM t", token="t")
        raise ZeroDivisionError
    assert db.execute("SELECT v FROM t").fetchall() == [(10,)]
    for sql in ("SELECT v FROM t", "DELETE FROM t", "ROLLBACK", "BEGIN"):
        with pytest.raises(quorate.ProgrammingError, match="this transaction is rolled back"):
            cursor.execute(sql)
    with pytest.raises(quorate.ProgrammingError, match="this transaction is rolled back"):
        cursor.executemany("INSERT INTO t VALUES (?, 0)", [(7,)])
    with db.transaction(read_only=True) as tx:
        assert tx.execute("SELECT 1").execute("SELECT v FROM t").fetchone() == (10,)


def test_one_that_only_reads_refuses_writes_by_name(db: quorate.Connection) -> None:
    with db.transaction(read_only=True) as tx:
        with pytest.raises(quorate.ProgrammingError, match="'UPDATE t SET v = 0' may write"):
            tx.execute("UPDATE t SET v = 0")
        with pytest.raises(quorate.ProgrammingError, match="no such table"):
            tx.execute("SELECT * FROM nowhere")
        assert value(tx) == 10


def test_one_that_only_reads_reads_one_state_while_others_write(tmp_path: Path) -> None:
    with quorate.connect(str(tmp_path / "data")) as db:
        db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, v INTEGER)")
        db.execute("INSERT INTO t VALUES (1, 10)")
        with db.transaction(read_only=True) as tx:
            writer = threading.Thread(target=db.execute, args=("UPDATE t SET v = 11",))
            writer.start()
            writer.join(10)
            assert (value(tx), value(db)) == (10, 11)
        with db.transaction(read_only=True) as tx:
            assert value(tx) == 11


def test_run_transaction_gives_what_the_function_returned(db: quorate.Connection) -> None:
    def double(tx: Any) -> int:
        doubled = int(value(tx)) * 2
        tx.execute("UPDATE t SET v = ? WHERE n = 1", (doubled,))
        return doubled

    assert db.run_transaction(double) == 20
    assert value(db) == 20


def test_run_transaction_runs_again_after_errors_that_pass(db: quorate.Connection) -> None:
    calls: list[int] = []

    def fails_twice(tx: Any) -> int:
        calls.append(1)
        tx.execute("UPDATE t SET v = v + 1 WHERE n = 1")
        if len(calls) < 3:
            raise quorate.Overloaded
        return len(calls)

    assert db.run_transaction(fails_twice) == 3
    assert value(db) == 11
    calls.clear()
    with pytest.raises(quorate.Overloaded):
        db.run_transaction(fails_twice, retries=1)
    assert (len(calls), value(db)) == (2, 11)


def test_run_transaction_raises_what_would_come_again(db: quorate.Connection) -> None:
    calls: list[int] = []

    def fails(tx: Any) -> None:
        calls.append(1)
        tx.execute("UPDATE t SET v = 0")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.run_transaction(fails)
    assert (len(calls), value(db)) == (1, 10)


def test_savepoints_undo_their_block(db: quorate.Connection) -> None:
    with db.transaction() as tx:
        tx.execute("UPDATE t SET v = 11 WHERE n = 1")
        with pytest.raises(ZeroDivisionError), tx.savepoint():  # noqa: PT012
            tx.execute("UPDATE t SET v = 12 WHERE n = 1")
            raise ZeroDivisionError
        assert value(tx) == 11
        with tx.savepoint() as point:
            tx.execute("UPDATE t SET v = 13 WHERE n = 1")
            point.rollback()
            tx.execute("INSERT INTO t VALUES (2, 0)")
    assert db.execute("SELECT n, v FROM t").fetchall() == [(1, 11), (2, 0)]


def test_text_does_what_the_methods_do(db: quorate.Connection) -> None:
    with db.transaction() as tx:
        tx.execute("UPDATE t SET v = 11 WHERE n = 1")
        tx.execute("SAVEPOINT here")
        tx.execute("UPDATE t SET v = 12 WHERE n = 1")
        tx.execute("ROLLBACK TO HERE")
        tx.execute("RELEASE here")
        with pytest.raises(quorate.OperationalError, match="within a transaction"):
            tx.execute("BEGIN")
        tx.execute("COMMIT")
    with db.transaction() as tx:
        tx.execute("UPDATE t SET v = 13 WHERE n = 1")
        tx.execute("ROLLBACK")
    assert value(db) == 11
