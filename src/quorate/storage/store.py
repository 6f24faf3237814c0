"""What the two stores share: a table of what to do for each effect, and how a node finds its state.

A store is a log, one data file (`Replica`) for each group, and a shelf of snapshots. The real one
(`storage.folder`) and the in-memory fake (`storage.memory`) differ in how these are opened, kept and
lost, and in nothing else, so that what is tested on the fake holds for the files.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from quorate.core import kernel
from quorate.core.bounds import GroupId
from quorate.core.dropped import DropReplica
from quorate.core.entries import EXECUTED, ORIGIN, Entry, LogWrite, Position
from quorate.core.executing import Execute
from quorate.core.kernel import CATALOG_GROUP, Applied, Effect, Event
from quorate.core.lives import PeerLife, RaiseBoot, RememberLife
from quorate.core.recovered import Identity, Recovered, RecoveredGroup
from quorate.core.requests import LostAsk, LostReport
from quorate.core.statements import Result, Statement
from quorate.core.streams import ReadWhole, WholeRead
from quorate.storage.data.catalog_rows import read_catalog
from quorate.storage.data.data_files import APPLY_BYTES
from quorate.storage.data.examination import Examination
from quorate.storage.discarding import Discarding
from quorate.storage.execution.ending import Ending
from quorate.storage.interface import DiskIsFull, Divergent, NoDescriptors, OverBudget
from quorate.storage.log.group import GroupLog, LogDamaged
from quorate.storage.log.lost import parted_at, readable
from quorate.storage.long_work import RECEIVERS, TakesLong, Work, given
from quorate.storage.row_reading import RowReading
from quorate.storage.viewing import Viewing
from quorate.storage.writing import Writing

ALWAYS = (DropReplica, kernel.ReadSnapshot, kernel.CloseSnapshot, *Viewing.ALWAYS)
"""What is done also for a group that was dropped."""
TAIL_ENTRIES = 4096
TAIL_BYTES = 8 << 20
"""How much of each group's log is handed to the core at the start, at most."""
TAIL_SHARERS = 8
"""With more groups than this each gets a smaller part, so that a node of many groups starts within its memory."""

SPARE_BYTES = 64 << 20
"""What a copy for a caller leaves free on the disk: the database goes before."""


