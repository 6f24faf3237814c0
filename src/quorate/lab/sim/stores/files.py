"""The second fidelity: the store that a node really has, with real SQLite, on a simulated disk.

The cores, the network, the clients and the judges are those of the model disk (`sim.stores.store`); what differs is
that a crash keeps what `storage.testing.disk` says a disk may keep, and `storage.folder` has to make sense of it.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from quorate.core.bounds import GroupId
from quorate.core.entries import LogWrite, Position, SwitchGeneration
from quorate.core.formats import HERE, Range
from quorate.core.kernel import Checkpoint, Effect, Event
from quorate.core.recovered import Identity, Recovered
from quorate.core.requests import LostAsk
from quorate.core.statements import Statement
from quorate.errors import DiskFull, OperationalError
from quorate.lab.sim.engine.disk import Disk
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.stores import lies
from quorate.storage.data.connection import PAGE_BYTES
from quorate.storage.data.handles import Handles
from quorate.storage.dropped import DATA_FILE
from quorate.storage.execution.ending import Ending
from quorate.storage.folder import LOG, SNAPSHOTS, SqliteStore, open_store
from quorate.storage.interface import Broken, DiskIsFull, Divergent, Examination, Viewer
from quorate.storage.log.group import GroupLog, LogDamaged
from quorate.storage.testing.disk import SimulatedDisk

SIMULATED = Range(HERE.lowest, HERE.highest + 1)  # `upgrades` goes to a format that is not there yet
LOG_PAGES = (8, 30, 200, 1_024)
"""How large the log's WAL may grow: small, so that it is folded into the file within a short run."""
SOON = 40
"""A machine that is to die inside a storage step does so within this many writes and syncs."""
INSIDE = 0.6
"""Chance that a machine that dies within a step does so inside one of its storage calls, not between two effects."""
RENAMING = 0.4
"""Chance that it is one of the next operations on names and folders instead: they are few, and all in a row."""
RENAMES, TRIES = 8, 20
DISTINCT = 24
"""A payload of so many bytes is found where it lies in the file."""
PAGE_KINDS = frozenset({2, 5, 10, 13})
"""The first byte of a page that is part of a table or an index."""
TORN = 0.7
"""Chance that a write that was under way when the machine stopped left something behind."""
TORN_WITHIN = 6
"""Operations of a disk within which it stopped then."""

Answer = TypeVar("Answer")


class Died(Broken):
    """The machine stopped in the middle of the call."""


