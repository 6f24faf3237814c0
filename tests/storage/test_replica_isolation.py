"""Callers in one batch never notice each other."""

from collections.abc import Iterator

import pytest

from quorate.core.requests import CommitHeld, Done, WriteOutcome
from quorate.core.statements import Failed, Statement
from quorate.storage.interface import StatementFailed
from tests.storage.pair import Pair, refusal, run, statement


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair() as pair:
        pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT)")
        yield pair


def kinds(outcomes: list[WriteOutcome]) -> list[str]:
    return [outcome.error if isinstance(outcome, Failed) else type(outcome).__name__ for outcome in outcomes]


ROLLBACKS = [
    "INSERT OR ROLLBACK INTO t VALUES (1, 1)",
    "UPDATE OR ROLLBACK t SET id = 1",
    "INSERT INTO raises VALUES (1)",
    "INSERT INTO declared VALUES (1), (1)",
]


@pytest.mark.parametrize("sql", ROLLBACKS)
def test_a_statement_that_ends_the_transaction_ends_only_its_own_request(pair: Pair, sql: str) -> None:
    pair.do(
        "CREATE TABLE raises(v)",
        "CREATE TRIGGER r BEFORE INSERT ON raises BEGIN SELECT RAISE(ROLLBACK, 'over'); END",
        "CREATE TABLE declared(v UNIQUE ON CONFLICT ROLLBACK)",
        "INSERT INTO t VALUES (100, 0)",
    )
    outcomes = pair.batch(
        run("INSERT INTO t VALUES (1, 1)"),
        run("INSERT INTO t VALUES (2, 2)", sql),
        run("INSERT INTO t VALUES (3, 3)"),
        run(sql),
        run("INSERT INTO t VALUES (4, 4)", "CREATE TABLE more(v)"),
    )
    assert kinds(outcomes) == ["Done", "IntegrityError", "Done", "IntegrityError", "Done"]
    assert pair.rows("SELECT id FROM t WHERE id < 100") == [(1,), (3,), (4,)]
    assert outcomes[1].statement == 1  # type: ignore[union-attr]


