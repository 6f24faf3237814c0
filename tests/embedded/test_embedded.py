"""`quorate.connect("./folder")`: a whole node in the caller's thread."""

import datetime as dt
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest

import quorate
from quorate.core import kernel
from quorate.runtime.embedded.connection import Connection
from quorate.runtime.embedded.inline import InlineNode
from quorate.storage.interface import Broken, DiskIsFull


@pytest.fixture(params=["folder", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "shop") if request.param == "folder" else ":memory:"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop"


def embedded(target: "str | Path") -> Connection:
    made = quorate.connect(target)
    assert isinstance(made, Connection)
    return made


def test_the_first_page_of_the_manual(target: str) -> None:
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE stock(sku TEXT PRIMARY KEY NOT NULL, n INT) STRICT")
        added = db.execute("INSERT INTO stock VALUES (?, ?)", ("mug", 9))
        assert (added.rowcount, added.lastrowid, added.description) == (1, 1, None)
        with db.transaction() as tx:
            tx.execute("UPDATE stock SET n = n - 1 WHERE sku = :sku", {"sku": "mug"})
            assert tx.execute("SELECT n FROM stock").fetchall() == [(8,)]
        found = db.execute("SELECT sku, n FROM stock WHERE sku = ?", ("mug",))
        assert found.fetchall() == [("mug", 8)]
        assert found.description == (
            ("sku", "TEXT", None, None, None, None, None),
            ("n", "INT", None, None, None, None, None),
        )


def test_what_was_written_is_there_again(folder: Path) -> None:
    with quorate.connect(folder) as db:
        db.execute("CREATE TABLE t(a)")
        db.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(100)])
    with quorate.connect(folder) as db:
        assert db.execute("SELECT count(*), sum(a) FROM t").fetchone() == (100, 4950)
        db.execute("INSERT INTO t VALUES (?)", (1,))


