"""What both stores promise of data files: applied from the log, never ahead of it, whole after a crash."""

import random
from typing import Any

import pytest

from quorate.core import kernel
from quorate.core.catalog import SCHEMA, Catalog, DatabaseRow, PartitionRow
from quorate.core.entries import DATA, ORIGIN, CreateGroup, Entry, Position, SwitchGeneration, TrimLog, WriteEntries
from quorate.core.executing import Execute, Executed
from quorate.core.kernel import (
    CATALOG_GROUP,
    Applied,
    Apply,
    ApplyFailed,
    CatalogRead,
    Checkpoint,
    Checkpointed,
    Commit,
    LogRead,
    OpenReplica,
    ReadCatalog,
    ReadLog,
    Rollback,
)
from quorate.core.options import SINGLE_LEADER
from quorate.core.recovered import Member
from quorate.core.requests import Cancelled, Done, Outcome, Run
from quorate.core.statements import BOUND, Failed, Statement, Token
from quorate.storage.folder import SqliteStore
from quorate.storage.interface import DiskIsFull, Divergent
from quorate.storage.memory import MemoryStore
from quorate.storage.rows.payload import decode_outcome
from tests.contracts.stores import CREATE, GROUP, IDENTITY, Disk, Writer, begin, catch_up, group_of, noops, one, rows


def test_a_new_group_starts_at_the_origin(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE,))
    assert one(disk.store, OpenReplica(GROUP), Applied).position == ORIGIN
    assert one(disk.store, OpenReplica(GROUP), Applied).position == ORIGIN


def test_writes_are_seen_after_commit_and_not_before(disk: Disk) -> None:
    writer = begin(disk)
    position = writer.log("INSERT INTO t VALUES (?, ?)", 1, "x")
    assert rows(disk.store) == []
    assert one(disk.store, Commit(GROUP, position), Applied).position == position == Position(1, 2)
    assert rows(disk.store) == [1]


def test_a_rolled_back_batch_comes_back_from_the_log(disk: Disk) -> None:
    writer = begin(disk)
    position = writer.log("INSERT INTO t VALUES (?, ?)", 1, "x")
    assert disk.store.perform(Rollback(GROUP)) == []
    assert rows(disk.store) == []
    assert one(disk.store, Apply(GROUP, position, ()), Applied).position == position
    assert rows(disk.store) == [1]


def test_committed_writes_survive_the_process(disk: Disk) -> None:
    writer = begin(disk)
    for number in range(5):
        writer.run("INSERT INTO t VALUES (?, ?)", number, "x")
    found = disk.restart()
    assert catch_up(disk.store, found) == Position(1, 6)
    assert rows(disk.store) == [0, 1, 2, 3, 4]


def test_an_open_batch_does_not_survive_but_its_entry_does(disk: Disk) -> None:
    writer = begin(disk)
    writer.log("INSERT INTO t VALUES (?, ?)", 1, "x")
    found = disk.restart()
    assert (found.applied, found.last) == (Position(1, 1), 2)
    catch_up(disk.store, found)
    assert rows(disk.store) == [1]


def test_recovering_again_in_the_same_life_undoes_what_is_open(disk: Disk) -> None:
    """What an embedded node does when the disk was full: its core begins anew, its process does not."""
    writer = begin(disk)
    writer.run("INSERT INTO t VALUES (?, ?)", 1, "x")
    writer.log("INSERT INTO t VALUES (?, ?)", 2, "x")
    for _ in range(2):
        found = group_of(disk.store.recover())
        assert (found.damaged, found.applied, found.last) == ("", Position(1, 2), 3)
        one(disk.store, OpenReplica(GROUP), Applied)
        assert rows(disk.store) == [1]
    catch_up(disk.store, found)
    assert rows(disk.store) == [1, 2]


def test_a_reader_of_a_damaged_replica_is_told(disk: Disk) -> None:
    writer = begin(disk)
    writer.run("INSERT INTO t VALUES (?, ?)", 1, "x")
    disk.store.persist((noops(2, 3, 2),))
    assert disk.restart().damaged
    for query in (disk.store.query, disk.store.query_aside):
        with pytest.raises(Divergent, match="where the log has epoch 2"):
            query(GROUP, (Statement("SELECT * FROM t"),))


