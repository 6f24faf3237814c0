"""Connections of one process to one folder: one node, a transaction each."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quorate


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    with quorate.connect(tmp_path / "shop") as one, quorate.connect(str(tmp_path / "." / "shop")) as other:
        one.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v)")
        one.execute("INSERT INTO t VALUES (1, 'a')")
        yield one, other


READ = "SELECT * FROM t ORDER BY k"


def test_each_sees_what_the_other_has_done(two: tuple[Any, Any]) -> None:
    one, other = two
    for _ in range(3):  # later times take a shorter way
        assert other.execute(READ).fetchall() == [(1, "a")]
    one.execute("ALTER TABLE t ADD COLUMN w DEFAULT 7")
    cursor = other.execute(READ)
    assert cursor.fetchall() == [(1, "a", 7)]
    assert [column[0] for column in cursor.description] == ["k", "v", "w"]
    other.execute("DELETE FROM t")
    assert one.execute(READ).fetchall() == []


def test_the_last_one_closes_the_folder(tmp_path: Path) -> None:
    one = quorate.connect(tmp_path)
    other: Any = quorate.connect(tmp_path)
    one.execute("CREATE TABLE t(a)")
    one.close()
    one.close()
    for call in (
        lambda: one.execute("SELECT 1"),
        one.cursor,
        one.commit,
        lambda: one.execute("INSERT INTO t VALUES (1)"),
    ):
        with pytest.raises(quorate.InterfaceError, match="closed"):
            call()
    with pytest.raises(quorate.InterfaceError, match="closed"):
        one.execute("BEGIN")
    other.execute("INSERT INTO t VALUES (2)")
    other.close()
    with quorate.connect(tmp_path) as again:
        assert again.execute("SELECT a FROM t").fetchall() == [(2,)]


def test_a_connection_that_is_dropped_leaves(tmp_path: Path) -> None:
    with quorate.connect(tmp_path) as db:
        db.execute("CREATE TABLE t(a)")
        dropped: Any = quorate.connect(tmp_path, autocommit=False)
        dropped.execute("INSERT INTO t VALUES (1)")
        del dropped
        gc.collect()
        db.execute("INSERT INTO t VALUES (2)")
        assert db.execute("SELECT a FROM t").fetchall() == [(2,)]


def test_a_transaction_reads_one_state(two: tuple[Any, Any]) -> None:
    one, other = two
    one.execute("BEGIN")
    assert one.execute(READ).fetchall() == [(1, "a")]
    other.execute("INSERT INTO t VALUES (2, 'b')")
    assert one.execute(READ).fetchall() == [(1, "a")]
    with pytest.raises(quorate.SerializationFailure) as caught:
        one.execute("INSERT INTO t VALUES (3, 'c')")
    assert caught.value.retryable
    assert one.execute(READ).fetchall() == [(1, "a")]
    one.rollback()
    with one.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (3, 'c')")
    assert len(other.execute(READ).fetchall()) == 3


def test_reading_then_writing_succeeds_where_nobody_else_writes(two: tuple[Any, Any]) -> None:
    one, other = two
    for number in range(2, 5):
        other.execute("INSERT INTO t VALUES (?, 'o')", (number,))
        one.execute("BEGIN")
        (last,) = one.execute("SELECT max(k) FROM t").fetchone()
        other.execute("BEGIN")
        assert other.execute("SELECT max(k) FROM t").fetchone() == (last,)
        one.execute("UPDATE t SET v = ? WHERE k = ?", (number, last))
        assert other.execute("SELECT v FROM t WHERE k = ?", (last,)).fetchone() == ("o",)
        one.commit()
        other.commit()


def test_writers_wait_for_each_other_and_readers_for_nobody(tmp_path: Path) -> None:
    with (
        quorate.connect(tmp_path, autocommit=False, timeout=0.05) as one,
        quorate.connect(tmp_path, timeout=0.05) as other,
    ):
        other.execute("CREATE TABLE t(a)")
        one.execute("INSERT INTO t VALUES (1)")
        assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with pytest.raises((quorate.Unavailable, quorate.ProgrammingError)):
            other.execute("INSERT INTO t VALUES (2)")
        one.commit()
        other.execute("INSERT INTO t VALUES (2)")
        assert one.execute("SELECT count(*) FROM t").fetchone() == (2,)
