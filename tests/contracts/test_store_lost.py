"""What both stores promise of lost tails: kept once, whole, through restarts, and known where logs part."""

import msgspec

from quorate.core.ack_policy import spell
from quorate.core.entries import ACKS, DATA, NOOP, Entry, Position, SwitchGeneration, WriteEntries
from quorate.core.kernel import (
    Applied,
    Apply,
    Checkpoint,
    Checkpointed,
    LostRead,
    LostSaved,
    OpenReplica,
    ReadLost,
    SaveLost,
)
from quorate.core.requests import LostAsk, LostReport
from quorate.storage.rows.payload import FORMAT, Batch, encode, encode_records
from tests.contracts.stores import CREATE, GROUP, Disk, noops, one


def entry(index: int, epoch: int, token: str) -> Entry:
    batch = Batch(FORMAT, b"", index * 1_000, (), msgspec.Raw(encode_records([(token, b"\x90")])))
    return Entry(index, epoch, DATA, encode(batch))


def tail(first: int, last: int, epoch: int) -> WriteEntries:
    return WriteEntries(GROUP, tuple(entry(index, epoch, f"t{index}") for index in range(first, last + 1)))


def ask(disk: Disk, question: LostAsk = LostAsk()) -> LostReport:  # noqa: B008 - a frozen value
    return one(disk.store, ReadLost(1, question), LostRead).report  # type: ignore[no-any-return]


def places(disk: Disk) -> list[tuple[int, int]]:
    return [(each.index, each.epoch) for each in ask(disk).entries]


def test_nothing_is_kept_before_anything_was_lost(disk: Disk) -> None:
    disk.start()
    assert ask(disk) == LostReport()


def test_a_tail_is_kept_once_and_whole_and_through_a_restart(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 3, 1), tail(4, 6, 1)))
    for _ in range(2):
        saved = one(disk.store, SaveLost(GROUP, 3, wall_us=77), LostSaved)
        assert (saved.first, saved.entries, saved.failed) == (3, 3, "")
    disk.restart()
    assert places(disk) == [(4, 1), (5, 1), (6, 1)]
    shown = ask(disk, LostAsk("main", GROUP, 1, 5))
    assert shown.payload == entry(5, 1, "t5").payload
    (kept,) = shown.entries
    assert (kept.wall_us, kept.saved_us, kept.requests, kept.state, kept.database) == (5_000, 77, 1, "kept", "main")
    assert ask(disk, LostAsk("other")).entries == ()


def test_a_replay_is_noted_with_what_was_first_seen(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, tail(1, 1, 1)))
    one(disk.store, SaveLost(GROUP, 1), LostSaved)
    place = ("main", GROUP, 1, 1)
    assert ask(disk, LostAsk(*place, "begun", 40)).seen == 40
    assert ask(disk, LostAsk(*place, "begun", 90)).seen == 40, "the first attempt counts"
    assert ask(disk, LostAsk(*place, "replayed")).entries[0].state == "replayed"


def test_what_was_trimmed_before_it_was_found_lost_is_a_gap(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, SwitchGeneration(GROUP, 9, Position(1, 5)), tail(6, 7, 1)))
    one(disk.store, SaveLost(GROUP, 3), LostSaved)
    assert ask(disk).gaps == ((GROUP, "main", 3, 5),)
    assert places(disk) == [(6, 1), (7, 1)]


def test_a_data_file_remembers_the_policy_and_where_epochs_began(disk: Disk) -> None:
    disk.start()
    rule = Entry(2, 1, ACKS, spell("async", 12))
    entries = (Entry(1, 1, NOOP, b""), rule, Entry(3, 4, NOOP, b"11"), Entry(4, 4, ACKS, spell("sync", 11)))
    disk.store.persist((CREATE, WriteEntries(GROUP, entries)))
    one(disk.store, OpenReplica(GROUP), Applied)
    one(disk.store, Apply(GROUP, Position(4, 3), entries[:3]), Applied)
    one(disk.store, Checkpoint(GROUP), Checkpointed)
    found = disk.restart()
    assert found.controls == entries[1:3]
    assert found.controls_coming == (entries[3],)
    one(disk.store, OpenReplica(GROUP), Applied)
    one(disk.store, Apply(GROUP, Position(4, 4), entries[3:]), Applied)
    one(disk.store, Checkpoint(GROUP), Checkpointed)
    assert disk.restart().controls == entries[1:]


def test_a_database_that_never_named_a_policy_says_nothing(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 2, 1)))
    one(disk.store, OpenReplica(GROUP), Applied)
    one(disk.store, Apply(GROUP, Position(1, 2), noops(1, 2, 1).entries), Applied)
    found = disk.restart()
    assert found.controls == ()


def test_an_older_copy_may_come_under_what_both_logs_have(disk: Disk) -> None:
    disk.start()
    disk.store.persist((CREATE, noops(1, 9, 1)))
    disk.store.persist((SwitchGeneration(GROUP, 77, Position(1, 4), keep=7),))
    group = disk.store.log.groups[GROUP]
    assert (group.base, group.last, group.generation, group.snapshot) == (Position(1, 4), Position(1, 7), 1, 77)
    assert [each.index for each in disk.store.log.read(GROUP, 5, 9, 1 << 20)] == [5, 6, 7]
    disk.store.persist((noops(8, 8, 2),))
    assert [(each.index, each.epoch) for each in disk.store.log.read(GROUP, 5, 9, 1 << 20)] == [
        (5, 1), (6, 1), (7, 1), (8, 2),
    ]  # fmt: skip
