"""Settings before a transaction on a folder: what SQLite says that one must do to rebuild a table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quorate

REBUILD = (
    "CREATE TABLE parent_new(id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    "INSERT INTO parent_new SELECT * FROM parent",
    "DROP TABLE parent",
    "ALTER TABLE parent_new RENAME TO parent",
)


@pytest.fixture(params=["folder", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with quorate.connect(tmp_path / "shop" if request.param == "folder" else ":memory:") as connection:
        connection.execute("CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent(id) ON DELETE CASCADE)")
        connection.batch(["INSERT INTO parent VALUES (1, 'one')", "INSERT INTO child VALUES (10, 1)"])
        yield connection


def children(db: Any) -> list[Any]:
    found: list[Any] = db.execute("SELECT * FROM child ORDER BY id").fetchall()
    return found


def test_a_table_is_rebuilt_in_a_transaction(db: Any) -> None:
    cursor = db.execute("PRAGMA foreign_keys = OFF")
    assert (cursor.description, cursor.rowcount) == (None, -1)
    assert db.execute("PRAGMA foreign_keys").fetchall() == [(0,)]
    with db.transaction() as tx:
        assert tx.execute("PRAGMA foreign_keys").fetchall() == [(0,)]
        for sql in REBUILD:
            tx.execute(sql)
    db.execute("PRAGMA foreign_keys = ON")
    assert db.execute("PRAGMA foreign_keys").fetchall() == [(1,)]
    assert children(db) == [(10, 1)]
    db.execute("DELETE FROM parent")
    assert children(db) == []


def test_a_table_is_rebuilt_in_a_batch(db: Any) -> None:
    db.execute("PRAGMA foreign_keys = 0")
    assert len(db.batch(REBUILD)) == len(REBUILD)
    db.execute("PRAGMA foreign_keys(1)")
    assert len(db.batch(["PRAGMA foreign_keys = OFF", *REBUILD, "PRAGMA foreign_keys = ON"])) == len(REBUILD) + 2
    assert children(db) == [(10, 1)]
    assert db.execute("PRAGMA foreign_keys").fetchall() == [(1,)]


def test_statement_by_statement_nothing_is_lost(db: Any) -> None:
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute(REBUILD[0])
    db.execute(REBUILD[1])
    with pytest.raises(quorate.IntegrityError, match="the row 10 of child"):
        db.execute(REBUILD[2])
    assert children(db) == [(10, 1)]
    assert db.execute("SELECT * FROM parent").fetchall() == [(1, "one")]


def test_what_dangles_at_the_end_is_undone(db: Any) -> None:
    def loses_a_parent() -> None:
        with db.transaction() as tx:
            tx.execute("DELETE FROM parent")

    db.execute("PRAGMA foreign_keys = OFF")
    with pytest.raises(quorate.IntegrityError, match="foreign_key_check"):
        loses_a_parent()
    with pytest.raises(quorate.IntegrityError) as caught:
        db.batch(["UPDATE parent SET name = 'x'", "DELETE FROM parent"])
    assert caught.value.statement == -1
    assert db.execute("SELECT * FROM parent").fetchall() == [(1, "one")]


def test_errors_name_the_callers_statement(db: Any) -> None:
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA legacy_alter_table = ON")
    with pytest.raises(quorate.ProgrammingError) as caught:
        db.batch(["UPDATE parent SET name = 'x'", "UPDATE nothing SET a = 1"])
    assert caught.value.statement == 1


def test_checks_are_deferred_for_one_transaction(db: Any) -> None:
    db.execute("PRAGMA defer_foreign_keys = ON")
    assert db.execute("PRAGMA defer_foreign_keys").fetchall() == [(1,)]
    db.batch(["INSERT INTO child VALUES (20, 2)", "INSERT INTO parent VALUES (2, 'two')"])
    assert db.execute("PRAGMA defer_foreign_keys").fetchall() == [(0,)]
    with pytest.raises(quorate.IntegrityError):
        db.batch(["INSERT INTO child VALUES (30, 3)", "INSERT INTO parent VALUES (3, 'three')"])
    with db.transaction() as tx:
        tx.execute("PRAGMA defer_foreign_keys = ON")
        tx.execute("INSERT INTO child VALUES (30, 3)")
        tx.execute("INSERT INTO parent VALUES (3, 'three')")
    assert len(children(db)) == 3


def test_inside_a_transaction_it_comes_too_late_and_says_so(db: Any) -> None:
    with db.transaction() as tx:
        tx.execute("SELECT 1")
        with pytest.raises(quorate.ProgrammingError, match="before the transaction begins"):
            tx.execute("PRAGMA foreign_keys = OFF")
        tx.execute("PRAGMA foreign_keys = ON")


def test_settings_are_of_one_connection_and_not_of_reads(db: Any) -> None:
    db.execute("PRAGMA legacy_alter_table = ON")
    assert db.execute("PRAGMA legacy_alter_table").fetchone() == (1,)
    assert db.batch(["PRAGMA foreign_keys = OFF", "SELECT 1"])[1].fetchall() == [(1,)]
    assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
    for sql in ("PRAGMA read_uncommitted = 1", "PRAGMA locking_mode = NORMAL", "PRAGMA recursive_triggers = 0"):
        assert db.execute(sql).fetchall() in ([], [("normal",)]), sql
