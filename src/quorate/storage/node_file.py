"""`node.db`: who this node is, and what it remembers of its log so that a damaged log cannot hide.

- The identity, the founders, the number of the format, and how often the folder was opened.
- The *mark*: sequence and hash of the newest turn that was reported durable. It is written after each
  fsync of the log and not synced itself: after a power failure it may be old, never ahead.
- For every group: that it exists, its newest epoch and vote, whether it was found damaged (until a
  snapshot has repaired it), and what its data file looked like when it was last closed.

The file is in WAL mode with `synchronous=NORMAL`: a write is a write to the page cache, and a
checkpoint syncs in the right order. What must be on the disk at once is written with FULL.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
import msgspec

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import ORIGIN, CreateGroup, Entry, LogWrite, Position, WriteEntries
from quorate.core.formats import HERE, RELEASE, Range, refuse
from quorate.core.lives import PeerLife
from quorate.core.recovered import Identity, Member
from quorate.errors import AlreadyOpen, NotSupportedError, OperationalError
from quorate.storage import disk
from quorate.storage.files import SYSTEM, Files
from quorate.storage.interface import Broken
from quorate.storage.log.group import GroupLog

RELEASED = 2
"""From this format on the file says which release raised it."""

UNREADABLE_HINT = (
    "put a new node in its place (`quorate member replace`); an older copy of the folder does not know what this node"
    " has promised since"
)
UNFINISHED = ".new"
"""What the name of a node.db ends in until it is complete."""

PAGE_BYTES = 512
"""The mark is written after each fsync of the log: a small page is quickly copied and summed."""
CHECKPOINT_PAGES = 512
"""The mark is always the same page: where SQLite notes one more copy of it in the WAL's index, it passes all that are
there."""

SCHEMA = """
CREATE TABLE node(id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, cluster TEXT NOT NULL,
  node INTEGER NOT NULL, name TEXT NOT NULL, boot INTEGER NOT NULL) STRICT;
