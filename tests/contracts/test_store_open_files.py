"""Data files open when they are used and close when others need their place: nobody who uses a database may notice."""

import itertools
import random

import pytest

from quorate.core import kernel
from quorate.core.bounds import GroupId
from quorate.core.entries import DATA, CreateGroup, Entry, Position, SwitchGeneration, TrimLog, WriteEntries
from quorate.core.executing import Execute, Executed
from quorate.core.kernel import Applied, Apply, Checkpoint, Checkpointed, CloseIdle, Commit, OpenReplica
from quorate.core.options import SINGLE_LEADER
from quorate.core.recovered import Recovered
from quorate.core.requests import Done, Run
from quorate.core.statements import Statement, Token
from quorate.storage.interface import DiskIsFull, Divergent, OverBudget
from quorate.storage.log.group import LogDamaged
from quorate.storage.memory import MemoryStore
from quorate.storage.rows.payload import decode_outcome
from tests.contracts.stores import Disk, Store, group_of, noop, one

GROUPS = (1, 2, 3, 4)
_tokens = itertools.count()


def execute(store: Store, group: GroupId, sql: str) -> bytes:
    """Run one write in an open transaction; its payload."""
    run = Run(f"d{group}", (Statement(sql),), token=Token(f"t{next(_tokens)}", 0))
    executed = one(store, Execute(group, 1, (run,), 0), Executed)
    assert isinstance(decode_outcome(executed.outcomes[0]), Done)
    assert executed.payload is not None
    return executed.payload


def log(store: Store, group: GroupId, *entries: Entry) -> None:
    store.persist((WriteEntries(group, entries),))


def run(store: Store, group: GroupId, sql: str) -> Position:
    """Execute, log and commit one write."""
    payload = execute(store, group, sql)
    position = Position(1, store.log.groups[group].last.index + 1)
    log(store, group, Entry(position.index, 1, DATA, payload))
    one(store, Commit(group, position), Applied)
    return position


def values(store: Store, group: GroupId) -> list[object]:
    outcome = decode_outcome(store.query(group, (Statement("SELECT a FROM t ORDER BY a"),))[0])
    assert isinstance(outcome, Done), outcome
    return [row[0] for row in outcome.results[0].rows]


def start(disk: Disk, most: int = 2) -> Recovered:
    recovered = disk.start()
    disk.store.handles.most = most
    return recovered


