"""The simulated disk forgets what a real one may forget, and a real store makes sense of what is left."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest

from quorate.core.entries import Position, SwitchGeneration, WriteHardState
from quorate.core.kernel import ApplyFailed, Checkpoint, OpenReplica, OpenSnapshot, SnapshotOpened
from quorate.errors import OperationalError
from quorate.storage.data.connection import PAGE_BYTES
from quorate.storage.folder import SqliteStore, open_store
from quorate.storage.interface import Broken, DiskIsFull
from quorate.storage.log.ends import Ends
from quorate.storage.testing.disk import SECTOR, Inode, SimulatedDisk
from tests.contracts.stores import CREATE, GROUP, IDENTITY, Writer, noops

FOLDER = Path("/node")


class First(random.Random):
    """The worst disk: nothing that was not synced survives, and nothing is dropped that may stay."""

    def choice(self, seq: Any) -> Any:
        return seq[0]

    def random(self) -> float:
        return 0.99


class Last(First):
    """Writes survive in parts, names survive one by one."""

    def choice(self, seq: Any) -> Any:
        return seq[-1]


@pytest.fixture
def disk() -> Iterator[SimulatedDisk]:
    made = SimulatedDisk("test")
    made.rng = First()
    yield made
    made.close()


def crash(disk: SimulatedDisk, store: SqliteStore, *, machine: bool) -> None:
    disk.stop()
    store.abandon()
    disk.crash(First(), machine=machine)


def start(disk: SimulatedDisk) -> SqliteStore:
    store = open_store(FOLDER, IDENTITY, files=disk)
    store.recover()
    return store


def connect(disk: SimulatedDisk, name: str, level: str) -> apsw.Connection:
    connection = apsw.Connection(name, vfs=disk.vfs)
    connection.execute(f"PRAGMA journal_mode=WAL; PRAGMA synchronous={level}").fetchall()
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection


@pytest.mark.parametrize(("level", "kept"), [("FULL", 3), ("NORMAL", 0)])
def test_what_sqlite_did_not_sync_is_gone_with_the_machine(disk: SimulatedDisk, level: str, kept: int) -> None:
    connection = connect(disk, "/t.db", level)
    connection.execute("CREATE TABLE t(x)")
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    disk.sync(Path("/t.db-wal"))
    for number in range(3):
        connection.execute("INSERT INTO t VALUES (?)", (number,))
    disk.stop()
    connection.close()
    disk.crash(First(), machine=True)
    connection = connect(disk, "/t.db", level)
    assert connection.execute("SELECT count(*) FROM t").get == kept
    connection.close()


def test_the_end_of_a_process_loses_nothing(disk: SimulatedDisk) -> None:
    connection = connect(disk, "/t.db", "OFF")
    connection.execute("CREATE TABLE t(x); INSERT INTO t VALUES (1)")
    disk.stop()
    connection.close()
    disk.crash(First(), machine=False)
    connection = connect(disk, "/t.db", "OFF")
    assert connection.execute("SELECT x FROM t").get == 1
    connection.close()


def test_two_connections_share_a_write_ahead_log(disk: SimulatedDisk) -> None:
    writer, reader = connect(disk, "/t.db", "NORMAL"), connect(disk, "/t.db", "NORMAL")
    writer.execute("CREATE TABLE t(x); BEGIN; INSERT INTO t VALUES (1)")
    assert reader.execute("SELECT count(*) FROM t").get == 0
    writer.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM t").get == 1
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(apsw.BusyError):
        reader.execute("BEGIN IMMEDIATE")
    reader.close()
    writer.close()


def test_writes_are_torn_between_sectors() -> None:
    found: set[int] = set()
    for seed in range(20):
        inode = Inode(bytes(8 * SECTOR))
        inode.pending.append((100, b"x" * 7 * SECTOR))
        inode.survive(random.Random(seed))
        assert not inode.pending
        assert inode.durable[:100] == bytes(100)
        whole = [inode.durable[at : at + SECTOR] for at in range(SECTOR, 7 * SECTOR, SECTOR)]
        assert set(map(bytes, whole)) <= {bytes(SECTOR), b"x" * SECTOR}
        found.add(list(map(bytes, whole)).count(b"x" * SECTOR))
    assert {0, 6} < found, "some were torn"


@pytest.mark.parametrize("synced", [False, True])
def test_a_name_lasts_when_its_folder_was_synced(disk: SimulatedDisk, synced: bool) -> None:
    old, new = Path("/a/old"), Path("/b/new")
    for folder in (old.parent, new.parent):
        disk.make_folder(folder)
    disk.append(old, b"content")
    disk.sync(old)
    disk.sync(old.parent)
    disk.replace(old, new)
    assert disk.names(new.parent) == ["new"]
    if synced:
        disk.sync(new.parent)
    disk.crash(First(), machine=True)
    assert (disk.exists(old), disk.exists(new)) == (not synced, synced)
    assert disk.read(new if synced else old, 0, 100) == b"content"


def test_a_deleted_file_may_come_back(disk: SimulatedDisk) -> None:
    path = Path("/f")
    disk.append(path, b"x")
    disk.sync(path)
    disk.sync(Path("/"))
    disk.remove(path)
    assert not disk.exists(path)
    disk.crash(First(), machine=True)
    assert disk.exists(path)


def test_an_fsync_that_failed_is_told_once_and_its_pages_are_lost(disk: SimulatedDisk) -> None:
    path = Path("/f")
    disk.append(path, b"old")
    disk.sync(path)
    disk.sync(Path("/"))
    disk.append(path, b"new")
    disk.sync_error = lambda name: name == "/f"
    with pytest.raises(Broken):
        disk.sync(path)
    disk.sync(path)
    assert disk.read(path, 0, 9) == b"oldnew"
    disk.crash(First(), machine=True)
    assert disk.read(path, 0, 9) == b"old"


def test_a_full_disk_takes_what_needs_no_room(disk: SimulatedDisk) -> None:
    path = Path("/f")
    disk.append(path, b"12345")
    disk.full = True
    with pytest.raises(OSError, match="full"):
        disk.append(path, b"6")
    inode = disk.find("/f")
    assert inode is not None
    disk.write(inode, 0, b"54321")
    disk.full = False
    disk.append(path, b"6")
    assert disk.read(path, 0, 9) == b"543216"


def test_a_store_without_room_says_so_and_goes_on_when_there_is_room_again(disk: SimulatedDisk) -> None:
    store = start(disk)
    store.persist((CREATE,))
    disk.full = True
    with pytest.raises(DiskIsFull):
        store.persist((noops(1, 100),))
    disk.full = False
    store.persist((noops(1, 100),))
    assert store.log.groups[GROUP].last.index == 100
    store.close()


@pytest.mark.parametrize("operations", range(1, 30))
def test_a_store_that_dies_at_any_operation_of_a_turn_has_all_of_it_or_nothing(
    disk: SimulatedDisk, operations: int
) -> None:
    store = start(disk)
    store.persist((CREATE, noops(1, 1)))
    store.perform(OpenReplica(GROUP))
    disk.dies_in = operations
    last = 1
    with suppress(Broken):
        while not disk.dead:
            store.persist((noops(last + 1, last + 3),))
            last += 3
    store.abandon()
    disk.crash(Last(), machine=True)
    store = start(disk)
    assert store.log.groups[GROUP].last.index in (last, last + 3)
    assert not store.damaged
    store.close()


def test_what_the_page_cache_kept_of_a_failed_fsync_is_written_again_before_it_is_believed(
    disk: SimulatedDisk,
) -> None:
    """Found by simulation (fsyncs@sqlite, seed 48): the log's WAL seemed to hold a turn, it was folded into the file
    and cut, but neither its pages nor the cut were on the disk: a power failure brought an older log back."""
    store = start(disk)
    store.persist((CREATE, noops(1, 5)))
    disk.sync_error = lambda path: path.endswith("log.db-wal")
    with pytest.raises(Broken):
        store.persist((noops(6, 6),))
    crash(disk, store, machine=False)
    store = start(disk)
    assert store.log.groups[GROUP].last.index == 6, "it is in the page cache"
    crash(disk, store, machine=True)
    store = start(disk)
    assert store.log.groups[GROUP].last.index == 6, "and it was reported, so it must stay"
    assert not store.damaged
    store.close()


def test_a_damaged_page_that_nobody_reads_is_found_before_it_is_copied(disk: SimulatedDisk) -> None:
    """Found by simulation (fsyncs, seeds 39, 75 and 99, files): the leader sent damaged copies for ever, and its
    follower refused each."""
    store = start(disk)
    store.persist((CREATE,))
    store.perform(OpenReplica(GROUP))
    writer = Writer(store)
    writer.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    writer.run("INSERT INTO t VALUES (1, zeroblob(100))")
    store.perform(Checkpoint(GROUP))
    name = str(FOLDER / "group-1-0.db")
    pages = len(disk.content(name)) // PAGE_BYTES
    disk.change(name, (pages - 1) * PAGE_BYTES, 0xFF)
    failed, told = store.perform(OpenSnapshot(GROUP, 2))
    assert isinstance(failed, ApplyFailed)
    assert isinstance(told, SnapshotOpened)
    assert told.failed == failed.reason
    assert not failed.full
    assert "not a sound database" in failed.reason
    assert not [name for name in disk.names(FOLDER / "snapshots") if name.startswith("outgoing")]
    store.close()


def folded(disk: SimulatedDisk) -> list[int]:
    """A node whose log was folded at each turn, and that voted last; where its disk may have lost a write."""
    store = open_store(FOLDER, IDENTITY, files=disk, log_pages=1)
    disk.remembers = True
    store.recover()
    for write in (CREATE, noops(1, 3), noops(4, 4), WriteHardState(GROUP, 2, 12)):
        store.persist((write,))
    crash(disk, store, machine=False)
    return disk.overwritten(str(FOLDER / "log.db"))


def test_a_log_whose_disk_has_lost_a_write_is_not_taken_for_whole() -> None:
    found = set()
    for number in range(100):
        disk = SimulatedDisk(f"lost write {number}")
        disk.rng = First()
        places = folded(disk)
        if number >= len(places):
            disk.close()
            break
        disk.revert(str(FOLDER / "log.db"), places[number])
        try:
            store = open_store(FOLDER, files=disk)
        except OperationalError as error:
            found.add(error.hint)
        else:
            group = store.recover().groups[0]
            whole = (group.last, group.epoch, group.vote) == (4, 2, 12)
            assert whole or group.damaged, f"the write at {places[number]} is missing, and nobody says so"
            found.add(group.damaged.partition(",")[0])
            store.close()
        disk.close()
    assert "the log of group 1 ends at 3" in found


def test_a_log_that_was_cut_or_replaced_is_not_taken_for_damaged(disk: SimulatedDisk) -> None:
    """What was noted when the log was folded is lowered by whoever cuts it."""
    store = open_store(FOLDER, IDENTITY, files=disk, log_pages=1)
    store.recover()
    for write in (CREATE, noops(1, 5), noops(3, 3, epoch=2)):
        store.persist((write,))
    crash(disk, store, machine=False)
    store = open_store(FOLDER, files=disk, log_pages=1)
    assert [(group.last, group.damaged) for group in store.recover().groups] == [(3, "")]
    store.persist((noops(4, 9, epoch=2),))
    store.persist((SwitchGeneration(GROUP, 1, Position(3, 7)),))
    crash(disk, store, machine=False)
    store = open_store(FOLDER, files=disk)
    assert "ends at" not in store.recover().groups[0].damaged
    store.close()


def test_what_a_release_did_that_does_not_note_where_a_log_ended_is_no_damage(
    disk: SimulatedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(FOLDER, IDENTITY, files=disk, log_pages=1)
    store.recover()
    for write in (CREATE, noops(1, 5)):
        store.persist((write,))
    crash(disk, store, machine=False)
    with monkeypatch.context() as older:
        for name in ("note", "truncated"):
            older.setattr(Ends, name, lambda *_arguments: None)
        store = open_store(FOLDER, files=disk)
        store.recover()
        store.persist((noops(3, 3, epoch=2),))
        crash(disk, store, machine=False)
    store = open_store(FOLDER, files=disk)
    assert [(group.last, group.damaged) for group in store.recover().groups] == [(3, "")]
    store.close()


def test_closing_forgets_the_name_of_the_disk() -> None:
    made = SimulatedDisk("short")
    name = made.vfs
    assert name in apsw.vfs_names()
    made.close()
    assert name not in apsw.vfs_names()
