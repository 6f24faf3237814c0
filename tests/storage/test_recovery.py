"""Real processes that die, real disks that fill, and an fsync that fails."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from quorate.core.kernel import Applied, Apply, ApplyFailed, Checkpoint, Checkpointed, Commit, OpenReplica
from quorate.errors import DiskFull, OperationalError
from quorate.storage.folder import SqliteStore, open_store
from quorate.storage.interface import Broken, DiskIsFull
from tests.contracts.stores import CREATE, GROUP, IDENTITY, Disk, Writer, begin, blobs, catch_up, group_of, noops, one
from tests.contracts.stores import rows as rows_of

WRITE_FOREVER = """
import sys
from pathlib import Path
from quorate.core.kernel import Commit
from tests.contracts.stores import Disk, begin
disk = Disk(Path(sys.argv[1]))
writer = begin(disk)
number = 0
while True:
    position = writer.log("INSERT INTO t VALUES (?, ?)", number, "x" * 50)
    print(f"logged {number}", flush=True)
    disk.store.perform(Commit(1, position))
    number += 1
"""

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("after", [1, 40, 173])
def test_what_a_killed_process_reported_durable_is_there(tmp_path: Path, after: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOREVER, str(tmp_path / "n")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    reported = -1
    assert child.stdout is not None
    with child.stdout as lines:
        for line in lines:
            reported = int(line.split()[1])
            if reported == after:
                child.send_signal(signal.SIGKILL)
                break
        for line in lines:
            if line.endswith("\n"):
                reported = int(line.split()[1])
    assert child.wait(timeout=30) == -signal.SIGKILL
    disk = Disk(tmp_path / "n")
    found = group_of(disk.start())
    assert found.damaged == ""
    catch_up(disk.store, found)
    numbers = rows_of(disk.store)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in (reported + 1, reported + 2)
    Writer(disk.store, 2).run("INSERT INTO t VALUES (-1, 0)")
    disk.stop()


class FailingFile(apsw.VFSFile):
    """A file whose syncs fail when told to."""

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        if FailingDisk.failing and FailingDisk.failing in str(self.name):
            FailingDisk.failures += 1
            if FailingDisk.once:
                FailingDisk.failing = ""
            raise sync_failed()
        super().xSync(flags)

    def __init__(self, inherit: str, name: object, flags: list[int]) -> None:
        super().__init__(inherit, name, flags)  # type: ignore[arg-type]
        self.name = name.filename() if isinstance(name, apsw.URIFilename) else name


def sync_failed() -> apsw.IOError:
    error = apsw.IOError("the disk did not take it")
    error.extendedresult = apsw.SQLITE_IOERR_FSYNC  # type: ignore[attr-defined]
    return error


class FailingDisk(apsw.VFS):
    failing = ""
    once = False
    failures = 0

    def __init__(self) -> None:
        super().__init__("failing", "")

    def xOpen(self, name: object, flags: list[int]) -> FailingFile:  # noqa: N802 - SQLite's name
        return FailingFile("", name, flags)


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store whose log is on a disk that can fail."""
    vfs = FailingDisk()
    FailingDisk.failing, FailingDisk.once, FailingDisk.failures = "", False, 0
    store = open_store(tmp_path / "n", create=IDENTITY, vfs="failing")
    store.recover()
    store.persist((CREATE, noops(1, 1)))
    yield store
    FailingDisk.failing = ""
    store.close()
    vfs.unregister()


@pytest.mark.parametrize("once", [True, False])
def test_a_failed_fsync_breaks_the_store_for_good(failing: SqliteStore, once: bool) -> None:
    FailingDisk.failing, FailingDisk.once = "log.db-wal", once
    with pytest.raises(Broken):
        failing.persist((noops(2, 2),))
    assert FailingDisk.failures == 1
    FailingDisk.failing = ""
    with pytest.raises(Broken):
        failing.persist((noops(2, 2),))
    with pytest.raises(Broken):
        failing.perform(OpenReplica(GROUP))
    size = (failing.folder / "log.db").stat().st_size
    beside = (failing.folder / "log.db-wal").read_bytes()
    failing.close()
    assert (failing.folder / "log.db").stat().st_size == size, "closing must not write to a disk that failed"
    assert (failing.folder / "log.db-wal").read_bytes() == beside
    store = open_store(failing.folder)
    found = group_of(store.recover())
    assert found.last in (1, 2)
    assert found.damaged == ""
    store.close()


