"""What both stores promise of snapshots: exact, resumable, and never half installed."""

import pytest

from quorate.core.entries import Position, SwitchGeneration, WriteEntries
from quorate.core.kernel import (
    Applied,
    CloseSnapshot,
    Commit,
    OpenGeneration,
    OpenReplica,
    OpenSnapshot,
    ReadSnapshot,
    SnapshotOpened,
    SnapshotRead,
    SnapshotStored,
    StoreSnapshot,
)
from tests.contracts.stores import CREATE, GROUP, Disk, Writer, begin, catch_up, group_of, noops, one, rows

OURS = 4711
"""The receiver's number for the snapshot."""


def write_some(disk: Disk, count: int = 50) -> Writer:
    writer = begin(disk)
    for number in range(count):
        writer.run("INSERT INTO t VALUES (?, ?)", number, "x" * 500)
    return writer


def chunks(disk: Disk, opened: SnapshotOpened, size: int = 10_000) -> list[SnapshotRead]:
    """The whole copy, read in chunks."""
    found = []
    offset = 0
    while True:
        part = one(disk.store, ReadSnapshot(GROUP, 12, opened.snapshot, offset, size), SnapshotRead)
        found.append(part)
        offset += len(part.data)
        if part.end:
            assert offset == opened.size
            return found


def opened(disk: Disk) -> SnapshotOpened:
    return one(disk.store, OpenSnapshot(GROUP, 12), SnapshotOpened)


def store(disk: Disk, part: SnapshotRead, position: Position) -> SnapshotStored:
    return one(disk.store, StoreSnapshot(GROUP, OURS, part.offset, part.data, part.end, position), SnapshotStored)


def receive(disk: Disk, parts: list[SnapshotRead], position: Position) -> None:
    for part in parts:
        answer = store(disk, part, position)
        assert answer.failed == ""
        assert answer.offset == part.offset + len(part.data)
        assert answer.complete == part.end


@pytest.fixture
def source(disk: Disk) -> Disk:
    write_some(disk)
    return disk


@pytest.fixture
def follower(source: Disk) -> "Disk":
    """A node that holds a little of the group's log."""
    made = source.next_node()
    made.start()
    made.store.persist((CREATE, noops(1, 2)))
    one(made.store, OpenReplica(GROUP), Applied)
    return made


def test_a_copy_stands_where_it_was_taken_while_writes_go_on(source: Disk, follower: Disk) -> None:
    copy = opened(source)
    Writer(source.store, 2).run("DELETE FROM t")
    assert copy.position == Position(1, 51)
    receive(follower, chunks(source, copy), copy.position)
    follower.store.persist((SwitchGeneration(GROUP, OURS, copy.position),))
    assert one(follower.store, OpenGeneration(GROUP, OURS), Applied).position == copy.position
    assert rows(follower.store) == list(range(50))
    follower.stop()


def test_a_copy_is_taken_of_committed_state_while_a_batch_is_open(source: Disk, follower: Disk) -> None:
    writer = Writer(source.store, 2)
    position = writer.log("DELETE FROM t")
    copy = opened(source)
    assert copy.position == Position(1, 51)
    receive(follower, chunks(source, copy), copy.position)
    assert one(source.store, Commit(GROUP, position), Applied).position == position
    follower.stop()


def test_an_installed_snapshot_goes_on_from_the_log(source: Disk, follower: Disk) -> None:
    copy = opened(source)
    receive(follower, chunks(source, copy), copy.position)
    follower.store.persist((SwitchGeneration(GROUP, OURS, copy.position),))
    one(follower.store, OpenGeneration(GROUP, OURS), Applied)
    Writer(source.store, 2).run("INSERT INTO t VALUES (?, ?)", 999, "y")
    entries = source.store.log.read(GROUP, 52, 52, 1)
    follower.store.persist((WriteEntries(GROUP, entries),))
    found = follower.restart()
    assert found.base == copy.position
    assert found.damaged == ""
    catch_up(follower.store, found)
    assert follower.store.digest(GROUP) == source.store.digest(GROUP)
    follower.stop()


def test_a_chunk_that_does_not_follow_is_answered_with_what_is_held(source: Disk, follower: Disk) -> None:
    copy = opened(source)
    parts = chunks(source, copy)
    assert len(parts) > 3
    assert store(follower, parts[0], copy.position).offset == parts[1].offset
    assert store(follower, parts[2], copy.position).offset == parts[1].offset
    assert store(follower, parts[1], copy.position).offset == parts[2].offset
    assert store(follower, parts[1], copy.position).offset == parts[2].offset
    assert not store(follower, parts[-1], copy.position).complete
    receive(follower, parts[2:], copy.position)
    follower.stop()


