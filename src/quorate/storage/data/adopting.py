"""Going on with a data file as it is, where no other node could give a copy: what that loses, and doing it.

The files of a node that is alone are looked at through a copy, so that looking changes nothing. The copy is brought
forward from the log, one entry at a time, as far as that goes. What cannot be applied, or read, is what would be lost.

To adopt is to say: this copy is the state at the end of the log. The entries that it lacks are first kept with the lost
tails, under the places that they had in the log; then the copy becomes the next generation of the data file, exactly as
a snapshot from another node would, and the log begins anew behind it. Each step may be cut off by a crash: before the
row in the log that names the copy everything is as it was, and after it the adoption is finished by the next start.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import apsw
from msgspec import Struct

from quorate.core.bounds import GroupId
from quorate.core.entries import DATA, ORIGIN, Entry, Position, SwitchGeneration, WriteHardState
from quorate.core.kernel import OpenGeneration
from quorate.core.requests import Done
from quorate.storage.data.data_file import open_closed, open_tables, write_applied
from quorate.storage.data.replica import Replica
from quorate.storage.data.snapshots import check_sound, remove
from quorate.storage.folder import SqliteStore
from quorate.storage.interface import Broken, Divergent
from quorate.storage.log.group import GroupLog
from quorate.storage.log.lost import readable
from quorate.storage.rows.describing import describe
from quorate.storage.rows.payload import decode_batch, decode_outcome, decode_records

SCRATCH = "adopting-{group}.db"


class Loss(Struct, frozen=True):
    """What is wrong with a data file, and what is lost if one goes on with it."""

    group: GroupId
    database: str
    reason: str
    """Why it cannot be used as it is."""
    good: int
    """Index of the last entry whose changes it has, or was given from the log."""
    last: int
    """Index of the last entry of the log."""
    entries: int
    """How many entries with changes would be dropped; they are kept, as far as they can be read."""
    writes: int
    """How many callers' writes these carry."""
    tables: tuple[str, ...]
    """What these changed."""
    unread: tuple[int, int] = (1, 0)
    """First and last index of what would be dropped and cannot be read any more; last below first: nothing."""
    refused: str = ""
    """Why it cannot be adopted; empty: it can be."""

    @property
    def text(self) -> str:
        """What is lost, in one sentence."""
        if self.refused:
            return f"it cannot be adopted: {self.refused}"
        told = f"it can be used as it is at index {self.good}"
        if not self.entries and self.unread[1] < self.unread[0]:
            return f"{told}; no entry of the log is lost"
        if self.entries:
            entries = "1 entry" if self.entries == 1 else f"{self.entries} entries"
            writes = "1 write" if self.writes == 1 else f"{self.writes} writes"
            tables = f" to {', '.join(self.tables)}" if self.tables else ""
            told += f"; lost are {entries} behind that with {writes}{tables}, kept for quorate lost"
        if self.unread[1] >= self.unread[0]:
            told += f"; entries {self.unread[0]} to {self.unread[1]} are lost and cannot be read"
        return told


def damaged_groups(store: SqliteStore) -> list[GroupId]:
    """The groups whose replicas cannot be used. The store has recovered."""
    for number, group in sorted(store.log.groups.items()):
        if number not in store.damaged:  # what stands between its data file and the end of its log?
            with suppress(Broken):
                found = _replayed(store, group)
                if found.stopped:
                    store.damaged[number] = found.stopped
    return sorted(store.damaged)


def assess(store: SqliteStore, number: GroupId) -> Loss:
    """What going on with the data file of this group would lose. Changes nothing."""
    return _loss(store, store.log.groups[number], _replayed(store, store.log.groups[number]))


def adopt(store: SqliteStore, number: GroupId, wall_us: int, snapshot: int) -> Loss:
    """Go on with the data file as it is; what was lost by that. `snapshot`: a random number, not 0, to name the copy.

    Raises Divergent when it cannot be adopted, DiskIsFull (nothing was done) or Broken.
    """
    group = store.log.groups[number]
    found = _replayed(store, group, keep=True)
    loss = _loss(store, group, found)
    if loss.refused:
        raise Divergent(loss.refused)
    path = _scratch(store, number)
    epoch = max(group.epoch, found.stands.epoch)
    end = Position(max(group.last.epoch, found.stands.epoch), max(group.last.index, found.stands.index))
    if loss.entries or loss.unread[1] >= loss.unread[0]:
        store.keep_lost(number, found.dropped, loss.unread, wall_us)
    _put_at(path, end)
    store.files.sync(path)
    store.files.replace(path, store.shelf.received(number, snapshot))
    store.files.sync(store.shelf.folder)
    switch = SwitchGeneration(number, snapshot, end)
    store.persist((WriteHardState(number, epoch, group.vote if epoch == group.epoch else 0), switch))
    store.perform(OpenGeneration(number, snapshot))
    return loss


