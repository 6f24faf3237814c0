"""`create_function` and `create_collation`: for statements of a folder's connections, never for its schema."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quorate


def twice(value: int) -> int:
    return 2 * value


def by_length(one: str, other: str) -> int:
    return len(one) - len(other)


@pytest.fixture(params=["folder", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with quorate.connect(tmp_path / "shop" if request.param == "folder" else ":memory:") as connection:
        connection.execute("CREATE TABLE t(a)")
        yield connection


def test_functions_serve_reads_and_writes(db: Any) -> None:
    with pytest.raises(quorate.ProgrammingError, match="no such function"):
        db.execute("SELECT twice(21)")
    db.create_function("twice", 1, twice, deterministic=True)
    db.create_function("count_of", -1, lambda *values: len(values))
    for _ in range(3):
        assert db.execute("SELECT Twice(21), count_of(1, 2, 3)").fetchall() == [(42, 3)]
    db.execute("INSERT INTO t VALUES (twice(?))", (4,))
    db.execute("UPDATE t SET a = twice(a) WHERE twice(a) = 16")
    with db.transaction() as tx:
        assert tx.execute("SELECT twice(a) FROM t").fetchall() == [(32,)]
        db.create_function("other", 0, lambda: "in a transaction")
        assert tx.execute("SELECT other()").fetchone() == ("in a transaction",)
    db.execute("CREATE TABLE copied AS SELECT twice(a) AS b FROM t")
    assert db.execute("SELECT b FROM copied").fetchall() == [(32,)]


def test_a_definition_is_replaced_and_taken_away(db: Any) -> None:
    db.create_function("f", 0, lambda: 1)
    for _ in range(3):
        assert db.execute("SELECT f()").fetchone() == (1,)
    db.create_function("f", 0, lambda: 2)
    assert db.execute("SELECT f()").fetchone() == (2,)
    db.create_function("f", 0, None)
    with pytest.raises(quorate.ProgrammingError, match="no such function"):
        db.execute("SELECT f()")
    with pytest.raises(quorate.ProgrammingError, match="no such function"):
        db.execute("INSERT INTO t VALUES (f())")


def test_collations_serve_reads_and_writes(db: Any) -> None:
    db.executemany("INSERT INTO t VALUES (?)", [("ccc",), ("a",), ("bb",)])
    db.create_collation("by_length", by_length)
    sql = "SELECT a FROM t ORDER BY a COLLATE by_length"
    for _ in range(3):
        assert db.execute(sql).fetchall() == [("a",), ("bb",), ("ccc",)]
    db.execute("DELETE FROM t WHERE a = 'xx' COLLATE by_length")
    assert db.execute(sql).fetchall() == [("a",), ("ccc",)]
    db.create_collation("by_length", None)
    with pytest.raises(quorate.ProgrammingError, match="no such collation"):
        db.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE u(a CHECK (twice(a) > 2))",
        "CREATE TABLE u(a, b AS (twice(a)))",
        "CREATE TABLE u(a DEFAULT (twice(1)))",
        'CREATE INDEX i ON t("twice" (a))',
        "CREATE INDEX i ON t(a) WHERE twice /* of */ (a)",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT TWICE(1); END",
        "CREATE VIEW v AS SELECT twice(1)",
        "ALTER TABLE t ADD COLUMN b AS (twice(a))",
        "CREATE TABLE u(a COLLATE by_length)",
        "CREATE INDEX i ON t(a COLLATE [BY_LENGTH])",
    ],
)
def test_the_schema_has_none(db: Any, sql: str) -> None:
    db.create_function("twice", 1, twice, deterministic=True)
    db.create_collation("by_length", by_length)
    with pytest.raises(quorate.NotSupportedError, match="cannot be a part of the schema"):
        db.execute(sql)
    with pytest.raises(quorate.NotSupportedError, match="cannot be a part of the schema"), db.transaction() as tx:
        tx.execute(sql)
    assert db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (1,)
    db.execute("CREATE TABLE twice(by_length TEXT, b COLLATE nocase)")


def test_a_schema_from_before_cannot_reach_one(db: Any) -> None:
    db.execute("CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET a = twice(new.a); END")
    db.create_function("twice", 1, twice)
    with pytest.raises(quorate.ProgrammingError, match="unsafe use of twice"):
        db.execute("INSERT INTO t VALUES (1)")
    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_every_connection_to_the_folder_has_them_and_the_next_process_has_not(tmp_path: Path) -> None:
    one: Any
    other: Any
    with quorate.connect(tmp_path) as one, quorate.connect(tmp_path) as other:
        other.execute("CREATE TABLE t(a)")
        other.execute("SELECT 1").fetchall()
        one.create_function("twice", 1, twice)
        assert other.execute("SELECT twice(1)").fetchone() == (2,)
        other.execute("INSERT INTO t VALUES (twice(3))")
    with quorate.connect(tmp_path) as one:
        assert one.execute("SELECT a FROM t").fetchone() == (6,)
        with pytest.raises(quorate.ProgrammingError, match="no such function"):
            one.execute("SELECT twice(1)")


@pytest.mark.parametrize("sql", ["SELECT wrong(1)", "INSERT INTO t VALUES (wrong(1))"])
def test_what_goes_wrong_in_one_is_its_own_fault(db: Any, sql: str) -> None:
    def raises(_: object) -> None:
        raise KeyError("k")

    db.create_function("wrong", 1, raises)
    with pytest.raises(quorate.OperationalError, match="wrong, which this program has defined, has raised KeyError"):
        db.execute(sql)
    db.create_function("wrong", 1, lambda _: [])
    with pytest.raises(quorate.OperationalError, match="has returned a value of type list"):
        db.execute(sql)
    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_names_and_arguments_are_checked(db: Any) -> None:
    with pytest.raises(quorate.NotSupportedError, match="lower is SQLite's own"):
        db.create_function("lower", 1, twice)
    with pytest.raises(quorate.NotSupportedError, match="NOCASE is SQLite's own"):
        db.create_collation("NOCASE", by_length)
    wrong: list[tuple[Any, ...]] = [("f", 1, 2), (1, 1, twice), ("f", "1", twice), ("f", 1000, twice)]
    for arguments in wrong:
        with pytest.raises(quorate.ProgrammingError):
            db.create_function(*arguments)
    with pytest.raises(quorate.ProgrammingError):
        db.create_collation("c", 1)
