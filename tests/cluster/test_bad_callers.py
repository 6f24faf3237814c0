"""What strangers and mistaken programs send to a real node: a clear answer, and the others are served on."""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.conftest import Started

import quorate
from quorate.runtime.cluster import LocalCluster
from quorate.transport.addresses import parse_address


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
    with pytest.raises(quorate.NotSupportedError):
        db.execute("ROLLBACK")
    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


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
