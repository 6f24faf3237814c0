"""What both stores promise of a group whose database was dropped."""

from pathlib import Path

import pytest

from quorate.core.dropped import DropReplica, ReplicaDropped
from quorate.core.entries import CreateGroup, DropGroup, WriteHardState
from quorate.core.kernel import Checkpoint, OpenReplica, OpenSnapshot, SnapshotOpened
from quorate.core.options import SINGLE_LEADER
from quorate.core.statements import Statement
from quorate.storage.memory import MemoryStore
from tests.contracts.stores import CREATE, GROUP, Disk, Writer, noops, one

OTHER = CreateGroup(2, "other", 0, SINGLE_LEADER, (11, 12))
READ = (Statement("SELECT n FROM t"),)


def filled(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, OTHER, WriteHardState(GROUP, 1, 11)))
    disk.store.perform(OpenReplica(GROUP))
    writer = Writer(disk.store)
    writer.run("CREATE TABLE t(n)")
    writer.run("INSERT INTO t VALUES (1)")
    disk.store.perform(Checkpoint(GROUP))


def left(disk: Disk) -> list[str]:
    """What lies on the disk of the group."""
    if isinstance(disk.store, MemoryStore):
        return [str(group) for group in disk.store.held() if group == GROUP]
    assert disk.folder is not None
    return [path.name for path in Path(disk.folder).rglob(f"*-{GROUP}-*")]


def test_a_dropped_group_is_gone_with_its_files_and_copies(disk: Disk) -> None:
    filled(disk)
    copy = one(disk.store, OpenSnapshot(GROUP, 12), SnapshotOpened)
    assert left(disk)
    disk.store.persist((DropGroup(GROUP),))
    assert one(disk.store, DropReplica(GROUP), ReplicaDropped) == ReplicaDropped(GROUP, gone=True)
    assert left(disk) == []
    assert disk.store.shelf.read(copy.snapshot, 0, 100) == (b"", False)
    assert one(disk.store, DropReplica(GROUP), ReplicaDropped).gone  # once more changes nothing


@pytest.mark.parametrize("deleted", [True, False])
def test_no_later_life_holds_it_and_a_start_deletes_what_is_left(disk: Disk, deleted: bool) -> None:
    filled(disk)
    disk.store.persist((DropGroup(GROUP),))
    if deleted:
        disk.store.perform(DropReplica(GROUP))
    for _ in range(2):
        disk.crash()
        recovered = disk.start()
        assert recovered.dropped == (GROUP,)
        assert [found.group for found in recovered.groups] == [2]
        assert left(disk) == []


def test_a_group_that_was_never_held_can_be_dropped_and_never_comes(disk: Disk) -> None:
    disk.start()
    disk.store.persist((DropGroup(7), DropGroup(7)))
    assert one(disk.store, DropReplica(7), ReplicaDropped).gone
    disk.crash()
    assert disk.start().dropped == (7,)
    with pytest.raises(AssertionError, match="group 7 was dropped"):
        disk.store.persist((CreateGroup(7, "late", 0, SINGLE_LEADER, (11, 12)),))


def test_it_is_made_and_dropped_in_one_turn(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 3), WriteHardState(GROUP, 1, 11), DropGroup(GROUP)))
    disk.crash()
    recovered = disk.start()
    assert recovered.groups == ()
    assert recovered.dropped == (GROUP,)


def test_what_comes_too_late_for_it_is_not_done(disk: Disk) -> None:
    filled(disk)
    disk.store.persist((DropGroup(GROUP),))
    assert disk.store.perform(Checkpoint(GROUP)) == []
    assert one(disk.store, OpenSnapshot(GROUP, 0, 9), SnapshotOpened).failed, "whoever wants a copy hears it"
    disk.store.perform(DropReplica(GROUP))
    assert disk.store.perform(OpenReplica(GROUP)) == []
    assert left(disk) == []


def test_files_that_somebody_reads_are_deleted_when_he_is_done(disk: Disk) -> None:
    filled(disk)
    disk.store.handles.borrow(GROUP)
    disk.store.persist((DropGroup(GROUP),))
    assert not one(disk.store, DropReplica(GROUP), ReplicaDropped).gone
    assert left(disk)
    disk.store.query_aside(GROUP, READ)
    assert one(disk.store, DropReplica(GROUP), ReplicaDropped).gone
    assert left(disk) == []


def test_another_group_and_the_log_go_on(disk: Disk) -> None:
    filled(disk)
    disk.store.persist((DropGroup(GROUP),))
    for epoch in range(1, 4):
        disk.store.persist((WriteHardState(2, epoch, 12),))
    disk.crash()
    assert [(found.group, found.epoch) for found in disk.start().groups] == [(2, 3)]
