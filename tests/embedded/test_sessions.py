"""A connection that is itself a transaction: PEP 249's `autocommit=False`, and BEGIN and its like as text."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quorate


@pytest.fixture(params=["folder", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "shop") if request.param == "folder" else ":memory:"


@pytest.fixture(params=["implicit", "BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT outer"])
def begun(request: pytest.FixtureRequest, target: str) -> Iterator[Any]:
    """A connection with an open transaction in which nothing has run, however it began."""
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v)")
        db.execute("INSERT INTO t VALUES (1, 'a')")
        if request.param == "implicit":
            db.autocommit = False
        else:
            db.execute(request.param)
            assert db.in_transaction
        yield db


def rows(db: Any) -> list[Any]:
    found: list[Any] = db.execute("SELECT k, v FROM t ORDER BY k").fetchall()
    return found


def test_what_is_rolled_back_was_never_there(begun: Any) -> None:
    assert begun.execute("INSERT INTO t VALUES (2, 'b')").lastrowid == 2
    assert begun.execute("UPDATE t SET v = 'x' RETURNING k").fetchall() == [(1,), (2,)]
    assert rows(begun) == [(1, "x"), (2, "x")]
    begun.rollback()
    assert not begun.in_transaction
    begun.autocommit = True
    assert rows(begun) == [(1, "a")]


def test_what_is_committed_stays(begun: Any) -> None:
    assert rows(begun) == [(1, "a")]
    begun.executemany("INSERT INTO t VALUES (?, 'b')", [(2,), (3,)])
    begun.batch(["DELETE FROM t WHERE k = 1", "CREATE TABLE more(a)", "INSERT INTO more VALUES (5)"])
    assert begun.in_transaction
    begun.commit()
    assert not begun.in_transaction
    begun.autocommit = True
    assert rows(begun) == [(2, "b"), (3, "b")]
    assert begun.execute("SELECT a FROM more").fetchall() == [(5,)]
    begun.commit()
    begun.rollback()


def test_a_failed_statement_is_undone_alone(begun: Any) -> None:
    begun.execute("INSERT INTO t VALUES (2, 'b')")
    with pytest.raises(quorate.IntegrityError):
        begun.execute("INSERT INTO t VALUES (3, 'c'), (1, 'd')")
    with pytest.raises(quorate.IntegrityError) as caught:
        begun.batch(["INSERT INTO t VALUES (4, 'e')", "INSERT INTO t VALUES (1, 'f')"])
    assert caught.value.statement == 1
    assert begun.in_transaction
    begun.commit()
    assert rows(begun) == [(1, "a"), (2, "b")]


def test_savepoints(begun: Any) -> None:
    begun.execute("INSERT INTO t VALUES (2, 'b')")
    begun.execute('SAVEPOINT "One"')
    begun.execute("INSERT INTO t VALUES (3, 'c')")
    begun.execute("SAVEPOINT two")
    begun.execute("CREATE TABLE more(a)")
    begun.execute("UPDATE t SET v = 'x'")
    begun.execute("ROLLBACK TO two")
    assert rows(begun) == [(1, "a"), (2, "b"), (3, "c")]
    begun.execute("INSERT INTO t VALUES (4, 'd')")
    begun.execute("RELEASE SAVEPOINT two")
    begun.execute("ROLLBACK TRANSACTION TO SAVEPOINT ONE;")
    assert rows(begun) == [(1, "a"), (2, "b")]
    begun.execute("UPDATE t SET v = 'y' WHERE k = 2")
    begun.execute("RELEASE one")
    with pytest.raises(quorate.OperationalError, match="no such savepoint"):
        begun.execute("RELEASE one")
    begun.commit()
    assert rows(begun) == [(1, "a"), (2, "y")]
    with pytest.raises(quorate.ProgrammingError):
        begun.execute("SELECT * FROM more")


def test_a_savepoint_before_the_first_write_holds_too(begun: Any) -> None:
    begun.execute("SAVEPOINT a")
    assert rows(begun) == [(1, "a")]
    begun.execute("INSERT INTO t VALUES (2, 'b')")
    begun.execute("ROLLBACK TO a")
    begun.execute("INSERT INTO t VALUES (3, 'c')")
    begun.commit()
    assert rows(begun) == [(1, "a"), (3, "c")]


def test_a_statement_may_end_the_transaction(begun: Any) -> None:
    begun.execute("INSERT INTO t VALUES (2, 'b')")
    with pytest.raises(quorate.IntegrityError):
        begun.execute("INSERT OR ROLLBACK INTO t VALUES (1, 'c')")
    assert not begun.in_transaction
    assert rows(begun) == [(1, "a")]


@pytest.mark.parametrize("begin", ["", "BEGIN", "BEGIN EXCLUSIVE TRANSACTION"])
def test_closing_undoes(tmp_path: Path, begin: str) -> None:
    with quorate.connect(tmp_path) as db:
        db.execute("CREATE TABLE t(a)")
    db = quorate.connect(tmp_path, autocommit=bool(begin))
    if begin:
        db.execute(begin)
    db.execute("INSERT INTO t VALUES (1)")
    db.close()
    with pytest.raises(quorate.InterfaceError):
        db.commit()
    with quorate.connect(tmp_path) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_block_commits_or_rolls_back_and_then_closes(tmp_path: Path) -> None:
    def writes(number: int, error: type[Exception] | None) -> None:
        with quorate.connect(tmp_path, autocommit=False) as db:
            db.execute("CREATE TABLE IF NOT EXISTS t(a)")
            db.execute("INSERT INTO t VALUES (?)", (number,))
            if error:
                raise error

    writes(1, None)
    with pytest.raises(LookupError):
        writes(2, LookupError)
    with quorate.connect(tmp_path) as db:
        assert db.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_setting_autocommit_commits(target: str) -> None:
    with quorate.connect(target, autocommit=False) as db:
        db.execute("CREATE TABLE t(a)")
        assert (db.autocommit, db.in_transaction) == (False, True)
        db.autocommit = True
        assert (db.autocommit, db.in_transaction) == (True, False)
        db.rollback()
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with pytest.raises(quorate.ProgrammingError, match="autocommit is True or False"):
            db.autocommit = 0  # type: ignore[assignment]


def test_what_sqlite_says_of_misplaced_statements(target: str) -> None:
    with quorate.connect(target) as db:
        for sql in ("COMMIT", "END TRANSACTION", "ROLLBACK", "RELEASE a", "ROLLBACK TO a"):
            with pytest.raises(quorate.OperationalError, match=r"no transaction is active|no such savepoint"):
                db.execute(sql)
        db.execute("BEGIN")
        with pytest.raises(quorate.OperationalError, match="within a transaction"):
            db.execute("BEGIN")
        with pytest.raises(quorate.ProgrammingError, match="itself a transaction"):
            db.transaction()
        with pytest.raises(quorate.ProgrammingError, match="token"):
            db.execute("CREATE TABLE t(a)", token="one")
        for sql in ("BEGIN NOW", "SAVEPOINT", "ROLLBACK TO", "COMMIT WORK"):
            with pytest.raises(quorate.ProgrammingError):
                db.execute(sql)
        db.execute("END")


def test_a_deferred_violation_fails_the_commit(target: str) -> None:
    with quorate.connect(target, autocommit=False) as db:
        db.execute("CREATE TABLE p(k INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE c(p REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
        db.commit()
        db.execute("INSERT INTO c VALUES (1)")
        with pytest.raises(quorate.IntegrityError):
            db.commit()
        assert not db.in_transaction
        assert db.execute("SELECT count(*) FROM c").fetchone() == (0,)


def test_settings_hold_for_the_next_transaction(target: str) -> None:
    with quorate.connect(target, autocommit=False) as db:
        db.batch(["CREATE TABLE p(k INTEGER PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p ON DELETE CASCADE)"])
        db.batch(["INSERT INTO p VALUES (1)", "INSERT INTO c VALUES (1)"])
        db.commit()
        db.execute("PRAGMA foreign_keys = OFF")
        assert not db.in_transaction
        assert db.execute("PRAGMA foreign_keys").fetchone() == (0,)
        db.execute("SELECT 1")
        assert db.execute("PRAGMA foreign_keys").fetchone() == (0,)
        db.execute("CREATE TABLE q(k INTEGER PRIMARY KEY)")
        for sql in ("INSERT INTO q SELECT * FROM p", "DROP TABLE p", "ALTER TABLE q RENAME TO p"):
            db.execute(sql)
        db.commit()
        assert db.execute("SELECT * FROM c").fetchall() == [(1,)]
        db.execute("DELETE FROM p")
        with pytest.raises(quorate.IntegrityError):
            db.commit()


def test_threads_take_turns(target: str) -> None:
    with quorate.connect(target, autocommit=False) as db:
        db.execute("CREATE TABLE t(a)")

        def writes(number: int) -> None:
            db.execute("INSERT INTO t VALUES (?)", (number,))

        threads = [threading.Thread(target=writes, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(db.execute("SELECT a FROM t")) == [(number,) for number in range(8)]
        db.rollback()
        with pytest.raises(quorate.ProgrammingError):
            db.execute("SELECT a FROM t")
