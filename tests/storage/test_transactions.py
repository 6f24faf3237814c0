"""Scripts of transactions on a leader's writer: evaluated and undone, compared, committed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quorate.core.requests import Done, Outcome
from quorate.core.scripts import Script
from quorate.core.statements import Failed, Result, Token
from quorate.storage.data.connection import INTERNAL
from quorate.storage.execution.running import Runner
from quorate.storage.rows.payload import decode_outcome
from tests.storage.open_transaction import OpenTransaction
from tests.storage.pair import Pair, run, statement

SCHEMA = (
    "CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))",
    "INSERT INTO accounts VALUES (1, 100), (2, 0)",
)


@pytest.fixture(params=["memory", "file"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path if request.param == "file" else None) as pair:
        for sql in SCHEMA:
            pair.do(sql)
        yield pair


def begin(pair: Pair) -> OpenTransaction:
    def execute(script: Script) -> bytes:
        payload, (outcome,) = pair.leader.execute([script], 1_000_000)
        if payload is not None:
            assert script.commit, "an evaluation has something to log"
            pair.commit(payload)
        pair.same()
        return outcome

    return OpenTransaction(execute)


def failure(found: object) -> str:
    assert isinstance(found, Failed), found
    return found.sqlite_errorname or found.error


def test_a_transaction_sees_its_own_writes_and_nobody_else_does(pair: Pair) -> None:
    tx = begin(pair)
    assert tx.run("UPDATE accounts SET balance = balance - 10 WHERE id = 1") == Result((), [], 1)
    assert tx.rows("SELECT balance FROM accounts WHERE id = 1") == [(90,)]
    assert pair.rows("SELECT balance FROM accounts WHERE id = 1") == [(100,)]
    assert tx.rows("UPDATE accounts SET balance = balance + 10 WHERE id = 2 RETURNING balance") == [(10,)]
    assert tx.commit() == Done(())
    assert pair.rows("SELECT balance FROM accounts ORDER BY id") == [(90,), (10,)]
    pair.same()


def test_nothing_is_open_behind_an_evaluation(pair: Pair) -> None:
    tx = begin(pair)
    tx.run("UPDATE accounts SET balance = 7")
    assert not pair.leader.busy
    pair.do("UPDATE accounts SET balance = balance + 1 WHERE id = 2")
    assert pair.rows("SELECT balance FROM accounts ORDER BY id") == [(100,), (1,)]


def test_what_was_read_has_changed(pair: Pair) -> None:
    tx = begin(pair)
    tx.rows("SELECT balance FROM accounts WHERE id = 1")
    tx.run("UPDATE accounts SET balance = 99 WHERE id = 1")
    pair.do("UPDATE accounts SET balance = 50 WHERE id = 1")
    failed = tx.commit()
    assert failure(failed) == "SerializationFailure"
    assert isinstance(failed, Failed)
    assert failed.statement == 0
    assert pair.rows("SELECT balance FROM accounts WHERE id = 1") == [(50,)]


def test_a_statement_finds_that_what_was_read_has_changed(pair: Pair) -> None:
    tx = begin(pair)
    tx.rows("SELECT balance FROM accounts WHERE id = 1")
    pair.do("UPDATE accounts SET balance = 50 WHERE id = 1")
    assert failure(tx.run("UPDATE accounts SET balance = 0 WHERE id = 2")) == "SerializationFailure"


def test_what_others_changed_elsewhere_disturbs_nobody(pair: Pair) -> None:
    tx = begin(pair)
    tx.rows("SELECT balance FROM accounts WHERE id = 1")
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 1")
    pair.do("UPDATE accounts SET balance = 50 WHERE id = 2")
    assert tx.commit() == Done(())
    assert pair.rows("SELECT balance FROM accounts ORDER BY id") == [(1,), (50,)]


@pytest.mark.parametrize(
    ("before", "after"),
    [("1", "1.0"), ("'1'", "1"), ("x'31'", "'1'"), ("NULL", "''")],
)
def test_values_are_compared_with_their_types(pair: Pair, before: str, after: str) -> None:
    pair.do("CREATE TABLE v(id INTEGER PRIMARY KEY, value)")
    pair.do(f"INSERT INTO v VALUES (1, {before})")
    tx = begin(pair)
    tx.rows("SELECT value FROM v")
    pair.do(f"UPDATE v SET value = {after}")
    assert failure(tx.run("DELETE FROM accounts")) == "SerializationFailure"


def test_a_failure_to_serialize_is_not_remembered(pair: Pair) -> None:
    tx = begin(pair)
    tx.rows("SELECT balance FROM accounts WHERE id = 1")
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 1")
    pair.do("UPDATE accounts SET balance = 50 WHERE id = 1")
    assert failure(tx.commit("token")) == "SerializationFailure"
    pair.do("UPDATE accounts SET balance = 100 WHERE id = 1")
    assert tx.commit("token") == Done(())
    assert pair.rows("SELECT balance FROM accounts WHERE id = 1") == [(1,)]


def test_a_commit_that_is_repeated_happens_once(pair: Pair) -> None:
    tx = begin(pair)
    tx.run("UPDATE accounts SET balance = balance + 1 WHERE id = 1")
    assert tx.commit("token") == Done(())
    assert tx.commit("token") == Done(())
    assert pair.rows("SELECT balance FROM accounts WHERE id = 1") == [(101,)]
    (asked,) = pair.batch(Outcome("main", Token("token", 0)))
    assert asked == Done(())


def test_a_commit_that_was_asked_about_never_happens(pair: Pair) -> None:
    tx = begin(pair)
    tx.run("UPDATE accounts SET balance = balance + 1 WHERE id = 1")
    pair.batch(Outcome("main", Token("token", 0)))
    _, (outcome,) = pair.leader.execute([Script("main", tx.steps, commit=True, token=Token("token", 0))], 1)
    assert type(decode_outcome(outcome)).__name__ == "Cancelled"
    assert pair.rows("SELECT balance FROM accounts WHERE id = 1") == [(100,)]


@pytest.mark.parametrize("conflict", ["", "OR ABORT", "OR FAIL"])
def test_a_statement_that_fails_is_undone_alone(pair: Pair, conflict: str) -> None:
    tx = begin(pair)
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 1")
    failed = tx.run(f"INSERT {conflict} INTO accounts VALUES (3, 3), (1, 9)")
    assert failure(failed) == "SQLITE_CONSTRAINT_PRIMARYKEY"
    assert tx.rows("SELECT id, balance FROM accounts ORDER BY id") == [(1, 1), (2, 0)]
    assert tx.commit() == Done(())
    assert pair.rows("SELECT id, balance FROM accounts ORDER BY id") == [(1, 1), (2, 0)]


def test_a_statement_that_would_not_fail_any_more_has_changed(pair: Pair) -> None:
    tx = begin(pair)
    assert failure(tx.run("INSERT INTO accounts VALUES (1, 9)")) == "SQLITE_CONSTRAINT_PRIMARYKEY"
    pair.do("DELETE FROM accounts WHERE id = 1")
    assert failure(tx.run("UPDATE accounts SET balance = 5")) == "SerializationFailure"


def test_a_statement_that_ends_the_transaction_ends_it(pair: Pair) -> None:
    tx = begin(pair)
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 1")
    outcomes = pair.batch(run("UPDATE accounts SET balance = 33 WHERE id = 2"))
    assert isinstance(outcomes[0], Done)
    assert failure(tx.run("INSERT OR ROLLBACK INTO accounts VALUES (1, 9)")) == "SQLITE_CONSTRAINT_PRIMARYKEY"
    assert pair.rows("SELECT balance FROM accounts ORDER BY id") == [(100,), (33,)]


def test_savepoints(pair: Pair) -> None:
    tx = begin(pair)
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 1")
    tx.run('SAVEPOINT "a"')
    tx.run("UPDATE accounts SET balance = 2 WHERE id = 1")
    tx.run('SAVEPOINT "A"')
    tx.run("INSERT INTO accounts VALUES (3, 3)")
    tx.run('ROLLBACK TO "a"')
    assert tx.rows("SELECT id, balance FROM accounts ORDER BY id") == [(1, 2), (2, 0)]
    tx.run('RELEASE "a"')
    tx.run('ROLLBACK TO "a"')
    assert tx.rows("SELECT id, balance FROM accounts ORDER BY id") == [(1, 1), (2, 0)]
    assert failure(tx.run('RELEASE "b"')) == "ProgrammingError"
    assert failure(tx.run('ROLLBACK TO "b"')) == "ProgrammingError"
    tx.run('RELEASE "a"')
    assert failure(tx.run('RELEASE "a"')) == "ProgrammingError"
    assert tx.commit() == Done(())
    assert pair.rows("SELECT id, balance FROM accounts ORDER BY id") == [(1, 1), (2, 0)]


def test_what_a_rolled_back_statement_gave_is_compared(pair: Pair) -> None:
    tx = begin(pair)
    tx.run('SAVEPOINT "a"')
    tx.rows("UPDATE accounts SET balance = balance + 1 RETURNING balance")
    tx.run('ROLLBACK TO "a"')
    tx.run("INSERT INTO accounts VALUES (3, 3)")
    pair.do("UPDATE accounts SET balance = 50 WHERE id = 1")
    assert failure(tx.commit()) == "SerializationFailure"


def test_the_schema_changes_in_a_transaction(pair: Pair) -> None:
    tx = begin(pair)
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 1")
    tx.run("CREATE TABLE made(id INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    assert "schema" in tx.escalate
    tx.run("INSERT INTO made(v) VALUES ('x')")
    tx.run('SAVEPOINT "a"')
    tx.run("ALTER TABLE made ADD COLUMN w DEFAULT 5")
    assert tx.rows("SELECT * FROM made") == [(1, "x", 5)]
    tx.run('ROLLBACK TO "a"')
    assert failure(tx.run("CREATE TABLE made(x)")) == "SQLITE_ERROR"
    assert tx.rows("SELECT * FROM made") == [(1, "x")]
    assert pair.rows("SELECT name FROM sqlite_master WHERE name = 'made'") == []
    assert tx.commit() == Done(())
    assert pair.rows("SELECT * FROM made") == [(1, "x")]
    pair.same()


def test_a_deferred_foreign_key_is_looked_at_when_the_transaction_is_committed(pair: Pair) -> None:
    pair.do("CREATE TABLE child(id INTEGER PRIMARY KEY, a REFERENCES accounts DEFERRABLE INITIALLY DEFERRED)")
    tx = begin(pair)
    tx.run("INSERT INTO child VALUES (1, 7)")
    assert failure(tx.commit("first")) == "SQLITE_CONSTRAINT_FOREIGNKEY"
    tx.run("INSERT INTO accounts VALUES (7, 7)")
    assert tx.commit("second") == Done(())
    assert pair.rows("SELECT a FROM child") == [(7,)]


def test_full_text_tables_forget_what_was_undone(pair: Pair) -> None:
    pair.do("CREATE VIRTUAL TABLE words USING fts5(text)")
    pair.do("INSERT INTO words VALUES ('old')")
    tx = begin(pair)
    tx.run("INSERT INTO words VALUES ('new')")
    assert tx.rows("SELECT text FROM words('new')") == [("new",)]
    pair.do("INSERT INTO words VALUES ('other')")
    assert pair.rows("SELECT text FROM words('new')") == []
    assert failure(tx.commit()) == "SerializationFailure" or pair.rows("SELECT text FROM words('new')") == [("new",)]
    pair.do("INSERT INTO words(words) VALUES ('integrity-check')")
    pair.same()


def test_scripts_run_among_the_other_requests_of_a_batch(pair: Pair) -> None:
    """On what was executed before them, and seen by nothing behind them."""
    tx = begin(pair)
    tx.run("UPDATE accounts SET balance = balance + 1 WHERE id = 2")
    evaluation = Script("main", tx.steps)
    commit = Script("main", tx.steps, commit=True, token=Token("commit", 0))
    change = statement("UPDATE accounts SET balance = balance + 10 WHERE id = 1")
    first, second = (run(change, token=pair.token()) for _ in range(2))
    payload, outcomes = pair.leader.execute([first, evaluation, second, commit, evaluation], 1)
    assert payload is not None
    pair.commit(payload)
    assert len(outcomes) == 5
    assert pair.rows("SELECT balance FROM accounts ORDER BY id") == [(120,), (1,)]
    pair.same()


def test_no_savepoint_is_left_open(pair: Pair) -> None:
    tx = begin(pair)
    tx.run('SAVEPOINT "a"')
    tx.run("UPDATE accounts SET balance = 1")
    tx.run('SAVEPOINT "b"')
    tx.run("UPDATE accounts SET balance = 2")
    assert tx.commit() == Done(())
    connection = pair.leader._writer.connection
    assert not connection.in_transaction
    assert pair.rows("SELECT DISTINCT balance FROM accounts") == [(2,)]
    assert connection.execute("SELECT 1", prepare_flags=INTERNAL).get == 1


@pytest.mark.parametrize(
    "sql", ["PRAGMA query_only", "PRAGMA data_version", "EXPLAIN SELECT 1", "SELECT last_insert_rowid()"]
)
def test_a_script_that_only_reads_gives_the_same_on_a_reader(pair: Pair, sql: str) -> None:
    read = OpenTransaction(lambda script: pair.leader.query(script.steps)[0])  # type: ignore[arg-type]
    read.rows("SELECT * FROM accounts")
    read.rows(sql)
    assert failure(read.run("SELECT * FROM nowhere")) == "SQLITE_ERROR"
    read.run('SAVEPOINT "a"')
    assert failure(read.run('RELEASE "b"')) == "ProgrammingError"
    tx = begin(pair)
    tx.steps = read.steps
    tx.run("UPDATE accounts SET balance = 3")
    assert tx.commit() == Done(())
    assert failure(read.run("SELECT 1")) == "SerializationFailure"


@pytest.mark.parametrize("pair", ["file"], indirect=True)
def test_a_reader_that_holds_a_state_runs_a_read_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    original = Runner.read

    def counted(*given: Any) -> Any:
        ran.append(given[1].sql)
        return original(*given)

    monkeypatch.setattr(Runner, "read", counted)
    reads = [f"SELECT balance FROM accounts WHERE id = {number}" for number in range(4)]
    read = OpenTransaction(lambda script: pair.leader.query(script.steps)[0])  # type: ignore[arg-type]
    for sql in reads:
        read.rows(sql)
    assert ran == [reads[0], reads[0], *reads[1:]], "the state is held from the second read on"
    ran.clear()
    tx = begin(pair)
    tx.run("UPDATE accounts SET balance = 77 WHERE id = 1")
    assert tx.commit() == Done(())
    assert failure(read.run("SELECT 1")) == "SerializationFailure"
    assert ran == reads[:2], "of another state nothing is known"
