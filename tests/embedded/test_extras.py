"""What `sqlite3` has beyond PEP 249: scripts, dumps, plain copies, the number of changes, a trace."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quorate

SCRIPT = """
-- what a shop needs
CREATE TABLE "the child"(k INTEGER PRIMARY KEY, p REFERENCES zebra ON DELETE CASCADE, "odd '""name" DEFAULT 'x;y');
CREATE TABLE zebra(k INTEGER PRIMARY KEY AUTOINCREMENT, v, w AS (k + 1));
CREATE TRIGGER t AFTER INSERT ON zebra BEGIN UPDATE zebra SET v = 'a;' WHERE k = new.k; SELECT 1; END;
CREATE VIEW seen AS SELECT v FROM zebra; CREATE INDEX i ON zebra(v);;
INSERT INTO zebra(v) VALUES (NULL), (1.5), (x'00ff');
INSERT INTO "the child"(p) VALUES (1), (3);
CREATE TABLE empty(a)
"""


@pytest.fixture(params=["folder", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with quorate.connect(tmp_path / "shop" if request.param == "folder" else ":memory:") as connection:
        yield connection


def contents(db: Any) -> list[Any]:
    tables = ("SELECT * FROM zebra", 'SELECT * FROM "the child"', "SELECT * FROM seen", "SELECT * FROM sqlite_sequence")
    return [db.execute(sql).fetchall() for sql in tables]


def test_a_script_runs_statement_by_statement(db: Any) -> None:
    cursor = db.executescript(SCRIPT)
    assert cursor.execute("SELECT count(*) FROM zebra").fetchone() == (3,)
    assert contents(db)[2] == [("a;",)] * 3
    with pytest.raises(quorate.ProgrammingError):
        db.executescript("INSERT INTO empty VALUES (1); INSERT INTO nothing VALUES (1); INSERT INTO empty VALUES (2);")
    assert db.execute("SELECT a FROM empty").fetchall() == [(1,)]
    with pytest.raises(quorate.IntegrityError):
        db.executescript("BEGIN; INSERT INTO empty VALUES (3); INSERT INTO zebra(k) VALUES (1); COMMIT")
    assert db.in_transaction
    db.rollback()
    assert db.execute("SELECT a FROM empty").fetchall() == [(1,)]
    with pytest.raises(quorate.ProgrammingError, match="a script is a text"):
        db.executescript(b"SELECT 1")


def test_a_dump_makes_the_same_database_here_and_there(db: Any) -> None:
    db.executescript(SCRIPT)
    dumped = list(db.iterdump())
    assert not any("quorate_" in line for line in dumped)
    copy: Any
    with quorate.connect(":memory:") as copy:
        copy.executescript("\n".join(dumped))
        assert contents(copy) == contents(db)
    plain = sqlite3.connect(":memory:")
    plain.executescript("\n".join(dumped))
    assert sorted(plain.execute("SELECT name FROM sqlite_master WHERE sql NOT NULL")) == sorted(
        db.execute("SELECT name FROM sqlite_master WHERE sql NOT NULL")
    )
    assert contents(plain) == contents(db)
    theirs = sorted(line for line in plain.iterdump() if line.startswith("INSERT"))
    ours = sorted(line for line in dumped if line.startswith("INSERT"))
    assert [line.replace('"', "") for line in ours] == [line.replace('"', "") for line in theirs]
    plain.close()


def test_a_dump_of_sqlite3_is_loaded(db: Any) -> None:
    plain = sqlite3.connect(":memory:")
    plain.executescript(SCRIPT)
    db.executescript("PRAGMA foreign_keys=OFF;\n" + "\n".join(plain.iterdump()))
    assert contents(db) == contents(plain)
    plain.close()


def test_a_backup_is_a_plain_file(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        assert isinstance(db, quorate.EmbeddedConnection)
        db.executescript(SCRIPT)
        db.backup(tmp_path / "plain.db")
        plain = sqlite3.connect(tmp_path / "plain.db")
        assert contents(plain) == contents(db)
        assert plain.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE 'quorate%'").fetchone() == (0,)
        plain.close()
        with pytest.raises(quorate.OperationalError, match="exists"):
            db.backup(tmp_path / "plain.db")


def test_changes_are_counted(db: Any) -> None:
    db.execute("CREATE TABLE t(a)")
    db.executemany("INSERT INTO t VALUES (?)", [(1,), (2,), (3,)])
    db.batch(["UPDATE t SET a = a + 1", "DELETE FROM t WHERE a = 2", "SELECT * FROM t"])
    assert db.total_changes == 7
    db.execute("BEGIN")
    db.execute("DELETE FROM t")
    db.rollback()
    assert db.total_changes == 9


def test_statements_are_traced(db: Any) -> None:
    traced: list[str] = []
    db.execute("SELECT 1")
    db.set_trace_callback(traced.append)
    for _ in range(2):
        db.execute("SELECT 1")
    db.batch(["SELECT 2", "SELECT 3"])
    db.execute("BEGIN")
    db.commit()
    db.set_trace_callback(None)
    db.execute("SELECT 1")
    assert traced == ["SELECT 1", "SELECT 1", "SELECT 2", "SELECT 3", "BEGIN"]
    with pytest.raises(quorate.ProgrammingError):
        db.set_trace_callback(7)


def test_ping(db: Any) -> None:
    db.ping()
    db.close()
    with pytest.raises(quorate.InterfaceError):
        db.ping()
