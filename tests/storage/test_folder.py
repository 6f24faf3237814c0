"""How a node's folder is made, opened and refused."""

import os
from pathlib import Path

import apsw
import pytest

from quorate.core.entries import SwitchGeneration, WriteHardState
from quorate.core.formats import HERE, RELEASE, Range
from quorate.core.kernel import Applied, OpenGeneration, OpenReplica, OpenSnapshot, RaiseFormat, SnapshotOpened
from quorate.errors import NotSupportedError, OperationalError
from quorate.storage.data import closed
from quorate.storage.folder import SqliteStore, is_node, open_store
from quorate.storage.interface import Broken, DiskIsFull
from tests.contracts.stores import CREATE, FOUNDERS, GROUP, IDENTITY, Disk, begin, group_of, noops, one, rows


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def edit(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql).fetchall()
    connection.close()


def test_a_folder_is_made_once_and_keeps_its_identity(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "node"
    assert not is_node(folder)
    open_store(folder, create=IDENTITY).close()
    assert is_node(folder)
    other = open_store(folder, create=IDENTITY.__class__("c2", 99, "z", 0, ()))
    assert (other.identity.cluster, other.identity.node, other.identity.boot) == ("c1", 11, 2)
    assert other.identity.founders == FOUNDERS
    other.close()


def test_a_folder_without_a_node_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperationalError, match="no node lives in"):
        open_store(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"SQLite format 3\0")
    with pytest.raises(OperationalError, match="is a file") as caught:
        open_store(tmp_path / "shop.db", create=IDENTITY)
    assert "quorate import" in caught.value.hint


def test_a_node_is_not_founded_among_strangers(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OperationalError, match="not empty"):
        open_store(tmp_path, create=IDENTITY)
    assert not is_node(tmp_path)
    (tmp_path / "letter.txt").unlink()
    open_store(tmp_path, create=IDENTITY).close()


def test_another_format_is_refused_by_number(tmp_path: Path) -> None:
    open_store(tmp_path / "n", create=IDENTITY).close()
    later = HERE.highest + 6
    edit(tmp_path / "n" / "node.db", f"UPDATE node SET format = {later}")
    with pytest.raises(NotSupportedError, match=rf"has format {later}; this release \({RELEASE}\) reads format"):
        open_store(tmp_path / "n")
    edit(tmp_path / "n" / "node.db", f"UPDATE node SET format = {HERE.lowest}")
    store = open_store(tmp_path / "n")
    assert store.identity.boot == 2, "a refused start is no boot"
    store.close()


def test_a_refusal_names_the_release_that_is_needed(tmp_path: Path) -> None:
    """Also of a format that this release has never heard of: the folder says who raised it."""
    store = open_store(tmp_path / "n", create=IDENTITY)
    assert store.perform(RaiseFormat(4, "0.2.0")) == []
    assert store.identity.format == 4
    store.close()
    with pytest.raises(NotSupportedError) as old:
        open_store(tmp_path / "n", formats=Range(3, 3))
    assert old.value.hint == "start it with release 0.2.0 or later"
    edit(tmp_path / "n" / "node.db", "UPDATE node SET format = 7, release = '3.2.0'")
    with pytest.raises(NotSupportedError) as unknown:
        open_store(tmp_path / "n")
    assert unknown.value.hint == "start it with release 3.2.0 or later"
    with pytest.raises(NotSupportedError) as left_behind:
        open_store(tmp_path / "n", formats=Range(8, 9))
    assert "finalize" in str(left_behind.value.hint)


def test_a_folder_keeps_its_format_until_it_is_raised(tmp_path: Path) -> None:
    for _ in range(2):
        store = open_store(tmp_path / "n", create=IDENTITY)
        assert store.identity.format == HERE.lowest
        store.close()
    next_one = HERE.highest + 1
    both = Range(HERE.highest, next_one)
    store = open_store(tmp_path / "n", formats=both)
    store.perform(RaiseFormat(next_one, "9.0"))
    store.perform(RaiseFormat(next_one, "9.0"))
    store.close()
    assert open_store(tmp_path / "n", formats=both).identity.format == next_one


