"""A transaction that stays open on a leader's writer from one request to the next."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from quorate.core.requests import Done
from quorate.core.scripts import Evaluated, Hold, HoldEnded, Pin, Script, Step
from quorate.core.statements import Failed, Result, Statement, Token
from quorate.wire.answers import read_script
from tests.storage.pair import Pair

SCHEMA = (
    "CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))",
    "INSERT INTO accounts VALUES (1, 100), (2, 0)",
)
PIN = Pin(1_700_000_000_000_000, 42)


@pytest.fixture(params=["memory", "file"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path if request.param == "file" else None) as pair:
        for sql in SCHEMA:
            pair.do(sql)
        yield pair


class Holder:
    """What a client does that holds the writer, and what the leader's core adds to it."""

    numbers = count(1)

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.ticket = ""
        self.steps: tuple[Step, ...] = ()

    def ask(self, steps: tuple[Step, ...], *, commit: bool = False, token: str = "committed") -> object:
        hold = Hold("holder", self.ticket, f"ticket {next(self.numbers)}")
        script = Script("main", steps, commit=commit, token=Token(token, 0) if commit else None, hold=hold)
        payload, (outcome,) = self.pair.leader.execute([script], 1_000_000)
        if payload is not None:
            assert commit, "an evaluation has something to log"
            self.pair.commit(payload)
        found = read_script(outcome)
        if not commit:
            assert self.pair.leader.ticket == (found.ticket if isinstance(found, Evaluated) else "")
        return found

    def run(self, sql: str, *parameters: object) -> object:
        """One more statement: what it gave, or what became of the request."""
        new = Step(Statement(sql, (parameters,)), pin=PIN)  # type: ignore[arg-type]
        found = self.ask((new,) if self.ticket else (*self.steps, new))
        if not isinstance(found, Evaluated):
            self.ticket = ""
            return found
        self.steps = (*self.steps, Step(new.statement, found.digests[0], found.pins[0]))
        self.ticket = found.ticket
        return found.outcomes[0]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        found = self.run(sql)
        assert isinstance(found, Result), found
        return found.rows

    def commit(self, token: str = "committed") -> object:
        return self.ask(self.steps, commit=True, token=token)


BALANCES = "SELECT balance FROM accounts ORDER BY id"


def test_each_statement_runs_once_and_stays_open(pair: Pair) -> None:
    tx = Holder(pair)
    assert tx.run("UPDATE accounts SET balance = balance - 10 WHERE id = 1") == Result((), [], 1)
    assert pair.leader.busy
    assert tx.rows(BALANCES) == [(90,), (0,)]
    tx.run("UPDATE accounts SET balance = balance + 10 WHERE id = 2")
    assert tx.rows(BALANCES) == [(90,), (10,)]
    assert pair.rows(BALANCES) == [(100,), (0,)]
    assert tx.commit() == Done(())
    assert pair.rows(BALANCES) == [(90,), (10,)]
    assert not pair.leader.ticket
    pair.same()


def test_it_goes_on_behind_a_read_of_others(pair: Pair) -> None:
    tx = Holder(pair)
    tx.run("INSERT INTO accounts(balance) VALUES (random() & 1023) RETURNING balance")
    drawn = tx.rows("SELECT balance FROM accounts WHERE id = 3")
    assert len(pair.rows(BALANCES)) == 2
    assert tx.rows("SELECT balance FROM accounts WHERE id = 3") == drawn
    pair.rows(BALANCES)
    tx.commit()
    assert pair.rows("SELECT balance FROM accounts WHERE id = 3") == drawn
    pair.same()


def test_a_statement_that_fails_is_undone_alone(pair: Pair) -> None:
    tx = Holder(pair)
    tx.run("UPDATE accounts SET balance = 5 WHERE id = 1")
    found = tx.run("UPDATE accounts SET balance = balance - 1")
    assert isinstance(found, Failed)
    assert found.error == "IntegrityError"
    assert tx.rows(BALANCES) == [(5,), (0,)]
    tx.commit()
    assert pair.rows(BALANCES) == [(5,), (0,)]
    pair.same()


def test_savepoints_live_from_one_request_to_the_next(pair: Pair) -> None:
    tx = Holder(pair)
    tx.run('SAVEPOINT "one"')
    tx.run("UPDATE accounts SET balance = 7")
    tx.run('ROLLBACK TO "one"')
    tx.run("UPDATE accounts SET balance = 8 WHERE id = 2")
    tx.commit()
    assert pair.rows(BALANCES) == [(100,), (8,)]
    pair.same()


