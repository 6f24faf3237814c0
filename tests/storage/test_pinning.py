"""The time and the random numbers of a transaction's statements stay what they were."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.core.requests import Done
from quorate.core.statements import Failed
from tests.storage.open_transaction import OpenTransaction
from tests.storage.pair import Pair
from tests.storage.test_transactions import begin

PINNED = "2023-11-14 22:13:20"


@pytest.fixture(params=["memory", "file"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path if request.param == "file" else None) as pair:
        pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, made TEXT DEFAULT CURRENT_TIMESTAMP, r DEFAULT (random()), c)")
        pair.do("CREATE TABLE log(at, r)")
        pair.do("CREATE TRIGGER logs AFTER INSERT ON t BEGIN INSERT INTO log VALUES (datetime('now'), random()); END")
        yield pair


def test_what_a_statement_made_of_time_and_chance_is_made_again(pair: Pair) -> None:
    tx = begin(pair)
    ((made, number),) = tx.rows("INSERT INTO t(id) VALUES (1) RETURNING made, r")
    assert made == PINNED
    logged = tx.rows("SELECT at, r FROM log")
    assert logged[0][0] == PINNED
    (blobs,) = tx.rows("SELECT randomblob(8), hex(randomblob(NULL)), randomblob('3')")
    assert [len(blob) for blob in blobs] == [8, 2, 3]
    assert tx.rows("SELECT strftime('%s', 'now'), CURRENT_DATE, unixepoch('now') - 1700000000") == [
        ("1700000000", "2023-11-14", 0)
    ]
    assert tx.commit() == Done(())
    assert pair.rows("SELECT made, r FROM t") == [(made, number)]
    assert pair.rows("SELECT at, r FROM log") == logged
    pair.same()


def test_the_next_request_sees_the_true_time_and_other_numbers(pair: Pair) -> None:
    tx = begin(pair)
    ((number,),) = tx.rows("INSERT INTO t(id) VALUES (1) RETURNING r")
    pair.do("INSERT INTO t(id) VALUES (2), (3)")
    others = pair.rows("SELECT made, r FROM t")
    assert len({number, *(r for _, r in others)}) == 3
    assert all(made > "2026" for made, _ in others)


def test_a_reader_gives_what_the_writer_gives(pair: Pair) -> None:
    read = OpenTransaction(lambda script: pair.leader.query(script.steps)[0])  # type: ignore[arg-type]
    assert read.rows("SELECT datetime('now')") == [(PINNED,)]
    read.rows("SELECT random(), randomblob(4)")
    ((now,),) = pair.rows("SELECT datetime('now')")
    assert now > "2026"
    tx = begin(pair)
    tx.steps = read.steps
    tx.run("INSERT INTO t(id) VALUES (1)")
    assert tx.commit() == Done(())


def test_each_statement_has_numbers_of_its_own(pair: Pair) -> None:
    tx = begin(pair)
    first, second = (tx.rows("SELECT random(), random()") for _ in range(2))
    assert first == second, "one pin here: the node gives each its own"
    assert first[0][0] != first[0][1]


def test_a_blob_that_is_too_large_fails(pair: Pair) -> None:
    tx = begin(pair)
    tx.run("INSERT INTO t(id) VALUES (1)")
    failed = tx.run("SELECT randomblob(9000000000)")
    assert isinstance(failed, Failed)
    assert failed.error == "TooLarge"


def test_what_no_index_may_hold_is_still_refused(pair: Pair) -> None:
    """The functions are SQLite's own, and know."""
    begin(pair).run("INSERT INTO t(id) VALUES (1)")
    pair.do("INSERT INTO t(id) VALUES (1)")
    assert isinstance(pair.fail("CREATE INDEX i ON t(datetime('now'))"), Failed)
    pair.do("CREATE INDEX i ON t(date(made))")
    found = begin(pair).run("INSERT INTO t(id, made) VALUES (2, 'now')")
    assert isinstance(found, Failed)
    pair.same()
