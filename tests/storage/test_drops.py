"""A dropped group in a folder: neither file alone can bring it back, and its entries leave the log a few at a time."""

from pathlib import Path

import apsw
import pytest

from quorate.core.dropped import DropReplica
from quorate.core.entries import DATA, CreateGroup, DropGroup, Entry, WriteEntries, WriteHardState
from quorate.core.kernel import LostSaved, SaveLost
from quorate.core.options import SINGLE_LEADER
from quorate.core.requests import LostAsk
from quorate.errors import OperationalError
from quorate.storage.folder import open_store
from quorate.storage.log.drops import SWEEP_ENTRIES
from tests.contracts.stores import CREATE, GROUP, IDENTITY, abandon, noop, noops, one

OTHER = CreateGroup(2, "other", 0, SINGLE_LEADER, (11, 12))


def entries_in(folder: Path) -> int:
    connection = apsw.Connection(str(folder / "log.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        ((count,),) = connection.execute("SELECT count(*) FROM entries").fetchall()
    finally:
        connection.close()
    return int(count)  # type: ignore[arg-type]


def test_entries_of_a_dropped_group_leave_a_few_at_a_time_in_later_lives_too(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=IDENTITY)
    store.recover()
    many = 3 * SWEEP_ENTRIES
    store.persist((CREATE, OTHER, noops(1, many)))
    store.persist((DropGroup(GROUP),))
    store.close()
    assert entries_in(tmp_path) == many - SWEEP_ENTRIES
    store = open_store(tmp_path)
    store.recover()
    for index in range(1, 4):
        store.persist((WriteEntries(2, (noop(index),)),))
    store.close()
    assert entries_in(tmp_path) == 3


def test_the_note_in_node_db_outlives_a_log_that_was_moved_away(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=IDENTITY)
    store.recover()
    store.persist((CREATE, OTHER))
    store.persist((DropGroup(GROUP),))
    store.close()
    for path in tmp_path.glob("log.db*"):
        path.unlink()
    store = open_store(tmp_path)
    recovered = store.recover()
    assert recovered.dropped == (GROUP,)
    assert [(found.group, bool(found.damaged)) for found in recovered.groups] == [(2, True)]
    store.close()


def test_a_crash_before_node_db_took_note_is_made_good_by_the_next_start(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=IDENTITY)
    store.recover()
    store.persist((CREATE, OTHER, noops(1, 2), WriteHardState(GROUP, 1, 11)))
    store.log.commit((DropGroup(GROUP),))
    abandon(store)
    store = open_store(tmp_path)
    recovered = store.recover()
    assert recovered.dropped == (GROUP,)
    assert [(found.group, found.damaged) for found in recovered.groups] == [(2, "")]
    assert store._node.dropped == {GROUP}
    store.close()


def test_another_page_in_the_place_of_the_table_drops_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=IDENTITY)
    store.recover()
    store.persist((CREATE, OTHER))
    store.close()
    connection = apsw.Connection(str(tmp_path / "log.db"))
    connection.execute("INSERT INTO dropped SELECT grp, database FROM groups")
    connection.close()
    with pytest.raises(OperationalError, match=r"log\.db cannot be read"):
        open_store(tmp_path)


def test_lost_entries_of_a_dropped_database_go_with_it(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=IDENTITY)
    store.recover()
    entry = Entry(1, 1, DATA, b"payload")
    store.persist((CREATE, OTHER, WriteEntries(GROUP, (entry,)), WriteEntries(2, (entry,))))
    for group in (GROUP, 2):
        assert one(store, SaveLost(group, 1), LostSaved).entries == 1
    store.persist((DropGroup(GROUP),))
    store.perform(DropReplica(GROUP))
    assert [kept.group for kept in store._lost_tails().answer(LostAsk()).entries] == [2]
    store.close()
