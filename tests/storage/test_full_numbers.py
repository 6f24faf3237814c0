"""AUTOINCREMENT without a number left: SQLite says of it what it says of a disk without room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.core.statements import Failed
from quorate.storage.rows.payload import decode_outcome
from tests.storage.pair import Pair, run, statement


@pytest.fixture(params=["file", "memory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path if request.param == "file" else None) as pair:
        yield pair


def test_an_autoincrement_without_a_number_left_is_no_full_disk(pair: Pair) -> None:
    last = 2**63 - 1
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)", "CREATE TABLE u(v)")
    outcomes = pair.batch(
        run("INSERT INTO u VALUES (1)"),
        run(statement("INSERT INTO t VALUES (?, 1)", last), statement("INSERT INTO t(v) VALUES (2)")),
        run("INSERT INTO u VALUES (2)"),
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["Done", "Failed", "Done"]
    pair.do("INSERT INTO t(v) VALUES (4)")
    assert pair.fail("UPDATE sqlite_sequence SET seq = 9223372036854775807", "INSERT INTO t(v) VALUES (3)")
    pair.do(statement("INSERT INTO t VALUES (?, 5)", last))
    failed = pair.fail("INSERT INTO t(v) VALUES (6), (7)")
    assert (failed.error, failed.sqlite_errorname) == ("OperationalError", "SQLITE_FULL")
    assert "AUTOINCREMENT" in failed.message
    assert pair.rows("SELECT v FROM t ORDER BY id") == [(4,), (5,)]
    assert pair.rows("SELECT v FROM u") == [(1,), (2,)]


def test_a_number_that_a_stacked_batch_has_given_out_is_known(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    given_out = run(statement("INSERT INTO t VALUES (?, 1)", 2**63 - 1), token=pair.token())
    first, _ = pair.leader.execute([given_out])
    second, (outcome,) = pair.leader.execute([run("INSERT INTO t(v) VALUES (2)", token=pair.token())])
    told = decode_outcome(outcome)
    assert isinstance(told, Failed)
    assert told.sqlite_errorname == "SQLITE_FULL"
    assert first is not None
    assert second is not None
