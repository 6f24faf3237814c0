"""A damaged log must not pass for a short one, nor a changed entry for the one that was written."""

from pathlib import Path

import pytest

from quorate.core.entries import Position, SwitchGeneration, TrimLog, WriteHardState
from quorate.core.kernel import Applied, Apply, ApplyFailed, ForgetDamage, LogRead, OpenReplica, ReadLog
from quorate.core.options import SINGLE_LEADER
from quorate.core.recovered import RecoveredGroup
from quorate.errors import OperationalError
from tests.contracts.stores import CREATE, GROUP, Disk, Writer, begin, blobs, catch_up, group_of, noops, one, rows


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "n")


def started(disk: Disk) -> RecoveredGroup:
    return group_of(disk.start())


def log_files(disk: Disk) -> tuple[Path, Path]:
    assert disk.folder is not None
    return disk.folder / "log.db", disk.folder / "log.db-wal"


def flip(path: Path, needle: bytes) -> None:
    """Change one bit of the newest occurrence of this text in a file."""
    content = bytearray(path.read_bytes())
    where = content.rfind(needle)
    assert where >= 0, "it is not in the file"
    content[where] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("lost", [1, 5000, 1 << 40])
def test_a_log_that_lost_its_newest_turns_is_damaged_and_not_short(disk: Disk, lost: int) -> None:
    disk.start()
    disk.store.persist((CREATE,))
    for index in range(1, 9):
        disk.store.persist((noops(index, index),))
    disk.crash()
    beside = log_files(disk)[1]
    content = beside.read_bytes()
    beside.write_bytes(content[: max(0, len(content) - lost)])
    found = started(disk)
    assert "reported durable" in found.damaged
    assert found.last < 8
    assert (found.database, found.voters) == ("main", (11, 12))
    disk.stop()


def test_wherever_the_log_is_cut_it_is_whole_or_damaged(disk: Disk) -> None:
    """Each turn's writes are there entirely or not at all, and what was reported durable is there or missed."""
    disk.start()
    disk.store.persist((CREATE,))
    beside = log_files(disk)[1]
    ends = [beside.stat().st_size]
    for index in range(1, 7):
        disk.store.persist((blobs(index, index, 1500 * index), WriteHardState(GROUP, index, 11)))
        ends.append(beside.stat().st_size)
    disk.crash()
    assert disk.folder is not None
    kept = {path.name: path.read_bytes() for path in disk.folder.iterdir() if path.is_file()}
    content = kept["log.db-wal"]
    for cut in sorted({0, 31, *range(ends[0], ends[-1], 2777), *ends[:-1], ends[-1] - 1}):
        for name, each in kept.items():
            (disk.folder / name).write_bytes(each)
        beside.write_bytes(content[:cut])
        turns = sum(end <= cut for end in ends) - 1
        found = started(disk)
        assert "reported durable" in found.damaged, cut
        assert found.last == max(0, turns), cut
        assert len(found.tail) in (0, found.last)
        assert (found.epoch, found.vote) == (6, 11), "node.db has a second copy"
        disk.crash()


def test_a_mark_that_was_lost_makes_nothing_of_it(disk: Disk) -> None:
    """A power failure may take what was not synced, and node.db's mark is not."""
    disk.start()
    disk.store.persist((CREATE,))
    for index in range(1, 9):
        disk.store.persist((noops(index, index),))
    disk.crash()
    assert disk.folder is not None
    (disk.folder / "node.db-wal").unlink()
    found = started(disk)
    assert (found.damaged, found.last) == ("", 8)
    disk.crash()
    assert started(disk).damaged == ""
    disk.stop()