def test_a_node_that_stopped_in_order_is_whole(disk: Disk) -> None:
    writer = begin(disk)
    writer.run("INSERT INTO t VALUES (?, ?)", 1, "x")
    disk.stop()
    for _ in range(3):
        found = group_of(disk.start())
        assert found.damaged == ""
        assert (found.applied, found.last) == (Position(1, 2), 2)
        catch_up(disk.store, found)
        assert rows(disk.store) == [1]
        disk.stop()
    disk.start()


def test_a_second_node_that_applies_the_same_entries_holds_the_same(disk: Disk) -> None:
    writer = begin(disk)
    for number in range(20):
        writer.run("INSERT INTO t VALUES (?, ?)", number, "x" * number)
    entries = one(disk.store, ReadLog(GROUP, 12, 1, 21, 1 << 30), LogRead).entries
    follower = disk.next_node()
    follower.start()
    try:
        follower.store.persist((CREATE, WriteEntries(GROUP, entries)))
        one(follower.store, OpenReplica(GROUP), Applied)
        half = entries[:10]
        one(follower.store, Apply(GROUP, Position(1, 10), half), Applied)
        one(follower.store, Apply(GROUP, Position(1, 21), ()), Applied)
        assert follower.store.digest(GROUP) == disk.store.digest(GROUP)
        again = one(follower.store, Apply(GROUP, Position(1, 21), entries[15:]), Applied)
        assert again.position == Position(1, 21)
    finally:
        follower.stop()


def test_entries_in_hand_that_leave_a_gap_are_read_from_the_log_instead(disk: Disk) -> None:
    writer = begin(disk)
    for number in range(4):
        position = writer.log("INSERT INTO t VALUES (?, ?)", number, "x")
        disk.store.perform(Rollback(GROUP))
        one(disk.store, Apply(GROUP, position, ()), Applied)
    found = disk.restart()
    one(disk.store, OpenReplica(GROUP), Applied)
    assert found.last == 5
    newest = one(disk.store, ReadLog(GROUP, 12, 5, 5, 1), LogRead).entries
    assert one(disk.store, Apply(GROUP, Position(1, 5), newest), Applied).position == Position(1, 5)


def test_a_data_file_never_goes_beyond_the_log(disk: Disk) -> None:
    writer = begin(disk)
    writer.execute("INSERT INTO t VALUES (?, ?)", 1, "x")
    with pytest.raises(AssertionError, match="log ends at"):
        disk.store.perform(Commit(GROUP, Position(1, 2)))
    disk.store.perform(Rollback(GROUP))
    entry = Entry(2, 1, DATA, b"")
    with pytest.raises(AssertionError, match="log ends at"):
        disk.store.perform(Apply(GROUP, Position(1, 2), (entry,)))


def test_an_entry_that_is_no_batch_is_damage(disk: Disk) -> None:
    begin(disk)
    disk.store.persist((WriteEntries(GROUP, (Entry(2, 1, DATA, b"not a batch"),)),))
    failed = one(disk.store, Apply(GROUP, Position(1, 2), ()), ApplyFailed)
    assert not failed.full
    assert rows(disk.store) == []


def test_a_failing_statement_is_an_outcome_and_not_an_event(disk: Disk) -> None:
    begin(disk)
    run = Run("main", (Statement("INSERT INTO nowhere VALUES (1)"),), token=Token("x", 0))
    executed = one(disk.store, Execute(GROUP, 9, (run,), 0), Executed)
    assert executed.batch == 9
    assert isinstance(decode_outcome(executed.outcomes[0]), Failed)
    assert executed.payload is not None
    disk.store.perform(Rollback(GROUP))


def test_a_checkpoint_tells_where_the_data_file_stands(disk: Disk) -> None:
    writer = begin(disk)
    position = writer.run("INSERT INTO t VALUES (?, ?)", 1, "x")
    assert one(disk.store, Checkpoint(GROUP), Checkpointed).position == position


def test_after_a_checkpoint_the_log_may_be_trimmed(disk: Disk) -> None:
    writer = begin(disk)
    for number in range(9):
        writer.run("INSERT INTO t VALUES (?, ?)", number, "x")
    position = one(disk.store, Checkpoint(GROUP), Checkpointed).position
    disk.store.persist((TrimLog(GROUP, Position(1, 8)),))
    found = disk.restart()
    assert (found.base, found.last, found.applied) == (Position(1, 8), 10, position)
    assert [entry.index for entry in found.tail] == [9, 10]
    assert found.damaged == ""
    catch_up(disk.store, found)
    assert rows(disk.store) == list(range(9))


