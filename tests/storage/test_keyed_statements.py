"""SQL in the data file of a replica without a leader: what a statement is about, and what it makes of one row."""

from pathlib import Path
from typing import Any

import pytest

from quorate.core.entries import DATA, SCHEMA, Entry
from quorate.core.requests import Done
from quorate.core.row_effects import (
    CHANGES_SCHEMA,
    IS_REFUSED,
    READS_ROW,
    READS_TABLES,
    WRITES,
    PlanStatement,
    ReadOnRows,
    ReadTables,
    RunOnRow,
    StatementPlanned,
    encode_change,
    encode_rows,
)
from quorate.core.statements import Failed, Statement
from quorate.storage.data.keyed import KeyedReplica
from quorate.storage.rows.payload import decode_outcome
from quorate.storage.versions.keyed import StoredRows

TABLE = "CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0, s TEXT)"
COUNTER = "INSERT INTO quorate_resolvers(\"table\", \"column\", resolver) VALUES ('t', 'n', 'merge:counter')"


class Rig:
    """One replica, and the entries of its log."""

    def __init__(self, path: Path) -> None:
        self.now_us = 0
        self.replica = KeyedReplica(path, clock=self.tick)
        self.index = 0

    def tick(self) -> int:
        """Each look at the clock takes a millisecond."""
        self.now_us += 1_000
        return self.now_us

    def log(self, kind: int, payload: bytes) -> None:
        self.index += 1
        self.replica.apply([Entry(self.index, 1, kind, payload)])

    def plan(self, sql: str, *values: Any) -> StatementPlanned:
        return self.replica.plan(PlanStatement(1, 1, 1, Statement(sql, (values,))))

    def change(self, sql: str) -> None:
        planned = self.plan(sql)
        assert planned.kind == CHANGES_SCHEMA, decode_outcome(planned.outcome)
        self.log(SCHEMA, encode_change(planned.serial + 1, sql))

    def refused(self, sql: str, *values: Any) -> str:
        planned = self.plan(sql, *values)
        outcome = decode_outcome(planned.outcome)
        assert planned.kind == IS_REFUSED
        assert isinstance(outcome, Failed)
        return f"{outcome.error}: {outcome.message}"

    def run(self, sql: str, *values: Any) -> Any:
        planned = self.plan(sql, *values)
        statement = Statement(sql, (values,))
        if planned.kind != WRITES:
            outcome = decode_outcome(self.replica.read_on_rows(ReadOnRows(1, 1, 1, (), statement, 0)).outcome)
            return outcome.results[0].rows if isinstance(outcome, Done) else outcome
        state = self.replica.state_of(planned.key)
        found = self.replica.run_on_row(RunOnRow(1, 1, 1, planned.key, state, statement, 100 + self.index, 7, 0))
        if found.state:
            self.log(DATA, encode_rows([(*planned.key, found.state)]))
        outcome = decode_outcome(found.outcome)
        return outcome.results[0].rowcount if isinstance(outcome, Done) else outcome


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    found = Rig(tmp_path / "data")
    found.change(TABLE)
    found.change(COUNTER)
    return found


def test_statements_of_one_row_change_it_as_sqlite_would(rig: Rig) -> None:
    assert rig.run("INSERT INTO t VALUES (?, 1, 'x')", "a") == 1
    assert rig.run("INSERT INTO t VALUES (?, 1, 'x')", "a").sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"
    assert rig.run("INSERT INTO t(k, n) VALUES ('b', NULL)").error == "IntegrityError"
    for sql in ("INSERT INTO t VALUES (NULL, 1, 'x')", "insert into t(n, k) VALUES (1, NULL)"):
        assert decode_outcome(rig.plan(sql).outcome) == Failed("IntegrityError", "NOT NULL constraint failed: t.k")
    assert rig.refused("INSERT INTO t(n) VALUES (1)").startswith("NotSupportedError")
    assert rig.run("UPDATE t SET n = n + 5 WHERE k = ?", "a") == 1
    assert rig.run("UPDATE t SET n = 5 WHERE k = 'nobody'") == 0
    assert rig.run("INSERT INTO t(k) VALUES ('a') ON CONFLICT DO UPDATE SET n = n + 1, s = 'y'") == 1
    assert rig.run("SELECT * FROM t WHERE k = 'a'") == [("a", 7, "y")]
    assert rig.run("DELETE FROM t WHERE k = 'a'") == 1
    assert rig.run("SELECT count(*) FROM t") == [(0,)]