def test_damage_is_remembered_after_the_log_has_grown_again(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE,))
    disk.store.persist((noops(1, 1),))
    disk.crash()
    log_files(disk)[1].write_bytes(b"")
    reason = started(disk).damaged
    for _ in range(5):
        disk.store.persist((WriteHardState(GROUP, 9, 0),))
    disk.stop()
    assert started(disk).damaged == reason
    disk.store.persist((SwitchGeneration(GROUP, 8, Position(9, 50)),))
    disk.crash()
    assert started(disk).damaged == reason, "what it had acknowledged may be missing from the copy"
    disk.store.perform(ForgetDamage(GROUP))
    disk.crash()
    assert "reported durable" not in started(disk).damaged
    disk.stop()


def test_a_log_that_is_lost_behind_a_damaged_data_file_is_lost(disk: Disk) -> None:
    """The data file's damage was noted before: that the log's is found too must not be missed for it."""
    disk.start()
    disk.store.persist((CREATE,))
    disk.store.persist((noops(1, 1),))
    disk.store._found_damage(GROUP, "spoiled")
    disk.crash()
    found = started(disk)
    assert (found.damaged, found.log_intact) == ("spoiled", True)
    disk.crash()
    for path in log_files(disk):
        path.unlink(missing_ok=True)
    assert not started(disk).log_intact
    disk.crash()
    assert not started(disk).log_intact, "and from life to life"
    disk.stop()


def test_a_vote_that_the_log_lost_is_still_known(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE,))
    disk.store.persist((WriteHardState(GROUP, 4, 12),))
    disk.crash()
    log_files(disk)[1].write_bytes(b"")
    for _ in range(2):
        found = started(disk)
        assert found.damaged
        assert (found.epoch, found.vote) == (4, 12)
        disk.crash()


def test_all_groups_are_damaged_when_turns_are_missing(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, CREATE.__class__(2, "other", 0, "another", (11,))))
    disk.store.persist((noops(1, 1),))
    disk.crash()
    log_files(disk)[1].write_bytes(b"")
    recovered = disk.start()
    assert [(each.group, each.database, each.replication, bool(each.damaged)) for each in recovered.groups] == [
        (1, "main", SINGLE_LEADER, True),
        (2, "other", "another", True),
    ]
    disk.store.persist((CREATE.__class__(3, "new", 0, SINGLE_LEADER, (11,)),))
    disk.crash()
    assert group_of(disk.start(), 3).damaged == "", "a group that came later has lost nothing"
    disk.stop()


def test_a_log_of_another_past_is_noticed(disk: Disk) -> None:
    """The file was put back from a copy, and then written by another life, up to the same turn."""
    disk.start()
    disk.store.persist((CREATE,))
    disk.stop()
    copy = log_files(disk)[0].read_bytes()
    disk.start()
    disk.store.persist((noops(1, 1, 1),))
    disk.stop()
    theirs = Disk(disk.folder.with_name("theirs") if disk.folder else None)
    theirs.start()
    theirs.stop()
    log_files(theirs)[0].write_bytes(copy)
    theirs.start()
    theirs.store.persist((noops(1, 1, 5),))
    theirs.stop()
    log_files(disk)[0].write_bytes(log_files(theirs)[0].read_bytes())
    assert "another hash" in started(disk).damaged
    disk.stop()


def test_a_missing_log_is_damage(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 5)))
    disk.stop()
    log_files(disk)[0].unlink()
    assert "reported durable" in started(disk).damaged
    disk.stop()


def test_an_unreadable_log_is_an_error_that_says_so(disk: Disk) -> None:
    disk.start()
    disk.stop()
    log_files(disk)[0].write_bytes(b"no database" * 500)
    with pytest.raises(OperationalError, match=r"log\.db cannot be read"):
        disk.start()
    log_files(disk)[0].unlink()
    disk.start()
    disk.stop()


def test_a_flipped_bit_in_an_unapplied_entry_is_found_at_the_start(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, blobs(1, 200, 500)))
    disk.stop()
    flip(log_files(disk)[0], bytes([77]) * 400)
    found = started(disk)
    assert "does not continue its chain" in found.damaged
    assert found.last == 200
    disk.stop()


