"""`log.db`: the entries and hard states of every group of a node, made durable by one fsync a turn.

Each entry's hash covers the one before it in its group, so that a changed, missing or displaced entry
is noticed when it is read. Each turn also counts up a sequence and a running hash in the same
transaction; `node.db` remembers the newest, because SQLite ends a damaged WAL at the first bad frame
without a word, and a log that lost turns it had reported durable must not pass for a shorter one. A turn
that ends with entries keeps both in the row of its last entry, which is written anyway; any other in the
table `turn`, which costs a page. The newest turn's row is always the newest of its group: whatever removes
it is itself a later turn.

The file is checkpointed only here, never by SQLite itself, which ignores what goes wrong in its own
checkpoints: an fsync that failed unseen there would lose entries that everybody counts on.

Forgotten entries (`TrimLog`) leave the file a few at a time, so that trimming never stalls a turn.
"""

import contextlib
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import apsw
import msgspec

from quorate.core.bounds import GROUP_BITS, GroupId, NodeId
from quorate.core.entries import (
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
from quorate.storage import disk
from quorate.storage.files import SYSTEM, Files
from quorate.storage.interface import Broken, DiskIsFull, StorageError
from quorate.storage.log.drops import SWEEP_ENTRIES, Drops
from quorate.storage.log.ends import Ends
from quorate.storage.log.group import NO_HASH, GroupLog, LogDamaged, chained
from quorate.storage.log.schema import (
    DELETE_ENTRIES,
    INDEX_MASK,
    INSERT_ENTRY,
    NEWEST_ENTRY,
    READ_ENTRIES,
    SCHEMA,
    UPDATE_BASE,
    UPDATE_TURN,
    VIEW,
    first_key,
)
from quorate.storage.log.wal import CHECKPOINT_PAGES, FILL_FROM_PAGES, WAL_BYTES, lengthen


class SqliteLog:
    """The log in a SQLite file. Not safe for use by several threads at once."""

    def __init__(
        self, path: Path, vfs: str | None = None, *, files: Files = SYSTEM, pages: int = CHECKPOINT_PAGES, life: int = 0
    ) -> None:
        """`life`: how often the node was started; 0: nobody counts."""
        self.path = path
        self._files = files
        self._checkpoint_pages = pages
        """The WAL is brought into the file when it has grown by this much."""
        self.groups: dict[GroupId, GroupLog] = {}
        self.unreadable: dict[GroupId, str] = {}
        """Groups whose last entry could not be read at the start, and why."""
        self._wal_bytes = WAL_BYTES * pages // CHECKPOINT_PAGES
        self._wal_pages = 0
        self._filled = vfs is not None
        """The WAL is as long as it will be (or is not ours to lengthen)."""
        self._broken = ""
        self._stale = False
        """What is in memory may not be what is in the file."""
        self._connection = disk.open_exclusive(path, vfs, files=files)
        with disk.opening(self._connection, path):
            self._connection.set_wal_hook(self._on_wal)
            self._connection.execute(f"{SCHEMA};{VIEW}").fetchall()
            self._ends = Ends(self._connection, life)
            self._drops = Drops(self._connection)
            self._cursor = self._connection.cursor()  # one for all: a new one costs as much as a small statement
            self.dropped = self._drops.groups
            self.sequence: int
            self.hash: bytes
            self._load_all()
            self.unreadable = self._ends.missing(self.groups, self._stored_hash) | self.unreadable
            with contextlib.suppress(apsw.FullError):  # then the next life cannot tell
                self._note_ends()
            self._fold()

    def _fold(self) -> None:
        """What a process wrote and did not live to sync can be read back now, and could still be lost later: nothing
        found in the file may be reported before it is truly on the disk."""
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._wal_pages = 0

    def refresh(self) -> None:
        """Forget what a turn that was cut short (no room, an interrupt) may have left in memory."""
        if self._stale:
            try:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._load_all()
            except apsw.Error as error:
                raise self._broke(error, "reading") from error
            self._stale = False

    def _broke(self, error: apsw.Error, doing: str) -> StorageError:
        """What to raise, once and for all, for what could not be read."""
        translated = disk.translated(error, self._connection, f"{doing} {self.path.name}")
        self._broken = str(translated)
        return translated

    def _load_all(self) -> None:
        self.sequence, self.hash = self._rows("SELECT sequence, hash FROM turn")[0]
        self._ends.load()
        self._drops.load()
        self.groups.clear()
        for (group,) in self._rows("SELECT grp FROM groups ORDER BY grp"):
            self._load(group)

    # ----------------------------------------------------------------------------------------------
    # Writing
    # ----------------------------------------------------------------------------------------------

    def commit(self, writes: Sequence[LogWrite]) -> None:
        """Make these writes durable, atomically and in order. Raises DiskIsFull, after which nothing of
        them took effect and the same call may be repeated, or Broken, after which nothing works."""
        if self._broken:
            raise Broken(self._broken)
        if self._stale:
            self.refresh()
        self._stale = True
        execute = self._cursor.execute
        running = self.hash
        try:
            execute("BEGIN IMMEDIATE")
            for write in writes[:-1]:
                running += self.WRITERS[type(write)](self, write)
            digest = self._write_last(running, writes[-1])
            if self._drops.leaving:
                self._drops.sweep()
            execute("COMMIT")
        except apsw.Error as error:
            raise self._undo(error) from error
        except (AssertionError, LogDamaged, Broken) as error:  # the core is wrong, or the file is: stop here
            self._broken = self._broken or f"writing {self.path.name}: {error}"
            with contextlib.suppress(apsw.Error):
                self._connection.execute("ROLLBACK")
            raise
        self.sequence += 1
        self.hash = digest
        self._stale = False
        if self._wal_pages >= self._checkpoint_pages:
            self._checkpoint()
        elif not self._filled and self._wal_pages >= min(FILL_FROM_PAGES, self._checkpoint_pages // 4):
            self._fill()

    def _write_last(self, running: bytes, write: LogWrite) -> bytes:
        """The turn's last write, and with it the turn itself; the turn's hash, which is that of `running` and it."""
        if type(write) is WriteEntries:
            return self._write_entries(write, running)
        digest = blake2b(running + self.WRITERS[type(write)](self, write), digest_size=16).digest()
        self._cursor.execute(UPDATE_TURN, (self.sequence + 1, digest))
        return digest

    def _fill(self) -> None:
        try:
            self._filled = lengthen(self._files, self.path.with_name(self.path.name + "-wal"), self._wal_bytes)
        except Broken as error:
            self._broken = str(error)
            raise

    def _undo(self, error: apsw.Error) -> Exception:
        translated = disk.translated(error, self._connection, f"writing {self.path.name}")
        if isinstance(translated, DiskIsFull):
            self.refresh()
        else:
            self._broken = str(translated)
        return translated

    def _create_group(self, write: CreateGroup) -> bytes:
        if write.group in self.groups:
            return b""
        assert 0 <= write.group < 1 << GROUP_BITS, f"group {write.group} is out of range"
        assert write.group not in self.dropped, f"group {write.group} was dropped"
        group = GroupLog(write.group, write.database, write.partition, write.replication, write.voters)
        voters = msgspec.json.encode(group.voters).decode()
        self._connection.execute(
            "INSERT INTO groups VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, ?, 0, 0)",
            (group.group, group.database, group.partition, group.replication, voters, NO_HASH),
        )
        self.groups[write.group] = group
        return repr(write).encode()

    def _write_hard_state(self, write: WriteHardState) -> bytes:
        group = self.groups[write.group]
        assert write.epoch >= group.epoch, f"epoch of group {write.group} would go back to {write.epoch}"
        self._connection.execute(
            "UPDATE groups SET epoch = ?, vote = ? WHERE grp = ?", (write.epoch, write.vote, write.group)
        )
        group.epoch, group.vote = write.epoch, write.vote
        return repr(write).encode()

    def _write_entries(self, write: WriteEntries, running: bytes = b"") -> bytes:
        """The last one's hash; with `running`, what the turn's hash covers before them, that of the turn, now over."""
        group, prefix, epoch = self.groups[write.group], first_key(write.group), 0
        index, previous, entries = group.last.index, group.last_hash, write.entries
        if entries[0].index != index + 1:
            index, previous = self._make_room(group, entries[0].index)
        insert, sequence, told = self._cursor.execute, None, None
        missing = len(entries)
        for entry in entries:
            index += 1
            assert entry.index == index, f"entry {entry.index} of group {write.group} where {index} belongs"
            assert entry.epoch >= epoch, f"epoch {entry.epoch} of group {write.group} behind {epoch}"
            epoch = entry.epoch
            previous = chained(previous, entry)
            missing -= 1
            if running and not missing:
                sequence, told = self.sequence + 1, blake2b(running + previous, digest_size=16).digest()
            insert(INSERT_ENTRY, (prefix | index, epoch, entry.kind, entry.payload, previous, sequence, told))
        group.last, group.last_hash = Position(epoch, index), previous
        if group.forgotten:
            self._sweep(group)
        return told or previous

    def _make_room(self, group: GroupLog, first: int) -> tuple[int, bytes]:
        """Delete entries from `first` on; the index and hash of the entry before it."""
        assert group.base.index < first <= group.last.index + 1, f"entry {first} of group {group.group} leaves a gap"
        if first == group.last.index + 1:
            return group.last.index, group.last_hash
        prefix = first_key(group.group)
        self._connection.execute(DELETE_ENTRIES, (prefix | first, prefix | INDEX_MASK))
        previous = self._hash_at(group, first - 1)
        self._ends.truncated(group.group, first - 1, previous)
        return first - 1, previous

    def _trim(self, write: TrimLog) -> bytes:
        group = self.groups[write.group]
        if write.through.index <= group.base.index:
            return b""
        assert write.through.index <= group.last.index, f"group {write.group} has no entry {write.through.index}"
        assert self.epoch_at(write.group, write.through.index) == write.through.epoch, "trimming another epoch's entry"
        base_hash = self._hash_at(group, write.through.index)
        self._set_base(group, write.through, base_hash)
        return repr(write).encode()

    def _set_base(self, group: GroupLog, base: Position, base_hash: bytes) -> None:
        self._connection.execute(UPDATE_BASE, (base.epoch, base.index, base_hash, group.group))
        group.forgotten = group.forgotten or group.base.index + 1
        group.base, group.base_hash = base, base_hash
        self._sweep(group)

    def _sweep(self, group: GroupLog) -> None:
        """Delete some of the entries that were forgotten."""
        prefix = first_key(group.group)
        through = min(group.forgotten + SWEEP_ENTRIES - 1, group.base.index)
        self._connection.execute(DELETE_ENTRIES, (prefix | group.forgotten, prefix | through))
        group.forgotten = through + 1 if through < group.base.index else 0

    def _switch_generation(self, write: SwitchGeneration) -> bytes:
        group = self.groups[write.group]
        if group.snapshot == write.snapshot and group.base.index >= write.position.index:
            return b""  # repeated
        if write.keep > write.position.index:
            return self._switch_under(group, write)
        prefix = first_key(group.group)
        self._connection.execute(DELETE_ENTRIES, (prefix, prefix | INDEX_MASK))
        self._ends.replaced(write.group)
        # The chain begins anew: what came before was another node's, and nobody can check against it.
        base_hash = chained(NO_HASH, Entry(write.position.index, write.position.epoch, 0, b""))
        self._connection.execute(UPDATE_BASE, (write.position.epoch, write.position.index, base_hash, write.group))
        self._connection.execute(
            "UPDATE groups SET generation = generation + 1, snapshot = ? WHERE grp = ?", (write.snapshot, write.group)
        )
        group.base = group.last = write.position
        group.base_hash = group.last_hash = base_hash
        group.generation += 1
        group.snapshot = write.snapshot
        group.forgotten = 0
        self.unreadable.pop(write.group, None)
        return repr(write).encode()

    def _switch_under(self, group: GroupLog, write: SwitchGeneration) -> bytes:
        """The data file becomes an older one: what leads from there to `keep` stays, and its chain with it."""
        assert self.epoch_at(group.group, write.position.index) == write.position.epoch, "another log's snapshot"
        assert write.keep <= group.last.index, f"group {group.group} has no entry {write.keep}"
        _, last_hash = self._make_room(group, write.keep + 1)
        epoch = self.epoch_at(group.group, write.keep)
        assert epoch is not None, f"group {group.group} has no entry {write.keep}"
        group.last, group.last_hash = Position(epoch, write.keep), last_hash
        if write.position.index > group.base.index:
            self._set_base(group, write.position, self._hash_at(group, write.position.index))
        self._connection.execute(
            "UPDATE groups SET generation = generation + 1, snapshot = ? WHERE grp = ?", (write.snapshot, write.group)
        )
        group.generation += 1
        group.snapshot = write.snapshot
        return repr(write).encode()

    def _drop_group(self, write: DropGroup) -> bytes:
        if write.group in self.dropped:
            return b""
        self.groups.pop(write.group, None)
        self.unreadable.pop(write.group, None)
        self._ends.replaced(write.group)
        self._drops.add(write.group)
        return repr(write).encode()

    WRITERS: dict[type, Callable[["SqliteLog", Any], bytes]] = {
        CreateGroup: _create_group,
        ForgetVoters: lambda _log, _write: b"",
        WriteHardState: _write_hard_state,
        WriteEntries: _write_entries,
        TrimLog: _trim,
        SwitchGeneration: _switch_generation,
        DropGroup: _drop_group,
    }

    def _on_wal(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _note_ends(self) -> None:
        self._ends.note(known for group, known in self.groups.items() if group not in self.unreadable)

    def _checkpoint(self) -> None:
        try:
            self._note_ends()
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            translated = disk.translated(error, self._connection, f"checkpoint of {self.path.name}")
            if not isinstance(translated, DiskIsFull):
                self._broken = str(translated)
                raise translated from error
            # The turn itself is durable in the WAL; the next turn tries again.

    # ----------------------------------------------------------------------------------------------
    # Reading
    # ----------------------------------------------------------------------------------------------

    def read(self, group: GroupId, first: int, last: int, bytes_max: int) -> tuple[Entry, ...]:
        """Entries from `first`, at most `last`, at least one, stopping near `bytes_max`; fewer or none
        when the log has no more. Raises LogDamaged when an entry does not continue the chain."""
        self.refresh()
        known = self.groups.get(group)
        if known is None or first <= known.base.index or first > known.last.index:
            return ()
        prefix = first_key(group)
        expected, size = first, 0
        entries: list[Entry] = []
        try:
            previous = self._hash_at(known, first - 1)
            rows = self._connection.execute(READ_ENTRIES, (prefix | first, prefix | min(last, known.last.index)))
            for key, epoch, kind, payload, stored in rows:
                entry = Entry(key & INDEX_MASK, epoch, kind, payload)
                previous = chained(previous, entry)
                if entry.index != expected or previous != stored:
                    raise LogDamaged(f"entry {expected} of group {group} is missing or does not continue its chain")
                entries.append(entry)
                expected += 1
                size += len(payload)
                if size >= bytes_max:
                    break
            rows.close()  # a statement left half way would keep the WAL from starting over
        except disk.UNREADABLE as error:
            raise LogDamaged(f"entry {expected} of group {group} cannot be read: {error}") from error
        except apsw.Error as error:
            raise self._broke(error, "reading") from error
        if not entries:
            raise LogDamaged(f"entry {first} of group {group} is missing")
        return tuple(entries)

    def epoch_at(self, group: GroupId, index: int) -> int | None:
        """The epoch of the entry at this index, or None when the log does not have it."""
        known = self.groups[group]
        if index == known.base.index:
            return known.base.epoch
        if index == known.last.index:
            return known.last.epoch
        row = self._row("SELECT epoch FROM entries WHERE key = ?", (first_key(group) | index,))
        return None if row is None or index < known.base.index else int(row[0])

    def epochs(self, group: GroupId) -> tuple[Position, ...]:
        """For each run of entries of one epoch: that epoch and the run's first index."""
        known = self.groups[group]
        prefix = first_key(group)
        try:
            rows = self._rows(
                "SELECT epoch, min(key) FROM entries WHERE key BETWEEN ? AND ? GROUP BY epoch ORDER BY 2",
                (prefix | (known.base.index + 1), prefix | INDEX_MASK),
            )
        except disk.UNREADABLE as error:
            raise LogDamaged(f"the log of group {group} cannot be read: {error}") from error
        return tuple(Position(epoch, key & INDEX_MASK) for epoch, key in rows)

    def tail_start(self, group: GroupId, entries_max: int, bytes_max: int) -> int:
        """The first index of the newest entries that are together within these bounds, at least one."""
        known = self.groups[group]
        prefix = first_key(group)
        sql = "SELECT key, length(payload) FROM entries WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT ?"
        start, size = known.last.index, 0
        try:
            rows = self._rows(sql, (prefix | (known.base.index + 1), prefix | INDEX_MASK, entries_max))
        except disk.UNREADABLE as error:
            raise LogDamaged(f"the log of group {group} cannot be read: {error}") from error
        for key, length in rows:
            size += length
            if size > bytes_max and start != known.last.index:
                break
            start = int(key) & INDEX_MASK
        return start

    def _hash_at(self, group: GroupLog, index: int) -> bytes:
        if index == group.base.index:
            return group.base_hash
        stored = self._stored_hash(group.group, index)
        if stored is None:
            raise LogDamaged(f"entry {index} of group {group.group} is missing")
        return stored

    def _stored_hash(self, group: GroupId, index: int) -> bytes | None:
        row = self._row("SELECT hash FROM entries WHERE key = ?", (first_key(group) | index,))
        return None if row is None else bytes(row[0])

    def _load(self, group: GroupId) -> None:
        """Take one group's state from the file."""
        row = self._row("SELECT * FROM groups WHERE grp = ?", (group,))
        if row is None:
            self.groups.pop(group, None)
            return
        _, database, partition, replication, voters, epoch, vote, base_epoch, base_index, base_hash, *made = row
        base, (generation, snapshot) = Position(base_epoch, base_index), made
        known = GroupLog(
            group, database, partition, replication, msgspec.json.decode(voters, type=tuple[NodeId, ...]), epoch, vote,
            base, base_hash, generation, snapshot, base, base_hash,
        )  # fmt: skip
        self.groups[group] = known
        prefix = first_key(group)
        try:
            newest = self._row(
                NEWEST_ENTRY,
                (prefix | (base_index + 1), prefix | INDEX_MASK),
            )
            oldest = self._row(
                "SELECT key FROM entries WHERE key BETWEEN ? AND ? ORDER BY key LIMIT 1", (prefix, prefix | base_index)
            )
        except disk.UNREADABLE as error:
            self.unreadable[group] = f"the log of group {group} cannot be read: {error}"
            return
        if newest is not None and not (isinstance(newest[1], int) and isinstance(newest[2], bytes)):
            self.unreadable[group] = f"the newest entry of group {group} is none"  # a page of another table lies there
            return
        if newest is not None:
            known.last, known.last_hash = Position(newest[1], newest[0] & INDEX_MASK), newest[2]
            if newest[3] is not None and newest[3] > self.sequence:
                self.sequence, self.hash = newest[3], newest[4]
        if oldest is not None:
            known.forgotten = oldest[0] & INDEX_MASK

    def _row(self, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
        return next(iter(self._rows(sql, bindings)), None)

    def _rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Raises Broken when the disk fails; `disk.UNREADABLE` is for the caller."""
        try:
            return self._connection.execute(sql, bindings).fetchall()
        except disk.UNREADABLE:
            raise
        except apsw.Error as error:
            raise self._broke(error, "reading") from error

    def abandon(self) -> None:
        """Let go of the file without writing to it."""
        self._connection.close()

    def close(self) -> None:
        """Close the file; orderly unless the disk has failed, when nothing more may be written to it."""
        if self._broken:
            self._connection.close()
            return
        try:
            disk.close_orderly(self._connection)
        except apsw.Error:  # everything that was reported is durable in the WAL already
            self._connection.close()