CREATE TABLE founders(node INTEGER PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL) STRICT;
CREATE TABLE mark(id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE groups(grp INTEGER PRIMARY KEY, database TEXT NOT NULL, partition INTEGER NOT NULL,
  replication TEXT NOT NULL, voters TEXT NOT NULL, epoch INTEGER NOT NULL DEFAULT 0, vote INTEGER NOT NULL DEFAULT 0,
  damaged TEXT NOT NULL DEFAULT '', closed TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO mark VALUES (1, 0, zeroblob(16));
"""


LIVES = """
CREATE TABLE IF NOT EXISTS lives(node INTEGER NOT NULL, boot INTEGER NOT NULL, begun_us INTEGER NOT NULL,
  PRIMARY KEY(node, boot)) STRICT, WITHOUT ROWID
"""
"""The last lives of every node that were heard (`core.superseding`)."""
LIVES_KEPT = 1_000
"""Of each node."""
FIRST_USER = "CREATE TABLE first_user(id INTEGER PRIMARY KEY, name TEXT NOT NULL, verifier TEXT NOT NULL) STRICT"
"""Only where the cluster is founded with one."""
STANDINGS = """
CREATE TABLE IF NOT EXISTS standings(grp INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, idx INTEGER NOT NULL,
  controls BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS damaged_logs(grp INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS dropped(grp INTEGER PRIMARY KEY) STRICT;
"""
"""Where data files stood when the log was last trimmed, and the control entries that they kept; groups of which not
only the data file is damaged; groups that were dropped."""

ADD_RELEASE = "ALTER TABLE node ADD COLUMN release TEXT NOT NULL DEFAULT ''"


class Remembered(msgspec.Struct):
    """What `node.db` knows of a group."""

    group: GroupId
    database: str
    partition: int
    replication: str
    voters: tuple[NodeId, ...]
    epoch: int = 0
    vote: int = 0
    """A node; or UNKNOWN_VOTE of the core, which is none."""
    damaged: str = ""
    closed: str = ""
    """A description of the data file as it was closed (`storage.data.closed`); empty while it is open."""

    @staticmethod
    def of(group: GroupLog, voters: tuple[NodeId, ...], damaged: str) -> "Remembered":
        """A group as the log knows it, whose file is open."""
        return Remembered(
            group.group, group.database, group.partition, group.replication, voters, group.epoch, group.vote, damaged
        )

    @property
    def room(self) -> CreateGroup:
        """What makes room for it in a log that does not know it any more."""
        return CreateGroup(self.group, self.database, self.partition, self.replication, self.voters)


class NodeFile:
    """The open `node.db`. Raises client errors for what a user can cause: a folder that is in use, has
    another format, or is none of ours."""

    def __init__(self, path: Path, files: Files = SYSTEM, formats: Range = HERE, pages: int = CHECKPOINT_PAGES) -> None:
        self.path = path
        self._checkpoint_pages = pages
        self._formats = formats
        try:
            self._connection = disk.open_exclusive(path, files=files)
            with disk.opening(self._connection, path):
                self._load()
        except apsw.BusyError as error:
            raise AlreadyOpen(f"{path} is open elsewhere", hint="close the program that has it open") from error
        except disk.UNREADABLE as error:
            raise OperationalError(f"{path} cannot be read: {error}", hint=UNREADABLE_HINT) from error

    def _load(self) -> None:
        self.identity = self._open()
        self.sequence: int
        self.hash: bytes
        self.sequence, self.hash = self._rows("SELECT sequence, hash FROM mark")[0]
        self.groups: dict[GroupId, Remembered] = {}
        for row in self._rows("SELECT * FROM groups ORDER BY grp"):
            self.groups[row[0]] = self._remembered(row)
        self._rows(STANDINGS)
        self.damaged_logs = {group for (group,) in self._rows("SELECT grp FROM damaged_logs")}
        """Groups whose log was found damaged, until they are whole again."""
        self.dropped = {group for (group,) in self._rows("SELECT grp FROM dropped")}
        """Groups that are never held here again."""
        # From here on writes are unsynced, unless `_durably` says otherwise.
        self._synchronous("NORMAL")
        self._wal_pages = 0
        self._connection.set_wal_hook(self._on_wal)
        self._cursor = self._connection.cursor()  # of what is written with each turn of the log

    def _open(self) -> Identity:
        """Check the format and count the boot, durably."""
        if not self._has("node"):
            raise OperationalError(f"{self.path} is not the file of a node", hint="it was made by another program")
        number, cluster, node, name, boot = self._rows("SELECT format, cluster, node, name, boot FROM node")[0]
        if number not in self._formats:
            known = self._rows("SELECT name FROM pragma_table_info('node') WHERE name = 'release'")
            release = str(self._rows("SELECT release FROM node")[0][0]) if known else ""
            message, hint = refuse(str(self.path.parent), number, self._formats, release)
            raise NotSupportedError(message, hint=hint)
        self._rows("UPDATE node SET boot = boot + 1")
        self._rows(LIVES)
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        founders = self._rows("SELECT node, name, address FROM founders ORDER BY node")
        admin = self._rows("SELECT name, verifier FROM first_user") if self._has("first_user") else []
        members = tuple(Member(*row) for row in founders)
        return Identity(cluster, node, name, boot + 1, members, number, admin[0] if admin else None)

    def _has(self, table: str) -> bool:
        return self._connection.table_exists("main", table)

    @staticmethod
    def _remembered(row: tuple[Any, ...]) -> Remembered:
        names = Remembered.__struct_fields__
        fields = dict(zip(names, row, strict=True))
        fields["voters"] = msgspec.json.decode(str(fields["voters"]))
        return msgspec.convert(fields, Remembered)

    def advance(self, sequence: int, hash_: bytes) -> None:
        """Move the mark: this turn was reported durable. Unsynced."""
        self._write("UPDATE mark SET sequence = ?, hash = ? WHERE id = 1", (sequence, hash_))
        self.sequence, self.hash = sequence, hash_

    def accept(self, sequence: int, hash_: bytes, damaged: dict[GroupId, str], *, log: bool) -> None:
        """Remember, durably, that these groups are damaged (their logs, or their data files alone) and that the log now
        stands here."""
        with_reason = [(reason, group) for group, reason in sorted(damaged.items())]
        with self._durably():
            self._connection.executemany("UPDATE groups SET damaged = ? WHERE grp = ?", with_reason)
            if log:
                self._connection.executemany("REPLACE INTO damaged_logs VALUES (?)", [(group,) for group in damaged])
            self._connection.execute("UPDATE mark SET sequence = ?, hash = ? WHERE id = 1", (sequence, hash_))
        self.sequence, self.hash = sequence, hash_
        for reason, group in with_reason:
            self.groups[group].damaged = reason
        self.damaged_logs.update(damaged if log else ())

    def remember(self, group: Remembered) -> None:
        """Note, durably, that this group is held here, or was found damaged, or was repaired."""
        voters = msgspec.json.encode(group.voters).decode()
        row = (
            group.group, group.database, group.partition, group.replication, voters, group.epoch, group.vote,
            group.damaged, group.closed,
        )  # fmt: skip
        with self._durably():
            self._connection.execute("REPLACE INTO groups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            if not group.damaged:
                self._connection.execute("DELETE FROM damaged_logs WHERE grp = ?", (group.group,))
        self.groups[group.group] = group
        if not group.damaged:
            self.damaged_logs.discard(group.group)

    def drop(self, groups: set[GroupId]) -> None:
        """Note, durably, that these groups were dropped, and nothing else of them. Raises DiskIsFull or Broken."""
        if not groups:
            return
        with self._durably():
            for group in sorted(groups):
                self._connection.execute("INSERT OR IGNORE INTO dropped VALUES (?)", (group,))
                for table in ("groups", "standings", "damaged_logs"):
                    self._connection.execute(f"DELETE FROM {table} WHERE grp = ?", (group,))  # noqa: S608
        self.dropped |= groups
        self.damaged_logs -= groups
        for group in groups:
            self.groups.pop(group, None)

    def note_standing(self, group: GroupId, position: Position, controls: tuple[Entry, ...]) -> None:
        """The log was trimmed: where the data file stood then, and the control entries it kept. Unsynced."""
        row = (group, position.epoch, position.index, msgspec.msgpack.encode(controls))
        self._write("REPLACE INTO standings VALUES (?, ?, ?, ?)", row)

    def standing_of(self, group: GroupId) -> tuple[Position, tuple[Entry, ...]]:
        """What was noted last; ORIGIN when nothing was."""
        for epoch, index, controls in self._connection.execute(
            "SELECT epoch, idx, controls FROM standings WHERE grp = ?", (group,)
        ):
            return Position(epoch, index), msgspec.msgpack.decode(controls, type=tuple[Entry, ...])
        return ORIGIN, ()

    def remember_vote(self, group: GroupId, epoch: int, vote: NodeId) -> None:
        """A second copy of the hard state, for when the log's is lost. Unsynced."""
        known = self.groups[group]
        self._write("UPDATE groups SET epoch = ?, vote = ? WHERE grp = ?", (epoch, vote, group))
        known.epoch, known.vote = epoch, vote

    def note_closed(self, closed: dict[GroupId, str]) -> None:
        """What these data files look like, closed; empty: they may change from here on. Durably: an old
        description would turn a change of our own into somebody else's."""
        changed = [(text, group) for group, text in sorted(closed.items()) if self.groups[group].closed != text]
        if not changed:
            return
        with self._durably():
            self._connection.executemany("UPDATE groups SET closed = ? WHERE grp = ?", changed)
        for text, group in changed:
            self.groups[group].closed = text

    def raise_format(self, number: int, release: str) -> None:
        """Note, durably, that the folder is of a newer format from now on. Raises DiskIsFull or Broken."""
        if number <= self.identity.format:
            return
        with self._durably():
            if self.identity.format < RELEASED <= number:
                self._connection.execute(ADD_RELEASE)
            self._connection.execute("UPDATE node SET format = ?, release = ?", (number, release))
        self.identity = msgspec.structs.replace(self.identity, format=number)

    def lives(self) -> tuple[PeerLife, ...]:
        """The last lives of every node, as far as they were heard."""
        return tuple(PeerLife(*row) for row in self._rows("SELECT node, boot, begun_us FROM lives ORDER BY node, boot"))

    def remember_life(self, life: PeerLife) -> None:
        """Note, durably, a newer life of another node: one synced write for each of its starts. Raises DiskIsFull or
        Broken."""
        with self._durably():
            oldest = life.boot - LIVES_KEPT
            self._connection.execute("DELETE FROM lives WHERE node = ? AND boot < ?", (life.node, oldest))
            self._connection.execute("REPLACE INTO lives VALUES (?, ?, ?)", (life.node, life.boot, life.begun_us))

    def raise_boot(self, boot: int) -> None:
        """Note, durably, that this life has this number, and forget the earlier ones. Raises DiskIsFull or
        Broken."""
        with self._durably():
            self._connection.execute("UPDATE node SET boot = ?", (boot,))
            self._connection.execute("DELETE FROM lives WHERE node = ?", (self.identity.node,))
        self.identity = msgspec.structs.replace(self.identity, boot=boot)

    def _synchronous(self, level: str) -> None:
        self._connection.execute(f"PRAGMA synchronous={level}").fetchall()

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def _write(self, sql: str, bindings: tuple[object, ...]) -> None:
        """Run one statement, unsynced. Raises DiskIsFull or Broken."""
        try:
            self._cursor.execute(sql, bindings)
            if self._wal_pages >= self._checkpoint_pages:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            raise self._failed(error) from error

    @contextmanager
    def _durably(self) -> Iterator[None]:
        """One transaction that is on the disk at the end. Raises DiskIsFull or Broken."""
        try:
            self._synchronous("FULL")
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            raise self._failed(error) from error
        finally:
            if self._connection.in_transaction:  # an interrupt
                self._connection.execute("ROLLBACK")
            self._synchronous("NORMAL")

    def _failed(self, error: apsw.Error) -> Exception:
        if self._connection.in_transaction:
            with suppress(apsw.Error):
                self._connection.execute("ROLLBACK")
        return disk.translated(error, self._connection, f"writing {self.path.name}")

    def _on_wal(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def close(self) -> None:
        """Close the file, everything in it."""
        try:
            self._synchronous("FULL")
            disk.close_orderly(self._connection)
        except apsw.Error:
            self._connection.close()

    def abandon(self) -> None:
        """Let go of the file without writing to it: the disk has failed."""
        self._connection.close()


def create(path: Path, identity: Identity, files: Files = SYSTEM) -> None:
    """Write a new `node.db`, durably, under its name only when it is complete. Its boot counter starts at 0:
    nobody has opened it yet. Raises DiskIsFull or Broken."""
    beside = path.with_name(path.name + UNFINISHED)
    for suffix in ("", "-wal", "-journal"):
        files.remove(beside.with_name(beside.name + suffix))
    connection = disk.open_exclusive(beside, files=files, page_bytes=PAGE_BYTES)
    with disk.opening(connection, path):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(SCHEMA).fetchall()
        connection.execute(
            "INSERT INTO node VALUES (1, ?, ?, ?, ?, 0)",
            (identity.format, identity.cluster, identity.node, identity.name),
        )
        if identity.format >= RELEASED:
            connection.execute(ADD_RELEASE)
            connection.execute("UPDATE node SET release = ?", (RELEASE,))
        rows = [(member.node, member.name, member.address) for member in identity.founders]
        connection.executemany("INSERT INTO founders VALUES (?, ?, ?)", rows)
        if identity.admin is not None:
            connection.execute(FIRST_USER)
            connection.execute("INSERT INTO first_user VALUES (1, ?, ?)", identity.admin)
        connection.execute("COMMIT")
        disk.close_orderly(connection)
    files.replace(beside, path)
    files.sync(path.parent)


def read_identity(path: Path) -> Identity:
    """Who the node is to which this file belongs, while it runs or not: what is read never changes. Raises Broken."""
    try:
        connection = apsw.Connection(
            f"{path.absolute().as_uri()}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
        rows: Any = connection.execute("SELECT format, cluster, node, name FROM node").fetchall()
        founders: Any = connection.execute("SELECT node, name, address FROM founders ORDER BY node").fetchall()
        connection.close()
    except (apsw.Error, ValueError) as error:
        raise Broken(f"{path} cannot be read: {error}") from error
    ((number, cluster, node, name),) = rows
    return Identity(cluster, node, name, 0, tuple(Member(*row) for row in founders), number)


def is_remembered(write: LogWrite) -> bool:
    """Whether this write to the log is one of which `node.db` keeps a note of its own."""
    return type(write) is not WriteEntries