def test_a_deferred_foreign_key_fails_its_own_request(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE child(id INTEGER PRIMARY KEY, p INT REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO t VALUES (1, 1)",
    )
    outcomes = pair.batch(
        run("INSERT INTO child VALUES (1, 1)"),
        run("INSERT INTO child VALUES (2, 77)"),
        run("INSERT INTO child VALUES (3, 78)", "INSERT INTO t VALUES (78, 0)"),
    )
    assert kinds(outcomes) == ["Done", "IntegrityError", "Done"]
    assert outcomes[1].sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY"  # type: ignore[union-attr]
    assert pair.rows("SELECT id FROM child") == [(1,), (3,)]


def test_counters_begin_anew_for_each_request(pair: Pair) -> None:
    pair.do("CREATE TABLE seen(a, b, c)")
    tell = "INSERT INTO seen VALUES (changes(), total_changes(), last_insert_rowid())"
    pair.batch(
        run("INSERT INTO t VALUES (50, 0), (51, 0)"),
        run(tell),
        run("INSERT INTO t VALUES (60, 0)", "UPDATE t SET v = 1", tell),
        run("UPDATE t SET v = 2 WHERE id = -1", tell),
    )
    assert pair.rows("SELECT * FROM seen") == [(0, 0, 0), (3, 4, 60), (0, 0, 0)]


def test_counters_inside_triggers_are_those_of_sqlite(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE log(n)",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET v = 5; INSERT INTO log VALUES (changes()); END",
        "INSERT INTO t VALUES (1, 1), (2, 2)",
    )
    assert pair.rows("SELECT n FROM log") == [(1,), (2,)]


def test_results(pair: Pair) -> None:
    results = pair.do(
        statement("INSERT INTO t VALUES (?, ?)", 7, 1),
        Statement("INSERT INTO t VALUES (:id, :v)", ({"id": 8, "v": 1},)),
        Statement("INSERT INTO t VALUES (?, ?)", ((9, 2), (10, 2), (11, 2)), many=True),
        "SELECT id, v + 0 AS w FROM t WHERE id < 9",
        "SELECT id FROM t WHERE 0",
        "UPDATE t SET v = 3 WHERE v = 2",
        "DELETE FROM t WHERE id = 1000",
        "INSERT INTO t VALUES (7, 7) ON CONFLICT DO NOTHING",
        "CREATE INDEX i ON t(v)",
    )
    assert [(r.rowcount, r.lastrowid) for r in results] == [
        (1, 7),
        (1, 8),
        (3, 11),
        (-1, None),
        (-1, None),
        (3, None),
        (0, None),
        (0, None),
        (-1, None),
    ]
    assert results[3].columns == (("id", "INTEGER"), ("w", None))
    assert results[3].rows == [(7, 1), (8, 1)]
    assert (results[4].columns, results[4].rows) == ((("id", "INTEGER"),), [])


REFUSED = [
    "BEGIN", "begin immediate", "COMMIT", "END", "ROLLBACK", "SAVEPOINT a", "RELEASE a", "/* hi */ ROLLBACK TO a",
    "ATTACH 'x.db' AS x", "DETACH x", "VACUUM", "VACUUM INTO 'x.db'", "CREATE TEMP TABLE x(a)",
    "CREATE TABLE temp.x(a)",
    "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", "CREATE TEMP VIEW x AS SELECT 1",
    "PRAGMA writable_schema = 1", "PRAGMA query_only = 1",
    "PRAGMA journal_mode = DELETE", "PRAGMA wal_checkpoint", "PRAGMA optimize",
    "CREATE VIRTUAL TABLE x USING dbstat",
    "INSERT INTO t SELECT 1, count(*) FROM sqlite_temp_master",
]  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_refused(pair: Pair, sql: str) -> None:
    good, bad, other = pair.batch(run("INSERT INTO t VALUES (1, 1)"), run(sql), run("INSERT INTO t VALUES (2, 2)"))
    assert isinstance(good, Done)
    assert isinstance(other, Done)
    assert isinstance(bad, Failed)
    assert bad.error == "NotSupportedError"
    assert bad.hint
    assert refusal(pair.leader, sql).error in ("NotSupportedError", "ProgrammingError")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO quorate_window VALUES (5, x'00')",
        "UPDATE main.quorate_applied SET entry = 9",
        "UPDATE main.quorate_applied SET epoch = ?, entry = ?, floor = ?",
        'DELETE FROM "Quorate_Applied"',
        "DROP TABLE quorate_window",
        "ALTER TABLE quorate_window ADD COLUMN x",
        "ALTER TABLE t RENAME TO quorate_t",
        "CREATE TABLE quorate_mine(a)",
        "CREATE TABLE quorate_mine AS SELECT 1",
        "CREATE INDEX i ON quorate_window(records)",
        "CREATE TRIGGER x AFTER INSERT ON quorate_window BEGIN SELECT 1; END",
        "CREATE VIEW quorate_view AS SELECT 1",
    ],
)
def test_the_replicas_own_tables_cannot_be_written(pair: Pair, sql: str) -> None:
    failed = pair.fail(Statement(sql, ((1, 2, 3) if "?" in sql else (),)))
    assert failed.error in ("ProgrammingError", "NotSupportedError"), failed
    assert "quorate" in failed.message.lower()
    pair.do("INSERT INTO t VALUES (1, 1)")


def test_nor_by_a_detour(pair: Pair) -> None:
    pair.do("CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE quorate_applied SET entry = 0; END")
    assert pair.fail("INSERT INTO t VALUES (1, 1)").message.startswith("quorate_applied belongs")