class FileStore:
    """Keeps `sim.engine.host.SimulatedStore`: one machine's files through all of its lives."""

    def __init__(self, identity: Identity, seed: str) -> None:
        self._identity = identity
        self.folder = Path(f"/{identity.name}")
        self.device = SimulatedDisk(f"{seed}/device/{identity.node}")
        self.spoiled: set[GroupId] = set()
        self.lied_to: set[GroupId] = set()
        self.log_struck = False
        """The disk has lied about the log in this life."""
        self.edited: set[GroupId] = set()
        self.log = _LogFace(self)
        self.handles = Handles()
        """Only for how many data files may be open; each life has handles of its own."""
        self.mark: Callable[[str, int], None] = _unheard
        self._rng = random.Random(f"{seed}/files/{identity.node}")
        self._store: SqliteStore | None = None
        self._born = False
        self._turn = 0
        """The log's newest turn that was reported durable."""
        self._doubt: tuple[LogWrite, ...] = ()
        """What was being written when the machine stopped: it is in the log, or it is not."""
        self._landed: list[tuple[LogWrite, ...]] = []
        self._noted = 0
        """The turn that the mark names."""
        self._power_failed = False
        """The last life ended with the machine's."""
        self._cut = False
        self._ends: dict[GroupId, int] = {}
        """Where each group's log ended in the last life."""
        self._lost: list[tuple[GroupId, int]] = []
        self._log_must_go = False
        self._tears = 0.0
        self._when_failed: Callable[[], None] = lambda: None

    def make_disk(self, world: World, dials: Dials, node: int, *driver: Any) -> Disk:
        """The log disk before this store: it only takes its time, all that fails does so in the files."""
        self.mark = world.mark
        self._tears = dials.torn_step / 2
        self.device.remembers = dials.lie_us > 0
        return FileDisk(self, world, dials, node, *driver)

    @property
    def identity(self) -> Identity:
        """Of the open store, or as it was last."""
        if self._store is not None:
            self._identity = self._store.identity
        return self._identity

    @identity.setter
    def identity(self, identity: Identity) -> None:
        self._identity = identity

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
            self.log_struck = False
            if self._log_must_go:
                self._move_log_away()
            if self.device.dead:
                self.device.crash(self._rng, machine=self._rng.random() < 0.5 and not self.lied_to)
                self._power_failed = True
            if self._born and self._rng.random() < self._tears:
                self._stop_inside()
            try:
                recovered = self._call(self._open)
            except Died:
                continue
            self.device.dies_in = 0
            self._born = True
            if self._cut:
                # What a checkpoint had brought into the file already may be whole.
                self._lost = [
                    (found.group, self._ends.get(found.group, found.last) - found.last)
                    for found in recovered.groups
                    if found.damaged or self._ends.get(found.group, 0) > found.last
                ]
                self._cut = False
            return recovered
        raise Broken(f"the machine died {TRIES} times while it started")

    def _open(self) -> Recovered:
        struck = sum(self.device.fired.values())
        pages = self._rng.choice(LOG_PAGES)
        try:
            create = None if self._born else self.identity
            self._store = open_store(
                self.folder, create, files=self.device, log_pages=pages, open_replicas=self.handles.most,
                formats=SIMULATED,
            )  # fmt: skip
            self._settle(self._store.log.sequence)
            recovered = self._store.recover()
            self._note()
        except DiskFull as error:
            raise DiskIsFull(str(error)) from error
        except (DiskIsFull, Violation):
            raise
        except Exception as error:
            advised = isinstance(error, OperationalError) and self._read_by_a_person(error.hint)
            if advised or sum(self.device.fired.values()) != struck:  # what the next try does not meet
                raise Broken(str(error)) from error
            raise
        return recovered

    def _read_by_a_person(self, message: str) -> bool:
        """Who reads that a log is damaged does as the message says; whether there was anything to do."""
        self._log_must_go = bool(self.lied_to) and f"move {LOG}" in message
        return self._log_must_go

    def _move_log_away(self) -> None:
        self._log_must_go = False
        self.mark("lying disk: log moved away", 1)
        for name in self.device.names(self.folder):
            if name.startswith(LOG):
                self.device.unlink(str(self.folder / name))
        self._turn = 0

    def _settle(self, turn: int) -> None:
        """Find out whether what was being written at the end of the last life is in the log."""
        doubt, self._doubt = self._doubt, ()
        if doubt and turn == self._turn + 1:
            self._landed.append(doubt)

    def _note(self) -> None:
        self._turn = self.opened.log.sequence
        self._noted = self.opened._node.sequence  # noqa: SLF001 - nobody else needs to know

    def landed(self) -> list[tuple[LogWrite, ...]]:
        """Writes that nobody reported durable before a crash, and that are."""
        landed, self._landed = self._landed, []
        return landed

    def crash(self, rng: random.Random, lose_unsynced: bool) -> None:
        """The process dies, or the machine, with what no fsync covered."""
        if self._store is not None:
            self._ends = {number: known.last.index for number, known in self._store.log.groups.items()}
        self.device.stop()
        self._let_go()
        lose_unsynced = lose_unsynced and not self.lied_to
        self.device.crash(rng, machine=lose_unsynced)
        self._power_failed = lose_unsynced or "pages dropped" in self.device.fired
        self._tell()

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.abandon()

    def stop(self) -> None:
        """The process ends in order."""
        if self._store is not None:
            store, self._store = self._store, None
            self._power_failed = True  # not that, but no WAL is left either
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
        if "fsync error" in self.device.fired:
            self._when_failed()
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
        except Broken as error:
            self._read_by_a_person(str(error))
            raise
        self._doubt = ()
        self._note()
        for write in writes:
            if isinstance(write, SwitchGeneration):
                self.spoiled.discard(write.group)  # what the log was told untruly is not mended by that

    def perform(self, effect: Effect) -> list[Event]:
        """See `storage.interface.Store`. A checkpoint is begun aside, as by the real driver."""
        if type(effect) is Checkpoint:
            self._call(self.opened.checkpoint_aside, effect.group)
        return self._call(self.opened.perform, effect)

    def query(self, group: GroupId, statements: Sequence[Statement], budget_us: int = 0) -> tuple[bytes, Position]:
        """See `storage.interface.Store`."""
        return self._call(self.opened.query, group, statements, budget_us)

    def query_aside(
        self, group: GroupId, statements: Sequence[Statement], ending: Ending | None = None
    ) -> tuple[bytes, Position]:
        """See `storage.interface.Store`."""
        return self._call(self.opened.query_aside, group, statements, ending)

    def leave(self, group: GroupId) -> None:
        """See `storage.interface.Store`."""
        self._call(self.opened.leave, group)

    def examine(self, group: GroupId) -> Examination:
        """See `storage.interface.Store`."""
        return self._call(self.opened.examine, group)

    def view(self, group: GroupId) -> Callable[[], Viewer]:
        """See `storage.interface.Store`."""
        return self._call(self.opened.view, group)

    def checkpoint_aside(self, group: GroupId) -> None:
        """See `storage.interface.Store`."""
        self._call(self.opened.checkpoint_aside, group)

    def put_aside(self, group: GroupId) -> None:
        """See `keeps.SimulatedStore`."""
        self._call(self.opened.put_aside, group)

    def rows_of(self, group: GroupId) -> Any:
        """The rows of a group without a leader."""
        return self._call(self.opened.rows_of, group)

    def digest(self, group: GroupId) -> str:
        """A hash of the replica's tables, for whoever compares replicas from outside."""
        with self.device.calm():
            try:
                return self.opened.digest(group)
            except Divergent as damage:
                if self.log.flipped or group in self.lied_to:
                    raise
                text = f"{self.identity.name} holds a damaged data file, which nobody did: {damage}"
                raise Violation("sound disk", text) from damage

    def kept(self, group: GroupId) -> set[tuple[int, int]]:
        """Index and epoch of every entry that is kept among the lost tails, for a judge."""
        with self.device.calm():
            if not self.opened._has_lost():  # noqa: SLF001
                return set()
            entries = self.opened._lost_tails().answer(LostAsk()).entries  # noqa: SLF001
        return {(entry.index, entry.epoch) for entry in entries if entry.group == group}

    def held(self) -> set[GroupId]:
        """See `keeps.SimulatedStore`."""
        names = (*self.device.names(self.folder), *self.device.names(self.folder / SNAPSHOTS))
        return {int(name.split("-")[1]) for name in names if name.startswith(("group-", "received-", "incoming-"))}

    # ---- faults ----------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        return self.device.full

    @full.setter
    def full(self, full: bool) -> None:
        self.device.full = full

    def die_soon(self) -> bool:
        """Perhaps stop inside one of the next writes, syncs or renames, wherever that is."""
        if self._rng.random() < INSIDE:
            self._stop_inside()
        return self.device.dies_in > 0

    def _stop_inside(self) -> None:
        self.device.dies_renaming = self._rng.random() < RENAMING
        self.device.dies_in = self._rng.randint(1, RENAMES if self.device.dies_renaming else SOON)

    def fail_next_fsync(self, when_failed: Callable[[], None]) -> None:
        """The next fsync of some file fails once: mostly the log's, perhaps another's."""
        self._when_failed = when_failed
        which = self._rng.choice(("log.db-wal", "log.db-wal", "log.db", "group-", "incoming-", "node.db", ""))
        self.device.sync_error = lambda path: which in path

    def heal(self) -> None:
        """No fault waits any more."""
        self.device.sync_error = None
        self.device.read_error = False
        self.device.dies_in = 0

    def lose_tail(self, rng: random.Random) -> None:
        """A frame near the end of the log's WAL goes bad, and with it, to SQLite, all that follow.

        Only after the end of a process: the mark in `node.db`, which is not synced, must have outlived the turns
        that go, or nobody could know of them. (A disk that both forgets and lies is beyond the fault budget.)
        """
        path = str(self.folder / "log.db-wal")
        content = self.device.content(path)
        ends = lies.turns_in(content)
        least = self._turn - self._noted + 1  # so many turns must go for the mark to be ahead
        if self._power_failed or self._doubt or len(ends) <= least:
            return
        kept = len(ends) - rng.randint(least, min(len(ends) - 1, least + 2))
        place = ends[kept - 1] + lies.FRAME_HEADER + 11
        self.device.change(path, place, content[place] ^ rng.randint(1, 255))
        self._cut = True

    def lost(self) -> list[tuple[GroupId, int]]:
        """What the node finds missing after `lose_tail`, told once."""
        lost, self._lost = self._lost, []
        return lost

    def flip_log(self, rng: random.Random) -> GroupId | None:
        """A bit of some entry changes in the file of the log."""
        if self._store is None:
            return None
        with self.device.calm():
            image = self.device.content(str(self.folder / "log.db"))
            groups = [number for number, log in sorted(self.log.groups.items()) if log.last.index > log.base.index]
            if not groups:
                return None
            group = rng.choice(groups)
            known = self.log.groups[group]
            index = rng.randint(known.base.index + 1, known.last.index)
            try:
                payload = self._store.log.read(group, index, index, 1)[0].payload
            except (Broken, LogDamaged):
                return None
        found = image.find(payload) if len(payload) >= DISTINCT else -1
        if found < 0:  # it is in the WAL still
            return None
        self.log.flipped.add((group, index))
        place = found + rng.randrange(len(payload))
        self.device.change(str(self.folder / "log.db"), place, image[place] ^ 1 << rng.randrange(8))
        return group

    def flip_data(self, rng: random.Random) -> GroupId | None:
        """The kind of some page changes in a data file, so that SQLite notices when it reads the page."""
        files = [name for name in self.device.names(self.folder) if DATA_FILE.fullmatch(name) and name.endswith(".db")]
        if not files:
            return None
        name = rng.choice(files)
        image = self.device.content(str(self.folder / name))
        pages = [at for at in range(PAGE_BYTES, len(image), PAGE_BYTES) if image[at] in PAGE_KINDS]
        if not pages:
            return None
        self.device.change(str(self.folder / name), rng.choice(pages), 0xFF)
        group = int(name.split("-")[1])
        self.spoiled.add(group)
        return group

    def lie(self, rng: random.Random) -> tuple[str, list[GroupId]] | None:
        """The disk shows something else than was written to it, in one place."""
        if self._store is None or self._power_failed or self._doubt:
            return None
        told = lies.lie(self, rng)
        if told is not None:
            self.lied_to.update(told[1])
        return told

    def edit_data(self, _rng: random.Random) -> GroupId | None:
        """Real files cannot be edited beside the node that has them open; stores in memory can."""
        return None