WRITER = """
import quorate, sys
db = quorate.connect(sys.argv[1])
db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY)")
for number in range(1, 10_000):
    db.execute("INSERT INTO t VALUES (?)", (number,))
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(50)]
        writer.send_signal(signal.SIGKILL)
        told += [int(line) for line in writer.stdout if line.endswith("\n")]
    with quorate.connect(folder) as db:
        found = [row[0] for row in db.execute("SELECT a FROM t ORDER BY a")]
    assert found[: len(told)] == told
    assert found == list(range(1, len(found) + 1))
    assert len(found) <= len(told) + 1


def test_a_second_process_is_told_who_has_the_folder(folder: Path) -> None:
    with quorate.connect(folder):
        code = "import quorate, sys; quorate.connect(sys.argv[1])"
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "AlreadyOpen" in done.stderr
        assert f"process {os.getpid()}" in done.stderr
        assert "quorate up --nodes 1 --dir" in done.stderr
        with pytest.raises(quorate.InterfaceError):
            sqlite3.connect(next(folder.glob("group-1-*.db"))).close()
    quorate.connect(folder).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_connection_carried_over_a_fork_is_refused(target: str) -> None:
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE t(a)")
        for _ in range(2):
            db.execute("SELECT * FROM t")
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            said = b""
            for sql in ("SELECT * FROM t", "INSERT INTO t VALUES (1)"):
                try:
                    db.execute(sql)
                    said += b"it worked;"
                except quorate.InterfaceError as error:
                    said += str(error).encode() + b";"
                except BaseException as error:  # noqa: BLE001
                    said += repr(error).encode() + b";"
            db.close()
            os.write(write, said)
            os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        said = os.read(read, 2000)
        os.close(read)
        assert said.count(b"before a fork") == 2, said
        db.execute("INSERT INTO t VALUES (1)")
        assert db.execute("SELECT * FROM t").fetchall() == [(1,)], "the parent's connection lives"


def test_a_plain_file_is_not_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with apsw.Connection(str(file)) as plain:
        plain.execute("CREATE TABLE t(a)")
    plain.close()
    with pytest.raises(quorate.ProgrammingError, match="quorate import"):
        quorate.connect(file)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(quorate.ProgrammingError, match="is not a folder"):
        quorate.connect(tmp_path / "notes.txt")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("")
    with pytest.raises(quorate.OperationalError, match="is not empty"):
        quorate.connect(tmp_path / "full")


def test_the_folder_of_a_servers_node_is_refused(tmp_path: Path) -> None:
    from quorate.runtime.founding import found

    found(tmp_path / "cluster", {"n1": "127.0.0.1:7654"})
    with pytest.raises(quorate.NotSupportedError, match="quorate serve"):
        quorate.connect(tmp_path / "cluster" / "n1")


def test_quorums_of_a_call_are_refused(target: str) -> None:
    with quorate.connect(target) as db:
        db.execute("SELECT 1").fetchall()
        for quorums in ({"w": 1}, {"r": 1}):
            with pytest.raises(quorate.NotSupportedError, match="without a leader"):
                db.execute("SELECT 1", **quorums)  # type: ignore[arg-type]


def test_the_folder_of_a_whole_cluster_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    from quorate.runtime.founding import found, local_members

    found(tmp_path, local_members(2, "127.0.0.1"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(quorate.NotSupportedError, match=r"whole cluster.*quorate:// URL in its cluster\.json"):
        quorate.connect(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_errors_have_names_and_hints(target: str) -> None:
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT NOT NULL)")
        db.execute("INSERT INTO t VALUES (1, 'x')")
        for _ in range(2):  # the second time the text is known
            with pytest.raises(quorate.ProgrammingError, match="syntax error"):
                db.execute("SELEC 1")
            with pytest.raises(quorate.ProgrammingError, match="no such table: nope"):
                db.execute("SELECT * FROM nope")
            with pytest.raises(quorate.ProgrammingError):
                db.execute("SELECT a FROM t WHERE a = ?", (1, 2))
            with pytest.raises(quorate.ProgrammingError, match=":b"):
                db.execute("SELECT a FROM t WHERE b = :b", {"c": 1})
            with pytest.raises(quorate.DataError, match="parameter 1 is an integer beyond 64 bits"):
                db.execute("SELECT a FROM t WHERE a = ?", (2**63,))
            with pytest.raises(quorate.DataError, match=r"parameter 1 has type date, .*isoformat"):
                db.execute("SELECT a FROM t WHERE a = ?", (dt.date(2024, 1, 1),))
            assert db.execute("SELECT a FROM t WHERE a = ?", (1,)).fetchall() == [(1,)]
        with pytest.raises(quorate.IntegrityError) as caught:
            db.execute("INSERT INTO t VALUES (1, 'y')")
        assert caught.value.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"
        assert isinstance(caught.value, db.IntegrityError)
        with pytest.raises(quorate.ProgrammingError, match="second statement"):
            db.execute("SELECT 1; SELECT 2")
        with pytest.raises(quorate.NotSupportedError, match="transaction"):
            db.batch(["BEGIN", "SELECT 1"])


def test_every_kind_of_value_comes_back_as_it_went_in(target: str) -> None:
    values = (None, 0, -(2**63), 2**63 - 1, 1.5, float("inf"), "", "a\0b", "ü😀", b"", b"\0\xff")
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE t(a)")
        db.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        assert [row[0] for row in db.execute("SELECT a FROM t ORDER BY rowid")] == list(values)
        row = db.execute("SELECT ?, ?, ?", (True, bytearray(b"x"), memoryview(b"y"))).fetchone()
        assert row == (1, b"x", b"y")


def test_a_batch_is_all_or_nothing(target: str) -> None:
    with quorate.connect(target) as db:
        results = db.batch(["CREATE TABLE t(a UNIQUE)", ("INSERT INTO t VALUES (?)", (1,)), "SELECT * FROM t"])
        assert results[2].fetchall() == [(1,)]
        with pytest.raises(quorate.IntegrityError) as caught:
            db.batch([("INSERT INTO t VALUES (?)", (2,)), ("INSERT INTO t VALUES (?)", (1,))])
        assert caught.value.statement == 1
        assert db.execute("SELECT a FROM t").fetchall() == [(1,)]
        one, two = db.batch(["SELECT 1", ("SELECT ?", (2,))])
        assert (one.fetchall(), two.fetchall()) == ([(1,)], [(2,)])
        with pytest.raises(quorate.ProgrammingError):
            db.batch([])


def test_a_transaction_that_raises_is_undone(target: str) -> None:
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE t(a UNIQUE)")

        def change_my_mind() -> None:
            with db.transaction() as tx:
                tx.execute("INSERT INTO t VALUES (1)")
                raise RuntimeError("changed my mind")

        with pytest.raises(RuntimeError, match="changed my mind"):
            change_my_mind()
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with db.transaction() as tx:
            tx.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
            with pytest.raises(quorate.IntegrityError):
                tx.execute("INSERT INTO t VALUES (2)")
            tx.execute("CREATE TABLE u(a)")
            tx.execute("INSERT INTO u VALUES (3)")
        assert db.execute("SELECT count(*) FROM t").fetchone() == (2,), "the failed statement was undone alone"
        assert db.execute("SELECT * FROM u").fetchone() == (3,)
        with pytest.raises(quorate.ProgrammingError, match=r"rolled back|committed"):
            tx.execute("SELECT 1")


def test_writes_beside_a_transaction_of_the_same_thread_are_refused(folder: Path) -> None:
    with quorate.connect(folder) as db:
        db.execute("CREATE TABLE t(a)")
        with db.transaction() as tx:
            tx.execute("INSERT INTO t VALUES (1)")
            assert db.execute("SELECT count(*) FROM t").fetchone() == (0,), "others see what was there before"
            with pytest.raises(quorate.ProgrammingError, match="write through the transaction"):
                db.execute("INSERT INTO t VALUES (2)")
            with pytest.raises(quorate.ProgrammingError, match="write through the transaction"), db.transaction():
                pass
        assert db.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_another_threads_writes_wait_for_a_transaction(folder: Path) -> None:
    with quorate.connect(folder) as db:
        db.execute("CREATE TABLE t(a)")
        found: list[Any] = []

        def write(timeout: float) -> None:
            try:
                db.execute("INSERT INTO t VALUES (2)", timeout=timeout)
                found.append("written")
            except quorate.Error as error:
                found.append(error)

        def read() -> None:
            found.append(db.execute("SELECT count(*) FROM t").fetchone())

        waiting = threading.Thread(target=write, args=(30.0,))
        with db.transaction() as tx:
            tx.execute("INSERT INTO t VALUES (1)")
            for other in (threading.Thread(target=write, args=(0.01,)), threading.Thread(target=read)):
                other.start()
                other.join(30)
            waiting.start()
        waiting.join(30)
        assert isinstance(found[0], quorate.Unavailable)
        assert found[1:] == [(0,), "written"]
        assert db.execute("SELECT a FROM t ORDER BY a").fetchall() == [(1,), (2,)]


def test_threads_share_a_connection(target: str) -> None:
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE t(thread, number)")

        def work(thread: int) -> None:
            for number in range(10):
                db.execute("INSERT INTO t VALUES (?, ?)", (thread, number))
                assert db.execute("SELECT max(number) FROM t WHERE thread = ?", (thread,)).fetchone() == (number,)

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        assert db.execute("SELECT count(*), count(DISTINCT thread) FROM t").fetchone() == (60, 6)


def test_a_token_makes_a_write_happen_once(folder: Path) -> None:
    with quorate.connect(folder) as db:
        db.execute("CREATE TABLE t(a)")
        first = db.execute("INSERT INTO t VALUES (1) RETURNING a", token="order-8731").fetchall()
        assert db.execute("INSERT INTO t VALUES (1) RETURNING a", token="order-8731").fetchall() == first == [(1,)]
    with quorate.connect(folder) as db:
        assert db.execute("INSERT INTO t VALUES (1) RETURNING a", token="order-8731").fetchall() == [(1,)]
        assert db.outcome("order-8731")[0].fetchall() == [(1,)]
        assert db.execute("SELECT count(*) FROM t").fetchone() == (1,)
        with pytest.raises(quorate.Cancelled):
            db.outcome("order-1")
        with pytest.raises(quorate.Cancelled):
            db.execute("INSERT INTO t VALUES (2)", token="order-1")
        with pytest.raises(quorate.ProgrammingError):
            db.execute("INSERT INTO t VALUES (2)", token="")
        with db.transaction(token="order-2") as tx:
            tx.execute("INSERT INTO t VALUES (5)")
        db.outcome("order-2")


def test_reads_follow_changes_of_the_schema(target: str) -> None:
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE t(a)")
        for _ in range(2):
            assert db.execute("SELECT * FROM t").description == (("a", None, None, None, None, None, None),)
        db.execute("ALTER TABLE t ADD COLUMN b TEXT")
        assert [column[0] for column in db.execute("SELECT * FROM t").description or ()] == ["a", "b"]
        with db.transaction() as tx:
            tx.execute("ALTER TABLE t ADD COLUMN c TEXT")
        assert [column[0] for column in db.execute("SELECT * FROM t").description or ()] == ["a", "b", "c"]


def test_checkpoints_keep_the_log_short(folder: Path) -> None:
    with embedded(folder) as db:
        db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        db.execute("INSERT INTO t VALUES (1, 0)")
        performed: list[type] = []
        perform = db.node._stored

        def noting(effect: kernel.Effect) -> list[kernel.Event]:
            performed.append(type(effect))
            return perform(effect)

        db.node._stored = noting
        for number in range(8):
            db.execute("UPDATE t SET b = ?", (b"x" * (3 << 20) + bytes([number]),))
        assert kernel.Checkpoint in performed
        assert db.execute("SELECT length(b) FROM t").fetchone() == ((3 << 20) + 1,)


def test_a_full_disk_refuses_writes_and_serves_reads(folder: Path) -> None:
    with embedded(folder) as db:
        db.execute("CREATE TABLE t(a)")
        db.execute("INSERT INTO t VALUES (1)")
        store, persist = db.node.store, db.node.store.persist

        def full(_writes: object) -> None:
            raise DiskIsFull("no room")

        store.persist = full  # type: ignore[method-assign,assignment]
        for _ in range(3):
            with pytest.raises(quorate.DiskFull, match="nothing was written") as caught:
                db.execute("INSERT INTO t VALUES (2)")
            assert caught.value.retryable
            assert db.execute("SELECT a FROM t").fetchall() == [(1,)]
        with pytest.raises(quorate.DiskFull), db.transaction() as tx:
            tx.execute("INSERT INTO t VALUES (3)")
        store.persist = persist  # type: ignore[method-assign]
        db.execute("INSERT INTO t VALUES (4)")
        assert db.execute("SELECT a FROM t").fetchall() == [(1,), (4,)]
    with quorate.connect(folder) as again:
        assert again.execute("SELECT a FROM t").fetchall() == [(1,), (4,)]


def test_room_for_the_log_but_not_for_the_data(folder: Path) -> None:
    """The write is logged, and so it happened, and is read."""
    with embedded(folder) as db:
        db.execute("CREATE TABLE t(a)")
        perform = db.node._stored

        def full(effect: kernel.Effect) -> list[kernel.Event]:
            if isinstance(effect, kernel.Commit | kernel.Apply):
                perform(kernel.Rollback(effect.group))
                return [kernel.ApplyFailed(effect.group, full=True, reason="no room")]
            return perform(effect)

        db.node._stored = full
        db.execute("INSERT INTO t VALUES (1)", token="one")
        for _ in range(2):
            assert db.execute("SELECT a FROM t").fetchall() == [(1,)]
        assert db.node.unsettled
        db.node._stored = perform
        assert db.outcome("one")[0].rowcount == 1
        assert db.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_a_broken_disk_stops_the_node_until_it_is_opened_again(folder: Path) -> None:
    with embedded(folder) as db:
        db.execute("CREATE TABLE t(a)")

        def broken(_writes: object) -> None:
            raise Broken("fsync failed")

        db.node.store.persist = broken  # type: ignore[method-assign,assignment]
        for _ in range(2):
            with pytest.raises(quorate.OperationalError, match=r"has stopped: fsync failed.*connect again"):
                db.execute("INSERT INTO t VALUES (1)")
    with quorate.connect(folder) as again:
        again.execute("INSERT INTO t VALUES (2)")
        assert again.execute("SELECT a FROM t").fetchall() == [(2,)]


def test_a_core_that_fails_an_assertion_is_not_used_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded(folder) as db:
        db.execute("CREATE TABLE t(a)")
        with monkeypatch.context() as patch:

            def wrong(self: InlineNode, *_: object) -> None:
                raise AssertionError("two leaders in one epoch")

            patch.setattr(InlineNode, "_turn", wrong)
            with pytest.raises(quorate.InternalError, match="two leaders"):
                db.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(quorate.OperationalError, match="connect again"):
            db.execute("INSERT INTO t VALUES (1)")


def test_a_closed_connection_says_so(target: str) -> None:
    db = quorate.connect(target)
    db.execute("CREATE TABLE t(a)")
    for _ in range(2):
        db.execute("SELECT * FROM t")
    cursor: Any = db.cursor()
    db.close()
    db.close()
    for use in (
        lambda: db.execute("SELECT * FROM t"),
        lambda: db.execute("INSERT INTO t VALUES (1)"),
        lambda: cursor.execute("SELECT 1"),
        db.cursor,
        db.commit,
        db.transaction,
    ):
        with pytest.raises(quorate.InterfaceError, match="closed"):
            use()


def test_a_connection_that_is_dropped_gives_up_its_folder(folder: Path) -> None:
    """Without a warning: warnings are errors here."""
    db: Any = quorate.connect(folder)
    db.execute("CREATE TABLE t(a)")
    db.execute("SELECT * FROM t")
    del db
    gc.collect()
    quorate.connect(folder).close()


def test_cursors_are_those_of_pep_249(target: str) -> None:
    with quorate.connect(target) as db:
        cursor: Any = db.cursor()
        with pytest.raises(quorate.ProgrammingError, match="no statement has run"):
            cursor.fetchone()
        assert cursor.execute("CREATE TABLE t(a)") is cursor
        with pytest.raises(quorate.ProgrammingError, match="returns no rows"):
            cursor.fetchall()
        cursor.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(5)])
        assert cursor.rowcount == 5
        cursor.execute("SELECT a FROM t ORDER BY a")
        assert cursor.rowcount == -1
        assert (cursor.fetchone(), cursor.fetchmany(), cursor.fetchmany(2)) == ((0,), [(1,)], [(2,), (3,)])
        assert (cursor.fetchall(), cursor.fetchone(), cursor.fetchall()) == ([(4,)], None, [])
        assert list(db.execute("SELECT a FROM t WHERE a < 2")) == [(0,), (1,)]
        cursor.close()
        with pytest.raises(quorate.InterfaceError):
            cursor.execute("SELECT 1")
    assert (quorate.apilevel, quorate.threadsafety, quorate.paramstyle) == ("2.0", 2, "qmark")