class _Found(Struct):
    """How far a copy of a data file could be brought."""

    stands: Position = ORIGIN
    stopped: str = ""
    """Why it could not be brought to the end of the log."""
    refused: str = ""
    dropped: Sequence[Entry] = ()
    """The entries behind that, as far as they can be read."""
    unread: tuple[int, int] = (1, 0)


def _scratch(store: SqliteStore, number: GroupId) -> Path:
    return store.shelf.folder / SCRATCH.format(group=number)


def _replayed(store: SqliteStore, group: GroupLog, *, keep: bool = False) -> _Found:
    """Copy a data file, and bring the copy forward as far as possible; with `keep` it stays."""
    path = _scratch(store, group.group)
    remove(path, store.files)
    found = _Found()
    try:
        _copy(store, group, path)
        check_sound(path, store.files)
        replica = Replica(path, files=store.files)
        try:
            _bring_forward(store, group, replica, found)
            found.stands = replica.applied
        finally:
            replica.close()
    except Divergent as error:
        found.stopped = found.refused = str(error)
    finally:
        if not keep or found.refused:
            remove(path, store.files)
    return found


def _copy(store: SqliteStore, group: GroupLog, path: Path) -> None:
    """With what is in its write-ahead log, which stays where it is. Raises Divergent."""
    source = store.path_of(group)
    if not store.files.exists(source):
        if group.base == ORIGIN:  # everything is in the log
            return
        raise Divergent(f"{source.name} is missing")
    try:
        connection = open_closed(source, store.files)
        target = apsw.Connection(str(path), vfs=store.files.vfs)
        try:
            with target.backup("main", connection, "main") as backup:
                backup.step(-1)
        finally:
            target.close()
            connection.close()
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise Divergent(f"{source.name} is damaged as a file: {error}") from error
    except apsw.Error as error:
        raise Broken(f"copying {source.name}: {error}") from error


def _bring_forward(store: SqliteStore, group: GroupLog, replica: Replica, found: _Found) -> None:
    """Apply what follows, one entry at a time."""
    stands = replica.applied
    first = stands.index + 1
    within = group.base.index <= stands.index <= group.last.index
    follows = within and (stands == ORIGIN or store.log.epoch_at(group.group, stands.index) == stands.epoch)
    entries, unread = readable(store.log, group.group, first)
    if not follows:
        found.stopped = f"it stands at {stands}, and the log goes from {group.base} to {group.last}"
    elif unread:
        found.stopped = f"entry {unread} of the log cannot be read"
    done = 0
    while follows and done < len(entries):
        try:
            replica.apply((entries[done],))
        except Divergent as error:
            found.stopped = str(error)
            break
        done += 1
    found.dropped = entries[done:]
    if unread:
        found.unread = (unread, group.last.index)
    elif stands.index < group.base.index:
        found.unread = (first, group.base.index)


def _loss(store: SqliteStore, group: GroupLog, found: _Found) -> Loss:
    writes = 0
    tables: set[str] = set()
    changes = [entry for entry in found.dropped if entry.kind == DATA]
    for entry in changes:
        with suppress(Divergent):
            batch = decode_batch(entry.payload)
            told = [decode_outcome(outcome) for _, outcome in decode_records(bytes(batch.records))]
            writes += sum(isinstance(each, Done) for each in told)
            tables.update(table or "the schema" for table, *_ in describe(batch))
    reason = store.damaged.get(group.group, "") or found.stopped
    return Loss(
        group.group, group.database, reason, found.stands.index, group.last.index, len(changes), writes,
        tuple(sorted(tables)), found.unread, found.refused,
    )  # fmt: skip


def _put_at(path: Path, position: Position) -> None:
    """Have the copy say that it stands here. It knows the outcomes of what it has, and of nothing else."""
    try:
        connection = apsw.Connection(str(path))
        try:
            write_applied(connection, position, open_tables(connection)[1])
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    except apsw.Error as error:
        raise Broken(f"writing {path.name}: {error}") from error


__all__ = ["Loss", "adopt", "assess", "damaged_groups"]
