"""One test for each row of docs/sql.md, on an embedded node. (What followers make of it is tested with storage.)"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quorate


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Any]:
    with quorate.connect(str(tmp_path / "folder")) as connection:
        yield connection


def rows(db: Any, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = db.execute(sql, parameters).fetchall()
    return found


def refused(db: Any, *statements: str) -> None:
    for sql in statements:
        with pytest.raises(quorate.NotSupportedError):
            db.execute(sql)


# Statements


def test_reads(db: Any) -> None:
    assert rows(db, "SELECT 1 + 1") == [(2,)]
    assert rows(db, "VALUES (1), (2)") == [(1,), (2,)]
    assert rows(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n") == [
        (1,),
        (2,),
        (3,),
    ]
    assert rows(db, "EXPLAIN QUERY PLAN SELECT 1")


def test_changes(db: Any) -> None:
    db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT)")
    assert db.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')").rowcount == 2
    assert rows(db, "INSERT INTO t VALUES (3, 'c') RETURNING k, v") == [(3, "c")]
    db.execute("INSERT INTO t VALUES (1, 'x') ON CONFLICT(k) DO UPDATE SET v = excluded.v")
    db.execute("REPLACE INTO t VALUES (2, 'y')")
    assert db.execute("UPDATE t SET v = upper(v) WHERE k < 3").rowcount == 2
    assert db.execute("DELETE FROM t WHERE k = 3").rowcount == 1
    assert rows(db, "SELECT * FROM t ORDER BY k") == [(1, "X"), (2, "Y")]


def test_schema_changes(db: Any) -> None:
    db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY)")
    db.execute("ALTER TABLE t ADD COLUMN v TEXT DEFAULT 'old'")
    db.execute("CREATE INDEX t_v ON t(v)")
    db.execute("CREATE VIEW w AS SELECT v FROM t")
    db.execute("INSERT INTO t(k) VALUES (1)")
    assert rows(db, "SELECT * FROM w") == [("old",)]
    db.execute("DROP VIEW w")
    db.execute("DROP INDEX t_v")
    db.execute("ALTER TABLE t RENAME TO u")
    assert rows(db, "SELECT name FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name = 'u'") == [("u",)]
    db.execute("DROP TABLE u")
    with pytest.raises(quorate.ProgrammingError, match="no such table"):
        db.execute("SELECT * FROM u")


def test_create_table_as(db: Any) -> None:
    db.execute("CREATE TABLE t AS SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'")
    assert rows(db, "SELECT a, b FROM t ORDER BY a") == [(1, "x"), (2, "y")]


def test_analyze_and_reindex(db: Any) -> None:
    db.execute("CREATE TABLE t(a INTEGER)")
    db.execute("CREATE INDEX t_a ON t(a)")
    db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(10)])
    db.execute("ANALYZE")
    db.execute("REINDEX")
    assert rows(db, "SELECT tbl, idx FROM sqlite_stat1 WHERE tbl = 't'") == [("t", "t_a")]


def test_one_statement_at_a_time(db: Any) -> None:
    with pytest.raises(quorate.ProgrammingError):
        db.execute("CREATE TABLE t(a); DROP TABLE t")
    assert rows(db, "SELECT count(*) FROM sqlite_schema WHERE name = 't'") == [(0,)]


def test_transactions_as_text(db: Any) -> None:
    for sql in ("BEGIN", "CREATE TABLE t(a)", "SAVEPOINT s", "INSERT INTO t VALUES (1)", "ROLLBACK TO s", "RELEASE s"):
        db.execute(sql)
    db.execute("COMMIT")
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO t VALUES (2)")
    assert rows(db, "SELECT a FROM t") == [(2,)]
    db.execute("ROLLBACK")
    assert rows(db, "SELECT a FROM t") == []
    for sql in ("BEGIN", "COMMIT", "SAVEPOINT s", "ROLLBACK TO s"):
        with pytest.raises(quorate.NotSupportedError):
            db.batch([sql, "SELECT 1"])


def test_rollback_by_conflict_fails_its_own_request(db: Any) -> None:
    db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE log(n INTEGER)")
    db.execute("CREATE TRIGGER never BEFORE DELETE ON t BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END")
    db.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(quorate.IntegrityError):
        db.batch([("INSERT INTO log VALUES (1)", ()), ("INSERT OR ROLLBACK INTO t VALUES (1)", ())])
    with pytest.raises(quorate.DatabaseError, match="not this one"):
        db.execute("DELETE FROM t")
    db.execute("INSERT INTO t VALUES (2)")
    assert rows(db, "SELECT k FROM t ORDER BY k") == [(1,), (2,)]
    assert rows(db, "SELECT count(*) FROM log") == [(0,)]


def test_attach_is_refused(db: Any) -> None:
    refused(db, "ATTACH 'other.db' AS other", "DETACH other")


def test_temporary_objects_are_refused(db: Any) -> None:
    db.execute("CREATE TABLE t(a)")
    refused(
        db,
        "CREATE TEMP TABLE x(a)",
        "CREATE TABLE temp.x(a)",
        "CREATE TEMPORARY VIEW x AS SELECT 1",
        "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
    )


def test_vacuum_is_refused(db: Any) -> None:
    refused(db, "VACUUM", "VACUUM INTO 'copy.db'")


# Tables and columns


def test_kinds_of_tables(db: Any) -> None:
    db.execute(
        "CREATE TABLE t(k TEXT NOT NULL, n INTEGER DEFAULT 7 CHECK(n > 0), twice INTEGER AS (n * 2) STORED,"
        " PRIMARY KEY(k)) STRICT, WITHOUT ROWID"
    )
    db.execute("CREATE UNIQUE INDEX big ON t(n) WHERE n > 100")
    db.execute("CREATE INDEX folded ON t(lower(k))")
    db.execute("INSERT INTO t(k) VALUES ('A')")
    assert rows(db, "SELECT n, twice FROM t WHERE lower(k) = 'a'") == [(7, 14)]
    with pytest.raises(quorate.IntegrityError):
        db.execute("INSERT INTO t(k, n) VALUES ('b', 0)")
    with pytest.raises(quorate.IntegrityError):
        db.execute("INSERT INTO t(k, n) VALUES ('b', 'text')")


def test_foreign_keys_are_enforced(db: Any) -> None:
    db.execute("CREATE TABLE parent(id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE child(p INTEGER REFERENCES parent(id) ON DELETE CASCADE)")
    with pytest.raises(quorate.IntegrityError, match="FOREIGN KEY"):
        db.execute("INSERT INTO child VALUES (1)")
    db.execute("INSERT INTO parent VALUES (1)")
    db.execute("INSERT INTO child VALUES (1)")
    db.execute("DELETE FROM parent")
    assert rows(db, "SELECT count(*) FROM child") == [(0,)]


def test_deferred_foreign_keys_fail_their_own_request(db: Any) -> None:
    db.execute("CREATE TABLE parent(id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE child(p INTEGER REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(quorate.IntegrityError, match="FOREIGN KEY"):
        db.execute("INSERT INTO child VALUES (1)")
    db.batch([("INSERT INTO child VALUES (2)", ()), ("INSERT INTO parent VALUES (2)", ())])
    assert rows(db, "SELECT p FROM child") == [(2,)]


def test_triggers(db: Any) -> None:
    db.execute("CREATE TABLE t(a INTEGER)")
    db.execute("CREATE TABLE log(a INTEGER)")
    db.execute("CREATE TRIGGER copy AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.a); END")
    db.execute("INSERT INTO t VALUES (5)")
    assert rows(db, "SELECT a FROM log") == [(5,)]


def test_autoincrement(db: Any) -> None:
    db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY AUTOINCREMENT)")
    db.execute("INSERT INTO t DEFAULT VALUES")
    db.execute("DELETE FROM t")
    db.execute("INSERT INTO t DEFAULT VALUES")
    assert rows(db, "SELECT k FROM t") == [(2,)]


def test_null_keys_are_kept_apart(db: Any) -> None:
    db.execute("CREATE TABLE t(k TEXT PRIMARY KEY, v)")
    db.execute("INSERT INTO t VALUES (NULL, 1), (NULL, 2)")
    db.execute("UPDATE t SET v = 3 WHERE v = 1")
    assert rows(db, "SELECT v FROM t ORDER BY v") == [(2,), (3,)]


@pytest.mark.parametrize("table", ["t(k PRIMARY KEY, g AS (k * 2) VIRTUAL) WITHOUT ROWID", "t(rowid, oid, _rowid_, v)"])
def test_tables_whose_rows_cannot_be_captured_are_refused(db: Any, table: str) -> None:
    refused(db, f"CREATE TABLE {table}")
    assert rows(db, "SELECT count(*) FROM sqlite_schema WHERE name = 't'") == [(0,)]


def test_automerge_of_fts4_is_refused(db: Any) -> None:
    db.execute("CREATE VIRTUAL TABLE pages USING fts4(body)")
    refused(db, "INSERT INTO pages(pages) VALUES ('automerge=2')")
    db.execute("INSERT INTO pages VALUES ('a mug')")
    db.execute("INSERT INTO pages(pages) VALUES ('optimize')")
    assert rows(db, "SELECT body FROM pages WHERE pages MATCH 'mug'") == [("a mug",)]


def test_full_text_search(db: Any) -> None:
    db.execute("CREATE VIRTUAL TABLE pages USING fts5(body)")
    db.execute("INSERT INTO pages VALUES ('a mug and a jug')")
    db.execute("INSERT INTO pages VALUES ('a pot')")
    assert rows(db, "SELECT body FROM pages WHERE pages MATCH 'jug'") == [("a mug and a jug",)]


def test_other_virtual_tables_are_refused(db: Any) -> None:
    refused(db, "CREATE VIRTUAL TABLE s USING dbstat")


def test_reserved_names_are_refused(db: Any) -> None:
    with pytest.raises(quorate.ProgrammingError, match="quorate_"):
        db.execute("CREATE TABLE quorate_mine(a)")


# Functions and values


def test_chance_and_time_are_evaluated_once(tmp_path: Path) -> None:
    place = str(tmp_path / "folder")
    with quorate.connect(place) as db:
        db.execute("CREATE TABLE t(r INTEGER, b BLOB, at TEXT DEFAULT CURRENT_TIMESTAMP)")
        db.execute("INSERT INTO t(r, b) VALUES (random(), randomblob(8))")
        before = rows(db, "SELECT * FROM t")
    with quorate.connect(place) as db:
        assert rows(db, "SELECT * FROM t") == before


def test_counters_belong_to_their_request(db: Any) -> None:
    db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v)")
    db.execute("INSERT INTO t VALUES (41, 0), (42, 0)")
    results = db.batch(
        [("INSERT INTO t(v) VALUES (1)", ()), ("INSERT INTO t(v) VALUES (last_insert_rowid()) RETURNING v", ())]
    )
    assert results[1].fetchall() == [(43,)]
    assert rows(db, "INSERT INTO t(v) VALUES (changes()) RETURNING v") == [(0,)]


def test_builtin_functions(db: Any) -> None:
    assert rows(db, "SELECT json_extract('{\"a\": [1, 2]}', '$.a[1]')") == [(2,)]
    assert rows(db, "SELECT sqrt(16.0), pow(2, 3)") == [(4.0, 8.0)]
    assert rows(db, "SELECT sum(column1) OVER (ORDER BY column1) FROM (VALUES (1), (2))") == [(1,), (3,)]
    assert rows(db, "SELECT date('2024-02-28', '+2 days')") == [("2024-03-01",)]


def test_extensions_are_refused(db: Any) -> None:
    with pytest.raises(quorate.DatabaseError):
        db.execute("SELECT load_extension('x')")


def test_functions_of_django(db: Any) -> None:
    assert db.execute("SELECT lpad('x', 3, '-'), length(md5('x')), var_pop(1)").fetchone() == ("--x", 32, 0.0)
    with pytest.raises(quorate.NotSupportedError, match="cannot be a part of the schema"):
        db.execute("CREATE TABLE hashed(a TEXT CHECK (length(md5(a)) = 32))")


def test_unknown_functions_are_errors(db: Any) -> None:
    with pytest.raises(quorate.ProgrammingError, match="no such function"):
        db.execute("SELECT my_function(1)")
    with pytest.raises(quorate.ProgrammingError, match="no such collation"):
        db.execute("SELECT 'a' COLLATE mine = 'b'")


def test_values_that_sqlite_cannot_hold(db: Any) -> None:
    with pytest.raises(quorate.DataError):
        db.execute("SELECT ?", (2**63,))
    with pytest.raises((quorate.DataError, quorate.InterfaceError, quorate.ProgrammingError)):
        db.execute("SELECT ?", (object(),))


# PRAGMA


def test_reading_pragmas(db: Any) -> None:
    db.execute("CREATE TABLE t(a INTEGER)")
    assert rows(db, "PRAGMA table_info(t)")[0][1] == "a"
    assert rows(db, "PRAGMA integrity_check") == [("ok",)]
    assert rows(db, "PRAGMA foreign_key_check") == []
    assert rows(db, "PRAGMA index_list(t)") == []
    assert rows(db, "PRAGMA database_list")


def test_pragmas_that_travel(tmp_path: Path) -> None:
    place = str(tmp_path / "folder")
    with quorate.connect(place) as db:
        db.execute("PRAGMA user_version = 12")
        db.execute("PRAGMA application_id = 34")
    with quorate.connect(place) as db:
        assert rows(db, "PRAGMA user_version") == [(12,)]
        assert rows(db, "PRAGMA application_id") == [(34,)]


@pytest.mark.parametrize("target", ["folder", ":memory:"])
def test_pragmas_that_set_what_is_in_force(target: str, tmp_path: Path) -> None:
    with quorate.connect(target if target == ":memory:" else str(tmp_path / target)) as db:
        for _ in range(2):  # a text that was read before takes a shorter way
            assert rows(db, "PRAGMA journal_mode = WAL") == [("wal",)]
            for sql in ("foreign_keys = ON", "Foreign_Keys(1)", "synchronous=FULL", "synchronous = normal"):
                assert list(db.execute(f"PRAGMA {sql};")) == []
            for sql in ("read_uncommitted = 1", "encoding = 'UTF-8'", "query_only = off"):
                assert rows(db, f"PRAGMA {sql};") == []
            assert rows(db, "PRAGMA busy_timeout=300") == [(300,)]
        refused(db, "PRAGMA journal_mode = MEMORY", "PRAGMA busy_timeout = 1 2", "PRAGMA query_only = 1")


def test_the_names_of_pragmas_know_no_case(db: Any) -> None:
    db.execute("PRAGMA USER_VERSION = 7")
    db.execute("PRAGMA Application_Id(8)")
    assert rows(db, "PRAGMA User_Version") == [(7,)]
    assert rows(db, "PRAGMA APPLICATION_ID") == [(8,)]


def test_other_pragmas_are_refused(db: Any) -> None:
    refused(
        db,
        "PRAGMA journal_mode = DELETE",
        "PRAGMA synchronous = OFF",
        "PRAGMA recursive_triggers = ON",
        "PRAGMA writable_schema = ON",
        "PRAGMA optimize",
        "PRAGMA wal_checkpoint",
    )


def test_pragmas_of_a_transaction(db: Any) -> None:
    db.execute("CREATE TABLE parent(id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE child(p REFERENCES parent ON DELETE CASCADE)")
    db.batch(["INSERT INTO parent VALUES (1)", "INSERT INTO child VALUES (1)"])
    db.execute("PRAGMA foreign_keys = OFF")
    assert rows(db, "PRAGMA foreign_keys") == [(0,)]
    db.batch(["CREATE TABLE new(id INTEGER PRIMARY KEY)", "INSERT INTO new SELECT * FROM parent", "DROP TABLE parent",
              "ALTER TABLE new RENAME TO parent"])  # fmt: skip
    assert rows(db, "SELECT * FROM child") == [(1,)]
    with pytest.raises(quorate.IntegrityError):
        db.execute("DELETE FROM parent")


# Transactions


def test_execute_is_a_transaction_of_its_own(tmp_path: Path) -> None:
    place = str(tmp_path / "folder")
    with quorate.connect(place) as db:
        db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY)")
        db.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(quorate.IntegrityError):
            db.execute("INSERT INTO t VALUES (2), (1)")
    with quorate.connect(place) as db:
        assert rows(db, "SELECT k FROM t") == [(1,)]


def test_batch_is_all_or_nothing(db: Any) -> None:
    db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY)")
    with pytest.raises(quorate.IntegrityError):
        db.batch([("INSERT INTO t VALUES (1)", ()), ("INSERT INTO t VALUES (1)", ())])
    assert rows(db, "SELECT count(*) FROM t") == [(0,)]


def test_interactive_transactions_on_a_folder(db: Any) -> None:
    db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY)")
    with db.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (1)")
        assert tx.execute("SELECT count(*) FROM t").fetchone() == (1,)
    with pytest.raises(quorate.IntegrityError), db.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (2), (1)")
    with contextlib.suppress(ValueError), db.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (3)")
        raise ValueError("changed my mind")
    assert rows(db, "SELECT k FROM t") == [(1,)]


def test_autocommit_off(tmp_path: Path) -> None:
    with quorate.connect(str(tmp_path / "folder"), autocommit=False) as db:
        db.execute("CREATE TABLE t(a)")
        db.commit()
        db.execute("INSERT INTO t VALUES (1)")
        assert db.in_transaction
        db.rollback()
        assert rows(db, "SELECT a FROM t") == []
