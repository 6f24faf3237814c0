"""What both stores promise of a group's members: a data file knows those of its position, and so does every copy."""

from quorate.core.ack_policy import spell as spell_acks
from quorate.core.entries import ACKS, MEMBERS, Entry, ForgetVoters, Position, SwitchGeneration, WriteEntries
from quorate.core.kernel import (
    Applied,
    Apply,
    Checkpoint,
    Checkpointed,
    OpenGeneration,
    OpenReplica,
    OpenSnapshot,
    ReadSnapshot,
    SnapshotOpened,
    SnapshotRead,
    SnapshotStored,
    StoreSnapshot,
)
from quorate.core.membership import Configuration, spell
from quorate.core.options import SINGLE_LEADER
from tests.contracts.stores import CREATE, GROUP, Disk, noop, one

LEARNER = spell(Configuration((11, 12), (13,), change=1))
JOINT = spell(Configuration((11, 12), (), (12, 13), change=1))
ENTRIES = (
    noop(1, 1),
    Entry(2, 1, MEMBERS, LEARNER),
    Entry(3, 1, ACKS, spell_acks("sync", 11)),
    Entry(4, 1, MEMBERS, JOINT),
)


def applied(disk: Disk, through: int) -> None:
    disk.start()
    disk.store.persist((CREATE, WriteEntries(GROUP, ENTRIES)))
    one(disk.store, OpenReplica(GROUP), Applied)
    one(disk.store, Apply(GROUP, Position(1, through), ENTRIES[:through]), Applied)
    one(disk.store, Checkpoint(GROUP), Checkpointed)  # a closed file is not opened for control entries alone


def test_a_data_file_knows_the_members_of_its_position_and_the_log_those_behind_it(disk: Disk) -> None:
    applied(disk, 3)
    found = disk.restart()
    assert found.voters == (11, 12), "those with which the group began"
    assert found.controls == ENTRIES[1:3], "they are kept as they are, but for an empty one before them"
    assert found.controls_coming == (ENTRIES[3],)
    one(disk.store, OpenReplica(GROUP), Applied)
    one(disk.store, Apply(GROUP, Position(1, 4), ENTRIES[3:]), Applied)
    one(disk.store, Checkpoint(GROUP), Checkpointed)
    assert (found := disk.restart()).controls == ENTRIES[1:]
    assert found.controls_coming == ()


def test_a_copy_carries_the_members_of_its_position(disk: Disk) -> None:
    applied(disk, 2)
    copy = one(disk.store, OpenSnapshot(GROUP, 12), SnapshotOpened)
    part = one(disk.store, ReadSnapshot(GROUP, 12, copy.snapshot, 0, 1 << 20), SnapshotRead)
    newcomer = disk.next_node()
    newcomer.start()
    newcomer.store.persist((type(CREATE)(GROUP, "main", 0, SINGLE_LEADER, ()),))
    one(newcomer.store, OpenReplica(GROUP), Applied)
    stored = one(newcomer.store, StoreSnapshot(GROUP, 7, 0, part.data, part.end, copy.position), SnapshotStored)
    assert stored.complete, stored.failed
    newcomer.store.persist((SwitchGeneration(GROUP, 7, copy.position),))
    opened = one(newcomer.store, OpenGeneration(GROUP, 7), Applied)
    assert opened.controls == ENTRIES[1:2]
    assert newcomer.restart().controls == ENTRIES[1:2]
    newcomer.stop()


def test_damage_is_remembered_by_a_replica_that_began_alone_and_has_others_now(disk: Disk) -> None:
    disk.start()
    grown = Entry(1, 1, MEMBERS, spell(Configuration((11,), (12,))))
    disk.store.persist(
        (
            type(CREATE)(GROUP, "main", 0, SINGLE_LEADER, (11,)),
            ForgetVoters(GROUP),
            WriteEntries(GROUP, (grown, noop(2, 1))),
        )
    )
    disk.store._found_damage(GROUP, "for a test")
    assert disk.restart().damaged == "for a test", "the others may have what is lost here"