def test_a_folder_of_before_the_first_release_says_what_to_do(tmp_path: Path) -> None:
    open_store(tmp_path / "n", create=IDENTITY).close()
    edit(tmp_path / "n" / "node.db", "UPDATE node SET format = 2")
    with pytest.raises(NotSupportedError, match="has format 2") as refused:
        open_store(tmp_path / "n")
    assert refused.value.hint == "export its databases with the build that wrote it, and import them into a new folder"


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_a_node_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    open_store(tmp_path / "n", create=IDENTITY).close()
    (tmp_path / "n" / "node.db").write_bytes(content)
    with pytest.raises(OperationalError):
        open_store(tmp_path / "n")
    with pytest.raises(OperationalError):
        open_store(tmp_path / "n")


def test_a_node_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    edit(tmp_path / "node.db", "CREATE TABLE theirs(a)")
    with pytest.raises(OperationalError, match="not the file of a node"):
        open_store(tmp_path)


def test_an_orderly_close_leaves_plain_files(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    begin(disk).run("INSERT INTO t VALUES (1, 2)")
    disk.stop()
    assert names(tmp_path / "n") == {"lock", "node.db", "log.db", "group-1-0.db", "snapshots"}
    for name in ("node.db", "log.db", "group-1-0.db"):
        connection = apsw.Connection(str(tmp_path / "n" / name), flags=apsw.SQLITE_OPEN_READONLY)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def test_a_closed_store_does_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "n", create=IDENTITY)
    store.recover()
    store.close()
    store.close()
    with pytest.raises(Broken, match="closed"):
        store.persist((CREATE,))
    with pytest.raises(Broken, match="closed"):
        store.perform(OpenReplica(GROUP))


def test_what_a_crash_left_half_done_is_tidied(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    begin(disk)
    one(disk.store, OpenSnapshot(GROUP, 12), SnapshotOpened)
    folder = tmp_path / "n"
    (folder / "snapshots" / "incoming-1-99.db").write_bytes(b"half")
    (folder / "snapshots" / "received-1-98.db").write_bytes(b"whole, but the log never switched")
    disk.restart()
    assert names(folder / "snapshots") == set()


def test_notes_that_find_no_room_are_taken_with_a_later_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path / "n")
    disk.start()
    store = disk.store
    assert isinstance(store, SqliteStore)
    store.persist((CREATE,))
    node = store._node
    with monkeypatch.context() as full:
        full.setattr(node, "advance", no_room)
        full.setattr(node, "remember_vote", no_room)
        store.persist((WriteHardState(GROUP, 3, 12), noops(1, 2)))
        assert node.sequence < store.log.sequence
    store.persist((noops(3, 3),))
    assert (node.sequence, node.hash) == (store.log.sequence, store.log.hash)
    assert (node.groups[GROUP].epoch, node.groups[GROUP].vote) == (3, 12)
    assert disk.restart().last == 3
    disk.stop()


def no_room(*_arguments: object) -> None:
    raise DiskIsFull("no room")