def four(disk: Disk, most: int = 2) -> Store:
    """A node with four databases; each has its own number in a table. At most two data files are open."""
    start(disk, most)
    store = disk.store
    store.persist(tuple(CreateGroup(group, f"d{group}", 0, SINGLE_LEADER, (11, 12)) for group in GROUPS))
    for group in GROUPS:
        one(store, OpenReplica(group), Applied)
        run(store, group, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        run(store, group, f"INSERT INTO t VALUES ({group}, 0)")
    return store


def is_open(store: Store) -> list[GroupId]:
    return sorted(store.replicas)


def test_more_databases_than_files_are_open(disk: Disk) -> None:
    store = four(disk)
    assert is_open(store) == [3, 4]
    for group in (*GROUPS, *reversed(GROUPS)):
        assert values(store, group) == [group]
        run(store, group, f"UPDATE t SET b = b + 1 WHERE a = {group}")
        assert len(store.replicas) <= 2
    assert [store.log.groups[group].last.index for group in GROUPS] == [4] * 4


def test_the_one_unused_for_longest_gives_way(disk: Disk) -> None:
    store = four(disk)
    values(store, 3)
    values(store, 1)
    assert is_open(store) == [1, 3]


def test_remembered_outcomes_survive_closing(disk: Disk) -> None:
    store = four(disk)
    request = Run("d1", (Statement("INSERT INTO t VALUES (9, 9)"),), token=Token("once", 0))
    executed = one(store, Execute(1, 1, (request,), 0), Executed)
    assert executed.payload is not None
    log(store, 1, Entry(3, 1, DATA, executed.payload))
    one(store, Commit(1, Position(1, 3)), Applied)
    values(store, 2)
    values(store, 3)
    assert 1 not in store.replicas
    again = one(store, Execute(1, 2, (request,), 0), Executed)
    assert again.payload is None, "it would have been done twice"
    assert again.outcomes == executed.outcomes


def test_an_executed_batch_keeps_its_file_open(disk: Disk) -> None:
    store = four(disk)
    payload = execute(store, 1, "INSERT INTO t VALUES (7, 0)")
    for group in (2, 3, 4):
        assert values(store, group) == [group]
    for _ in range(3):
        store.perform(CloseIdle(0))
    assert is_open(store) == [1]
    log(store, 1, Entry(3, 1, DATA, payload))
    one(store, Commit(1, Position(1, 3)), Applied)
    assert values(store, 1) == [1, 7]


def test_a_held_transaction_keeps_its_file_open(disk: Disk) -> None:
    store = four(disk)
    store.hold(1)
    store.run_held(1, Statement("INSERT INTO t VALUES (7, 0)"))
    for group in (2, 3, 4):
        values(store, group)
    assert 1 in store.replicas
    store.run_held(1, Statement("INSERT INTO t VALUES (8, 0)"))
    store.release(1)
    values(store, 2)
    values(store, 3)
    assert 1 not in store.replicas
    assert values(store, 1) == [1]


def test_more_files_than_allowed_open_when_all_are_in_use(disk: Disk) -> None:
    store = four(disk, most=1)
    payloads = {group: execute(store, group, f"INSERT INTO t VALUES ({group + 10}, 0)") for group in GROUPS}
    assert is_open(store) == list(GROUPS)
    for group, payload in payloads.items():
        log(store, group, Entry(3, 1, DATA, payload))
        one(store, Commit(group, Position(1, 3)), Applied)
    for group in GROUPS:
        assert values(store, group) == [group, group + 10]


def test_a_file_lent_to_the_reader_thread_stays_open(disk: Disk) -> None:
    store = four(disk)
    assert store.handles.borrow(4) is not None
    assert store.handles.borrow(4) is not None
    store.handles.give_back(4)
    for group in (1, 2, 3):
        values(store, group)
    assert 4 in store.replicas
    assert 4 not in store.handles.closable()
    store.handles.give_back(4)
    values(store, 1)
    values(store, 2)
    assert 4 not in store.replicas


def test_idle_files_close_after_their_time_and_a_few_at_a_time(disk: Disk) -> None:
    store = four(disk, most=0)
    for _ in range(4):
        store.perform(CloseIdle(3))
        values(store, 2)
    assert is_open(store) == [2]
    for _ in range(4):
        store.perform(CloseIdle(3))
    assert is_open(store) == []
    assert [values(store, group) for group in GROUPS] == [[1], [2], [3], [4]]
    store.perform(CloseIdle(0))
    assert len(store.replicas) == 2, "closing costs, so not all at once"


def test_closing_makes_durable(disk: Disk) -> None:
    store = four(disk)
    if isinstance(store, MemoryStore):
        store.crash(random.Random(3), lose_unsynced=True)
    else:
        disk.crash()
    recovered = start(disk)
    for group in (1, 2):
        assert group_of(recovered, group).applied == Position(1, 2)
    for group in GROUPS:
        found = group_of(recovered, group)
        if found.applied.index < found.last:
            one(disk.store, Apply(group, Position(1, found.last), ()), Applied)
        assert values(disk.store, group) == [group]


def test_a_closed_file_can_be_checkpointed_and_its_log_trimmed(disk: Disk) -> None:
    store = four(disk)
    assert one(store, Checkpoint(1), Checkpointed).position == Position(1, 2)
    store.perform(CloseIdle(0))
    store.persist((TrimLog(1, Position(1, 2)),))
    disk.crash()
    assert group_of(start(disk), 1).applied == Position(1, 2)
    assert values(disk.store, 1) == [1]


def test_nothing_is_opened_by_a_start_nor_by_elections(disk: Disk) -> None:
    four(disk)
    disk.stop()
    recovered = start(disk)
    store = disk.store
    for group in GROUPS:
        assert group_of(recovered, group).applied == Position(1, 2)
        assert one(store, OpenReplica(group), Applied).position == Position(1, 2)
        log(store, group, noop(3, 2), noop(4, 3))
        applied = Apply(group, Position(2, 3), (noop(3, 2),)), Apply(group, Position(3, 4), (noop(4, 3),))
        assert [one(store, each, Applied).position for each in applied] == [Position(2, 3), Position(3, 4)]
    assert is_open(store) == []
    for group in GROUPS:
        outcome, position = store.query(group, (Statement("SELECT a FROM t"),))
        assert position == Position(3, 4)
        assert store.query_aside(group, (Statement("SELECT a FROM t"),)) == (outcome, position)
    assert one(store, Checkpoint(2), Checkpointed).position == Position(3, 4)


def test_what_was_applied_without_opening_is_applied_again_after_a_crash(disk: Disk) -> None:
    four(disk)
    disk.stop()
    start(disk)
    log(disk.store, 1, noop(3, 2))
    one(disk.store, OpenReplica(1), Applied)
    one(disk.store, Apply(1, Position(2, 3), (noop(3, 2),)), Applied)
    disk.crash()
    found = group_of(start(disk), 1)
    assert (found.applied, found.last) == (Position(1, 2), 3)
    assert one(disk.store, OpenReplica(1), Applied).position == Position(1, 2)
    one(disk.store, Apply(1, Position(2, 3), ()), Applied)
    assert values(disk.store, 1) == [1]


def test_writes_follow_what_was_applied_without_opening(disk: Disk) -> None:
    four(disk)
    disk.stop()
    start(disk)
    store = disk.store
    log(store, 1, noop(3, 2))
    one(store, OpenReplica(1), Applied)
    one(store, Apply(1, Position(2, 3), (noop(3, 2),)), Applied)
    payload = execute(store, 1, "INSERT INTO t VALUES (5, 0)")
    log(store, 1, Entry(4, 2, DATA, payload))
    assert one(store, Commit(1, Position(2, 4)), Applied).position == Position(2, 4)
    assert values(store, 1) == [1, 5]


def test_changes_are_applied_to_a_closed_file(disk: Disk) -> None:
    store = four(disk)
    other = disk.next_node()
    start(other)
    other.store.persist((CreateGroup(1, "d1", 0, SINGLE_LEADER, (11, 12)),))
    one(other.store, OpenReplica(1), Applied)
    entries = store.log.read(1, 1, 2, 1 << 20)
    log(other.store, 1, *entries, noop(3, 2))
    mixed = (*entries[1:], noop(3, 2))
    one(other.store, Apply(1, Position(1, 1), entries[:1]), Applied)
    other.store.perform(CloseIdle(0))
    assert is_open(other.store) == []
    one(other.store, Apply(1, Position(2, 3), mixed), Applied)
    assert values(other.store, 1) == [1]
    other.stop()


def test_a_snapshot_takes_the_place_of_a_closed_file(disk: Disk) -> None:
    store = four(disk)
    opened = one(store, kernel.OpenSnapshot(1, 12), kernel.SnapshotOpened)
    read = one(store, kernel.ReadSnapshot(1, 12, opened.snapshot, 0, 1 << 20), kernel.SnapshotRead)
    assert read.end
    run(store, 1, "INSERT INTO t VALUES (100, 0)")
    values(store, 2)
    values(store, 3)
    assert 1 not in store.replicas
    stored = kernel.StoreSnapshot(1, 77, 0, read.data, end=True, position=opened.position)
    assert one(store, stored, kernel.SnapshotStored).complete
    store.persist((SwitchGeneration(1, 77, opened.position),))
    assert one(store, kernel.OpenGeneration(1, 77), Applied).position == opened.position
    assert values(store, 1) == [1]
    values(store, 2)
    values(store, 3)
    assert values(store, 1) == [1]


def test_recovering_twice_in_one_life_undoes_what_only_memory_knows(disk: Disk) -> None:
    four(disk)
    disk.stop()
    start(disk)
    log(disk.store, 1, noop(3, 2))
    one(disk.store, OpenReplica(1), Applied)
    one(disk.store, Apply(1, Position(2, 3), (noop(3, 2),)), Applied)
    found = group_of(disk.store.recover(), 1)
    assert one(disk.store, OpenReplica(1), Applied).position == found.applied == Position(1, 2)
    one(disk.store, Apply(1, Position(2, 3), (noop(3, 2),)), Applied)
    assert values(disk.store, 1) == [1]


def test_a_file_is_not_closed_while_there_is_no_room(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    store = four(disk)

    def full(*_: object) -> None:
        raise DiskIsFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(store, "_close_replica", full)
        assert values(store, 1) == [1]
        assert len(store.replicas) == 3
    assert values(store, 2) == [2]


def test_a_damaged_group_stays_closed(disk: Disk) -> None:
    store = four(disk)
    store.damaged[1] = "for this test"
    with pytest.raises(Divergent, match="for this test"):
        store.query(1, (Statement("SELECT 1"),))
    assert one(store, OpenReplica(1), kernel.ApplyFailed).reason == "for this test"
    store.damaged.clear()


def test_damage_of_the_log_that_opening_finds_is_damage_of_that_group(disk: Disk) -> None:
    four(disk)
    disk.stop()
    start(disk)
    store = disk.store
    log(store, 1, noop(3, 2))
    one(store, OpenReplica(1), Applied)
    one(store, Apply(1, Position(2, 3), (noop(3, 2),)), Applied)

    def damaged(*_: object) -> tuple[Entry, ...]:
        raise LogDamaged("entry 3 is not what it was")

    store.log.read = damaged  # type: ignore[assignment]
    with pytest.raises(Divergent, match="entry 3"):
        values(store, 1)
    assert "entry 3" in store.damaged[1]
    assert values(store, 2) == [2]


def test_a_read_beyond_its_budget_keeps_its_file_open(disk: Disk) -> None:
    if isinstance(disk.memory, MemoryStore):
        pytest.skip("nothing is slow in memory")
    four(disk)
    ticks = itertools.count(0, 1_000)
    store = disk.store
    store.perform(CloseIdle(0))
    store._clock = lambda: next(ticks)
    slow = Statement(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT max(i) FROM n"
    )
    with pytest.raises(OverBudget):
        store.query(1, (slow,), 1)
    values(store, 2)
    values(store, 3)
    values(store, 4)
    assert 1 in store.replicas
    outcome = decode_outcome(store.query_aside(1, (slow,))[0])
    assert isinstance(outcome, Done)
    assert outcome.results[0].rows == [(3000,)]
    values(store, 2)
    values(store, 3)
    assert 1 not in store.replicas
