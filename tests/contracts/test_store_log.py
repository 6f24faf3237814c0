"""What both stores promise of the log."""

import pytest

from quorate.core.entries import ORIGIN, CreateGroup, Position, SwitchGeneration, TrimLog, WriteHardState
from quorate.core.kernel import LogRead, ReadLog
from quorate.core.lives import PeerLife, RaiseBoot, RememberLife
from quorate.core.options import SINGLE_LEADER
from tests.contracts.stores import CREATE, FOUNDERS, GROUP, Disk, blobs, group_of, noop, noops, one


def read(disk: Disk, first: int, last: int, bytes_max: int = 1 << 20) -> list[tuple[int, int]]:
    entries = one(disk.store, ReadLog(GROUP, 12, first, last, bytes_max), LogRead).entries
    return [(entry.index, entry.epoch) for entry in entries]


def test_a_new_node_has_its_identity_and_no_groups(disk: Disk) -> None:
    recovered = disk.start()
    assert recovered.groups == ()
    assert recovered.identity.cluster == "c1"
    assert recovered.identity.node == 11
    assert recovered.identity.founders == FOUNDERS
    assert recovered.identity == disk.store.identity


def test_every_life_has_a_higher_boot(disk: Disk) -> None:
    boots = []
    for _ in range(3):
        boots.append(disk.start().identity.boot)
        disk.crash()
    assert boots == [1, 2, 3]
    disk.start()


def test_a_life_of_another_node_and_a_raised_boot_are_remembered(disk: Disk) -> None:
    assert disk.start().lives == ()
    for life in (
        PeerLife(12, 3, -5),
        PeerLife(13, 1, 7),
        PeerLife(12, 4, 1 << 60),
        PeerLife(11, 1, 5),
        PeerLife(11, 2, 6),
    ):
        assert disk.store.perform(RememberLife(life)) == []
    assert disk.store.perform(RaiseBoot(9)) == []
    assert disk.store.identity.boot == 9
    disk.crash()
    recovered = disk.start()
    assert recovered.identity.boot == 10
    assert sorted(recovered.lives) == [PeerLife(12, 3, -5), PeerLife(12, 4, 1 << 60), PeerLife(13, 1, 7)]


def test_what_was_persisted_is_recovered(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, WriteHardState(GROUP, 3, 12)))
    disk.store.persist((noops(1, 2, 1), noops(3, 5, 3)))
    found = disk.restart()
    assert (found.database, found.partition, found.voters) == ("main", 0, (11, 12))
    assert (found.epoch, found.vote) == (3, 12)
    assert found.base == ORIGIN
    assert found.last == 5
    assert found.epochs == (Position(1, 1), Position(3, 3))
    assert [(entry.index, entry.epoch) for entry in found.tail] == [(1, 1), (2, 1), (3, 3), (4, 3), (5, 3)]
    assert found.damaged == ""


def test_creating_a_group_again_changes_nothing(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, WriteHardState(GROUP, 2, 11), noops(1, 2)))
    disk.store.persist((CreateGroup(GROUP, "other", 7, SINGLE_LEADER, (1,)),))
    found = disk.restart()
    assert (found.database, found.epoch, found.last) == ("main", 2, 2)


def test_entries_replace_everything_from_their_first_index_on(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 6, 1)))
    disk.store.persist((noops(4, 5, 2),))
    assert read(disk, 1, 9) == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)]
    disk.store.persist((noops(6, 6, 2),))
    found = disk.restart()
    assert found.epochs == (Position(1, 1), Position(2, 4))
    assert found.last == 6
    assert read(disk, 1, 9)[-1] == (6, 2)


def test_several_writes_of_one_group_take_effect_in_order(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 3, 1), noops(2, 2, 2), noops(3, 4, 2), TrimLog(GROUP, Position(2, 2))))
    assert disk.store.log.groups[GROUP].base == Position(2, 2)
    assert read(disk, 3, 9) == [(3, 2), (4, 2)]


def test_a_gap_in_the_log_is_refused(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 2)))
    with pytest.raises(AssertionError, match="gap"):
        disk.store.persist((noops(4, 4),))


def test_groups_do_not_touch_each_other(disk: Disk) -> None:
    disk.start()
    other = CreateGroup(2, "main", 1, "another", (11,))
    disk.store.persist((CREATE, other, noops(1, 5)))
    disk.store.persist((noops(3, 3, 2), WriteHardState(2, 9, 11)))
    disk.crash()
    recovered = disk.start()
    assert [(each.group, each.replication) for each in recovered.groups] == [(1, SINGLE_LEADER), (2, "another")]
    assert group_of(recovered, 2).last == 0
    assert group_of(recovered, 2).epoch == 9
    assert group_of(recovered, 1).epoch == 0


def test_reading_stops_near_the_bytes_and_gives_at_least_one(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, blobs(1, 10, 1000)))
    assert len(read(disk, 1, 10, 1)) == 1
    assert len(read(disk, 1, 10, 2500)) == 3
    assert len(read(disk, 8, 10, 1 << 20)) == 3


def test_what_the_log_does_not_have_is_not_read(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 5), TrimLog(GROUP, Position(1, 3))))
    assert read(disk, 2, 5) == []
    assert read(disk, 6, 9) == []
    assert read(disk, 4, 5) == [(4, 1), (5, 1)]


def test_trimming_keeps_the_position_before_the_first_entry(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 3, 1), noops(4, 8, 2)))
    disk.store.persist((TrimLog(GROUP, Position(2, 5)),))
    disk.store.persist((TrimLog(GROUP, Position(1, 2)),))
    disk.store.persist((noops(9, 9, 2),))
    assert disk.store.log.groups[GROUP].base == Position(2, 5)
    assert read(disk, 6, 99) == [(6, 2), (7, 2), (8, 2), (9, 2)]


def test_everything_can_be_trimmed(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 1000)))
    disk.store.persist((TrimLog(GROUP, Position(1, 1000)),))
    assert disk.store.log.groups[GROUP].last == Position(1, 1000)
    disk.store.persist((noops(1001, 1001, 2),))
    assert read(disk, 1001, 1001) == [(1001, 2)]


def test_the_tail_is_the_newest_part_of_a_long_log(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 5000)))
    found = disk.restart()
    assert found.last == 5000
    assert found.epochs == (Position(1, 1),)
    assert len(found.tail) == 4096
    assert found.tail[-1] == noop(5000)
    assert read(disk, 1, 2) == [(1, 1), (2, 1)]


def test_the_tail_is_bounded_in_bytes(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, blobs(1, 12, 1 << 20)))
    found = disk.restart()
    assert [entry.index for entry in found.tail] == list(range(5, 13))


def test_switching_generation_empties_the_log_behind_the_position(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 9, 1)))
    disk.store.persist((SwitchGeneration(GROUP, 77, Position(2, 6)),))
    group = disk.store.log.groups[GROUP]
    assert (group.base, group.last, group.generation) == (Position(2, 6), Position(2, 6), 1)
    assert read(disk, 7, 9) == []
    disk.store.persist((noops(7, 7, 2),))
    assert read(disk, 7, 9) == [(7, 2)]


def test_the_epoch_never_goes_back(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, WriteHardState(GROUP, 5, 0)))
    with pytest.raises(AssertionError, match="go back"):
        disk.store.persist((WriteHardState(GROUP, 4, 11),))