def test_a_crash_between_switch_and_move_installs_over_what_has_the_name(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    position = begin(disk).run("INSERT INTO t VALUES (1, 2)")
    copy = one(disk.store, OpenSnapshot(GROUP, 12), SnapshotOpened)
    folder = tmp_path / "n"
    (folder / "snapshots" / f"outgoing-1-{copy.snapshot}.db").rename(folder / "snapshots" / "received-1-5.db")
    (folder / "group-1-1.db").write_bytes(b"left by a log that was damaged")
    disk.store.persist((SwitchGeneration(GROUP, 5, position),))
    found = group_of(disk.store.recover())
    assert (found.damaged, found.applied, found.base) == ("", position, position)
    assert rows(disk.store) == [1]
    disk.stop()


def test_an_older_generation_is_deleted_and_a_newer_one_kept(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    writer = begin(disk)
    position = writer.run("INSERT INTO t VALUES (1, 2)")
    copy = one(disk.store, OpenSnapshot(GROUP, 12), SnapshotOpened)
    folder = tmp_path / "n"
    (folder / "snapshots" / f"outgoing-1-{copy.snapshot}.db").rename(folder / "snapshots" / "received-1-5.db")
    disk.store.persist((SwitchGeneration(GROUP, 5, position),))
    assert one(disk.store, OpenGeneration(GROUP, 5), Applied).position == position
    assert names(folder) >= {"group-1-1.db"}
    assert "group-1-0.db" not in names(folder)
    (folder / "group-1-0.db").write_bytes(b"old")
    (folder / "group-1-0.db-wal").write_bytes(b"old")
    (folder / "group-1-7.db").write_bytes(b"newer than the log")
    disk.restart()
    assert "group-1-0.db" not in names(folder)
    assert "group-1-0.db-wal" not in names(folder)
    assert (folder / "group-1-7.db").read_bytes() == b"newer than the log"
    disk.stop()


def test_a_data_file_edited_by_hand_is_noticed_at_every_start(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    begin(disk).run("INSERT INTO t VALUES (1, 'x')")
    disk.stop()
    data = tmp_path / "n" / "group-1-0.db"
    original = data.read_bytes()
    edit(data, "UPDATE t SET b = 'y'")
    for _ in range(2):
        found = group_of(disk.start())
        assert found.damaged == "group-1-0.db was changed while the node was stopped"
        disk.stop()
    data.write_bytes(original)
    assert group_of(disk.start()).damaged == ""
    one(disk.store, OpenReplica(GROUP), Applied)
    assert rows(disk.store) == [1]
    disk.stop()


def test_a_copied_folder_is_no_edit(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    begin(disk)
    disk.stop()
    data = tmp_path / "n" / "group-1-0.db"
    os.utime(data, ns=(1, 1))
    assert group_of(disk.start()).damaged == ""
    disk.stop()


def test_a_data_file_with_a_foreign_write_ahead_log_is_noticed(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    begin(disk)
    disk.stop()
    (tmp_path / "n" / "group-1-0.db-wal").write_bytes(b"something")
    assert "write-ahead log" in group_of(disk.start()).damaged
    disk.stop()


def test_an_edit_is_noticed_in_a_large_file_where_it_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "HASHED_MAX", 1000)
    monkeypatch.setattr(closed, "PART", 400)
    path = tmp_path / "x.db"
    path.write_bytes(bytes(2000))
    described = closed.describe(path)
    assert closed.reason_to_doubt(path, described) == ""
    for where, noticed in ((10, True), (1000, False), (1990, True)):
        content = bytearray(2000)
        content[where] = 1
        path.write_bytes(content)
        os.utime(path, ns=(5, 5))
        assert bool(closed.reason_to_doubt(path, described)) == noticed


def test_reading_a_closed_file_is_no_edit(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    begin(disk)
    disk.stop()
    edit(tmp_path / "n" / "group-1-0.db", "SELECT * FROM t")
    assert group_of(disk.start()).damaged == ""
    disk.stop()


def test_a_missing_data_file_is_rebuilt_while_the_log_has_everything(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    begin(disk).run("INSERT INTO t VALUES (1, 'x')")
    disk.stop()
    (tmp_path / "n" / "group-1-0.db").unlink()
    found = group_of(disk.start())
    assert (found.damaged, found.applied.index, found.last) == ("", 0, 2)
    disk.stop()


def test_a_group_held_but_never_opened_is_recovered(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "n")
    disk.start()
    disk.store.persist((CREATE, noops(1, 3)))
    disk.stop()
    found = group_of(disk.start())
    assert (found.damaged, found.last) == ("", 3)
    disk.stop()