def test_a_flipped_bit_beyond_the_tail_is_found_too_while_it_is_not_applied(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 1), blobs(2, 2, 777), noops(3, 5000)))
    disk.stop()
    flip(log_files(disk)[0], bytes([2]) * 777)
    assert "entry 2 of group 1" in started(disk).damaged
    disk.stop()


def test_a_flipped_bit_in_an_old_applied_entry_is_found_when_it_is_read(disk: Disk) -> None:
    writer = begin(disk)
    marker = "a text that can be found again"
    writer.run("INSERT INTO t VALUES (1, ?)", marker)
    for _ in range(2):
        position = writer.run("INSERT INTO t(b) VALUES (?)", "x")
    last = position.index + 4200
    disk.store.persist((noops(position.index + 1, last),))
    one_applied(disk, last)
    disk.stop()
    flip(log_files(disk)[0], marker.encode())
    found = started(disk)
    assert found.damaged == "", "it is applied, and not in the tail that is read at the start"
    assert one(disk.store, ReadLog(GROUP, 12, 3, 9, 1), LogRead).entries
    failed = one(disk.store, ReadLog(GROUP, 12, 1, 9, 1 << 20), ApplyFailed)
    assert not failed.full
    assert "entry 2 of group 1" in failed.reason
    disk.crash()
    assert "entry 2 of group 1" in started(disk).damaged, "and is remembered"
    disk.stop()


def one_applied(disk: Disk, last: int) -> None:
    one(disk.store, Apply(GROUP, Position(1, last), ()), Applied)


@pytest.mark.parametrize("content", [b"", b"garbage" * 3000])
def test_a_data_file_that_is_none_is_damage_of_that_group_only(disk: Disk, content: bytes) -> None:
    begin(disk).run("INSERT INTO t VALUES (1, 2)")
    disk.store.persist((CREATE.__class__(2, "other", 0, SINGLE_LEADER, (11,)),))
    disk.crash()
    assert disk.folder is not None
    for name in ("group-1-0.db-wal", "group-1-0.db-shm"):
        (disk.folder / name).unlink(missing_ok=True)
    (disk.folder / "group-1-0.db").write_bytes(content)
    recovered = disk.start()
    assert group_of(recovered, 2).damaged == ""
    if content:
        assert group_of(recovered).damaged
        assert not one(disk.store, OpenReplica(GROUP), ApplyFailed).full
    else:  # an empty file is an empty database: the log has everything that was in it
        assert (group_of(recovered).damaged, group_of(recovered).applied) == ("", Position(0, 0))
    disk.stop()


def test_a_missing_data_file_is_damage_once_the_log_was_trimmed(disk: Disk) -> None:
    writer = begin(disk)
    position = writer.run("INSERT INTO t VALUES (1, 2)")
    disk.store.persist((TrimLog(GROUP, position),))
    disk.stop()
    assert disk.folder is not None
    (disk.folder / "group-1-0.db").unlink()
    assert "is missing" in started(disk).damaged
    assert not one(disk.store, OpenReplica(GROUP), ApplyFailed).full
    disk.stop()


def test_a_truncated_write_ahead_log_of_a_data_file_is_no_damage(disk: Disk) -> None:
    writer = begin(disk)
    for number in range(30):
        writer.run("INSERT INTO t VALUES (?, ?)", number, "x" * 300)
    disk.crash()
    assert disk.folder is not None
    beside = disk.folder / "group-1-0.db-wal"
    (disk.folder / "group-1-0.db-shm").unlink(missing_ok=True)
    content = beside.read_bytes()
    beside.write_bytes(content[: len(content) // 2])
    found = started(disk)
    assert found.damaged == ""
    assert 0 <= found.applied.index < 31
    assert found.last == 31
    catch_up(disk.store, found)
    assert rows(disk.store) == list(range(30))
    Writer(disk.store, 2).run("INSERT INTO t VALUES (99, 1)")
    disk.stop()
