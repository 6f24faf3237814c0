"""Batches that run on top of batches in one open transaction."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.core.entries import DATA, Entry, Position
from quorate.core.requests import Done, Run, WriteOutcome
from quorate.core.statements import Failed, Token
from quorate.storage.rows.payload import decode_outcome
from tests.storage.pair import Pair, read, run, statement


@pytest.fixture(params=["file", "memory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path if request.param == "file" else None) as pair:
        pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        yield pair


class Stack:
    """Executes batches on the leader of a pair, and commits all of them on both sides."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.entries: list[Entry] = []

    def run(self, *requests: Run) -> list[WriteOutcome]:
        payload, outcomes = self.pair.leader.execute(requests)
        if payload is not None:
            index = self.pair.leader.applied.index + len(self.entries) + 1
            self.entries.append(Entry(index, self.pair.epoch, DATA, payload))
        return [decode_outcome(outcome) for outcome in outcomes]

    def commit(self) -> None:
        last = self.entries[-1]
        self.pair.leader.commit(Position(last.epoch, last.index), tuple(entry.index for entry in self.entries))
        self.pair.follower.apply(self.entries)
        self.entries = []
        self.pair.same()


def insert(value: int, token: str = "") -> Run:
    return run(statement("INSERT INTO t VALUES (?, ?)", value, value), token=Token(token or f"i{value}", 0))


def test_batches_see_what_is_below_them_and_readers_see_none(pair: Pair) -> None:
    stack = Stack(pair)
    stack.run(insert(1))
    (found,) = stack.run(run("UPDATE t SET v = v + 10 WHERE id = 1 RETURNING v", token=Token("u", 0)))
    assert isinstance(found, Done)
    assert found.results[0].rows == [(11,)]
    assert read(pair.leader, "SELECT * FROM t") == []
    stack.run(insert(2))
    stack.commit()
    assert pair.rows("SELECT * FROM t ORDER BY id") == [(1, 11), (2, 2)]


def test_a_repetition_of_a_batch_below_is_answered_like_it(pair: Pair) -> None:
    stack = Stack(pair)
    first = stack.run(insert(1, "a"))
    assert stack.run(insert(9, "a")) == first
    assert len(stack.entries) == 1
    stack.run(insert(2))
    assert stack.run(insert(9, "a"), insert(3))[:1] == first
    stack.commit()
    assert stack.run(insert(9, "a")) == first
    assert pair.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]


def test_one_that_ends_the_transaction_brings_back_what_is_below(pair: Pair) -> None:
    stack = Stack(pair)
    stack.run(insert(1))
    stack.run(run("CREATE TABLE other(k TEXT PRIMARY KEY)", "INSERT INTO other VALUES ('x')", token=Token("o", 0)))
    bad = run("INSERT OR ROLLBACK INTO t VALUES (1, 1)", token=Token("bad", 0))
    outcomes = stack.run(insert(2), bad, insert(3))
    assert [type(outcome) for outcome in outcomes] == [Done, Failed, Done]
    stack.run(run("INSERT INTO other VALUES ('y')", token=Token("p", 0)))
    stack.commit()
    assert pair.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]
    assert pair.rows("SELECT k FROM other ORDER BY k") == [("x",), ("y",)]


def test_full_text_tables_are_brought_back_too(pair: Pair) -> None:
    pair.do("CREATE VIRTUAL TABLE words USING fts5(body)")
    stack = Stack(pair)
    for number, body in enumerate(("one fish", "two fish")):
        stack.run(run(statement("INSERT INTO words VALUES (?)", body), token=Token(f"w{number}", 0)))
        bad = run("INSERT OR ROLLBACK INTO t VALUES (1, 1)", "INSERT OR ROLLBACK INTO t VALUES (1, 1)")
        stack.run(run(*bad.statements, token=Token(f"bad{number}", 0)))
    stack.commit()
    assert pair.rows("SELECT body FROM words WHERE words MATCH 'fish' ORDER BY rowid") == [("one fish",), ("two fish",)]
    pair.do("INSERT INTO words VALUES ('red fish')")
    assert pair.rows("SELECT count(*) FROM words WHERE words MATCH 'fish'") == [(3,)]


def test_reads_between_batches_disturb_nothing(pair: Pair) -> None:
    stack = Stack(pair)
    for number in range(1, 4):
        stack.run(insert(number))
        assert read(pair.leader, "SELECT count(*) FROM t") == [(0,)]
    stack.commit()
    stack.run(insert(4))
    assert read(pair.leader, "SELECT count(*) FROM t") == [(3,)]
    stack.commit()
    assert pair.rows("SELECT count(*) FROM t") == [(4,)]


def test_rollback_undoes_every_batch_and_its_tokens(pair: Pair) -> None:
    stack = Stack(pair)
    stack.run(insert(1, "a"))
    stack.run(run("DROP TABLE t", token=Token("b", 0)))
    pair.leader.rollback()
    assert not pair.leader.busy
    stack.entries = []
    assert isinstance(stack.run(insert(1, "a"))[0], Done)
    stack.commit()
    assert pair.rows("SELECT id FROM t") == [(1,)]


def test_entries_without_changes_may_lie_between(pair: Pair) -> None:
    stack = Stack(pair)
    stack.run(insert(1))
    stack.run(insert(2))
    at = pair.leader.applied.index
    if not pair.leader.file:
        assert read(pair.leader, "SELECT count(*) FROM t") == [(0,)]
    pair.leader.commit(Position(pair.epoch, at + 4), (at + 1, at + 3))
    assert pair.leader.applied == Position(pair.epoch, at + 4)
    assert read(pair.leader, "SELECT count(*) FROM t") == [(2,)]
    assert read(pair.leader, "SELECT entry FROM quorate_window ORDER BY entry")[-2:] == [(at + 1,), (at + 3,)]