def test_a_failed_fsync_of_a_checkpoint_breaks_the_store(failing: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.storage.log.log.CHECKPOINT_PAGES", 1)
    FailingDisk.failing = "log.db"
    with pytest.raises(Broken):
        failing.persist((noops(2, 2),))
    FailingDisk.failing = ""
    with pytest.raises(Broken):
        failing.persist((noops(2, 2),))


def test_a_failed_fsync_at_the_start_is_no_start(tmp_path: Path, failing: SqliteStore) -> None:
    failing.persist((noops(2, 2),))
    folder = failing.folder
    failing._unusable = "crashed"
    failing.close()
    FailingDisk.failing = "log.db"
    with pytest.raises(OperationalError, match="disk"):
        open_store(folder, vfs="failing")
    FailingDisk.failing = ""
    store = open_store(folder, vfs="failing")
    assert group_of(store.recover()).last == 2
    store.close()


@pytest.fixture
def small_files() -> Iterator[object]:
    """Lets a test limit how large a file of this process may become."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size or before[0], before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_log_without_room_says_so_and_goes_on_when_there_is_room(tmp_path: Path, small_files: object) -> None:
    assert callable(small_files)
    disk = Disk(tmp_path / "n")
    begin(disk)
    small_files((tmp_path / "n" / "log.db-wal").stat().st_size + 4096)
    big = blobs(2, 20, 20_000)
    for _ in range(3):
        with pytest.raises(DiskIsFull):
            disk.store.persist((big,))
        assert rows_of(disk.store) == []
        assert disk.store.log.groups[GROUP].last.index == 1
    small_files(0)
    disk.store.persist((big,))
    found = disk.restart()
    assert (found.last, found.damaged) == (20, "")
    disk.stop()


def test_a_full_data_file_is_rolled_back_and_said(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    writer = begin(disk)
    writer.run("INSERT INTO t VALUES (1, 'small')")
    position = writer.log("INSERT INTO t VALUES (2, ?)", "x" * 50_000)
    disk.restart()
    one(disk.store, OpenReplica(GROUP), Applied)
    connection = disk.store._replica(GROUP)._writer.connection
    pages = connection.execute("PRAGMA page_count").fetchall()[0][0]
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    for _ in range(2):
        assert one(disk.store, Apply(GROUP, position, ()), ApplyFailed).full
        assert rows_of(disk.store) == [1]
    connection.execute("PRAGMA max_page_count = 1000000").fetchall()
    assert one(disk.store, Apply(GROUP, position, ()), Applied).position == position
    assert rows_of(disk.store) == [1, 2]
    disk.stop()


def test_a_folder_that_finds_no_room_at_its_start_is_refused_plainly(tmp_path: Path, small_files: object) -> None:
    assert callable(small_files)
    small_files(1)
    with pytest.raises(DiskFull):
        open_store(tmp_path / "n", create=IDENTITY)
    small_files(0)
    open_store(tmp_path / "n", create=IDENTITY).close()


def test_a_crash_between_log_and_data_file_is_brought_forward(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    writer = begin(disk)
    for number in range(10):
        position = writer.log("INSERT INTO t VALUES (?, ?)", number, "x")
        if number % 3 == 0:
            found = disk.restart()
            assert found.applied.index == found.last - 1
            assert catch_up(disk.store, found) == position
            writer = Writer(disk.store, found.tail[-1].epoch)
        else:
            one(disk.store, Commit(GROUP, position), Applied)
    assert rows_of(disk.store) == list(range(10))
    disk.stop()


def test_a_checkpointed_data_file_needs_no_write_ahead_log(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    writer = begin(disk)
    for number in range(10):
        writer.run("INSERT INTO t VALUES (?, ?)", number, "x")
    assert one(disk.store, Checkpoint(GROUP), Checkpointed).position.index == 11
    writer.run("INSERT INTO t VALUES (99, 'x')")
    disk.crash()
    for name in ("group-1-0.db-wal", "group-1-0.db-shm"):
        (tmp_path / "n" / name).unlink(missing_ok=True)
    found = group_of(disk.start())
    assert found.applied.index == 11
    catch_up(disk.store, found)
    assert rows_of(disk.store) == [*range(10), 99]
    disk.stop()


def test_what_was_written_is_synced_before_it_is_reported_at_the_start(tmp_path: Path) -> None:
    """A process that died between write and fsync leaves entries that can be read and still be lost."""
    disk = Disk(tmp_path / "n")
    disk.start()
    disk.store.persist((CREATE, noops(1, 3)))
    disk.crash()
    assert os.path.getsize(tmp_path / "n" / "log.db-wal") > 0
    disk.start()
    assert os.path.getsize(tmp_path / "n" / "log.db-wal") == 0
    disk.stop()
