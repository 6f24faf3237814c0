"""An embedded folder whose data file cannot be used: what connecting says, and how to go on."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

import quorate
from quorate.cli.data.embedded import FolderLost
from quorate.core.kernel import OpenGeneration
from quorate.core.recovered import Identity, Member
from quorate.runtime.embedded.adopting import adopt_folder, losses_of
from quorate.storage.folder import SqliteStore, open_store
from quorate.storage.store import BaseStore

FILE = "group-1-0.db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A closed folder with two rows."""
    path = tmp_path / "e"
    with quorate.connect(path) as db:
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, n)")
        db.execute("INSERT INTO t VALUES (1, 10), (2, 20)")
    return path


def edit(file: Path, sql: str) -> None:
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute(sql)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def fall_behind(folder: Path, *later: str, edited: str) -> None:
    """Put an earlier data file back, from which what came later cannot be repeated."""
    earlier = folder.parent / "earlier.db"
    shutil.copy(folder / FILE, earlier)
    with quorate.connect(folder) as db:
        for sql in later:
            db.execute(sql)
    shutil.copy(earlier, folder / FILE)
    edit(folder / FILE, edited)


def rows(folder: Path) -> list[Any]:
    with quorate.connect(folder) as db:
        return db.execute("SELECT id, n FROM t ORDER BY id").fetchall()


def test_an_edited_file_is_refused_and_can_be_adopted(folder: Path) -> None:
    edit(folder / FILE, "UPDATE t SET n = 11 WHERE id = 1")
    with pytest.raises(quorate.DataDamaged, match="no entry of the log is lost") as caught:
        quorate.connect(folder)
    assert f"quorate adopt {folder}" in caught.value.hint
    assert (caught.value.entries, caught.value.writes) == (0, 0)
    (loss,) = adopt_folder(folder)
    assert loss.database == "main"
    assert losses_of(folder) == []
    assert rows(folder) == [(1, 11), (2, 20)]
    with quorate.connect(folder) as db:
        db.execute("INSERT INTO t VALUES (3, 30)")
    assert rows(folder) == [(1, 11), (2, 20), (3, 30)]


def test_looking_changes_nothing(folder: Path) -> None:
    edit(folder / FILE, "UPDATE t SET n = 11 WHERE id = 1")
    before = {path.name for path in folder.iterdir()}, (folder / FILE).read_bytes()
    for _ in range(2):
        with pytest.raises(quorate.DataDamaged):
            quorate.connect(folder)
        assert len(losses_of(folder)) == 1
    assert ({path.name for path in folder.iterdir()}, (folder / FILE).read_bytes()) == before
    assert list((folder / "snapshots").iterdir()) == []


def test_what_can_be_repeated_is_and_what_cannot_is_named_kept_and_replayed(folder: Path) -> None:
    fall_behind(
        folder,
        "INSERT INTO t VALUES (3, 30)",
        "UPDATE t SET n = 12 WHERE id = 1",
        "INSERT INTO t VALUES (4, 40)",
        edited="DELETE FROM t WHERE id = 1",
    )
    with pytest.raises(quorate.DataDamaged) as caught:
        quorate.connect(folder)
    assert (caught.value.entries, caught.value.writes, caught.value.tables) == (2, 2, ("t",))
    (loss,) = adopt_folder(folder)
    assert loss.good == loss.last - 2
    assert rows(folder) == [(2, 20), (3, 30)]
    with FolderLost(folder) as kept:
        update, insert = kept.lost().writes
        assert kept.replay(insert).applied == 1
        assert kept.replay(insert).applied == 1, "once, whatever is asked"
        assert kept.replay(update).unfit
    assert rows(folder) == [(2, 20), (3, 30), (4, 40)]


def test_a_crash_in_the_middle_of_an_adoption_leaves_it_done_or_not_begun(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(folder / FILE, "UPDATE t SET n = 11 WHERE id = 1")

    def die(*_arguments: Any) -> Iterator[None]:
        raise KeyboardInterrupt

    for owner, name, adopted in ((SqliteStore, "persist", False), (BaseStore, "_on_open_generation", True)):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, die)
            patch.setitem(BaseStore.PERFORM, OpenGeneration, die)
            with pytest.raises(KeyboardInterrupt):
                adopt_folder(folder)
        assert (losses_of(folder) == []) is adopted
    assert rows(folder) == [(1, 11), (2, 20)]


def test_a_damaged_log_behind_a_whole_data_file_costs_nothing(folder: Path) -> None:
    edit(folder / "log.db", "UPDATE entries SET payload = x'00' WHERE key = (SELECT max(key) FROM entries)")
    with pytest.raises(quorate.DataDamaged, match="no entry of the log is lost"):
        quorate.connect(folder)
    adopt_folder(folder)
    assert rows(folder) == [(1, 10), (2, 20)]


def test_a_file_that_is_no_database_any_more_cannot_be_adopted(folder: Path) -> None:
    (folder / FILE).write_bytes(b"not a database" * 1000)
    with pytest.raises(quorate.DataDamaged, match="cannot be adopted") as caught:
        quorate.connect(folder)
    assert "quorate import" in caught.value.hint
    with pytest.raises(quorate.DataDamaged, match="cannot be adopted"):
        adopt_folder(folder)


def test_a_node_of_a_cluster_is_refused(tmp_path: Path) -> None:
    founders = (Member(1, "a", "a:1"), Member(2, "b", "b:1"))
    open_store(tmp_path / "n", Identity("c", 1, "a", 0, founders)).close()
    with pytest.raises(quorate.NotSupportedError, match="the others give it a copy"):
        losses_of(tmp_path / "n")
