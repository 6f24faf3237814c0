"""What opening and closing data files means on a real disk: edits, half-made files, failed syncs, descriptors."""

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from quorate.core.entries import ORIGIN, CreateGroup, Position
from quorate.core.executing import Execute
from quorate.core.kernel import ApplyFailed, CloseIdle, OpenReplica
from quorate.core.options import SINGLE_LEADER
from quorate.core.requests import Run
from quorate.core.statements import Statement, Token
from quorate.storage.data import data_file
from quorate.storage.data.replica import Replica
from quorate.storage.folder import SqliteStore
from quorate.storage.interface import Broken
from tests.contracts.stores import CREATE, GROUP, Disk, begin, group_of, one, rows


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "n")


def file_of(disk: Disk) -> Path:
    assert disk.folder is not None
    return disk.folder / "group-1-0.db"


def closed(disk: Disk) -> SqliteStore:
    """A store whose only data file has a row and is closed."""
    begin(disk).run("INSERT INTO t VALUES (1, 2)")
    disk.store.perform(CloseIdle(0))
    assert not disk.store.replicas
    assert isinstance(disk.store, SqliteStore)
    return disk.store


def edit(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE t SET b = 3")
    connection.close()


def test_a_made_file_is_the_one_sqlite_would_make(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    data_file.create(ours)
    for path in (ours, theirs):
        replica = Replica(path)
        assert replica.applied == ORIGIN
        replica.close()
    pragmas = ("page_size", "journal_mode", "encoding", "auto_vacuum", "user_version", "application_id", "page_count")
    found = []
    for path in (ours, theirs):
        connection = apsw.Connection(str(path))
        schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
        found.append((schema, [connection.pragma(name) for name in pragmas], connection.pragma("integrity_check")))
        connection.close()
    assert found[0] == found[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours.db", "theirs.db"]


def test_where_a_closed_file_stands_is_read_without_a_trace(disk: Disk) -> None:
    closed(disk)
    assert disk.folder is not None
    before = sorted(path.name for path in disk.folder.iterdir())
    content = file_of(disk).read_bytes()
    assert data_file.standing_of(file_of(disk))[0] == Position(1, 2)
    assert sorted(path.name for path in disk.folder.iterdir()) == before
    assert file_of(disk).read_bytes() == content
    disk.stop()


def test_where_a_file_stands_is_read_from_its_write_ahead_log_too(disk: Disk) -> None:
    begin(disk).run("INSERT INTO t VALUES (1, 2)")
    disk.crash()
    beside = file_of(disk).with_name("group-1-0.db-wal")
    content = beside.read_bytes()
    assert content
    assert group_of(disk.start()).applied == Position(1, 2)
    assert beside.read_bytes() == content
    assert rows(disk.store) == [1]
    disk.stop()
    assert not beside.exists()


def test_an_edit_of_a_file_that_was_never_opened_is_noticed_at_the_next_start(disk: Disk) -> None:
    closed(disk)
    disk.stop()
    disk.start()
    disk.stop()
    edit(file_of(disk))
    assert "was changed" in group_of(disk.start()).damaged
    disk.stop()


def test_an_edit_of_a_file_that_was_closed_before_the_node_stopped_is_noticed(disk: Disk) -> None:
    closed(disk)
    disk.stop()
    assert group_of(disk.start()).damaged == ""
    disk.stop()
    edit(file_of(disk))
    assert "was changed" in group_of(disk.start()).damaged
    disk.stop()


def test_files_that_nobody_opened_are_not_read_again_at_the_stop(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    closed(disk)
    disk.stop()
    disk.start()
    monkeypatch.setattr("quorate.storage.data.closed._content", lambda path: pytest.fail(f"{path} was read"))
    disk.stop()


def test_a_file_that_goes_back_while_it_is_closed_is_damage(disk: Disk) -> None:
    writer = begin(disk)
    disk.store.perform(CloseIdle(0))
    old = file_of(disk).read_bytes()
    writer.run("INSERT INTO t VALUES (1, 2)")
    disk.store.perform(CloseIdle(0))
    file_of(disk).write_bytes(old)
    run = Run("main", (Statement("INSERT INTO t VALUES (2, 2)"),), token=Token("t", 0))
    failed = one(disk.store, Execute(GROUP, 1, (run,), 0), ApplyFailed)
    assert (failed.full, "when it was closed" in failed.reason) == (False, True)
    disk.stop()


def test_a_file_that_vanishes_while_it_is_closed_is_damage(disk: Disk) -> None:
    store = closed(disk)
    file_of(disk).unlink()
    run = Run("main", (Statement("INSERT INTO t VALUES (2, 2)"),), token=Token("t", 0))
    failed = one(store, Execute(GROUP, 1, (run,), 0), ApplyFailed)
    assert not failed.full
    assert "when it was closed" in failed.reason
    disk.stop()


def test_a_half_made_file_is_removed(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, CreateGroup(2, "other", 0, SINGLE_LEADER, (11, 12))))
    disk.stop()
    half = file_of(disk).with_name("group-1-0.db" + data_file.UNFINISHED)
    half.write_bytes(b"half")
    assert group_of(disk.start()).applied == ORIGIN
    assert not half.exists()
    disk.stop()


def test_a_sync_that_fails_while_closing_stops_the_node(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(disk).run("INSERT INTO t VALUES (1, 2)")

    def broken(_replica: Replica) -> Position:
        raise Broken("fsync failed")

    monkeypatch.setattr(Replica, "checkpoint", broken)
    with pytest.raises(Broken):
        disk.store.perform(CloseIdle(0))
    with pytest.raises(Broken):
        disk.store.perform(OpenReplica(GROUP))
    disk.stop()


SCARCE = """
import os, resource, sys
from pathlib import Path
from quorate.core.entries import DATA, Entry, Position, WriteEntries
from quorate.core.executing import Execute
from quorate.core.kernel import Applied, ApplyFailed, Commit, OpenReplica
from quorate.core.requests import Run
from quorate.core.statements import Statement, Token
from quorate.storage.interface import NoDescriptors
from tests.contracts.stores import Disk, one
from tests.contracts.test_store_open_files import execute, four, values

disk = Disk(Path(sys.argv[1]))
store = four(disk, 0)
payload = execute(store, 1, "INSERT INTO t VALUES (50, 0)")     # may not be closed
while store.handles.closable():
    store._close_some(count=4)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]
resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, hard))
failed = [type(event) for event in store.perform(OpenReplica(2))]
assert failed == [Applied], "nothing needs to be opened for that"
try:
    values(store, 2)
except NoDescriptors as error:
    assert "ulimit" in str(error), error
else:
    raise SystemExit("there was a descriptor")
write = Run("d2", (Statement("INSERT INTO t VALUES (60, 0)"),), token=Token("x", 0))
(event,) = store.perform(Execute(2, 1, (write,), 0))
assert type(event) is ApplyFailed and event.full, event
for each in taken:
    os.close(each)
assert values(store, 1) == [1], "the open batch is not seen, and is still there"
store.persist((WriteEntries(1, (Entry(3, 1, DATA, payload),)),))
one(store, Commit(1, Position(1, 3)), Applied)
assert values(store, 1) == [1, 50]
for group in (2, 3, 4):      # each in the place of the one before
    assert values(store, group) == [group]
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
disk.stop()
disk.start()
assert [values(disk.store, group) for group in (1, 2, 3, 4)] == [[1, 50], [2], [3], [4]]
disk.stop()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit to lower")
def test_nothing_is_lost_when_descriptors_run_out(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    ran = subprocess.run(
        [sys.executable, "-c", SCARCE, str(tmp_path / "n")], capture_output=True, text=True, env=environment, cwd=root
    )
    assert ran.returncode == 0, ran.stderr