class BaseStore(Discarding, Viewing, RowReading):
    """What both implementations of `storage.interface.Store` have in common; beside it, what an embedded node's
    transaction does on the writer (`hold`, `run_held`, `release`)."""

    identity: Identity

    # ----------------------------------------------------------------------------------------------
    # What the implementations provide
    # ----------------------------------------------------------------------------------------------

    @abstractmethod
    def recover(self) -> Recovered:
        """What is on disk: call once for each life of the node, before anything else."""

    @abstractmethod
    def persist(self, writes: Sequence[LogWrite]) -> None:
        """Make log writes durable now. Raises DiskIsFull (repeat the same call later) or Broken."""

    @abstractmethod
    def close(self) -> None: ...

    def is_open(self, group: GroupId) -> bool:
        """Whether a read needs nothing but a data file that is open."""
        return group in self.replicas

    @abstractmethod
    def _noted(self, group: GroupId) -> tuple[Position, tuple[Entry, ...]]:
        """Where the data file stood, and the control entries it kept, when the log was last trimmed; ORIGIN: it never
        was."""

    @abstractmethod
    def _install(self, group: GroupLog) -> None:
        """Make the received snapshot that the log has switched to the data file, and drop the old one."""

    # ----------------------------------------------------------------------------------------------
    # Recovery
    # ----------------------------------------------------------------------------------------------

    def _recover_group(self, group: GroupLog) -> RecoveredGroup:
        """One replica as its log and data file describe it."""
        number = group.group
        damaged = self.damaged.get(number, "")
        applied, doubted = ORIGIN, number in self.log_damaged
        controls: tuple[Entry, ...] = ()
        epochs: tuple[Position, ...] = ()
        tail: tuple[Entry, ...] = ()
        coming: tuple[Entry, ...] = ()
        last = group.last.index
        self._standing.pop(number, None)  # what is only in memory does not outlive the core that knew of it
        try:
            epochs = self.log.epochs(number)
            if not doubted:
                try:
                    applied, controls = self._recover_data(group), self._controls_at(number)
                except Divergent as error:
                    damaged = damaged or str(error)
                    applied, controls = self._what_is_known(group, damaged)
                tail, coming = self._recover_tail(group, applied)
        except LogDamaged as error:
            damaged, doubted = damaged or str(error), True
        if damaged:
            if number not in self.damaged or (doubted and number not in self.log_damaged):
                self._found_damage(number, damaged, log=doubted)
            self._standing.pop(number, None)
            replica = self.replicas.pop(number, None)
            if replica is not None:
                replica.close()
        return RecoveredGroup(
            number, group.database, group.partition, group.replication, group.voters, group.epoch, group.vote,
            group.base, epochs, last, tail, applied, damaged, controls, coming,
            log_intact=bool(damaged) and not doubted,
        )  # fmt: skip

    def _what_is_known(self, group: GroupLog, damaged: str) -> tuple[Position, tuple[Entry, ...]]:
        """Of a group whose data file cannot say it: where that stood, and the control entries it kept. Raises
        LogDamaged when nobody knows those any more: then its log is of no use."""
        if group.base == ORIGIN:
            return ORIGIN, ()
        position, controls = self._noted(group.group)
        in_log = group.base.index <= position.index <= group.last.index
        if not in_log or self.log.epoch_at(group.group, position.index) != position.epoch:
            raise LogDamaged(damaged)
        return position, controls

    def _recover_data(self, group: GroupLog) -> Position:
        """Check where the data file stands, if there is one. Raises Divergent, or LogDamaged when the log does not
        reach to there."""
        number = group.group
        applied = self._stands_at(group)
        if applied.index > group.last.index:
            raise LogDamaged(f"the data file of group {number} stands at {applied}, beyond the log's end {group.last}")
        if applied.index < group.base.index:
            raise Divergent(f"the data file of group {number} stands at {applied}, before the log's start {group.base}")
        epoch = 0 if applied == ORIGIN else self.log.epoch_at(number, applied.index)
        if epoch != applied.epoch:
            raise LogDamaged(f"the data file of group {number} stands at {applied}, where the log has epoch {epoch}")
        return applied

    def _recover_tail(self, group: GroupLog, applied: Position) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """The newest entries, and the control entries not applied; all that is not applied is verified."""
        number, last = group.group, group.last.index
        share = max(1, len(self.log.groups) // TAIL_SHARERS)
        start = self.log.tail_start(number, max(64, TAIL_ENTRIES // share), max(1 << 16, TAIL_BYTES // share))
        start = max(start, group.base.index + 1)
        early = self._verify(number, applied.index + 1, start - 1)
        tail = self._read(number, start, last)
        return tail, (*early, *(entry for entry in tail if entry.kind not in EXECUTED and entry.index > applied.index))

    def _verify(self, group: GroupId, first: int, last: int) -> list[Entry]:
        """Read them all; the control entries among them."""
        found: list[Entry] = []
        while first <= last:
            entries = self.log.read(group, first, last, APPLY_BYTES)
            found += [entry for entry in entries if entry.kind not in EXECUTED]
            first = entries[-1].index + 1
        return found

    def _read(self, group: GroupId, first: int, last: int) -> tuple[Entry, ...]:
        return self.log.read(group, first, last, 1 << 62) if first <= last else ()

    # ----------------------------------------------------------------------------------------------
    # Effects
    # ----------------------------------------------------------------------------------------------

    def perform(self, effect: Effect) -> list[Event]:
        """Do one storage effect; the events that tell of it. Raises Broken when the node must stop.

        Whatever a full disk or a damaged file makes impossible is answered with `ApplyFailed` (or with
        what the effect has for it), and then the data file stands where it stood.
        """
        self._check_usable()
        if self.log.dropped and type(effect) not in ALWAYS and getattr(effect, "group", None) in self.log.dropped:
            return self.too_late(effect)
        try:
            return self.PERFORM[type(effect)](self, effect)
        except (DiskIsFull, LogDamaged, Divergent) as error:
            return self._failed(effect, error)

    def _on_open_replica(self, effect: kernel.OpenReplica) -> list[Event]:
        if effect.group in self.damaged:
            raise Divergent(self.damaged[effect.group])
        group = self.log.groups[effect.group]
        position = self._stands_at(group)
        streams = None if self._versioned(group) is None else self._replica(effect.group).streams
        return [Applied(effect.group, position, streams=streams)]

    def _on_close_idle(self, effect: kernel.CloseIdle) -> list[Event]:
        self.close_idle(effect.unused_periods)
        return []

    def _on_read_log(self, effect: kernel.ReadLog) -> list[Event]:
        entries = self.log.read(effect.group, effect.first, effect.last, effect.bytes_max)
        return [kernel.LogRead(effect.group, effect.to, entries)]

    def _on_checkpoint(self, effect: kernel.Checkpoint) -> list[Event]:
        try:
            self._check_room()
            self._checkpointed[effect.group] = self._checkpoint(effect.group)
        except DiskIsFull:  # nothing is lost by it: say what was durable before
            pass
        base = self.log.groups[effect.group].base
        return [kernel.Checkpointed(effect.group, self._checkpointed.get(effect.group, base))]

    def checkpoint_aside(self, group: GroupId) -> None:
        """Most of what the next `Checkpoint` of this group would do; one other thread at a time may call it."""
        replica = self.handles.borrow(group)
        if replica is not None:
            try:
                replica.checkpoint_aside()
            finally:
                self.handles.give_back(group)

    def _checkpoint(self, group: GroupId) -> Position:
        return self._replica(group).checkpoint()

    def _on_open_snapshot(self, effect: kernel.OpenSnapshot) -> list[Event]:
        self._check_room()
        make = self.shelf.copy(effect.group, self._replica(effect.group), SPARE_BYTES if effect.id else 0)
        if self.long_us:
            raise TakesLong(Work(effect, make, partial(self._copied, effect)))
        return self._copied(effect, make())

    def _copied(self, effect: kernel.OpenSnapshot, found: Any) -> list[Event]:
        snapshot, position, size = given(found)
        return [kernel.SnapshotOpened(effect.group, effect.to, snapshot, position, size, effect.id)]

    def _on_read_snapshot(self, effect: kernel.ReadSnapshot) -> list[Event]:
        """A copy that is not there any more (closed meanwhile) gives an empty chunk that is not the end."""
        data, end = self.shelf.read(effect.snapshot, effect.offset, effect.bytes_max)
        return [kernel.SnapshotRead(effect.group, effect.to, effect.snapshot, effect.offset, data, end, effect.id)]

    def _on_close_snapshot(self, effect: kernel.CloseSnapshot) -> list[Event]:
        self.shelf.close(effect.snapshot)
        return []

    def _on_store_snapshot(self, effect: kernel.StoreSnapshot) -> list[Event]:
        """The `offset` of the answer is how much is held, that is where the next chunk begins."""
        group, snapshot = effect.group, effect.snapshot
        complete = False
        try:
            self._check_room()
            held = self.shelf.store(group, snapshot, effect.offset, effect.data)
            complete = effect.end and held == effect.offset + len(effect.data)
        except (DiskIsFull, Divergent) as error:
            return self._stored(effect, 0, error)
        if not complete:
            return self._stored(effect, held, None)
        finish = partial(self.shelf.finish, group, snapshot, effect.position, self.log.groups[group].snapshot)
        if self.long_us:
            raise TakesLong(Work(effect, finish, partial(self._stored, effect, held, complete=True), RECEIVERS))
        try:
            finish()
        except (DiskIsFull, Divergent) as error:
            return self._stored(effect, 0, error)
        return self._stored(effect, held, None, complete=True)

    def _stored(self, effect: kernel.StoreSnapshot, held: int, found: Any, *, complete: bool = False) -> list[Event]:
        group, snapshot = effect.group, effect.snapshot
        if isinstance(found, DiskIsFull | Divergent):
            self.shelf.drop(group, snapshot)
            return [kernel.SnapshotStored(group, snapshot, 0, complete=False, failed=str(found))]
        given(found)
        return [kernel.SnapshotStored(group, snapshot, held, complete)]

    def _on_open_generation(self, effect: kernel.OpenGeneration) -> list[Event]:
        number = effect.group
        group = self.log.groups[number]
        assert group.snapshot == effect.snapshot, "the log has not switched to this snapshot"
        old = self.replicas.pop(number, None)
        if old is not None:
            old.close()
        self.damaged.pop(number, None)
        self._standing.pop(number, None)
        self._install(group)
        replica = self._replica(number)
        self._checkpointed[number] = replica.applied
        return [Applied(number, replica.applied, controls=replica.controls, streams=replica.streams)]

    def _on_save_lost(self, effect: kernel.SaveLost) -> list[Event]:
        """Keep what is about to be dropped; what was trimmed or damaged meanwhile is counted as a gap."""
        number, first = effect.group, effect.first
        group = self.log.groups[number]
        try:
            self._check_room()
            if not first and effect.snapshot:
                theirs, position = self.shelf.controls_of(number, effect.snapshot)
                first = self._parted_at(number, theirs, position.index)
                if not first and not self._has_lost():
                    return [kernel.LostSaved(number, 0, 0)]
            entries, unread = readable(self.log, number, first) if first else ([], 0)
            gap = (first, group.base.index) if 0 < first <= group.base.index else (unread, group.last.index)
            kept = self._lost_tails().save(number, group.database, entries, gap if gap[0] else (1, 0), effect.wall_us)
        except DiskIsFull as error:
            return [kernel.LostSaved(number, effect.first, 0, str(error))]
        return [kernel.LostSaved(number, effect.first, kept)]

    def kept(self, group: GroupId) -> set[tuple[int, int]]:
        """Index and epoch of every entry that is kept among the lost tails."""
        entries = self._lost_tails().answer(LostAsk()).entries if self._has_lost() else ()
        return {(entry.index, entry.epoch) for entry in entries if entry.group == group}

    def _parted_at(self, group: GroupId, theirs: tuple[Entry, ...], through: int) -> int:
        known = group in self.replicas or group in self._standing
        try:
            ours = self._controls_at(group) if known else self._noted(group)[1]
            return parted_at(self.log, group, ours, theirs, through)
        except (LogDamaged, Divergent):
            return 0

    def _on_read_lost(self, effect: kernel.ReadLost) -> list[Event]:
        report = self._lost_tails().answer(effect.question) if self._has_lost() else LostReport()
        return [kernel.LostRead(effect.id, report)]

    def _on_forget_damage(self, effect: kernel.ForgetDamage) -> list[Event]:
        self._forget_damage(effect.group)
        return []

    def _on_digest(self, effect: kernel.Digest) -> list[Event]:
        """All at once; a driver that has other things to do uses `examine` instead."""
        group, number = effect.group, effect.number
        try:
            examination = self.examine(group)
        except DiskIsFull:  # no room to open it: no digest, at no position
            return [kernel.Digested(group, number, ORIGIN, "")]
        except Divergent as error:
            return [kernel.Digested(group, number, ORIGIN, "", failed=str(error))]
        try:
            return [kernel.Digested(group, number, examination.position, examination.run())]
        except Divergent as error:
            return [kernel.Digested(group, number, examination.position, "", failed=str(error))]
        finally:
            examination.close()

    def examine(self, group: GroupId) -> Examination:
        """Pin what is committed now. Its `step` may be called from one other thread at a time. Raises Divergent."""
        self._check_usable()
        return self._replica(group).examine()

    def _on_condemn(self, effect: kernel.Condemn) -> list[Event]:
        """The file stays open, for those who read it just now, until its successor is installed."""
        return self._damage(effect.group, effect.reason, log=effect.log)

    def _on_raise_format(self, effect: kernel.RaiseFormat) -> list[Event]:
        """Where there is no room, the next start does it."""
        with suppress(DiskIsFull):
            self._raise_format(effect.format, effect.release)
        return []

    def _raise_format(self, number: int, _release: str) -> None:
        """Note, durably, that this folder is of a newer format; the file store says so in `node.db`."""
        self.identity = msgspec.structs.replace(self.identity, format=max(number, self.identity.format))

    def _on_remember_life(self, effect: RememberLife) -> list[Event]:
        """Where there is no room it is forgotten at the next start; a node that forgot a life of its own may then be
        taken for an older copy, and is rebuilt."""
        with suppress(DiskIsFull):
            self._remember_life(effect.life)
        return []

    def _on_raise_boot(self, effect: RaiseBoot) -> list[Event]:
        """Where there is no room the others tell the next life again."""
        with suppress(DiskIsFull):
            self._raise_boot(effect.boot)
        return []

    @abstractmethod
    def _remember_life(self, life: PeerLife) -> None:
        """Note it, durably. Raises DiskIsFull or Broken."""

    def _raise_boot(self, boot: int) -> None:
        """Note it, durably. Raises DiskIsFull or Broken."""
        self.identity = msgspec.structs.replace(self.identity, boot=boot)

    def _on_read_catalog(self, _effect: kernel.ReadCatalog) -> list[Event]:
        return [kernel.CatalogRead(read_catalog(self._replica(CATALOG_GROUP)))]

    def _on_read_whole(self, effect: ReadWhole) -> list[Event]:
        from quorate.storage.versions.whole import whole_of  # which no other database needs

        try:
            with self._replica(effect.group).pinned() as (connection, position):
                found = whole_of(connection, effect.group, position, effect.bytes_max)
        except DiskIsFull as error:
            return [WholeRead(effect.group, effect.id, ORIGIN, failed=str(error))]
        return [WholeRead(effect.group, effect.id, position, *found)]

    PERFORM: dict[type, Callable[["BaseStore", Any], list[Event]]] = {
        kernel.OpenReplica: _on_open_replica,
        Execute: Writing.on_execute,
        kernel.Commit: Writing.on_commit,
        kernel.Rollback: Writing.on_rollback,
        kernel.Apply: Writing.on_apply,
        kernel.ReadLog: _on_read_log,
        ReadWhole: _on_read_whole,
        kernel.Checkpoint: _on_checkpoint,
        kernel.OpenSnapshot: _on_open_snapshot,
        kernel.ReadSnapshot: _on_read_snapshot,
        kernel.CloseSnapshot: _on_close_snapshot,
        kernel.StoreSnapshot: _on_store_snapshot,
        kernel.OpenGeneration: _on_open_generation,
        kernel.ForgetDamage: _on_forget_damage,
        kernel.Digest: _on_digest,
        kernel.Condemn: _on_condemn,
        kernel.RaiseFormat: _on_raise_format,
        RememberLife: _on_remember_life,
        RaiseBoot: _on_raise_boot,
        kernel.SaveLost: _on_save_lost,
        kernel.ReadLost: _on_read_lost,
        kernel.ReadCatalog: _on_read_catalog,
        kernel.CloseIdle: _on_close_idle,
        DropReplica: Discarding.on_drop_replica,
        **Viewing.VIEWS,
        **RowReading.ROWS,
    }

    # ----------------------------------------------------------------------------------------------
    # Queries and interactive transactions
    # ----------------------------------------------------------------------------------------------

    def query(self, group: GroupId, statements: Sequence[Statement], budget_us: int = 0) -> tuple[bytes, Position]:
        """Run reads on committed state; an encoded outcome and where it stood. Raises OverBudget when it
        takes longer than `budget_us` (0: as long as it needs), Divergent when the replica is damaged, and DiskIsFull
        when it cannot be opened now. After OverBudget the file stays open until `query_aside` or `leave` was
        called."""
        self._check_usable()
        try:
            return self._replica(group).query(statements, budget_us or None)
        except OverBudget:
            self.handles.borrow(group)
            raise
        except Divergent as error:
            self._found_damage(group, str(error))
            raise
        except NoDescriptors:
            if not self._close_some():
                raise
            return self._replica(group).query(statements, budget_us or None)

    def query_aside(
        self, group: GroupId, statements: Sequence[Statement], ending: Ending | None = None
    ) -> tuple[bytes, Position]:
        """The same for threads beside the loop, after `query` has raised OverBudget; without a budget, but until its
        ending. Raises OverBudget when it was ended."""
        self._check_usable()
        try:
            replica = self.replicas.get(group)
            if replica is None and group in self.damaged:
                raise Divergent(self.damaged[group])
            if replica is None:
                raise DiskIsFull("the data file has just been replaced")
            return replica.query_aside(statements, ending)
        finally:
            self.handles.give_back(group)

    def leave(self, group: GroupId) -> None:
        """`query` has raised OverBudget, and `query_aside` will not be called for it."""
        self.handles.give_back(group)

    def query_ahead(self, group: GroupId, statements: Sequence[Statement]) -> bytes:
        """Run reads on the state that the whole log leads to, though there is no room to bring the data file there."""
        self._check_usable()
        replica = self._replica(group)
        entries = self._read(group, replica.applied.index + 1, self.log.groups[group].last.index)
        return replica.query_ahead(entries, statements)

    def digest(self, group: GroupId) -> str:
        """A hash of the replica's committed content, equal on equal replicas."""
        self._check_usable()
        return self._replica(group).digest()

    def hold(self, group: GroupId) -> None:
        """Open the writer's transaction for the caller's thread."""
        self._check_usable()
        self._check_room()
        self._replica(group).hold()

    def run_held(self, group: GroupId, statement: Statement, ends_us: int = 0) -> Result:
        """Run one statement of the held transaction, at most until `ends_us`. Raises StatementFailed."""
        self._check_usable()
        return self._replica(group).run_held(statement, ends_us)

    def holds(self, group: GroupId) -> bool:
        """Whether the held transaction is still open: a statement may have ended it."""
        return self._replica(group).held

    def release(self, group: GroupId) -> None:
        """Roll the held transaction back."""
        self._check_usable()
        self._replica(group).release()