def test_a_data_file_that_applied_another_epochs_entry_is_damaged(disk: Disk) -> None:
    writer = begin(disk)
    writer.run("INSERT INTO t VALUES (?, ?)", 1, "x")
    disk.store.persist((noops(2, 3, 2),))
    found = disk.restart()
    assert "epoch" in found.damaged
    assert not one(disk.store, OpenReplica(GROUP), ApplyFailed).full


def test_a_data_file_ahead_of_the_log_is_damaged(disk: Disk) -> None:
    writer = begin(disk)
    for number in range(3):
        writer.run("INSERT INTO t VALUES (?, ?)", number, "x")
    disk.store.persist((noops(2, 2, 1),))
    found = disk.restart()
    assert "beyond the log's end" in found.damaged


def test_the_catalog_is_empty_until_its_tables_are_there(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CreateGroup(CATALOG_GROUP, "quorate", 0, SINGLE_LEADER, (11,)),))
    one(disk.store, OpenReplica(CATALOG_GROUP), Applied)
    assert one(disk.store, ReadCatalog(), CatalogRead).catalog == Catalog()


def test_the_catalog_is_read_from_its_data_file(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CreateGroup(CATALOG_GROUP, "quorate", 0, SINGLE_LEADER, (11,)),))
    one(disk.store, OpenReplica(CATALOG_GROUP), Applied)
    statements = [Statement(sql) for sql in SCHEMA]
    statements.append(Statement("INSERT INTO members VALUES (?, ?, ?)", ((11, "a", "x:1"), (12, "b", "x:2"))))
    statements.append(Statement("INSERT INTO databases VALUES ('main', 'single-leader', '{}')"))
    statements.append(Statement("INSERT INTO partitions(database, number) VALUES ('main', 0)"))
    statements.append(Statement("INSERT INTO replicas VALUES (1, ?)", ((12,), (11,))))
    run = Run("quorate", tuple(statements), token=Token("found", 0))
    executed = one(disk.store, Execute(CATALOG_GROUP, 1, (run,), 0), Executed)
    assert isinstance(decode_outcome(executed.outcomes[0]), Done)
    assert executed.payload is not None
    entries = (Entry(1, 1, DATA, executed.payload),)
    disk.store.persist((WriteEntries(CATALOG_GROUP, entries),))
    one(disk.store, Commit(CATALOG_GROUP, Position(1, 1)), Applied)
    assert one(disk.store, ReadCatalog(), CatalogRead).catalog == Catalog(
        (Member(11, "a", "x:1"), Member(12, "b", "x:2")),
        (DatabaseRow("main", "single-leader", "{}"),),
        (PartitionRow(1, "main", 0, (11, 12)),),
    )


def test_a_held_transaction_is_the_callers_until_released(disk: Disk) -> None:
    begin(disk)
    disk.store.hold(GROUP)
    result = disk.store.run_held(GROUP, Statement("INSERT INTO t VALUES (1, 2)"))
    assert result.rowcount == 1
    disk.store.release(GROUP)
    assert rows(disk.store) == []


def test_a_query_aside_sees_the_same(disk: Disk) -> None:
    writer = begin(disk)
    position = writer.run("INSERT INTO t VALUES (?, ?)", 1, "x")
    statement = Statement("SELECT count(*) FROM t")
    assert disk.store.query_aside(GROUP, (statement,)) == disk.store.query(GROUP, (statement,))
    assert disk.store.query(GROUP, (statement,))[1] == position


@pytest.mark.parametrize("seed", range(8))
def test_a_machine_that_dies_loses_only_what_the_log_can_bring_back(seed: int) -> None:
    disk = Disk(None)
    store = disk.memory
    assert store is not None
    writer = begin(disk)
    rng = random.Random(seed)
    written = 0
    for _ in range(6):
        for _ in range(rng.randint(1, 4)):
            writer.run("INSERT INTO t VALUES (?, ?)", written, "x")
            written += 1
        if rng.random() < 0.5:
            done = one(store, Checkpoint(GROUP), Checkpointed).position
            store.persist((TrimLog(GROUP, Position(1, max(0, done.index - 2))),))
        store.crash(rng, True)
        found = group_of(store.recover())
        assert found.damaged == ""
        catch_up(store, found)
        assert rows(store) == list(range(written))
        writer = Writer(store)
    store.close()


