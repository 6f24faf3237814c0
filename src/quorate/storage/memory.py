"""The fake: a store in memory, with the same behaviour and the same code for data files and effects.

It is the disk of a simulated node: one object lives through all of the node's lives. `crash` is what a crash does
to a disk: the log keeps exactly what `persist` returned from; data files keep what was committed when only the
process died, and when the machine died too they may fall back to their last checkpoint.
"""

from collections.abc import Callable, Sequence
from typing import Any

import apsw
import msgspec

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import (
    ORIGIN,
    CreateGroup,
    DropGroup,
    Entry,
    ForgetVoters,
    LogWrite,
    Position,
    SwitchGeneration,
    TrimLog,
    WriteEntries,
    WriteHardState,
)
from quorate.core.lives import PeerLife
from quorate.core.recovered import Identity, Recovered
from quorate.storage.data.replica import Replica
from quorate.storage.data.snapshots import MemoryShelf
from quorate.storage.interface import DiskIsFull, Divergent
from quorate.storage.log.group import GroupLog
from quorate.storage.log.lost import LostTails
from quorate.storage.store import BaseStore


class MemoryLog:
    """The log as lists, one for each group."""

    def __init__(self) -> None:
        self.groups: dict[GroupId, GroupLog] = {}
        self._entries: dict[GroupId, list[Entry]] = {}
        """Each group's entries, from the one behind its base on."""
        self.dropped: set[GroupId] = set()

    def commit(self, writes: Sequence[LogWrite]) -> None:
        """Keep these writes. Nothing can fail here but an assertion."""
        for write in writes:
            self.WRITERS[type(write)](self, write)

    def _create_group(self, write: CreateGroup) -> None:
        assert write.group not in self.dropped, f"group {write.group} was dropped"
        if write.group not in self.groups:
            self.groups[write.group] = GroupLog(
                write.group, write.database, write.partition, write.replication, write.voters
            )
            self._entries[write.group] = []

    def _write_hard_state(self, write: WriteHardState) -> None:
        group = self.groups[write.group]
        assert write.epoch >= group.epoch, f"epoch of group {write.group} would go back to {write.epoch}"
        group.epoch, group.vote = write.epoch, write.vote

    def _write_entries(self, write: WriteEntries) -> None:
        group = self.groups[write.group]
        kept = self._entries[write.group]
        first = write.entries[0].index
        assert group.base.index < first <= group.last.index + 1, f"entry {first} of group {write.group} leaves a gap"
        del kept[first - group.base.index - 1 :]
        index, epoch = first - 1, kept[-1].epoch if kept else group.base.epoch
        for entry in write.entries:
            index += 1
            assert entry.index == index, f"entry {entry.index} of group {write.group} where {index} belongs"
            assert entry.epoch >= epoch, f"epoch {entry.epoch} of group {write.group} behind {epoch}"
            epoch = entry.epoch
        kept.extend(write.entries)
        group.last = Position(epoch, index)

    def _trim(self, write: TrimLog) -> None:
        group = self.groups[write.group]
        through = write.through
        if through.index <= group.base.index:
            return
        assert through.index <= group.last.index, f"group {write.group} has no entry {through.index}"
        assert self.epoch_at(write.group, through.index) == through.epoch, "trimming another epoch's entry"
        del self._entries[write.group][: through.index - group.base.index]
        group.base = through

    def _switch_generation(self, write: SwitchGeneration) -> None:
        group = self.groups[write.group]
        if group.snapshot == write.snapshot and group.base.index >= write.position.index:
            return
        if write.keep > write.position.index:
            assert self.epoch_at(write.group, write.position.index) == write.position.epoch, "another log's snapshot"
            assert write.keep <= group.last.index, f"group {write.group} has no entry {write.keep}"
            kept = self._entries[write.group]
            del kept[write.keep - group.base.index :]
            del kept[: write.position.index - group.base.index]
            group.last = Position(kept[-1].epoch, write.keep)
        else:
            self._entries[write.group].clear()
            group.last = write.position
        group.base = write.position
        group.generation += 1
        group.snapshot = write.snapshot

    def _drop_group(self, write: DropGroup) -> None:
        self.dropped.add(write.group)
        self.groups.pop(write.group, None)
        self._entries.pop(write.group, None)

    WRITERS: dict[type, Callable[["MemoryLog", Any], None]] = {
        CreateGroup: _create_group,
        ForgetVoters: lambda _log, _write: None,
        WriteHardState: _write_hard_state,
        WriteEntries: _write_entries,
        TrimLog: _trim,
        SwitchGeneration: _switch_generation,
        DropGroup: _drop_group,
    }

    def read(self, group: GroupId, first: int, last: int, bytes_max: int) -> tuple[Entry, ...]:
        """As `SqliteLog.read`; entries in memory are never damaged."""
        known = self.groups.get(group)
        if known is None or first <= known.base.index or first > known.last.index:
            return ()
        offset = known.base.index + 1
        found = self._entries[group][first - offset : last + 1 - offset]
        size = 0
        for count, entry in enumerate(found, 1):
            size += len(entry.payload)
            if size >= bytes_max:
                return tuple(found[:count])
        return tuple(found)

    def epoch_at(self, group: GroupId, index: int) -> int | None:
        """The epoch of the entry at this index, or None when the log does not have it."""
        known = self.groups[group]
        if index == known.base.index:
            return known.base.epoch
        if not known.base.index < index <= known.last.index:
            return None
        return self._entries[group][index - known.base.index - 1].epoch

    def epochs(self, group: GroupId) -> tuple[Position, ...]:
        """For each run of entries of one epoch: that epoch and the run's first index."""
        runs: list[Position] = []
        for entry in self._entries[group]:
            if not runs or runs[-1].epoch != entry.epoch:
                runs.append(Position(entry.epoch, entry.index))
        return tuple(runs)

    def tail_start(self, group: GroupId, entries_max: int, bytes_max: int) -> int:
        """The first index of the newest entries that are together within these bounds, at least one."""
        start, size = self.groups[group].last.index, 0
        for entry in reversed(self._entries[group][-entries_max:]):
            size += len(entry.payload)
            if size > bytes_max and entry.index != self.groups[group].last.index:
                break
            start = entry.index
        return start

    def copy(self) -> "tuple[dict[GroupId, GroupLog], dict[GroupId, list[Entry]], set[GroupId]]":
        """All of it."""
        entries = {group: kept.copy() for group, kept in self._entries.items()}
        groups = {group: msgspec.structs.replace(known) for group, known in self.groups.items()}
        return groups, entries, self.dropped.copy()

    def put_back(self, copied: "tuple[dict[GroupId, GroupLog], dict[GroupId, list[Entry]], set[GroupId]]") -> None:
        """All of it is this from now on."""
        self.groups, self._entries, self.dropped = copied

    def cut(self, group: GroupId, count: int) -> None:
        """Lose the newest entries, as a damaged disk would."""
        known = self.groups[group]
        kept = self._entries[group]
        del kept[max(0, len(kept) - count) :]
        known.last = Position(kept[-1].epoch, kept[-1].index) if kept else known.base

    def close(self) -> None:
        """Nothing to close."""


