"""Mutants of what a node does with its files: only real SQLite on a disk that forgets can show them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from quorate.core.bounds import GroupId
from quorate.core.entries import LogWrite, Position, WriteHardState
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.storage.data import snapshots
from quorate.storage.data.replica import Replica
from quorate.storage.data.snapshots import FileShelf
from quorate.storage.folder import SqliteStore
from quorate.storage.interface import Broken, DiskIsFull
from quorate.storage.log.log import SqliteLog
from quorate.storage.testing.disk import SimulatedDisk

LOSES = ("durable log", "sound disk", "durable majority", "monotone epochs", "committed entries stay", "store")
ILL = ("damaged replica", "durable log", "leader completeness", "sound disk", "node")


def _unsynced(original: Any) -> Any:
    def load_all(log: SqliteLog) -> None:
        log._connection.execute("PRAGMA synchronous=NORMAL").fetchall()
        original(log)

    return load_all


def _mark_unchecked(original: Any) -> Any:
    def find_damage(store: SqliteStore) -> None:
        store._node.sequence, store._node.hash = store.log.sequence, store.log.hash
        original(store)

    return find_damage


def _mark_first(_original: Any) -> Any:
    def persist(store: SqliteStore, writes: Sequence[LogWrite]) -> None:
        store._check_usable()
        try:
            store._node.advance(store.log.sequence + 1, b"")
            store.log.commit(writes)
            for write in writes:
                store._note(write)
            store._node.advance(store.log.sequence, store.log.hash)
        except Broken as error:
            store._unusable = str(error)
            raise

    return persist


def _nothing(_original: Any) -> Any:
    return lambda *_arguments: None


def _never_syncs_folders(original: Any) -> Any:
    """The rename of a received snapshot is not made durable before the log switches to it."""

    def finish(shelf: FileShelf, group: GroupId, snapshot: int, position: Position, keep: int) -> None:
        files = shelf._files
        real = files.sync

        def sync(path: Path) -> None:
            if not files.is_folder(path):
                real(path)

        files.sync = sync  # type: ignore[method-assign]
        try:
            original(shelf, group, snapshot, position, keep)
        finally:
            del files.sync

    return finish


def _never_syncs_files(original: Any) -> Any:
    """The received snapshot itself is not made durable before the log switches to it."""

    def finish(shelf: FileShelf, group: GroupId, snapshot: int, position: Position, keep: int) -> None:
        files = shelf._files
        real = files.sync

        def sync(path: Path) -> None:
            if files.is_folder(path):
                real(path)

        files.sync = sync  # type: ignore[method-assign]
        try:
            original(shelf, group, snapshot, position, keep)
        finally:
            del files.sync

    return finish


def _not_synced(_original: Any) -> Any:
    return lambda replica: replica.applied


def _synced_again(original: Any) -> Any:
    """The second fsync says that all is well, for the pages that the first one lost are clean now."""

    def finish(shelf: FileShelf, group: GroupId, snapshot: int, position: Position, keep: int) -> None:
        try:
            original(shelf, group, snapshot, position, keep)
        except Broken:
            original(shelf, group, snapshot, position, keep)

    return finish


def _checkpointed_again(original: Any) -> Any:
    def checkpoint(replica: Replica) -> Position:
        try:
            position: Position = original(replica)
        except Broken:
            replica._aside_failed = ""
            position = original(replica)
        return position

    return checkpoint


def _switches_early(original: Any) -> Any:
    """The old data file goes as soon as the new one is whole, before the log says which is in use."""

    def finish(shelf: FileShelf, group: GroupId, snapshot: int, position: Position, keep: int) -> None:
        original(shelf, group, snapshot, position, keep)
        folder = shelf.folder.parent
        for name in shelf._files.names(folder):
            if name.startswith(f"group-{group}-") and name.endswith(".db"):
                snapshots.remove(folder / name, shelf._files)

    return finish


def _vote_elsewhere(original: Any) -> Any:
    """Epoch and vote are kept in `node.db` alone, which is not synced."""

    def persist(store: SqliteStore, writes: Sequence[LogWrite]) -> None:
        hard = [write for write in writes if isinstance(write, WriteHardState)]
        if len(hard) < len(writes) or not hard:
            original(store, writes)
            return
        with suppress(DiskIsFull):
            for write in hard:
                group = store.log.groups[write.group]
                group.epoch, group.vote = write.epoch, write.vote
                store._node.remember_vote(write.group, write.epoch, write.vote)

    return persist


def _forgets_aside(_original: Any) -> Any:
    def checkpoint_aside(replica: Replica) -> None:
        with suppress(Exception), replica._checkpointer() as connection:
            connection.wal_checkpoint(mode=0)  # passive

    return checkpoint_aside


MUTANTS = (
    Mutant(
        "log-not-synced",
        "the log is written and not synced before it is reported durable",
        "NATS JetStream 2.12.1 (Jepsen, 2025); any SQLite in WAL mode with synchronous=NORMAL",
        "power",
        (Swap(SqliteLog, "_load_all", _unsynced),),
        LOSES,
        storage="files",
    ),
    Mutant(
        "mark-unchecked",
        "a log that ends before its mark is taken for a shorter one",
        "Protocol-aware recovery, FAST 2018; SQLite ends a damaged WAL without a word",
        "amputation",
        (Swap(SqliteStore, "_find_damage", _mark_unchecked),),
        ILL,
        storage="files",
    ),
    Mutant(
        "mark-before-log",
        "the mark of the log is moved before the log is written",
        "no case known; an order of two writes",
        "votes",
        (Swap(SqliteStore, "persist", _mark_first),),
        ("sound disk",),
        storage="files",
    ),
    Mutant(
        "page-cache-believed",
        "what a process left in the page cache after a failed fsync is read back by the next and reported durable",
        "Can applications recover from fsync failures? (2020): false commits after a restart",
        "fsyncs",
        (Swap(SimulatedDisk, "rewrite", _nothing),),
        LOSES,
        storage="files",
    ),
    Mutant(
        "switch-without-folder-sync",
        "the log switches to a snapshot whose name is not durable",
        "All file systems are not created equal (2014): LevelDB, Git, ZooKeeper and others",
        "fsyncs",
        (Swap(FileShelf, "finish", _never_syncs_folders),),
        LOSES,
        storage="files",
    ),
    Mutant(
        "copy-not-synced",
        "the log switches to a snapshot whose content is not durable",
        "All file systems are not created equal (2014): rename before fsync",
        "snapshots",
        (Swap(FileShelf, "finish", _never_syncs_files),),
        LOSES,
        storage="files",
    ),
    Mutant(
        "copy-fsync-retried",
        "the fsync of a received snapshot fails, is asked again, and is believed",
        "PostgreSQL until 2018 (Can applications recover from fsync failures?, 2020)",
        "fsyncs",
        (Swap(FileShelf, "finish", _synced_again),),
        LOSES,
        storage="files",
    ),
    Mutant(
        "checkpoint-fsync-retried",
        "the fsync of a data file fails, is asked again, is believed, and the log is trimmed",
        "PostgreSQL until 2018 (Can applications recover from fsync failures?, 2020)",
        "fsyncs",
        (Swap(Replica, "checkpoint", _checkpointed_again),),
        LOSES,
        storage="files",
    ),
    Mutant(
        "checkpoint-aside-forgotten",
        "an fsync that failed on the thread beside is left for the next one to report, which succeeds",
        "found here in review: bug 16 of found-by-simulation.md",
        "fsyncs",
        (Swap(Replica, "checkpoint_aside", _forgets_aside),),
        LOSES,
        storage="files",
    ),
    Mutant(
        "checkpoint-not-synced",
        "a data file is called durable that is not, and the log is trimmed",
        "MatrixCube issue 556 (a gap in the log after a restart; same symptom)",
        "power",
        (Swap(Replica, "checkpoint", _not_synced), Swap(Replica, "checkpoint_aside", _nothing)),
        LOSES,
        storage="files",
    ),
    Mutant(
        "old-file-deleted-first",
        "a data file is deleted before the log says that another takes its place",
        "no case known; the order of an installation",
        "fsyncs",
        (Swap(FileShelf, "finish", _switches_early),),
        LOSES,
        storage="files",
    ),
    Mutant(
        "vote-in-the-unsynced-file",
        "epoch and vote are written where nothing is synced",
        "hashicorp/raft issue 661; raft-java issue 57",
        "votes",
        (Swap(SqliteStore, "persist", _vote_elsewhere),),
        (*LOSES, "durable vote", "election safety"),
        storage="files",
    ),
)
