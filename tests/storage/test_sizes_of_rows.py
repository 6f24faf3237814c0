"""No row, value or result is built that is larger than it may be; what was accepted can be read and copied."""

import tracemalloc
from pathlib import Path

import pytest

from quorate.core.limits import COMPUTED_BYTES_MAX, MIB, PARAMETERS_MAX, RESULT_BYTES_MAX, ROW_BYTES_MAX
from quorate.core.requests import Done
from quorate.core.statements import Failed
from quorate.storage.data.replica import Replica
from quorate.storage.rows.payload import decode_outcome
from tests.storage.pair import Pair, read, run, statement

NUMBERS = "n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000)"
WRITES = [
    "INSERT INTO t VALUES (1, zeroblob(1000000000))",
    f"INSERT INTO t VALUES (1, zeroblob({ROW_BYTES_MAX}))",
    f"INSERT INTO t VALUES (zeroblob({ROW_BYTES_MAX // 2}), zeroblob({ROW_BYTES_MAX // 2}))",
    "INSERT INTO t VALUES (1, length(hex(zeroblob(490000000))))",
    "INSERT INTO t VALUES (1, (SELECT group_concat(hex(zeroblob(2000000))) FROM p))",
    f"INSERT INTO t SELECT 1, CAST(zeroblob({ROW_BYTES_MAX}) AS TEXT)",
    f"UPDATE p SET v = zeroblob({ROW_BYTES_MAX})",
]
READS = [
    "SELECT zeroblob(1000000000)",
    f"SELECT length(zeroblob({COMPUTED_BYTES_MAX + 1}))",
    f"SELECT zeroblob({RESULT_BYTES_MAX + 1})",
    "SELECT zeroblob(16000000) FROM p",
    "SELECT zeroblob(100000000) FROM p",
    "SELECT CASE id WHEN 4999 THEN zeroblob(16000000) WHEN 5000 THEN zeroblob(18000000) END FROM p",
]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    made = Pair(tmp_path)
    made.do("CREATE TABLE t(a, v)")
    made.do("CREATE TABLE p(id INTEGER PRIMARY KEY, v)")
    made.do(
        "INSERT INTO p(id) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i FROM n"
    )
    return made


def refused(replica: Replica, sql: str) -> Failed:
    outcome = decode_outcome(replica.query([statement(sql)])[0])
    assert isinstance(outcome, Failed), outcome
    return outcome


@pytest.mark.parametrize("sql", WRITES)
def test_a_row_that_is_too_large_is_refused_for_certain(pair: Pair, sql: str) -> None:
    failed = pair.fail(sql)
    assert failed.error == "TooLarge"
    assert str(ROW_BYTES_MAX) in failed.message
    assert failed.hint
    pair.do("INSERT INTO t VALUES (1, 'served')")
    pair.same()


@pytest.mark.parametrize("sql", READS)
def test_a_result_that_is_too_large_is_not_built(pair: Pair, sql: str) -> None:
    for _ in range(3):  # the second is of a state that is held open, and its columns are known
        failed = refused(pair.leader, sql)
        assert failed.error == "TooLarge"
        assert str(RESULT_BYTES_MAX if "result" in failed.message else ROW_BYTES_MAX) in failed.message
    assert read(pair.leader, "SELECT 1") == [(1,)]


def test_no_more_rows_are_fetched_than_fit(pair: Pair) -> None:
    tracemalloc.start()
    try:
        refused(pair.leader, "SELECT zeroblob(8000000) FROM p")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * RESULT_BYTES_MAX


def test_a_row_that_fills_its_limit_travels_and_can_be_read_sorted_and_changed(pair: Pair) -> None:
    size = ROW_BYTES_MAX - 16
    pair.do(f"INSERT INTO t VALUES (1, zeroblob({size}))")
    pair.do(f"INSERT INTO t VALUES (2, zeroblob({size}))")
    for replica in (pair.leader, pair.follower):
        assert read(replica, "SELECT length(v) FROM t ORDER BY a DESC, v, length(v)") == [(size,), (size,)]
        assert [len(v) for (v,) in read(replica, "SELECT v FROM t WHERE a = 1 ORDER BY v, a")] == [size]
    pair.do("UPDATE t SET v = CAST(v AS TEXT) WHERE a = 1")
    pair.do("DELETE FROM t WHERE a = 1")


def test_many_parameters_deep_expressions_and_long_patterns(pair: Pair) -> None:
    for sql, word in (
        (f"SELECT ?{PARAMETERS_MAX + 1}", "variable number"),
        ("SELECT " + "+".join("1" * 1100), "depth"),
        ("SELECT 1" + " UNION ALL SELECT 1" * 501, "compound"),
        ("SELECT 'a' LIKE " + f"'{'%a' * 25_001}'", "pattern"),
        ("SELECT " + ",".join("1" * 2001), "columns"),
    ):
        failed = refused(pair.leader, sql)
        assert failed.error == "ProgrammingError"
        assert word in failed.message


def test_what_is_remembered_of_many_callers_may_be_longer_than_a_row(pair: Pair) -> None:
    """The outcomes of a batch are one row of ours."""
    pair.do("UPDATE p SET v = hex(zeroblob(30000)) WHERE id = 1")
    requests = [run(f"INSERT INTO t SELECT {n}, v FROM p WHERE id = 1 RETURNING v") for n in range(300)]
    outcomes = pair.batch(*requests)
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    kept = pair.leader._writer.connection.execute("SELECT max(length(records)) FROM quorate_window").get
    assert kept > ROW_BYTES_MAX > 16 * MIB - 1
