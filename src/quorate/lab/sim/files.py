"""The second fidelity: the store that a node really has, with real SQLite, on a simulated disk.

The cores, the network, the clients and the judges are those of the model disk (`sim.store`); what differs is that a
crash keeps what `storage.simulated` says a disk may keep, and `storage.folder` has to make sense of it.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from quorate.client.errors import DiskFull
from quorate.core.kernel import Effect, Event, GroupId, Identity, LogWrite, Position, Recovered
from quorate.core.requests import Statement
from quorate.lab.sim.dials import Dials
from quorate.lab.sim.disk import Disk
from quorate.lab.sim.world import Violation, World
from quorate.storage.folder import SqliteStore, open_store
from quorate.storage.group_log import GroupLog
from quorate.storage.interface import Broken, DiskIsFull
from quorate.storage.simulated import SimulatedDisk

LOG_PAGES = (8, 30, 200, 1_024)
"""How large the log's WAL may grow: small, so that it is folded into the file within a short run."""
SOON = 40
"""A machine that is to die inside a storage step does so within this many writes and syncs."""
TRIES = 20
TORN = 0.7
"""Chance that a write that was under way when the machine stopped left something behind."""
TORN_WITHIN = 6
"""Operations of a disk within which it stopped then."""

Answer = TypeVar("Answer")


class Died(Broken):
    """The machine stopped in the middle of the call."""


class FileStore:
    """Keeps `sim.host.SimulatedStore`: one machine's files through all of its lives."""

    def __init__(self, identity: Identity, seed: str) -> None:
        self.identity = identity
        self.folder = Path(f"/{identity.name}")
        self.device = SimulatedDisk(f"{seed}/device/{identity.node}")
        self.spoiled: set[GroupId] = set()
        self.log = _LogFace(self)
        self.mark: Callable[[str, int], None] = _unheard
        self._dice = random.Random(f"{seed}/files/{identity.node}")
        self._store: SqliteStore | None = None
        self._born = False
        self._turn = 0
        """The log's newest turn that was reported durable."""
        self._doubt: tuple[LogWrite, ...] = ()
        """What was being written when the machine stopped: it is in the log, or it is not."""
        self._landed: list[tuple[LogWrite, ...]] = []

    def make_disk(self, world: World, dials: Dials, node: int, *driver: Any) -> Disk:
        """The log disk before this store: it only takes its time, all that fails does so in the files."""
        self.mark = world.mark
        return FileDisk(self, world, dials, node, *driver)

    @property
    def opened(self) -> SqliteStore:
        """The store of this life."""
        assert self._store is not None, "the machine is down"
        return self._store

    # ---- a life ----------------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """Open the folder. A machine that dies of it tries again. Raises Broken (a fault struck: try again) or
        DiskIsFull."""
        for _ in range(TRIES):
            self._let_go()
            if self.device.dead:
                self.device.crash(self._dice, machine=self._dice.random() < 0.5)
            try:
                recovered = self._call(self._open)
            except Died:
                continue
            self._born = True
            self.identity = recovered.identity
            return recovered
        raise Broken(f"the machine died {TRIES} times while it started")

    def _open(self) -> Recovered:
        struck = sum(self.device.fired.values())
        pages = self._dice.choice(LOG_PAGES)
        try:
            create = None if self._born else self.identity
            self._store = open_store(self.folder, create, files=self.device, log_pages=pages)
            self._settle(self._store.log.sequence)
            recovered = self._store.recover()
            self._turn = self._store.log.sequence
        except DiskFull as error:
            raise DiskIsFull(str(error)) from error
        except (DiskIsFull, Violation):
            raise
        except Exception as error:
            if sum(self.device.fired.values()) != struck:  # a fault that the next try does not meet
                raise Broken(str(error)) from error
            raise
        return recovered

    def _settle(self, turn: int) -> None:
        """Find out whether what was being written at the end of the last life is in the log."""
        doubt, self._doubt = self._doubt, ()
        if doubt and turn == self._turn + 1:
            self._landed.append(doubt)

    def landed(self) -> list[tuple[LogWrite, ...]]:
        """Writes that nobody reported durable before a crash, and that are."""
        landed, self._landed = self._landed, []
        return landed

    def crash(self, dice: random.Random, lose_unsynced: bool) -> None:
        """The process dies, or the machine, with what no fsync covered."""
        self.device.stop()
        self._let_go()
        self.device.crash(dice, machine=lose_unsynced)
        self._tell()

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.abandon()

    def stop(self) -> None:
        """The process ends in order."""
        if self._store is not None:
            store, self._store = self._store, None
            self._call(store.close)

    def close(self) -> None:
        """The run is over."""
        self.device.stop()
        self._let_go()
        self.device.close()

    # ---- calls -----------------------------------------------------------------------------------------

    def _call(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call the store. Raises Died when its machine stops meanwhile, whatever the store makes of that."""
        try:
            answer = function(*arguments)
        except Exception as error:
            if self.device.dead:
                raise Died(f"the machine stopped: {error}") from error
            raise
        finally:
            self._tell()
        if self.device.dead:
            raise Died("the machine stopped")
        return answer

    def _tell(self) -> None:
        for what, times in self.device.fired.items():
            self.mark(what, times)
        self.device.fired.clear()

    def persist(self, writes: Sequence[LogWrite]) -> None:
        """See `storage.interface.Store`. Raises DiskIsFull, Broken or Died."""
        store = self.opened
        if not self._doubt:  # what a driver asks after a failure cannot be in the log
            self._doubt = tuple(writes)
        try:
            self._call(store.persist, writes)
        except DiskIsFull:
            self._doubt = ()
            raise
        self._doubt = ()
        self._turn = store.log.sequence

    def perform(self, effect: Effect) -> list[Event]:
        """See `storage.interface.Store`."""
        return self._call(self.opened.perform, effect)

    def query(self, group: GroupId, statements: Sequence[Statement], budget_us: int = 0) -> tuple[bytes, Position]:
        """See `storage.interface.Store`."""
        return self._call(self.opened.query, group, statements, budget_us)

    def query_aside(
        self, group: GroupId, statements: Sequence[Statement], budget_us: int = 0
    ) -> tuple[bytes, Position]:
        """See `storage.interface.Store`."""
        return self._call(self.opened.query_aside, group, statements, budget_us)

    def checkpoint_aside(self, group: GroupId) -> None:
        """See `storage.interface.Store`."""
        self._call(self.opened.checkpoint_aside, group)

    def digest(self, group: GroupId) -> str:
        """A hash of the replica's tables, for whoever compares replicas from outside."""
        with self.device.calm():
            return self.opened.digest(group)

    # ---- faults ----------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        return self.device.full

    @full.setter
    def full(self, full: bool) -> None:
        self.device.full = full

    def die_soon(self) -> None:
        """Stop inside one of the next writes, syncs or renames, wherever that is."""
        self.device.dies_in = self._dice.randint(1, SOON)

    def fail_next_fsync(self) -> None:
        """The next fsync of some file fails once: mostly the log's, perhaps another's."""
        which = self._dice.choice(("log.db-wal", "log.db-wal", "log.db", "group-", "node.db", ""))
        self.device.sync_error = lambda path: which in path

    def heal(self) -> None:
        """No fault waits any more."""
        self.device.sync_error = None
        self.device.read_error = False
        self.device.dies_in = 0

    def truncate_log_tail(self, group: GroupId, count: int) -> None:
        """Not at this fidelity."""

    def flip_log(self, dice: random.Random) -> GroupId | None:  # noqa: ARG002
        """Not at this fidelity."""
        return None

    def flip_data(self, dice: random.Random) -> GroupId | None:  # noqa: ARG002
        """Not at this fidelity."""
        return None