def _unheard(_what: str, _times: int) -> None:
    """Before a world listens."""


class _LogFace:
    """What the simulator sees of a store's log."""

    def __init__(self, store: FileStore) -> None:
        self._files = store
        self.flipped: set[tuple[GroupId, int]] = set()
        """Entries whose payload was changed where it lies; it may have been written anew since."""

    @property
    def groups(self) -> dict[GroupId, GroupLog]:
        store = self._files._store  # noqa: SLF001 - a part of it
        return {} if store is None else store.log.groups

    @property
    def dropped(self) -> set[GroupId]:
        store = self._files._store  # noqa: SLF001
        return set() if store is None else store.log.dropped

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

    def fail_next_fsync(self, when_failed: Callable[[], None] = lambda: None) -> None:
        self._files.fail_next_fsync(when_failed)

    def heal(self) -> None:
        self._files.heal()
        super().heal()

    def _tear(self) -> None:
        """The machine stops in the middle of the first write that is not kept."""
        if self._pending and self._rng.random() < TORN:
            self._files.device.dies_renaming = False
            self._files.device.dies_in = self._rng.randint(1, TORN_WITHIN)
            self._store(self._pending[0].writes)
            if not self._files.device.dead:
                self._pending.popleft()
            self._files.device.dies_in = 0