def test_offset_zero_begins_anew(source: Disk, follower: Disk) -> None:
    copy = opened(source)
    parts = chunks(source, copy)
    receive(follower, parts[:2], copy.position)
    receive(follower, parts, copy.position)
    follower.stop()


def test_a_changed_chunk_is_noticed(source: Disk, follower: Disk) -> None:
    copy = opened(source)
    parts = chunks(source, copy)
    wrong = SnapshotRead(GROUP, 12, copy.snapshot, 0, b"garbage!" + parts[0].data[8:], False)
    for part in [wrong, *parts[1:-1]]:
        store(follower, part, copy.position)
    answer = store(follower, parts[-1], copy.position)
    assert answer.failed
    assert not answer.complete
    assert answer.offset == 0
    follower.stop()


def test_a_snapshot_of_another_position_is_noticed(source: Disk, follower: Disk) -> None:
    copy = opened(source)
    parts = chunks(source, copy)
    receive(follower, parts[:-1], Position(7, 51))
    answer = store(follower, parts[-1], Position(7, 51))
    assert "stands at" in answer.failed
    follower.stop()


def test_a_closed_copy_gives_nothing(source: Disk) -> None:
    copy = opened(source)
    other = opened(source)
    assert copy.snapshot != other.snapshot
    for _ in range(2):
        assert source.store.perform(CloseSnapshot(GROUP, copy.snapshot)) == []
    gone = one(source.store, ReadSnapshot(GROUP, 12, copy.snapshot, 0, 100), SnapshotRead)
    assert (gone.data, gone.end) == (b"", False)
    assert chunks(source, other)


def test_a_crash_before_the_switch_leaves_the_old_data_file(source: Disk, follower: Disk) -> None:
    copy = opened(source)
    receive(follower, chunks(source, copy), copy.position)
    found = follower.restart()
    assert (found.last, found.damaged) == (2, "")
    follower.stop()


def test_a_crash_after_the_switch_ends_with_the_new_data_file(source: Disk, follower: Disk) -> None:
    copy = opened(source)
    receive(follower, chunks(source, copy), copy.position)
    follower.store.persist((SwitchGeneration(GROUP, OURS, copy.position),))
    found = follower.restart()
    assert found.damaged == ""
    assert (found.base, found.last, found.applied) == (copy.position, 51, copy.position)
    catch_up(follower.store, found)
    assert rows(follower.store) == list(range(50))
    follower.stop()


def test_a_crash_after_opening_the_generation_changes_nothing(source: Disk, follower: Disk) -> None:
    copy = opened(source)
    receive(follower, chunks(source, copy), copy.position)
    follower.store.persist((SwitchGeneration(GROUP, OURS, copy.position),))
    one(follower.store, OpenGeneration(GROUP, OURS), Applied)
    found = follower.restart()
    assert (found.applied, found.damaged) == (copy.position, "")
    follower.stop()


def test_a_second_snapshot_takes_the_place_of_the_first(source: Disk, follower: Disk) -> None:
    for number in range(2):
        copy = opened(source)
        for part in chunks(source, copy):
            chunk = StoreSnapshot(GROUP, OURS + number, part.offset, part.data, part.end, copy.position)
            assert one(follower.store, chunk, SnapshotStored).failed == ""
        follower.store.persist((SwitchGeneration(GROUP, OURS + number, copy.position),))
        assert one(follower.store, OpenGeneration(GROUP, OURS + number), Applied).position == copy.position
        Writer(source.store, 2 + number).run("INSERT INTO t VALUES (?, ?)", 900 + number, "y")
    assert follower.store.log.groups[GROUP].generation == 2
    assert rows(follower.store) == [*range(50), 900]
    follower.stop()


def test_a_group_that_was_never_opened_can_be_seeded(source: Disk) -> None:
    copy = opened(source)
    parts = chunks(source, copy)
    learner = source.next_node()
    learner.start()
    learner.store.persist((CREATE,))
    receive(learner, parts, copy.position)
    learner.store.persist((SwitchGeneration(GROUP, OURS, copy.position),))
    assert one(learner.store, OpenGeneration(GROUP, OURS), Applied).position == copy.position
    learner.crash()
    assert group_of(learner.start()).damaged == ""
    learner.stop()
