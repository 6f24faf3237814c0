"""A node's files are harmed while it is away, or it is away for too long: it rejoins and holds everything again."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.conftest import wait_level

import quorate
from quorate.runtime.cluster import LocalCluster, NotReady

KEPT = "5"
"""Entries that the logs keep, so that after little writing a node that was away needs a snapshot."""
LARGE = 1_000_000
"""Bytes of a row, some forty of which make a node checkpoint; a log is trimmed at a checkpoint only."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster.start(3, tmp_path_factory.mktemp("cluster"), options={"log_keep": KEPT}) as running:
        with quorate.connect(f"{running.url}/main", timeout=10.0) as db:
            db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB NOT NULL)")
        yield running


@pytest.fixture
def db(cluster: LocalCluster) -> Iterator[quorate.Connection]:
    """An innocent caller, who is served whatever happens to the one node."""
    with quorate.connect(f"{cluster.url}/main", timeout=10.0) as connection:
        yield connection


def take_away(cluster: LocalCluster) -> tuple[str, Path]:
    """`kill -9` a follower that has everything; its name and folder."""
    wait_level(cluster)
    name = next(each for each in cluster.names if each != cluster.leader())
    cluster.kill(name)
    return name, Path(cluster.place(name).folder)


def holds_everything(cluster: LocalCluster, db: quorate.Connection, name: str) -> None:
    """The node comes to hold what the others hold."""
    cluster.restart(name)
    wait_level(cluster)
    question = "SELECT count(*), sum(k), sum(length(v)) FROM t"
    with quorate.connect(f"quorate://{cluster.place(name).address}/main", read="eventual") as there:
        assert there.execute(question).fetchall() == db.execute(question).fetchall()


def write(db: quorate.Connection, entries: int, size: int = 50) -> None:
    for _ in range(entries):
        db.execute("INSERT INTO t(v) VALUES (randomblob(?))", (size,))


def half_gone(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 64):
        data[place] ^= 0xFF
    path.write_bytes(data)


def gone(path: Path) -> None:
    for each in path.parent.glob(path.name + "*"):
        each.unlink()


def nonsense(path: Path) -> None:
    path.write_bytes(b"this is no database" * 4096)


@pytest.mark.parametrize(
    ("pattern", "harm"),
    [
        ("log.db-wal", half_gone),
        ("log.db-wal", flipped),
        ("log.db-wal", gone),
        ("log.db", gone),
        ("group-1-*.db", gone),
        ("group-1-*.db", nonsense),
    ],
)
def test_a_damaged_node_is_rebuilt_from_the_others(
    cluster: LocalCluster, db: quorate.Connection, pattern: str, harm: Callable[[Path], None]
) -> None:
    write(db, 10)
    name, folder = take_away(cluster)
    (path,) = folder.glob(pattern)
    harm(path)
    write(db, 10)
    holds_everything(cluster, db, name)
    assert "damaged" in cluster.log_end(name, 100), "it was noticed, and not by chance repaired"


def test_a_log_that_is_no_database_is_named_and_may_be_moved_away(
    cluster: LocalCluster, db: quorate.Connection
) -> None:
    """Whether that file is the disk's or a person's mistake only a person can say."""
    write(db, 10)
    name, folder = take_away(cluster)
    nonsense(folder / "log.db")
    with pytest.raises(NotReady, match=r"log\.db cannot be read: file is not a database\nHint: .*move log\.db and"):
        cluster.restart(name)
    write(db, 10)
    gone(folder / "log.db")
    holds_everything(cluster, db, name)


def test_a_node_that_was_away_too_long_is_sent_a_snapshot(cluster: LocalCluster, db: quorate.Connection) -> None:
    write(db, 5)
    name, folder = take_away(cluster)
    before = {path.name for path in folder.glob("group-1-*.db")}
    write(db, 45, LARGE)
    write(db, int(KEPT))
    holds_everything(cluster, db, name)
    assert {path.name for path in folder.glob("group-1-*.db")} != before, "a new generation was installed"