def test_a_schema_is_changed(pair: Pair) -> None:
    tx = Holder(pair)
    tx.run("CREATE TABLE copied(id INTEGER PRIMARY KEY, balance INTEGER)")
    tx.run("INSERT INTO copied SELECT id, balance FROM accounts")
    tx.run("ALTER TABLE copied ADD COLUMN note TEXT")
    tx.run("UPDATE copied SET note = 'x' WHERE id = 1")
    assert tx.rows("SELECT * FROM copied") == [(1, 100, "x"), (2, 0, None)]
    tx.run("DROP TABLE accounts")
    tx.run("ALTER TABLE copied RENAME TO accounts")
    assert tx.commit() == Done(())
    assert pair.rows("SELECT * FROM accounts") == [(1, 100, "x"), (2, 0, None)]
    pair.same()


def test_what_others_have_written_undoes_it(pair: Pair) -> None:
    tx = Holder(pair)
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 2")
    pair.do("UPDATE accounts SET balance = 50 WHERE id = 1")
    assert not pair.leader.ticket
    assert tx.run("SELECT 1") == HoldEnded()
    assert pair.rows(BALANCES) == [(50,), (0,)]
    assert tx.rows(BALANCES) == [(50,), (1,)]
    assert tx.commit() == Done(())
    assert pair.rows(BALANCES) == [(50,), (1,)]
    pair.same()


def test_it_ends_where_its_statements_give_something_else(pair: Pair) -> None:
    tx = Holder(pair)
    tx.rows(BALANCES)
    pair.do("UPDATE accounts SET balance = 50 WHERE id = 1")
    tx.ticket = ""
    found = tx.run("SELECT 1")
    assert isinstance(found, Failed)
    assert found.error == "SerializationFailure"
    assert not pair.leader.busy


def test_an_old_ticket_opens_nothing(pair: Pair) -> None:
    tx = Holder(pair)
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 2")
    old = tx.ticket
    tx.run("UPDATE accounts SET balance = 2 WHERE id = 2")
    tx.ticket = old
    assert tx.run("UPDATE accounts SET balance = balance + 1 WHERE id = 2") == HoldEnded()
    assert tx.rows(BALANCES) == [(100,), (2,)]


def test_a_commit_with_an_old_ticket_runs_all_statements(pair: Pair) -> None:
    tx = Holder(pair)
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 2")
    pair.leader.rollback()
    pair.do("UPDATE accounts SET balance = 50 WHERE id = 1")
    assert tx.commit() == Done(())
    assert pair.rows(BALANCES) == [(50,), (1,)]
    pair.same()


def test_a_commit_that_is_known_undoes_what_is_open(pair: Pair) -> None:
    first = Holder(pair)
    first.run("UPDATE accounts SET balance = 1 WHERE id = 2")
    first.commit()
    again = Holder(pair)
    again.run("UPDATE accounts SET balance = balance + 1 WHERE id = 2")
    assert again.commit() == Done(())
    assert pair.rows(BALANCES) == [(100,), (1,)]
    assert not pair.leader.busy
    pair.same()


def test_a_foreign_key_that_is_violated_at_commit_undoes_it(pair: Pair) -> None:
    pair.do("CREATE TABLE lines(of INTEGER REFERENCES accounts DEFERRABLE INITIALLY DEFERRED)")
    tx = Holder(pair)
    tx.run("INSERT INTO lines VALUES (9)")
    found = tx.commit()
    assert isinstance(found, Failed)
    assert found.error == "IntegrityError"
    assert not pair.leader.busy
    assert pair.rows("SELECT * FROM lines") == []


def test_what_ends_the_transaction_of_sqlite_ends_the_hold(pair: Pair) -> None:
    tx = Holder(pair)
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 2")
    found = tx.run("INSERT OR ROLLBACK INTO accounts VALUES (1, 1)")
    assert isinstance(found, Failed)
    assert found.error == "IntegrityError"
    assert not pair.leader.busy
    assert tx.rows(BALANCES) == [(100,), (1,)]
    assert tx.commit() == Done(())
    pair.same()


def test_the_next_batch_goes_on_top_of_what_it_committed(pair: Pair) -> None:
    tx = Holder(pair)
    tx.run('SAVEPOINT "never released"')
    tx.run("UPDATE accounts SET balance = 1 WHERE id = 2")
    tx.commit()
    pair.do("UPDATE accounts SET balance = balance + 1 WHERE id = 2")
    assert pair.rows(BALANCES) == [(100,), (2,)]
    pair.same()