def _unheard(_what: str, _times: int) -> None:
    """Before a world listens."""


class _LogFace:
    """What the simulator sees of a store's log."""

    def __init__(self, store: FileStore) -> None:
        self._files = store

    @property
    def groups(self) -> dict[GroupId, GroupLog]:
        store = self._files._store  # noqa: SLF001 - a part of it
        return {} if store is None else store.log.groups

    @property
    def read_error(self) -> bool:
        return self._files.device.read_error

    @read_error.setter
    def read_error(self, error: bool) -> None:
        self._files.device.read_error = error


class FileDisk(Disk):
    """The queue before a `FileStore`: it knows how long an fsync takes, the files know whether it succeeds."""

    def __init__(self, files: FileStore, *given: Any) -> None:
        super().__init__(*given)
        self._files = files

    def fill(self, *, full: bool) -> None:
        self._files.full = full

    def fail_next_fsync(self) -> None:
        self._files.fail_next_fsync()

    def heal(self) -> None:
        self._files.heal()
        super().heal()

    def _tear(self) -> None:
        """The machine stops in the middle of the first write that is not kept."""
        if self._pending and self._dice.random() < TORN:
            self._files.device.dies_in = self._dice.randint(1, TORN_WITHIN)
            self._store(self._pending[0].writes)
            if not self._files.device.dead:
                self._pending.popleft()
            self._files.device.dies_in = 0