@pytest.mark.parametrize(
    ("sql", "parameters", "error"),
    [
        ("SELEC 1", (), "ProgrammingError"),
        ("INSERT INTO nowhere VALUES (1)", (), "ProgrammingError"),
        ("INSERT INTO t VALUES (1, 1); DELETE FROM t", (), "ProgrammingError"),
        ("", (), "ProgrammingError"),
        (" -- nothing", (), "ProgrammingError"),
        (";", (), "ProgrammingError"),
        ("INSERT INTO t VALUES (1, 1)\0", (), "ProgrammingError"),
        ("INSERT INTO t VALUES (?, ?)", (1,), "ProgrammingError"),
        ("INSERT INTO t VALUES (?, ?)", (1, 2, 3), "ProgrammingError"),
        ("INSERT INTO t VALUES (:a, :b)", {"a": 1}, "ProgrammingError"),
        ("INSERT INTO t VALUES (?, ?)", {"a": 1}, "ProgrammingError"),
        ("INSERT INTO t VALUES (?, ?)", (1, 2**63), "DataError"),
        ("INSERT INTO t VALUES (?, ?)", (1, object()), "DataError"),
        ("INSERT INTO t VALUES (?, ?)", (1, "\ud800"), "DataError"),
        ("INSERT INTO t VALUES ('no integer', 1)", (), "IntegrityError"),
        ("INSERT INTO t SELECT 1, zeroblob(2000000000)", (), "TooLarge"),
    ],
)
def test_mistakes(pair: Pair, sql: str, parameters: object, error: str) -> None:
    failed = pair.fail(Statement(sql, (parameters,)))  # type: ignore[arg-type]
    assert failed.error == error, failed
    assert failed.statement == 0
    pair.do("INSERT INTO t VALUES (1, 1)")
    assert refusal(pair.leader, sql, *(parameters if isinstance(parameters, tuple) else ())).error


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (1, 1);", ";;INSERT INTO t VALUES (1, 1) ; -- done\n /* */ ;;"])
def test_a_statement_may_be_followed_by_nothing(pair: Pair, sql: str) -> None:
    pair.do(sql)
    assert pair.rows("SELECT * FROM t ; -- done") == [(1, 1)]


def test_a_surplus_statement_is_named(pair: Pair) -> None:
    failed = pair.fail("INSERT INTO t VALUES (1, ';'); /* x */ DELETE FROM t WHERE 1")
    assert "DELETE FROM t" in failed.message
    assert pair.rows("SELECT * FROM t") == []


def test_a_result_that_is_too_large_is_an_error_and_undoes_its_request(pair: Pair) -> None:
    pair.do(Statement("INSERT INTO t VALUES (?, 1)", tuple((n,) for n in range(50)), many=True))
    failed = pair.fail("UPDATE t SET v = 2", "SELECT randomblob(1000000) FROM t")
    assert failed.error == "TooLarge"
    assert "stream()" in failed.hint
    assert pair.rows("SELECT DISTINCT v FROM t") == [(1,)]
    assert refusal(pair.leader, "SELECT randomblob(1000000) FROM t").error == "TooLarge"
    sql = (
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 200000)"
        " SELECT i, hex(randomblob(100)) FROM n"
    )
    assert refusal(pair.leader, sql).error == "TooLarge"


def test_text_that_is_not_utf8_is_named(pair: Pair) -> None:
    pair.do("CREATE TABLE b(v)", "INSERT INTO b VALUES (CAST(x'ff' AS TEXT))")
    assert refusal(pair.leader, "SELECT v FROM b").error == "DataError"
    assert pair.rows("SELECT CAST(v AS BLOB) FROM b") == [(b"\xff",)]


def test_text_that_is_not_utf8_cannot_be_captured_in_a_table_without_rowid(pair: Pair) -> None:
    pair.do("CREATE TABLE n(k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, v) WITHOUT ROWID")
    outcomes = pair.batch(
        run("INSERT INTO n VALUES ('a', 1)"),
        run("INSERT INTO n VALUES ('b', CAST(x'ff' AS TEXT))"),
        run("INSERT INTO n VALUES (CAST(x'ff' AS TEXT), 1)"),
        run("CREATE TABLE after(v)", "INSERT INTO n VALUES ('c', 1)"),
    )
    assert kinds(outcomes) == ["Done", "DataError", "DataError", "Done"]
    assert pair.rows("SELECT k FROM n") == [("a",), ("c",)]
    pair.leader.hold()
    with pytest.raises(StatementFailed):
        pair.leader.run_held(statement("INSERT INTO n VALUES ('d', CAST(x'ff' AS TEXT))"))
    assert kinds(pair.batch(CommitHeld("main", pair.token()))) == ["Done"]
    assert pair.rows("SELECT k FROM n") == [("a",), ("c",)]
