"""Readers of an embedded node hold the state open that they read, and let go of it in time."""

import threading
from pathlib import Path

import pytest

import quorate
from quorate.core import kernel
from quorate.runtime.embedded.connection import Connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop"


def embedded(target: Path) -> Connection:
    made = quorate.connect(target)
    assert isinstance(made, Connection)
    return made


def test_a_read_shows_every_write_that_returned_before_it(folder: Path) -> None:
    """Readers hold a state open from the second read of it on."""
    with embedded(folder) as db:
        db.execute("CREATE TABLE t(n INT)")
        db.execute("INSERT INTO t VALUES (0)")
        failures: list[object] = []

        def look(times: int) -> None:
            for _ in range(times):
                before = latest[0]
                (found,) = db.execute("SELECT n FROM t").fetchone() or (None,)
                if not isinstance(found, int) or found < before:
                    failures.append((before, found))

        latest = [0]
        threads = [threading.Thread(target=look, args=(2000,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(1, 200):
            db.execute("UPDATE t SET n = ?", (number,))
            latest[0] = number
            if number % 3 == 0:
                look(number % 5)
        for thread in threads:
            thread.join()
        with db.transaction() as tx:
            tx.execute("UPDATE t SET n = -1")
            assert db.execute("SELECT n FROM t").fetchall() == [(199,)]
        assert [db.execute("SELECT n FROM t").fetchall() for _ in range(3)] == [[(-1,)]] * 3
        assert failures == []


def test_readers_let_go_before_a_checkpoint(folder: Path) -> None:
    with embedded(folder) as db:
        db.execute("CREATE TABLE t(n INT)")
        db.execute("INSERT INTO t VALUES (0)")
        log = Path(db.node.store.replicas[db.group].file + "-wal")
        sizes = []
        for number in range(60):
            db.execute("UPDATE t SET n = ?", (number,))
            for _ in range(3):
                assert db.execute("SELECT n FROM t").fetchall() == [(number,)]
            if number % 10 == 9:
                db.node._on_checkpoint(kernel.Checkpoint(db.group))
                sizes.append(log.stat().st_size)
        assert len(set(sizes[2:])) == 1


ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"


@pytest.mark.parametrize("kept", ["folder", "memory"])
def test_a_read_ends_when_the_time_is_over_that_it_was_given(tmp_path: Path, kept: str) -> None:
    target = tmp_path / "shop" if kept == "folder" else ":memory:"
    with quorate.connect(target) as db:
        for _ in range(2):
            with pytest.raises(quorate.StatementTimeout, match=r"ended after 0\.01 s"):
                db.execute(ENDLESS, timeout=0.01)
        with pytest.raises(quorate.StatementTimeout):
            db.batch(["SELECT 1", ENDLESS], timeout=0.01)
        assert db.execute("SELECT 1", timeout=0.01).fetchone() == (1,)
        assert db.execute("SELECT 1").fetchone() == (1,)
    with quorate.connect(target, timeout=0.01) as db, pytest.raises(quorate.StatementTimeout):
        db.execute(ENDLESS)


def test_a_text_that_was_read_before_is_ended_as_well_and_one_without_a_time_is_not(folder: Path) -> None:
    count = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT count(*) FROM c"
    with embedded(folder) as db:
        for _ in range(2):
            assert db.execute(count, (10,)).fetchone() == (10,)
        for _ in range(2):
            with pytest.raises(quorate.StatementTimeout):
                db.execute(count, (1 << 60,), timeout=0.001)
            assert db.execute(count, (300_000,)).fetchone() == (300_000,), "the time of another read is not its own"
