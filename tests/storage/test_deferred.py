"""Deferred foreign keys are looked at for each request, also where SQLite's count of violations falls below 0."""

from collections.abc import Iterator

import apsw
import pytest

from quorate.core.requests import CommitHeld, Done
from quorate.core.statements import Failed
from quorate.storage.rows.payload import decode_outcome
from tests.storage.pair import Pair, run, statement

ORPHAN = "INSERT INTO child VALUES (4)"
BELOW = ("INSERT INTO child VALUES (3), (10), (10)", "INSERT INTO parent VALUES ('10')")
"""One violation more, and two fewer: as children of type INTEGER they are equal to '10', which is not their parent."""


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair() as pair:
        pair.do(
            "CREATE TABLE parent(k BLOB PRIMARY KEY)",
            "CREATE TABLE child(p INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO parent VALUES (10)",
        )
        yield pair


def test_sqlite_itself_fails_at_commit() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(
        "PRAGMA foreign_keys=ON; CREATE TABLE parent(k BLOB PRIMARY KEY); INSERT INTO parent VALUES (10)"
    )
    connection.execute("CREATE TABLE child(p INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED); BEGIN")
    for sql in BELOW:
        connection.execute(sql)
    assert connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0] == 0
    with pytest.raises(apsw.ConstraintError):
        connection.execute("COMMIT")


def test_a_count_below_zero_is_its_callers_failure_and_makes_no_room_for_others(pair: Pair) -> None:
    good = run("INSERT INTO child VALUES (10)")
    outcomes = pair.batch(run(*BELOW), run(ORPHAN), good, run(*BELOW), good)
    assert ["FOREIGN KEY" in each.message if isinstance(each, Failed) else "." for each in outcomes] == [
        True, True, ".", True, ".",
    ]  # fmt: skip
    assert pair.rows("SELECT p FROM child") == [(10,), (10,)]


def test_whoever_mends_a_violation_within_the_request_succeeds(pair: Pair) -> None:
    for _ in range(2):  # also when what looks has been made
        pair.do("INSERT INTO child VALUES (7)", "DELETE FROM child WHERE p = 7")
    pair.do("INSERT INTO child VALUES (5)", "INSERT INTO parent VALUES (5)")
    assert pair.rows("PRAGMA foreign_key_check") == []


def test_an_import_may_bring_what_it_likes(pair: Pair) -> None:
    pair.do(*BELOW, ORPHAN, load=True)
    assert pair.rows("SELECT count(*) FROM child") == [(4,)]


@pytest.mark.parametrize("texts", [BELOW, (ORPHAN,)], ids=["below", "above"])
def test_an_interactive_transaction(pair: Pair, texts: tuple[str, ...]) -> None:
    pair.leader.hold()
    for text in texts:
        pair.leader.run_held(statement(text))
    payload, (encoded,) = pair.leader.execute((CommitHeld("main", pair.token()),), 1_000_000)
    outcome = decode_outcome(encoded)
    assert isinstance(outcome, Failed)
    assert outcome.sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY"
    assert payload is not None
    pair.commit(payload)
    pair.same()
    assert pair.rows("SELECT count(*) FROM child") == [(0,)]
    (then,) = pair.batch(run("INSERT INTO child VALUES (10)"))
    assert isinstance(then, Done)
