"""Requests of one plain change share a savepoint; when one fails, each behaves as if it had had its own."""

from collections.abc import Iterator

import apsw
import pytest

from quorate.core.requests import Done, Run, WriteOutcome
from quorate.core.statements import Failed
from tests.storage.pair import Pair, run, statement


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair() as pair:
        pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE)")
        yield pair


def inserts(*values: object) -> list[Run]:
    return [run(statement("INSERT INTO t(v) VALUES (?)", value)) for value in values]


def savepoints(pair: Pair, *requests: Run) -> tuple[int, list[WriteOutcome]]:
    """How many were opened for these requests, and their outcomes."""
    seen: list[str] = []
    connection = pair.leader._writer.connection
    connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: seen.append(event["sql"]))
    outcomes = pair.batch(*requests)
    connection.trace_v2(0, None)
    return sum(sql.startswith("SAVEPOINT quorate_request") for sql in seen), outcomes


def kinds(outcomes: list[WriteOutcome]) -> str:
    return "".join("." if isinstance(outcome, Done) else "F" for outcome in outcomes)


def test_plain_changes_share_a_savepoint(pair: Pair) -> None:
    opened, outcomes = savepoints(pair, *inserts(*range(64)))
    assert (opened, kinds(outcomes)) == (1, "." * 64)
    assert [outcome.results[0].lastrowid for outcome in outcomes] == list(range(1, 65))  # type: ignore[union-attr]


def test_a_larger_request_ends_the_sharing(pair: Pair) -> None:
    both = run(statement("INSERT INTO t(v) VALUES ('x')"), statement("INSERT INTO t(v) VALUES ('y')"))
    opened, outcomes = savepoints(pair, *inserts(1, 2), both, *inserts(3, 4))
    assert (opened, kinds(outcomes)) == (3, "." * 5)


@pytest.mark.parametrize("conflict", ["", "OR FAIL", "OR ROLLBACK"])
def test_one_that_fails_takes_nobody_along(pair: Pair, conflict: str) -> None:
    pair.do("INSERT INTO t(v) VALUES ('taken')")
    bad = run(f"INSERT {conflict} INTO t(v) VALUES ('free'), ('taken')")
    opened, outcomes = savepoints(pair, *inserts(1, 2), bad, *inserts(3), bad, *inserts(4))
    assert kinds(outcomes) == "..F.F."
    assert opened > 1
    assert pair.rows("SELECT v FROM t ORDER BY id") == [("taken",), (1,), (2,), (3,), (4,)]


def test_failures_seldom_come_alone(pair: Pair) -> None:
    assert kinds(pair.batch(*inserts(1, 1, 2))) == ".F."
    opened, _ = savepoints(pair, *inserts(*range(100, 110)))
    assert opened == 10
    pair.batch(*inserts(*range(200, 264)))
    assert savepoints(pair, *inserts(*range(300, 310)))[0] == 1


def test_repeated_tokens_run_once_also_behind_a_failure(pair: Pair) -> None:
    token = pair.token()
    (one,) = inserts("once")
    same = Run("main", one.statements, token=token)
    first, second, failed, third = pair.batch(same, same, *inserts("once"), same)
    assert first == second == third
    assert isinstance(failed, Failed)
    assert pair.rows("SELECT count(*) FROM t") == [(1,)]


def test_a_deferred_key_is_looked_at_for_each_request(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE parent(id INTEGER PRIMARY KEY)",
        "CREATE TABLE child(p REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    )
    orphan, parent = run("INSERT INTO child VALUES (1)"), run("INSERT INTO parent VALUES (1)")
    outcomes = pair.batch(orphan, parent)
    assert kinds(outcomes) == "F.", "a parent of another request comes too late"
    assert pair.rows("SELECT count(*) FROM child") == [(0,)]


@pytest.mark.parametrize("module", ["fts3", "fts4", "fts5"])
def test_a_full_text_table_gives_nobody_else_a_last_rowid(pair: Pair, module: str) -> None:
    """FTS3 and FTS4 write what they gathered when the next statement of many rows begins."""
    pair.do(f"CREATE VIRTUAL TABLE f USING {module}(x)", "CREATE TABLE k(id PRIMARY KEY) WITHOUT ROWID")
    first = run("INSERT INTO f(rowid, x) VALUES (12, 'one')")
    outcomes = pair.batch(first, run("INSERT INTO k VALUES ('a'), ('b')"))
    assert [each.results[0].lastrowid for each in outcomes if isinstance(each, Done)] == [12, None]
