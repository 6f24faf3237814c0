"""What the contract suite needs: both stores behind one face, and a few writes to give them."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from quorate.core import kernel
from quorate.core.entries import DATA, NOOP, CreateGroup, Entry, Position, WriteEntries
from quorate.core.executing import Execute, Executed
from quorate.core.kernel import Applied, Apply, OpenReplica
from quorate.core.options import SINGLE_LEADER
from quorate.core.recovered import Identity, Member, Recovered, RecoveredGroup
from quorate.core.requests import Done, Run
from quorate.core.statements import Statement, Token
from quorate.storage.folder import SqliteStore, open_store
from quorate.storage.memory import MemoryStore
from quorate.storage.rows.payload import decode_outcome

FOUNDERS = (Member(11, "a", "127.0.0.1:1"), Member(12, "b", "127.0.0.1:2"))
IDENTITY = Identity("c1", 11, "a", 0, FOUNDERS)
GROUP = 1
CREATE = CreateGroup(GROUP, "main", 0, SINGLE_LEADER, (11, 12))

Store = SqliteStore | MemoryStore
T = TypeVar("T")


class Disk:
    """The disk of one node: a store for each life."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.memory = None if folder is not None else MemoryStore(IDENTITY)
        self.store: Store

    def start(self) -> Recovered:
        """Begin a life."""
        if self.folder is not None:
            self.store = open_store(self.folder, create=IDENTITY)
        else:
            assert self.memory is not None
            self.store = self.memory
        return self.store.recover()

    def stop(self) -> None:
        """End it in order."""
        self.store.close()

    def crash(self) -> None:
        """End it as a dying process does: nothing is checkpointed, closed or noted."""
        if isinstance(self.store, MemoryStore):
            self.store.crash(random.Random(1), False)
        else:
            abandon(self.store)

    def restart(self) -> RecoveredGroup:
        """A crash and the next life; what is recovered of the group that the tests use."""
        self.crash()
        return group_of(self.start())

    def next_node(self) -> "Disk":
        """The disk of another node, of the same kind."""
        return Disk(None if self.folder is None else self.folder.with_name(self.folder.name + "-next"))


def abandon(store: SqliteStore) -> None:
    """Let go of the files as a killed process does: closing connections without checkpoints."""
    store._unusable = "crashed"
    store.close()


def group_of(recovered: Recovered, group: int = GROUP) -> RecoveredGroup:
    return {each.group: each for each in recovered.groups}[group]


def one(store: Store, effect: kernel.Effect, kind: type[T]) -> T:
    """Perform an effect that answers with one event of this kind."""
    events = store.perform(effect)
    assert len(events) == 1, events
    assert isinstance(events[0], kind), events
    return events[0]


def noop(index: int, epoch: int = 1) -> Entry:
    return Entry(index, epoch, NOOP, b"")


def noops(first: int, last: int, epoch: int = 1) -> WriteEntries:
    return WriteEntries(GROUP, tuple(noop(index, epoch) for index in range(first, last + 1)))


def blobs(first: int, last: int, size: int, epoch: int = 1) -> WriteEntries:
    """Entries that carry something, for tests that never apply them."""
    made = tuple(Entry(index, epoch, DATA, bytes([index % 251]) * size) for index in range(first, last + 1))
    return WriteEntries(GROUP, made)


class Writer:
    """Plays the part of a core that leads a group of one: execute, log, commit."""

    def __init__(self, store: Store, epoch: int = 1) -> None:
        self.store = store
        self.epoch = epoch
        self.batches = 0

    def run(self, sql: str, *values: Any) -> Position:
        position = self.log(sql, *values)
        assert one(self.store, kernel.Commit(GROUP, position), Applied).position == position
        return position

    def log(self, sql: str, *values: Any) -> Position:
        """Execute and log one write, leaving its transaction open."""
        payload = self.execute(sql, *values)
        position = Position(self.epoch, self.store.log.groups[GROUP].last.index + 1)
        self.store.persist((WriteEntries(GROUP, (Entry(position.index, self.epoch, DATA, payload),)),))
        return position

    def execute(self, sql: str, *values: Any) -> bytes:
        self.batches += 1
        token = Token(f"{self.epoch}-{self.batches}-{self.store.identity.boot}", 0)
        run = Run("main", (Statement(sql, (values,)),), token=token)
        executed = one(self.store, Execute(GROUP, self.batches, (run,), 0), Executed)
        outcome = decode_outcome(executed.outcomes[0])
        assert isinstance(outcome, Done), outcome
        assert executed.payload is not None
        return executed.payload


def begin(disk: Disk) -> Writer:
    """A first life with an empty group and one table."""
    disk.start()
    disk.store.persist((CREATE,))
    one(disk.store, OpenReplica(GROUP), Applied)
    writer = Writer(disk.store)
    writer.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    return writer


def rows(store: Store, sql: str = "SELECT a FROM t ORDER BY a") -> list[Any]:
    """The first column of what a read returns."""
    outcome = decode_outcome(store.query(GROUP, (Statement(sql),))[0])
    assert isinstance(outcome, Done), outcome
    return [row[0] for row in outcome.results[0].rows]


def catch_up(store: Store, found: RecoveredGroup) -> Position:
    """Open the data file and bring it forward to the end of the log, as a core does."""
    applied = one(store, OpenReplica(GROUP), Applied).position
    assert applied == found.applied
    if applied.index == found.last:
        return applied
    epoch = store.log.epoch_at(GROUP, found.last)
    assert epoch is not None
    return one(store, Apply(GROUP, Position(epoch, found.last), ()), Applied).position


MakeDisk = Callable[[], Disk]
