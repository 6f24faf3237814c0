"""The effects of a store that need the writer of a replica: executing, committing, applying, undoing."""

from collections.abc import Callable
from functools import partial
from typing import Any

from quorate.core import kernel
from quorate.core.bounds import GroupId
from quorate.core.entries import EXECUTED, ORIGIN, Entry, Position
from quorate.core.executing import Execute, Executed, Stopped
from quorate.core.kernel import Applied, ApplyFailed, Effect, Event
from quorate.core.querying import NO_ROOM
from quorate.core.viewing import PinView, ViewRead
from quorate.storage.data.data_files import DataFiles
from quorate.storage.data.replica import Replica
from quorate.storage.data.snapshots import Shelf
from quorate.storage.execution.callbacks import Callbacks
from quorate.storage.execution.watch import StoppedError
from quorate.storage.failures import RefusedError
from quorate.storage.interface import DiskIsFull, Divergent, Lacking, OverBudget, StatementFailed
from quorate.storage.log.group import LogDamaged
from quorate.storage.long_work import LONG_BYTES, WRITERS, TakesLong, Work, given, group_of


class Writing(DataFiles):
    """The part of a store that writes to data files."""

    shelf: Shelf

    long_us: int = 0
    """What takes longer than this is not done but handed back (`TakesLong`); 0: everything is done at once."""

    def on_execute(self, effect: Execute) -> list[Event]:
        self._check_room()
        replica = self._replica(effect.group)
        if effect.alone and self.long_us:
            how = effect.requests, effect.timestamp_us, effect.budget_us, effect.long_us, effect.ends_us, effect.epoch
            raise self._aside(effect, partial(replica.execute, *how), partial(self._executed, effect))
        try:
            payload, outcomes = replica.execute(
                effect.requests, effect.timestamp_us, effect.budget_us, effect.long_us, effect.ends_us, effect.epoch
            )
        except StoppedError as stopped:
            return self._executed(effect, stopped)
        return [Executed(effect.group, effect.batch, payload, outcomes, replica.ticket)]

    def _executed(self, effect: Execute, found: Any) -> list[Event]:
        if isinstance(found, StoppedError):
            return [Stopped(effect.group, effect.batch, found.position, found.why)]
        payload, outcomes = given(found)
        return [Executed(effect.group, effect.batch, payload, outcomes, self.replicas[effect.group].ticket)]

    def on_commit(self, effect: kernel.Commit) -> list[Event]:
        replica = self._replica(effect.group)
        self._assert_logged(effect.group, effect.position)
        try:
            self._check_room()
        except DiskIsFull:
            replica.rollback()
            raise
        run = partial(replica.commit, effect.position, effect.batches)
        if self.long_us and replica.commit_weight >= LONG_BYTES:
            raise self._aside(effect, run, partial(self._committed, effect, replica))
        run()
        return [Applied(effect.group, effect.position, replica.unsynced, streams=replica.streams)]

    def _committed(self, effect: kernel.Commit, replica: Replica, found: Any) -> list[Event]:
        given(found)
        return [Applied(effect.group, effect.position, replica.unsynced, streams=replica.streams)]

    def on_rollback(self, effect: kernel.Rollback) -> list[Event]:
        replica = self.replicas.get(effect.group)
        if replica is not None:
            replica.rollback()
        return []

    def on_apply(self, effect: kernel.Apply) -> list[Event]:
        if self._apply_later(effect):
            return [Applied(effect.group, effect.through)]
        replica = self._replica(effect.group)
        self._assert_logged(effect.group, effect.through)
        self._check_room()
        first = replica.applied.index + 1
        entries = tuple(entry for entry in effect.entries if entry.index >= first)
        if not self.long_us:
            if entries and entries[0].index == first:
                replica.apply(entries)
            self._apply_from_log(replica, effect.group, effect.through.index)
            return self._has_applied(effect, replica)
        return self._apply(effect, replica, entries if entries and entries[0].index == first else ())

    def _apply(self, effect: kernel.Apply, replica: Replica, entries: tuple[Entry, ...]) -> list[Event]:
        """In pieces, and aside what takes long."""
        while replica.applied.index < effect.through.index:
            entries = entries or self._to_apply(replica, effect.group, effect.through.index)
            try:
                if sum(len(entry.payload) for entry in entries) >= LONG_BYTES:
                    raise OverBudget("it is large")
                replica.apply(entries, self.long_us)
            except OverBudget:
                aside = partial(self._applied_aside, effect, replica)
                raise self._aside(effect, partial(replica.apply, entries), aside) from None
            entries = ()
        return self._has_applied(effect, replica)

    def _applied_aside(self, effect: kernel.Apply, replica: Replica, found: Any) -> list[Event]:
        given(found)
        return self._apply(effect, replica, ())

    def _has_applied(self, effect: kernel.Apply, replica: Replica) -> list[Event]:
        assert replica.applied.index >= effect.through.index, "the data file did not reach what it was to apply"
        return [Applied(effect.group, replica.applied, replica.unsynced, streams=replica.streams)]

    def _apply_later(self, effect: kernel.Apply) -> bool:
        """Entries that change no row need not open a closed file: every election of every idle database makes one."""
        standing = self._standing.get(effect.group)
        if standing is None or effect.group in self.damaged or not effect.entries:
            return False
        index, epoch = standing.applied.index, standing.applied.epoch
        for entry in effect.entries:
            index += 1
            if entry.kind in EXECUTED or entry.index != index or entry.epoch < epoch:
                return False
            epoch = entry.epoch
        if Position(epoch, index) != effect.through:
            return False
        self._assert_logged(effect.group, effect.through)
        self._check_room()
        standing.applied = effect.through
        return True

    def resume(self, work: Work, found: Any) -> list[Event]:
        """Go on with an effect whose `work` was run aside, and returned or raised this; the events that tell of it.
        Raises Broken, or TakesLong for what is still to be done."""
        group = group_of(work.effect)
        if work.holds is WRITERS:
            self.replicas[group].take_back()
            self.handles.give_back(group)
        if group in self.log.dropped:
            return self.too_late(work.effect)
        try:
            return work.then(found)
        except (DiskIsFull, LogDamaged, Divergent) as error:
            return self._failed(work.effect, error)

    def interrupt(self, group: GroupId) -> None:
        """End soon what is done aside with this group's writer."""
        replica = self.replicas.get(group)
        if replica is not None:
            replica.interrupt()

    def define(self, change: Callable[[Callbacks], None]) -> None:
        """Change what the program has defined, while nothing runs. Raises StatementFailed."""
        try:
            change(self.callbacks)
        except RefusedError as error:
            raise StatementFailed(error.failed) from error
        for replica in self.replicas.values():
            replica.install(self.callbacks)

    def end_statement(self, group: GroupId) -> None:
        """End the caller's statement that runs on this group's writer, as if its time were over. Any thread may call
        it."""
        replica = self.replicas.get(group)
        if replica is not None:
            replica.end_statement()

    def _failed(self, effect: Effect, error: Exception) -> list[Event]:
        group, full = group_of(effect), isinstance(error, DiskIsFull)
        events: list[Event] = []
        if type(effect) is kernel.OpenSnapshot:
            events = [kernel.SnapshotOpened(group, effect.to, 0, ORIGIN, 0, effect.id, str(error))]
            if full and effect.id:  # the disk has room for all but a caller's copy
                return events
        if full:
            return [ApplyFailed(group, full=True, reason=str(error), lacking=isinstance(error, Lacking)), *events]
        return self._damage(group, str(error), log=isinstance(error, LogDamaged)) + events

    def too_late(self, effect: Effect) -> list[Event]:
        """The group was dropped meanwhile: nothing is done, and what was made aside is deleted. Whoever wants a copy is
        told so."""
        group = group_of(effect)
        if type(effect) in (kernel.OpenSnapshot, kernel.StoreSnapshot):
            self.shelf.forget(group)
        if type(effect) is kernel.OpenSnapshot:
            return [kernel.SnapshotOpened(group, effect.to, 0, ORIGIN, 0, effect.id, "its database was dropped")]
        if type(effect) is PinView:
            return [ViewRead(group, effect.view, why=NO_ROOM, reason="its database was dropped")]
        return []

    def _damage(self, group: GroupId, reason: str, *, log: bool = False) -> list[Event]:
        self._found_damage(group, reason, log=log)
        return [ApplyFailed(group, full=False, reason=reason, log_intact=group not in self.log_damaged)]

    def _aside(self, effect: Effect, run: Callable[[], Any], then: Callable[[Any], list[Event]]) -> TakesLong:
        """What to raise for an effect whose `run` takes long."""
        replica = self.handles.borrow(group_of(effect))
        assert replica is not None, "what is not open is not used aside"
        replica.lend()
        return TakesLong(Work(effect, run, then, WRITERS))
