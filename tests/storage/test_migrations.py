"""A table is rebuilt: what refers to it stays on every replica, and what would be left dangling is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from quorate.core.requests import CommitHeld, Done
from quorate.core.statements import Failed, Token
from tests.storage.pair import Pair, run, statement

SCHEMA = (
    "CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE TABLE child(id INTEGER PRIMARY KEY, parent REFERENCES parent(id) ON DELETE CASCADE)",
    "INSERT INTO parent VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO child VALUES (10, 1), (20, 2)",
)
REBUILD = (
    "CREATE TABLE parent_new(id INTEGER PRIMARY KEY, name TEXT NOT NULL, added INTEGER DEFAULT 7)",
    "INSERT INTO parent_new(id, name) SELECT id, name FROM parent",
    "DROP TABLE parent",
    "ALTER TABLE parent_new RENAME TO parent",
)
OFF = "PRAGMA foreign_keys = OFF"
ON = "PRAGMA foreign_keys = ON"


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair() as pair:
        pair.do(*SCHEMA)
        yield pair


def children(pair: Pair) -> list[tuple[Any, ...]]:
    return pair.rows("SELECT id, parent FROM child ORDER BY id")


def test_a_rebuilt_table_keeps_its_children(pair: Pair) -> None:
    results = pair.do(OFF, *REBUILD, ON)
    assert len(results) == len(REBUILD) + 2
    assert children(pair) == [(10, 1), (20, 2)]
    assert pair.rows("SELECT * FROM parent ORDER BY id") == [(1, "one", 7), (2, "two", 7)]
    assert "foreign key" in pair.fail("INSERT INTO child VALUES (30, 3)").message.lower()
    pair.do("DELETE FROM parent WHERE id = 1")
    assert children(pair) == [(20, 2)], "foreign keys are on again for everybody else"


def test_without_the_setting_dropping_a_parent_takes_its_children(pair: Pair) -> None:
    pair.do(*REBUILD)
    assert children(pair) == []


def test_what_is_left_dangling_is_refused(pair: Pair) -> None:
    failed = pair.fail(OFF, *REBUILD, "DELETE FROM parent WHERE id = 2")
    assert failed.error == "IntegrityError"
    assert "the row 20 of child" in failed.message
    assert pair.rows("SELECT * FROM parent ORDER BY id") == [(1, "one"), (2, "two")]
    assert pair.fail("INSERT INTO child VALUES (30, 3)").error == "IntegrityError"


def test_one_caller_of_a_batch_sets_nothing_for_another(pair: Pair) -> None:
    orphan = run("INSERT INTO child VALUES (30, 3)")
    outcomes = pair.batch(run(OFF, "UPDATE parent SET name = 'x'"), orphan, run(OFF, "DROP TABLE nothing"), orphan)
    assert [type(outcome) for outcome in outcomes] == [Done, Failed, Failed, Failed]
    pair.do(*(f"INSERT INTO child VALUES ({number}, 1)" for number in (40, 41)))


def test_foreign_keys_cannot_be_switched_off_in_the_middle(pair: Pair) -> None:
    failed = pair.fail("DELETE FROM child WHERE id = 10", OFF, "DROP TABLE parent")
    assert failed.error == "ProgrammingError"
    assert failed.statement == 1
    assert children(pair) == [(10, 1), (20, 2)]


def test_deferred_checks_wait_for_the_end(pair: Pair) -> None:
    defer = "PRAGMA defer_foreign_keys = ON"
    pair.do(defer, "INSERT INTO child VALUES (30, 3)", "INSERT INTO parent VALUES (3, 'three')")
    assert pair.fail(defer, "INSERT INTO child VALUES (40, 4)").error == "IntegrityError"
    assert pair.fail("INSERT INTO child VALUES (50, 5)", "INSERT INTO parent VALUES (5, '')").statement == 0
    assert children(pair) == [(10, 1), (20, 2), (30, 3)]


@pytest.mark.parametrize(
    ("setting", "refers"), [(OFF, "parent"), (ON, "elders")], ids=["foreign keys off", "foreign keys on"]
)
def test_a_legacy_rename_is_the_same_on_every_replica(pair: Pair, setting: str, refers: str) -> None:
    pair.do("CREATE VIEW names AS SELECT name FROM parent")
    statements = [setting, "PRAGMA legacy_alter_table = ON", "ALTER TABLE parent RENAME TO elders"]
    if refers == "parent":
        statements.append("CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT)")
        statements.append("INSERT INTO parent SELECT * FROM elders")
    pair.do(*statements)
    (sql,) = pair.rows("SELECT sql FROM sqlite_schema WHERE name = 'child'")[0]
    assert refers in sql
    pair.do("CREATE TABLE x(a)", "ALTER TABLE elders RENAME COLUMN name TO label") if refers == "parent" else None
    pair.switch()
    pair.do("UPDATE child SET id = id + 1")


def test_a_held_transaction_migrates(pair: Pair) -> None:
    pair.leader.hold()
    for sql in (OFF, *REBUILD):
        pair.leader.run_held(statement(sql))
    assert isinstance(pair.batch(CommitHeld("main", Token("commit", 0)))[0], Done)
    assert children(pair) == [(10, 1), (20, 2)]
    pair.leader.hold()
    for sql in (OFF, "DELETE FROM parent"):
        pair.leader.run_held(statement(sql))
    (outcome,) = pair.batch(CommitHeld("main", Token("second", 0)))
    assert isinstance(outcome, Failed)
    assert outcome.error == "IntegrityError"
    pair.leader.hold()
    pair.leader.run_held(statement(OFF))
    pair.leader.release()
    assert pair.fail("INSERT INTO child VALUES (30, 3)").error == "IntegrityError"
    assert len(children(pair)) == 2
