"""What strangers and mistaken programs send to a real node: a clear answer, and the others are served on."""

import datetime as dt
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cluster.conftest import Started

import quorate
from quorate.core.limits import FRAME_BYTES_MAX, REQUEST_BYTES_MAX, RESULT_BYTES_MAX, ROW_BYTES_MAX
from quorate.core.requests import Ask, Status
from quorate.runtime.cluster import LocalCluster
from quorate.transport.addresses import parse_address
from quorate.wire.codec import encode
from quorate.wire.frames import HEADER, FrameReader, frame
from quorate.wire.handshake import CLIENT, Hello, Refusal, greeting


@pytest.fixture
def node(start: Started) -> LocalCluster:
    return start(1)


@pytest.fixture
def db(node: LocalCluster) -> Iterator[Any]:
    """An innocent caller, connected before anything bad is sent."""
    with quorate.connect(f"{node.url}/main", timeout=10.0) as connection:
        connection.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT)")
        yield connection


def hung_up_on(node: LocalCluster, data: bytes) -> None:
    """Send bytes to the node and wait until it closes the connection."""
    with socket.create_connection(parse_address(node.addresses[0]), 10) as stranger:
        stranger.sendall(data)
        stranger.shutdown(socket.SHUT_WR)
        while True:
            try:
                if not stranger.recv(65536):
                    return
            except ConnectionResetError:
                return


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        os.urandom(4096),
        b"\x00" * 1024,
        struct.pack("<I", 0xFFFFFFFF) + b"x" * 100,
        struct.pack(">I", 0xFFFFFFFF) + b"x" * 100,
        b"",
    ],
    ids=["http", "noise", "zeros", "long-little", "long-big", "nothing"],
)
def test_garbage_on_the_port_ends_that_connection_only(node: LocalCluster, db: Any, data: bytes) -> None:
    hung_up_on(node, data)
    db.execute("INSERT INTO t VALUES (1, 'still served')")
    assert node.running("n1")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (HEADER.pack(FRAME_BYTES_MAX + 1, 0), "frame_too_long"),
        (frame(b"\xc1 no msgpack"), "frame_corrupt"),
        (frame(encode(Ask(1, Status())))[:-1] + b"\xff", "frame_corrupt"),
        (greeting(Hello(CLIENT)), "frame_corrupt"),
    ],
    ids=["frame too long", "no message", "damaged frame", "greeted twice"],
)
def test_who_greets_and_then_talks_nonsense_is_told_and_hung_up_on(
    node: LocalCluster, db: Any, data: bytes, code: str
) -> None:
    last = told(node, greeting(Hello(CLIENT, name="stranger")) + data)
    assert isinstance(last, Refusal)
    assert last.code == code, last
    db.execute("INSERT INTO t VALUES (1, 'still served')")


def test_a_version_that_the_node_does_not_speak_is_refused_by_name(node: LocalCluster, db: Any) -> None:
    last = told(node, greeting(Hello(CLIENT, version=99, oldest=98)))
    assert isinstance(last, Refusal)
    assert last.code == "version"
    assert "98" in last.message
    db.execute("INSERT INTO t VALUES (1, 'still served')")


def told(node: LocalCluster, data: bytes) -> Hello | Refusal:
    """The last frame that the node sends before it closes the connection."""
    reader = FrameReader()
    payloads: list[bytes] = []
    with socket.create_connection(parse_address(node.addresses[0]), 10) as stranger:
        stranger.sendall(data)
        while received := stranger.recv(65536):
            payloads += [bytes(payload) for payload in reader.feed(received)]
    return msgspec.msgpack.decode(payloads[-1], type=Hello | Refusal)


def test_mistakes_in_statements_are_named_and_change_nothing(node: LocalCluster, db: Any) -> None:
    with pytest.raises(quorate.ProgrammingError, match="syntax"):
        db.execute("SELEKT 1")
    with pytest.raises(quorate.ProgrammingError, match="no such table"):
        db.execute("INSERT INTO nowhere VALUES (1)")
    with pytest.raises(quorate.ProgrammingError):
        db.execute("INSERT INTO t VALUES (?, ?)", (1,))
    with pytest.raises(quorate.ProgrammingError):
        db.execute("INSERT INTO t VALUES (?, ?)", (1, "a", "b"))
    with pytest.raises(quorate.DataError):
        db.execute("INSERT INTO t VALUES (?, 'too large')", (2**63,))
    with pytest.raises(quorate.OperationalError, match="no transaction is active"):
        db.execute("ROLLBACK")
    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "\ud800", object(), 1 + 2j, [1], dt.date(2026, 1, 1)])