def test_what_a_statement_is_about_is_told_from_its_text_and_the_schema(rig: Rig) -> None:
    assert rig.plan("SELECT s FROM t AS q WHERE q.k = ? AND n > 3", "a").kind == READS_ROW
    for sql in ("SELECT * FROM t", "SELECT * FROM t WHERE k = 'a' OR n = 1", "SELECT count(*) FROM t WHERE n = 1"):
        planned = rig.plan(sql)
        assert (planned.kind, planned.tables) == (READS_TABLES, ("t@1",))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET n = 3",
        "DELETE FROM t WHERE k > 'a'",
        "INSERT INTO t SELECT * FROM t",
        "INSERT INTO t VALUES ('a', 1, 'x'), ('b', 1, 'x')",
        "UPDATE t SET s = (SELECT max(s) FROM t) WHERE k = 'a'",
        "INSERT INTO t(n) VALUES (1)",
        "CREATE TABLE u(k TEXT PRIMARY KEY)",
        "CREATE TABLE u(k TEXT NOT NULL PRIMARY KEY, x UNIQUE)",
        "CREATE TABLE u(k TEXT NOT NULL PRIMARY KEY, x CHECK (x > 1))",
        "CREATE TABLE u(k TEXT NOT NULL PRIMARY KEY, x REFERENCES t(k))",
        "CREATE TABLE u(k INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE TABLE u AS SELECT 1",
        "CREATE UNIQUE INDEX i ON t(s)",
        "CREATE INDEX i ON t(s) WHERE s > 1",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "ALTER TABLE t RENAME TO q",
        "ALTER TABLE t DROP COLUMN s",
        "ALTER TABLE t ADD COLUMN z DEFAULT CURRENT_TIMESTAMP",
        "PRAGMA user_version = 3",
    ],
)
def test_what_cannot_be_kept_without_a_leader_is_refused_by_name(rig: Rig, sql: str) -> None:
    assert rig.refused(sql).startswith("NotSupportedError: ")


def test_a_key_that_is_changed_would_be_another_row(rig: Rig) -> None:
    rig.run("INSERT INTO t VALUES ('a', 1, 'x')")
    assert rig.run("UPDATE t SET k = 'b' WHERE k = 'a'").error == "NotSupportedError"
    assert rig.run("SELECT k FROM t") == [("a",)]


def test_rows_that_come_before_their_table_are_shown_with_it(rig: Rig, tmp_path: Path) -> None:
    rig.change("ALTER TABLE t ADD COLUMN z INTEGER NOT NULL DEFAULT 4")
    rig.run("INSERT INTO t(k, n, z) VALUES ('a', 1, 9)")
    other = Rig(tmp_path / "other")
    other.log(DATA, encode_rows([(*key, state) for key, state in rig.replica.rows.items()]))
    other.change(TABLE)
    assert other.run("SELECT * FROM t") == [("a", 1, None)]
    other.change(COUNTER)
    other.change("ALTER TABLE t ADD COLUMN z INTEGER NOT NULL DEFAULT 4")
    assert other.run("SELECT * FROM t") == rig.run("SELECT * FROM t") == [("a", 1, None, 9)]
    assert other.replica.hashes(0, (0,)) == rig.replica.hashes(0, (0,))


def test_a_table_that_is_made_anew_has_no_rows_of_the_old_one(rig: Rig) -> None:
    rig.run("INSERT INTO t VALUES ('a', 1, 'x')")
    rig.change("DROP TABLE t")
    rig.change(TABLE)
    assert rig.run("SELECT * FROM t") == []


def test_changes_of_the_schema_are_carried_out_once_and_in_order(rig: Rig) -> None:
    rig.log(SCHEMA, encode_change(2, "DROP TABLE t"))  # known
    rig.log(SCHEMA, encode_change(3, "CREATE TABLE t(a)"))  # cannot be: passed over
    assert (rig.replica.serial(), rig.run("SELECT * FROM t")) == (3, [])


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def test_a_statement_that_keeps_the_node_from_all_else_is_ended(rig: Rig) -> None:
    outcome = decode_outcome(rig.replica.read_on_rows(ReadOnRows(1, 1, 1, (), Statement(ENDLESS), 20_000)).outcome)
    assert isinstance(outcome, Failed)
    assert outcome.error == "StatementTimeout"
    assert "20 ms" in outcome.message
    assert rig.run("INSERT INTO t VALUES ('a', 1, 'x')") == 1


def test_of_a_large_table_no_more_is_read_than_may_be_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    states = [(f"{number}".encode(), b"state") for number in range(9)]
    left = iter(states)
    monkeypatch.setattr(StoredRows, "of_table", lambda _rows, _table: left)
    assert rig.replica.read_tables(ReadTables(1, 1, 1, ("t@1",), 3, 1 << 20)).too_many
    assert list(left) == states[4:]