Image = tuple[int, bytes, Position, tuple[Entry, ...]]
"""A data file at rest: its generation, its bytes, and where it stands."""


class MemoryStore(BaseStore):
    """Keeps `storage.interface.Store` and `Chaos` without a file."""

    log: MemoryLog
    shelf: MemoryShelf

    def __init__(self, identity: Identity, *, clock: Callable[[], int] | None = None, open_replicas: int = 0) -> None:
        super().__init__(open_replicas)
        self.identity = identity
        self.log = MemoryLog()
        self.shelf = MemoryShelf(identity)
        self.full = False
        """Whatever needs room finds none while this is set."""
        self.lives: dict[tuple[NodeId, int], PeerLife] = {}
        """By node and boot."""
        self.lost_tails: LostTails | None = None
        """Like the log it keeps what it was given whatever happens."""
        self._clock = clock
        self.grown: set[GroupId] = set()
        """Groups whose log has named members: with however many they began, others may have what is lost here."""
        self._lost: dict[GroupId, str] = {}
        """Why replicas are damaged that have not been made whole since."""
        self._notes: dict[GroupId, tuple[Position, tuple[Entry, ...]]] = {}
        self._images: dict[GroupId, Image] = {}
        """What the disk holds of each data file whatever happens: its generation and its bytes."""
        self._survivors: dict[GroupId, Image] = {}
        """What the last crash left of each data file."""
        self._generations: dict[GroupId, int] = {}
        """Which generation each open data file is of."""

    def recover(self) -> Recovered:
        """A new life of the node: ends the last one as a crash does, counts the boot, tells what is there."""
        if self.replicas:
            self.crash(None, False)  # noqa: FBT003
        self._checkpointed.clear()
        self.identity = msgspec.structs.replace(self.identity, boot=self.identity.boot + 1)
        self.shelf.crash(self.identity)
        self.damaged = dict(self._lost)
        self.log_damaged.intersection_update(self.damaged)
        for number, group in self.log.groups.items():
            if (number, group.snapshot) in self.shelf.received:
                self._install(group)
        self.shelf.received.clear()
        for number in sorted(self.held() & self.log.dropped):
            self._delete(number)
        groups = tuple(self._recover_group(group) for group in self.log.groups.values())
        return Recovered(self.identity, groups, tuple(self.lives.values()), tuple(sorted(self.log.dropped)))

    def persist(self, writes: Sequence[LogWrite]) -> None:
        """Keep log writes; from here on no crash loses them. Raises DiskIsFull while `full` is set."""
        if self.full:
            raise DiskIsFull("the simulated disk is full")
        self.log.commit(writes)
        for write in writes:
            if type(write) is ForgetVoters:
                self.grown.add(write.group)
            elif type(write) is TrimLog and write.group in self.replicas:
                self._notes[write.group] = self.replicas[write.group].applied, self.replicas[write.group].controls

    def held(self) -> set[GroupId]:
        """Groups of which there is a data file."""
        return {*self.replicas, *self._images, *self._survivors, *(group for group, _ in self.shelf.received)}

    def _delete(self, group: GroupId) -> None:
        for kept in (self._images, self._survivors, self._generations, self._notes, self._lost):
            kept.pop(group, None)
        self.grown.discard(group)

    def _remember_life(self, life: PeerLife) -> None:
        self.lives[life.node, life.boot] = life

    def _raise_boot(self, boot: int) -> None:
        super()._raise_boot(boot)
        self.lives = {key: life for key, life in self.lives.items() if life.node != self.identity.node}

    def _noted(self, group: GroupId) -> tuple[Position, tuple[Entry, ...]]:
        return self._notes.get(group, (ORIGIN, ()))

    def _found_damage(self, group: GroupId, reason: str, *, log: bool = False) -> None:
        super()._found_damage(group, reason, log=log)
        if len(self.log.groups[group].voters) != 1 or group in self.grown:
            self._lost.setdefault(group, reason)

    def _forget_damage(self, group: GroupId) -> None:
        super()._forget_damage(group)
        self._lost.pop(group, None)

    def crash(self, rng: Any, lose_unsynced: bool) -> None:
        """The process dies. `lose_unsynced`: the machine too, and data files may fall back to their last
        checkpoint. Call `recover` next."""
        survivors: dict[GroupId, Image] = {}
        for number in self.log.groups:
            replica = self.replicas.get(number)
            if replica is None:
                left = self._survivors.get(number)
            elif lose_unsynced and rng.random() < 0.5:
                left = self._images.get(number)
            else:
                replica.rollback()
                left = self._image_of(number, replica)
            if left is not None:
                survivors[number] = left
                if lose_unsynced:
                    self._images[number] = left
        self.close_views()
        for replica in self.replicas.values():
            replica.close()
        self.replicas.clear()
        self._standing.clear()
        self._survivors = survivors

    def truncate_log_tail(self, group: GroupId, count: int) -> None:
        """Damage: the newest entries are gone, although they were reported durable. Call between lives."""
        self.log.cut(group, count)
        self._lost[group] = f"the log of group {group} ends before its mark"
        self.log_damaged.add(group)

    def close(self) -> None:
        """Close the data files, keeping what they hold for the next `recover`."""
        self.crash(None, False)  # noqa: FBT003

    def _lost_tails(self) -> LostTails:
        if self.lost_tails is None:
            self.lost_tails = LostTails(apsw.Connection(":memory:"))
        return self.lost_tails

    def _has_lost(self) -> bool:
        return self.lost_tails is not None

    def _check_room(self) -> None:
        if self.full:
            raise DiskIsFull("the simulated disk is full")

    def _has_data(self, group: GroupLog) -> bool:
        if group.group in self.replicas:
            return True
        left = self._survivors.get(group.group)
        return left is not None and left[0] == group.generation

    def _open_replica(self, group: GroupLog) -> Replica:
        replica = self._kind(group)(":memory:", clock=self._clock, versioned=self._versioned(group))
        self._generations[group.group] = group.generation
        left = self._survivors.get(group.group)
        if left is not None and left[0] == group.generation:
            replica.load(left[1])
        return replica

    def _checkpoint(self, group: GroupId) -> Position:
        replica = self._replica(group)
        self._images[group] = self._image_of(group, replica)
        return replica.applied

    def _close_replica(self, group: GroupId, replica: Replica, /) -> None:
        self._check_room()
        self._survivors[group] = self._images[group] = self._image_of(group, replica)
        replica.close()

    def _written(self, group: GroupLog) -> tuple[Position, tuple[Entry, ...]]:
        _, _, applied, controls = self._survivors[group.group]
        return applied, controls

    def _image_of(self, group: GroupId, replica: Replica) -> Image:
        return self._generations[group], replica.dump(), replica.applied, replica.controls

    def _install(self, group: GroupLog) -> None:
        key = group.group, group.snapshot
        controls = self.shelf.controls_of(*key)[0] if key in self.shelf.received else ()
        image = self.shelf.received.pop(key, None)
        if image is None:
            raise Divergent(f"the snapshot that group {group.group} has switched to is missing")
        self._survivors[group.group] = self._images[group.group] = group.generation, image, group.base, controls
