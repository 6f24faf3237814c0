"""The authorizer holds statements to what their texts say: a text that was misread gets no role past the decision."""

from collections.abc import Iterator

import apsw
import pytest

from quorate.core.statements import Statement
from quorate.sql.classify import CHANGE, DDL, READ, Shape, shape_of
from quorate.storage.data.guard import Guard
from quorate.storage.execution.running import Runner
from quorate.storage.failures import RefusedError, failed_of


class Rig:
    """One connection, as a replica's writer has it."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.execute(
            """CREATE TABLE t(a); CREATE TABLE log(a); CREATE VIEW v AS SELECT a FROM t;
               CREATE TABLE quorate_resolvers(a); INSERT INTO t VALUES (0); CREATE VIRTUAL TABLE words USING fts5(word);
               CREATE VIRTUAL TABLE boxes USING rtree(id, x, y);
               CREATE TRIGGER seen AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.a); END;
               CREATE TRIGGER through INSTEAD OF INSERT ON v BEGIN INSERT INTO quorate_resolvers VALUES (new.a); END"""
        )
        self.guard = Guard()
        self.connection.authorizer = self.guard
        self.runner = Runner(self.connection, self.guard)

    def run(self, kind: int, sql: str) -> str:
        """The error of a text that was taken for this kind."""
        shape = Shape(kind, sql)
        run = {READ: self.runner.read, CHANGE: self.runner.change, DDL: self.runner.text}[kind]
        try:
            run(Statement(sql), shape)
        except (apsw.Error, RefusedError) as error:
            assert not self.guard.watching
            return failed_of(error, 0, self.guard).message
        return ""


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.runner.close()
    made.connection.close()


SCHEMA_CHANGES = (
    "CREATE TABLE u(a)",
    "DROP TABLE t",
    "ALTER TABLE t ADD COLUMN b",
    "CREATE INDEX i ON t(a)",
    "CREATE TRIGGER s AFTER INSERT ON t BEGIN SELECT 1; END",
    "DROP VIEW v",
    "ANALYZE",
    "REINDEX",
    "PRAGMA user_version = 7",
    "INSERT INTO quorate_resolvers VALUES (1)",
)
ROW_CHANGES = (
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET a = 2",
    "DELETE FROM t",
    "REPLACE INTO t VALUES (1) RETURNING a",
    "WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM c",
    "INSERT INTO words VALUES ('one')",
    "INSERT INTO words(words) VALUES ('rebuild')",
    "INSERT INTO v VALUES (1)",
)
READS = (
    "SELECT * FROM t",
    "SELECT * FROM words('one')",
    "SELECT * FROM boxes",
    "PRAGMA user_version",
    "SELECT * FROM pragma_table_info('t')",
)


@pytest.mark.parametrize("sql", SCHEMA_CHANGES)
def test_what_changes_the_schema_and_was_taken_for_less_is_refused(rig: Rig, sql: str) -> None:
    assert "more than its text says" in rig.run(CHANGE, sql)
    assert "more than its text says" in rig.run(READ, sql)
    assert not rig.run(DDL, sql)


@pytest.mark.parametrize("sql", ROW_CHANGES)
def test_what_changes_rows_and_was_taken_for_a_read_is_refused(rig: Rig, sql: str) -> None:
    assert "more than its text says" in rig.run(READ, sql)
    assert not rig.run(CHANGE, sql), "triggers, views and virtual tables do what they were made for"


@pytest.mark.parametrize("sql", READS)
def test_what_reads_is_not_in_the_way(rig: Rig, sql: str) -> None:
    assert not rig.run(READ, sql)


@pytest.mark.parametrize(
    "name", ["quorate_resolvers", "QUORATE_RESOLVERS", '"Quorate_Resolvers"', "main.[quorate_RESOLVERS]"]
)
def test_the_table_of_resolvers_is_known_however_it_is_spelt(name: str) -> None:
    for sql in (
        f"INSERT INTO {name} VALUES (1)",
        f"DELETE FROM {name}",
        f"WITH a AS (SELECT 1) UPDATE {name} SET a = 1",
    ):
        assert shape_of(sql.format(name)).kind == DDL
        assert shape_of(" " * 16_380 + sql.format(name)).kind == DDL, "where a long text is cut"
