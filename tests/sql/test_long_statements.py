"""Megabytes of SQL are told apart in time that grows with them, and without memory."""

import time
import tracemalloc

import pytest

from quorate.core.limits import SQL_BYTES_MAX
from quorate.sql import classify
from quorate.sql.classify import CHANGE, DDL, READ, REFUSED, shape_of
from quorate.sql.tokens import find_end

MIB = 1 << 20
ROWS = "INSERT INTO t VALUES " + ", ".join(f"({i}, 'v{i}')" for i in range(40_000))
LONG = {
    "rows": (ROWS, CHANGE),
    "one literal": (f"INSERT INTO t VALUES ('{'x' * MIB}')", CHANGE),
    "doubled quotes": ("INSERT INTO t VALUES ('" + "''" * MIB + "')", CHANGE),
    "blob": (f"UPDATE t SET a = x'{'00' * MIB}'", CHANGE),
    "identifier": ('SELECT "' + "x" * MIB + '"', READ),
    "comment": (f"/*{'*' * MIB}*/ SELECT 1", READ),
    "comments": ("--\n" * (MIB // 3) + "SELECT 1", READ),
    "words": (f"SELECT {'a ' * (MIB // 2)}", READ),
    "within WITH": (f"WITH a AS ({ROWS[20:]}), b AS (SELECT '{'x' * MIB}') DELETE FROM t", CHANGE),
    "parentheses": (f"WITH a AS ({'(' * MIB}", READ),
    "trigger": (f"CREATE TRIGGER g BEGIN {'SELECT 1;' * 100_000} END", DDL),
    "semicolons": (";" * MIB + "SELECT 1", READ),
    "unfinished": ("SELECT '" + "x" * MIB, READ),
    "not ASCII": (f"SELECT '{'é' * MIB}'", READ),
}


@pytest.mark.parametrize("name", LONG)
def test_long_statements_take_no_memory(name: str) -> None:
    sql, kind = LONG[name]
    tracemalloc.start()
    try:
        shape = classify._classify(sql)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shape.kind == kind
    assert not shape.surplus
    assert shape.sql is sql  # it is not copied
    assert peak < (100_000 if sql.isascii() else 100_000 + len(sql.encode()))


def test_a_second_statement_behind_megabytes_is_found() -> None:
    shape = shape_of(f"{ROWS} RETURNING a; DROP TABLE t")
    assert (shape.kind, shape.surplus) == (CHANGE, "DROP TABLE t")
    assert shape_of(f"{ROWS} RETURNING a;").rows
    assert not shape_of(f"INSERT INTO t VALUES ('{'returning ' * MIB}'").rows


def test_time_grows_with_the_text() -> None:
    """Ten times the text, about ten times the time: no bound in milliseconds, which a busy machine would break."""

    def took(times: int) -> float:
        text = "SELECT " + "'a', b, (1), " * (10_000 * times)
        tries = []
        for _ in range(3):
            began = time.process_time()
            classify._classify(text)
            tries.append(time.process_time() - began)
        return min(tries)

    assert took(10) < 30 * took(1)


def test_a_text_beyond_the_limit_is_refused_before_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: object) -> None:
        raise AssertionError("it was looked at")

    for name in ("behind_nothing", "tokens", "find_end"):
        monkeypatch.setattr(classify, name, look)
    for text in ("x" * (SQL_BYTES_MAX + 1), "é" * (SQL_BYTES_MAX // 2 + 1)):
        shape = shape_of(text)
        error, message, hint = shape.refusal
        assert (shape.kind, error) == (REFUSED, "TooLarge")
        assert str(SQL_BYTES_MAX) in message
        assert "parameters" in hint


def test_one_request_looks_once_at_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def look(sql: str, at: int) -> tuple[int, bool]:
        looked.append(len(sql))
        return find_end(sql, at)

    monkeypatch.setattr(classify, "find_end", look)
    text = ROWS + " -- once"
    assert [shape_of(text).kind for _ in range(4)] == [CHANGE] * 4
    assert looked == [len(text)]