def test_a_value_that_sqlite_cannot_hold_is_named_by_its_place(node: LocalCluster, db: Any, value: object) -> None:
    with pytest.raises(quorate.DataError, match="parameter 2"):
        db.execute("INSERT INTO t VALUES (?, ?)", (1, value))
    with pytest.raises(quorate.DataError):
        db.batch([("INSERT INTO t VALUES (1, 'a')", ()), ("INSERT INTO t VALUES (2, :v)", {"v": value})])
    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_what_does_not_fit_a_frame_an_entry_or_an_answer_is_refused(node: LocalCluster, db: Any) -> None:
    with pytest.raises(quorate.TooLarge, match=f"at most {REQUEST_BYTES_MAX}"):
        db.execute("INSERT INTO t VALUES (1, ?)", (bytes(FRAME_BYTES_MAX),))
    with pytest.raises(quorate.TooLarge, match=f"at most {ROW_BYTES_MAX}"):
        db.execute("INSERT INTO t VALUES (1, zeroblob(60000000))")
    with pytest.raises(quorate.TooLarge, match=f"more than {RESULT_BYTES_MAX}"):
        db.execute("SELECT zeroblob(40000000)")
    with pytest.raises(quorate.TooLarge, match="too big"):
        db.execute("SELECT zeroblob(1000000000)")
    db.execute("INSERT INTO t VALUES (1, 'still served')")


BAD = (
    ("ROLLBACK", (quorate.OperationalError, quorate.NotSupportedError)),
    ("INSERT OR ROLLBACK INTO t VALUES (0, 'twice')", quorate.IntegrityError),
    ("INSERT INTO stray VALUES (99)", quorate.IntegrityError),
)
"""ROLLBACK ends nothing by itself, and a batch has none. The last violates a deferred foreign key, which SQLite notices
at COMMIT only."""


def test_who_ends_the_shared_transaction_fails_alone(node: LocalCluster, db: Any) -> None:
    """Innocent and bad callers at once, so that they come to stand in the same batches."""
    db.execute("INSERT INTO t VALUES (0, 'once')")
    db.execute("CREATE TABLE stray(k INTEGER REFERENCES t(k) DEFERRABLE INITIALLY DEFERRED)")
    url = f"{node.url}/main"

    def innocent(caller: int) -> int:
        with quorate.connect(url, timeout=20.0) as connection:
            return sum(
                connection.execute("INSERT INTO t VALUES (?, 'in')", (1000 * caller + n,)).rowcount
                for n in range(1, 41)
            )

    def bad(_caller: int) -> int:
        failed = 0
        with quorate.connect(url, timeout=20.0) as connection:
            for sql, error in BAD * 12:
                with pytest.raises(error):
                    connection.execute(sql)
                with pytest.raises(error):
                    connection.batch([("INSERT INTO t(v) VALUES ('out')", ()), (sql, ())])
                failed += 2
        return failed

    with ThreadPoolExecutor(8) as pool:
        innocents = [pool.submit(innocent, caller) for caller in range(4)]
        others = [pool.submit(bad, caller) for caller in range(4)]
        assert [each.result() for each in innocents] == [40] * 4
        assert [each.result() for each in others] == [72] * 4
    assert db.execute("SELECT v, count(*) FROM t GROUP BY v ORDER BY v").fetchall() == [("in", 160), ("once", 1)]
    assert db.execute("SELECT count(*) FROM stray").fetchone() == (0,)


def test_an_unknown_database_is_named(node: LocalCluster) -> None:
    with (
        quorate.connect(f"{node.url}/nowhere", timeout=5.0) as nowhere,
        pytest.raises(quorate.UnknownDatabase, match="nowhere"),
    ):
        nowhere.execute("SELECT 1")


def test_a_folder_that_is_in_use_names_the_process(node: LocalCluster, db: Any) -> None:
    place = node.place("n1")
    done = subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", "serve", "--config", str(Path(place.folder) / "node.toml")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert str(place.pid) in done.stderr
    db.execute("INSERT INTO t VALUES (1, 'the first one goes on')")


def test_a_stopped_node_leaves_files_that_open_again(node: LocalCluster, db: Any) -> None:
    db.execute("INSERT INTO t VALUES (1, 'kept')")
    assert node.terminate("n1") == 0
    node.restart("n1")
    assert db.execute("SELECT v FROM t").fetchall() == [("kept",)]