def test_a_full_disk_changes_nothing_and_is_said() -> None:
    disk = Disk(None)
    store = disk.memory
    assert store is not None
    writer = begin(disk)
    position = writer.log("INSERT INTO t VALUES (?, ?)", 1, "x")
    store.full = True
    with pytest.raises(DiskIsFull):
        store.persist((noops(3, 3),))
    assert one(store, Commit(GROUP, position), ApplyFailed).full
    assert one(store, Apply(GROUP, position, ()), ApplyFailed).full
    assert one(store, Execute(GROUP, 7, (), 0), ApplyFailed).full
    assert one(store, Checkpoint(GROUP), Checkpointed).position == ORIGIN
    assert rows(store) == []
    store.full = False
    assert one(store, Apply(GROUP, position, ()), Applied).position == position
    assert rows(store) == [1]
    store.close()


def test_a_lost_log_tail_is_damage_until_the_replica_is_whole_again() -> None:
    store = MemoryStore(IDENTITY)
    store.recover()
    store.persist((CREATE, noops(1, 5)))
    store.crash(random.Random(1), False)
    store.truncate_log_tail(GROUP, 2)
    for _ in range(2):
        found = group_of(store.recover())
        assert found.last == 3
        assert found.damaged == "the log of group 1 ends before its mark"
    store.persist((SwitchGeneration(GROUP, 5, Position(1, 9)),))
    store.crash(random.Random(1), False)
    assert "ends before" in group_of(store.recover()).damaged, "what it had acknowledged may be missing from the copy"
    store.perform(kernel.ForgetDamage(GROUP))
    store.crash(random.Random(1), False)
    assert "ends before" not in group_of(store.recover()).damaged
    store.close()


def answer(store: SqliteStore | MemoryStore, token: str, *, asks: bool = False) -> Any:
    """What a write under this token is told."""
    request = Outcome("main", Token(token, 0)) if asks else Run("main", (Statement(INSERT),), token=Token(token, 0))
    executed = one(store, Execute(GROUP, 99, (request,), 0), Executed)
    assert executed.payload is None, "it was run"
    return decode_outcome(executed.outcomes[0])


INSERT = "INSERT INTO t(b) VALUES (1)"


def test_a_token_that_was_used_for_another_write_is_refused(disk: Disk) -> None:
    """In the open batch, when it is committed, after a restart, and on a replica that has only applied it."""
    writer = begin(disk)
    run = Run("main", (Statement(INSERT),), token=Token(f"order{BOUND}one", 0))
    executed = one(disk.store, Execute(GROUP, 90, (run, Run("main", (Statement(INSERT),), token=Token("own", 0))), 0),
                   Executed)  # fmt: skip
    assert executed.payload is not None

    def check(store: SqliteStore | MemoryStore) -> None:
        told = answer(store, f"order{BOUND}one")
        assert isinstance(told, Done)
        assert (answer(store, "order"), answer(store, "order", asks=True)) == (told, told)
        assert answer(store, f"order{BOUND}other").error == "TokenReused"
        assert answer(store, f"own{BOUND}any").error == "TokenReused"
        assert isinstance(answer(store, "own"), Done)

    check(disk.store)
    position = Position(1, disk.store.log.groups[GROUP].last.index + 1)
    disk.store.persist((WriteEntries(GROUP, (Entry(position.index, 1, DATA, executed.payload),)),))
    one(disk.store, Commit(GROUP, position), Applied)
    check(disk.store)
    found = disk.restart()
    catch_up(disk.store, found)
    check(disk.store)
    assert len(rows(disk.store)) == 2
    assert writer.batches == 1


def test_a_token_that_was_asked_about_is_cancelled_for_every_write(disk: Disk) -> None:
    begin(disk)
    asked = one(disk.store, Execute(GROUP, 90, (Outcome("main", Token("order", 0)),), 0), Executed)
    assert decode_outcome(asked.outcomes[0]) == Cancelled()
    assert answer(disk.store, f"order{BOUND}one") == answer(disk.store, f"order{BOUND}other") == Cancelled()
