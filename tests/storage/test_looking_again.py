"""Full-text tables keep parts of their index in memory, and see nothing of rows applied beneath them and undone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.core.entries import DATA, Entry
from quorate.core.requests import Done
from quorate.storage.data.replica import Replica
from quorate.storage.rows.payload import decode_outcome
from tests.storage.pair import Pair, read, run, statement

TABLES = {
    "its own content": "fts5(body)",
    "contentless, rows can be deleted": "fts5(body, prefix='1 2', content='', contentless_delete=1)",
    "version 4": "fts4(body)",
}
MATCHING = "SELECT count(*) FROM words WHERE words MATCH 'fish'"


@pytest.fixture(params=["file", "memory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path if request.param == "file" else None) as pair:
        pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        yield pair


@pytest.fixture(params=TABLES)
def indexed(request: pytest.FixtureRequest, pair: Pair) -> Pair:
    pair.do(f"CREATE VIRTUAL TABLE words USING {TABLES[request.param]}")
    return pair


def bring_back(leader: Replica) -> None:
    """Leave a batch open that was applied beneath the index, and that a caller has searched."""
    leader.execute([run("INSERT INTO words(rowid, body) VALUES (1, 'one fish')")])
    _, outcomes = leader.execute([run("INSERT OR ROLLBACK INTO t VALUES (1, 1), (1, 1)"), run(MATCHING)])
    searched = decode_outcome(outcomes[1])
    assert isinstance(searched, Done)
    assert [tuple(row) for row in searched.results[0].rows] == [(1,)]


@pytest.mark.parametrize(
    "then",
    ["DELETE FROM words WHERE words MATCH 'fish'", "INSERT INTO words(rowid, body) VALUES (2, 'two fish')"],
    ids=["delete", "insert"],
)
def test_what_was_brought_back_and_undone_is_forgotten(indexed: Pair, then: str) -> None:
    bring_back(indexed.leader)
    indexed.leader.rollback()
    indexed.do(then)
    count = int(then.startswith("INSERT"))
    assert indexed.rows(MATCHING) == [(count,)]
    indexed.do("INSERT INTO words(words) VALUES ('integrity-check')")
    indexed.switch()
    indexed.do("INSERT INTO words(rowid, body) VALUES (3, 'red fish')")
    assert indexed.rows(MATCHING) == [(count + 1,)]


def test_what_was_brought_back_and_put_aside_is_not_read(indexed: Pair) -> None:
    bring_back(indexed.leader)
    assert read(indexed.leader, MATCHING) == [(0,)]


def ahead(leader: Replica, entry: Entry, sql: str) -> list[tuple[object, ...]]:
    outcome = decode_outcome(leader.query_ahead([entry], (statement(sql),)))
    assert isinstance(outcome, Done), outcome
    return [tuple(row) for row in outcome.results[0].rows]


def entry_of(pair: Pair, *statements: str) -> Entry:
    """An entry for which the leader has no room."""
    payload, _ = pair.leader.execute([run(*statements)])
    assert payload is not None
    pair.leader.rollback()
    return Entry(pair.leader.applied.index + 1, pair.epoch, DATA, payload)


def test_what_was_read_ahead_is_forgotten(indexed: Pair) -> None:
    entry = entry_of(indexed, "INSERT INTO words(rowid, body) VALUES (1, 'one fish')")
    assert ahead(indexed.leader, entry, MATCHING) == [(1,)]
    indexed.do("INSERT INTO words(rowid, body) VALUES (2, 'two fish')")
    assert indexed.rows(MATCHING) == [(1,)]
    indexed.do("INSERT INTO words(words) VALUES ('integrity-check')")


def test_each_that_reads_ahead_looks_again(indexed: Pair) -> None:
    first = entry_of(indexed, "INSERT INTO words(rowid, body) VALUES (1, 'one fish')")
    assert ahead(indexed.follower, first, MATCHING) == [(1,)]
    for replica in (indexed.leader, indexed.follower):
        replica.apply([first])
    second = entry_of(indexed, "INSERT INTO words(rowid, body) VALUES (2, 'two fish')")
    assert ahead(indexed.follower, second, MATCHING) == [(2,)]
    other = entry_of(indexed, "DELETE FROM words WHERE rowid = 1")
    assert ahead(indexed.follower, other, MATCHING) == [(0,)]


def test_nothing_fires_again_when_a_leader_reads_ahead(pair: Pair) -> None:
    pair.do("CREATE TABLE log(v)", "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.v); END")
    entry = entry_of(pair, "INSERT INTO t VALUES (1, 1)")
    assert ahead(pair.leader, entry, "SELECT count(*) FROM log") == [(1,)]
    pair.do("INSERT INTO t VALUES (2, 2)")
    assert pair.rows("SELECT v FROM log") == [(2,)]
