"""A folder belongs to one process, to one store in it, and to no other SQLite."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.core.kernel import OpenReplica
from quorate.errors import AlreadyOpen, InterfaceError, NotSupportedError
from quorate.storage.audit import file_of
from quorate.storage.folder import SqliteStore, open_store
from quorate.storage.lock import FolderLock
from tests.contracts.stores import CREATE, GROUP, IDENTITY, noops

TRY_TO_OPEN = """
import sys
from quorate.errors import AlreadyOpen
from quorate.storage.folder import open_store
try:
    open_store(sys.argv[1])
except AlreadyOpen as error:
    print(error.pid, error)
else:
    print("opened")
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = open_store(tmp_path / "node", create=IDENTITY)
    made.recover()
    yield made
    made.close()


def other_process(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TRY_TO_OPEN, str(folder)], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


def test_another_process_is_told_who_has_the_folder(store: SqliteStore) -> None:
    said = other_process(store.folder)
    assert said.startswith(f"{os.getpid()} ")
    assert f"is open by process {os.getpid()}" in said


def test_the_folder_is_free_again_after_close(store: SqliteStore) -> None:
    store.close()
    assert other_process(store.folder) == "opened"


def test_the_same_process_cannot_open_it_twice(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(AlreadyOpen) as caught:
        open_store(store.folder)
    assert caught.value.pid == os.getpid()
    alias = tmp_path / "alias"
    alias.symlink_to(store.folder)
    with pytest.raises(AlreadyOpen):
        open_store(alias)
    assert other_process(store.folder).startswith(str(os.getpid())), "the refused attempts let go of the lock"


def test_a_lock_left_by_a_dead_process_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"999999              \n")
    lock = FolderLock(tmp_path)
    assert (tmp_path / "lock").read_bytes().split() == [str(os.getpid()).encode()]
    lock.release()
    lock.release()


def in_child(work: "object") -> int:
    """The exit code of a forked child that runs this."""
    assert callable(work)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = int(work())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_cannot_use_what_it_inherited(store: SqliteStore) -> None:
    store.persist((CREATE,))

    def work() -> int:
        refused = 0
        for call in (
            lambda: store.persist((noops(1, 1),)),
            lambda: store.perform(OpenReplica(GROUP)),
            lambda: store.query(GROUP, ()),
            store.recover,
        ):
            try:
                call()
            except InterfaceError as error:
                refused += "forked" in str(error)
        store.close()
        return refused

    before = sorted(path.name for path in store.folder.iterdir())
    assert in_child(work) == 4
    store.persist((noops(1, 1),))
    assert sorted(path.name for path in store.folder.iterdir()) == before
    assert other_process(store.folder).startswith(str(os.getpid())), "the child's end let go of the parent's lock"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_may_not_open_the_folder_of_its_parent(store: SqliteStore) -> None:
    parent = os.getpid()

    def work() -> int:
        try:
            open_store(store.folder)
        except AlreadyOpen as error:
            return 7 if error.pid == parent else 8
        return 0

    assert in_child(work) == 7


def test_the_standard_library_is_kept_out_of_an_open_folder(store: SqliteStore, tmp_path: Path) -> None:
    for name in (
        store.folder / "log.db",
        str(store.folder / "snapshots" / ".." / "node.db"),
        f"file:{store.folder}/log.db?mode=ro",
        f"file://{store.folder}/l%6fg.db",
        os.fsencode(store.folder / "new.db"),
    ):
        with pytest.raises(InterfaceError, match="would break its locks"):
            sqlite3.connect(name, uri=True)
    assert not (store.folder / "new.db").exists()
    elsewhere = sqlite3.connect(tmp_path / "mine.db")
    elsewhere.execute("CREATE TABLE t(a)")
    elsewhere.close()
    sqlite3.connect(":memory:").close()


def test_the_standard_library_may_look_at_a_closed_folder(store: SqliteStore) -> None:
    store.close()
    connection = sqlite3.connect(store.folder / "node.db")
    assert connection.execute("SELECT node, boot FROM node").fetchall() == [(11, 1)]
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_a_relative_path_is_seen_through(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.folder)
    with pytest.raises(InterfaceError):
        sqlite3.connect("log.db")


@pytest.mark.parametrize("name", ["", ":memory:", "file::memory:?cache=shared", "file:?x=1", 7])
def test_what_is_no_file_is_let_through(name: object) -> None:
    assert file_of(name) is None


def test_windows_is_refused_for_its_lock_would_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.storage.lock.os.name", "nt")
    with pytest.raises(NotSupportedError, match="Windows"):
        FolderLock(tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "lock").exists()
