"""The real store: one folder, ordinary SQLite files.

```
lock                      held by the process that has the folder open
node.db                   who this node is; the mark of its log          (storage.node_file)
log.db                    entries and hard states of all groups          (storage.log)
group-<id>-<n>.db         the data file of a group, in its n-th generation (storage.replica)
snapshots/                copies that are being sent or received         (storage.snapshots)
```

How a received snapshot becomes the data file, with a crash allowed after every step: the chunks are written,
the file synced and checked; a row of the log says that generation n + 1 is this snapshot and that the log begins
behind it (one fsync: before it the old file is in use, after it the new one); the file is moved to its name,
which the next start does if this one did not; the old file is deleted, likewise.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import apsw
from msgspec import MsgspecError

from quorate.core.bounds import GroupId
from quorate.core.entries import (
    DropGroup,
    Entry,
    ForgetVoters,
    LogWrite,
    Position,
    SwitchGeneration,
    TrimLog,
    WriteHardState,
)
from quorate.core.formats import HERE, Range
from quorate.core.kernel import Effect, Event
from quorate.core.lives import PeerLife
from quorate.core.recovered import Identity, Recovered
from quorate.errors import DiskFull, OperationalError
from quorate.storage import disk, node_file
from quorate.storage.data import closed, data_file
from quorate.storage.data.replica import Replica
from quorate.storage.data.snapshots import FileShelf, remove
from quorate.storage.dropped import DATA_FILE, agree, remove_files
from quorate.storage.failures import raise_if_fatal
from quorate.storage.files import SYSTEM, Files, Lock, make_folder
from quorate.storage.interface import OPEN_REPLICAS, Broken, DiskIsFull, Divergent, StorageError
from quorate.storage.log.group import GroupLog
from quorate.storage.log.log import SqliteLog
from quorate.storage.log.lost import LostTails
from quorate.storage.log.wal import CHECKPOINT_PAGES as LOG_PAGES
from quorate.storage.long_work import LogTakesLong, given, is_large
from quorate.storage.node_file import NodeFile, Remembered, is_remembered
from quorate.storage.store import BaseStore

NODE = "node.db"
LOG = "log.db"
LOST = "lost.db"
SNAPSHOTS = "snapshots"
CLOSED = "the store is closed"

Clock = Callable[[], int]


def is_node(folder: str | Path, files: Files = SYSTEM) -> bool:
    """Whether a node lives in this folder."""
    return files.exists(Path(folder) / NODE)


def open_store(
    folder: str | Path,
    create: Identity | None = None,
    *,
    clock: Clock | None = None,
    vfs: str | None = None,
    formats: Range = HERE,
    files: Files = SYSTEM,
    log_pages: int = LOG_PAGES,
    open_replicas: int = OPEN_REPLICAS,
) -> "SqliteStore":
    """Open the folder of a node; with `create`, make it first when no node lives there yet.

    `clock` (monotonic microseconds) bounds reads that have a budget. `files` is where everything lies: the operating
    system, or a simulated disk. `vfs` names the SQLite VFS for the log alone, for tests that let a disk fail; with
    `log_pages` in the write-ahead log of `log.db` it is folded into the file. At most
    `open_replicas` data files are open at a time (0: any number).

    Raises AlreadyOpen, DiskFull, OperationalError (no folder of ours, not readable) or NotSupportedError (a format of
    another version).
    """
    path = Path(folder).absolute()  # the program may change its directory; and SQLite reads a URI in "file:"
    if create is not None:
        make_folder(path, files)
        if not is_node(path, files):
            _refuse_strangers(path, files)  # before a lock is left among them
    elif not is_node(path, files):
        raise OperationalError(
            f"no node lives in {path}", hint="quorate init and quorate up make the folders of a cluster's nodes"
        )
    lock = files.lock(path)
    try:
        if create is not None and not is_node(path, files):
            _refuse_strangers(path, files)
            node_file.create(path / NODE, create, files)
        return SqliteStore(
            path, lock, clock=clock, vfs=vfs, files=files, log_pages=log_pages, formats=formats,
            open_replicas=open_replicas,
        )  # fmt: skip
    except DiskIsFull as error:
        lock.release()
        raise DiskFull(str(error), hint="make room on the disk") from error
    except StorageError as error:
        lock.release()
        raise OperationalError(str(error), hint="the disk may be failing") from error
    except apsw.Error as error:
        lock.release()
        raise OperationalError(f"{path} cannot be opened: {error}") from error
    except BaseException:
        lock.release()
        raise


def _refuse_strangers(path: Path, files: Files) -> None:
    """A new node goes into an empty folder, or nobody could tell its files from others."""
    ours = ("lock", NODE + node_file.UNFINISHED)
    others = [name for name in files.names(path) if not name.startswith(ours)]
    if others:
        raise OperationalError(f"{path} is not empty (it has {others[0]})", hint="name a new or an empty folder")


class SqliteStore(BaseStore):
    """Keeps `storage.interface.Store` on files. Made by `open_store`."""

    log: SqliteLog
    shelf: FileShelf

    def __init__(
        self,
        folder: Path,
        lock: Lock,
        *,
        clock: Clock | None,
        vfs: str | None,
        files: Files,
        log_pages: int,
        formats: Range,
        open_replicas: int,
    ) -> None:
        super().__init__(open_replicas)
        self.folder = folder
        self.files = files
        self._lock = lock
        self._clock = clock
        self._unusable = ""
        self._unnoted: list[LogWrite] = []
        """Durable in the log; of which `node.db` has yet to take note."""
        self._earlier: dict[GroupId, str] = {}
        """What data files looked like when they were last closed."""
        self._lost: LostTails | None = None
        self._node = NodeFile(folder / NODE, files, formats)
        try:
            self.identity = self._node.identity
            self.log = self._open_log(folder / LOG, vfs, log_pages)
        except BaseException:
            self._node.abandon()
            raise
        self.shelf = FileShelf(folder / SNAPSHOTS, self.identity, files)

    def _open_log(self, path: Path, vfs: str | None, pages: int) -> SqliteLog:
        try:
            return SqliteLog(path, vfs, files=self.files, pages=pages, life=self.identity.boot)
        except (apsw.BusyError, ValueError, TypeError, MsgspecError, *disk.UNREADABLE) as error:
            # Among them: a page that belongs to another table.
            raise OperationalError(f"{path} cannot be read: {error}", hint=self._log_hint()) from error

    def _log_hint(self) -> str:
        """What a person can do about a log that is damaged as a file."""
        if len(self.identity.founders) > 1:
            return f"if it is damaged, move {LOG} and what begins with its name away: the others rebuild this node"
        return "the data files beside it are ordinary SQLite databases; restore the folder from a copy"

    def recover(self) -> Recovered:
        """What is on disk, checked: the log against its mark and its hashes, data files against the log and
        against what they were when they were closed. Called again in the same life, it undoes what is open."""
        self._check_usable()
        self.log.refresh()
        for replica in self.replicas.values():
            replica.rollback()
        self.files.make_folder(self.folder / SNAPSHOTS)
        self._find_damage()
        self._tidy()
        groups = self._all_groups()
        self._find_edits(groups)
        recovered = tuple(self._recover_group(group) for group in groups)
        self.files.sync(self.folder)
        return Recovered(self.identity, recovered, self._node.lives(), tuple(sorted(self.log.dropped)))

    def _find_damage(self) -> None:
        """Compare the log with its mark. What is found is remembered until a snapshot has repaired it."""
        log, node = self.log, self._node
        reason = ""
        if log.sequence < node.sequence:
            reason = (
                f"log.db ends at turn {log.sequence}, but turn {node.sequence} was reported durable: "
                "its newest part is damaged or missing"
            )
        elif log.sequence == node.sequence and log.hash != node.hash:
            reason = f"log.db is not the log that was written: turn {log.sequence} has another hash"
        agree(log, node)
        for number in log.groups:
            if number not in node.groups:
                self._remember(log.groups[number])
        found = {number: reason for number in node.groups if reason}
        for number in node.groups:
            if number not in log.groups:
                found[number] = reason or f"log.db does not know group {number} any more"
        found.update({number: why for number, why in log.unreadable.items() if number not in found})
        fresh = {number: why for number, why in found.items() if number not in node.damaged_logs}
        if fresh or reason:
            # The log goes on from where it is; from now on the groups' notes say that they are damaged.
            node.accept(log.sequence, log.hash, fresh, log=True)
        self.damaged = {number: each.damaged for number, each in sorted(node.groups.items()) if each.damaged}
        self.log_damaged = set(node.damaged_logs)

    def _all_groups(self) -> list[GroupLog]:
        """Every group that this node has ever held, as the log knows it or else as `node.db` does."""
        groups = []
        for number, note in sorted(self._node.groups.items()):
            group = self.log.groups.get(number)
            if group is None:
                # Room for it again, empty, so that it can be repaired like any other.
                self.log.commit((note.room,))
                group = self.log.groups[number]
            if note.epoch > group.epoch or (note.epoch == group.epoch and note.vote and not group.vote):
                self.log.commit((WriteHardState(number, note.epoch, note.vote),))  # the log lost its own
            groups.append(group)
        self._node.advance(self.log.sequence, self.log.hash)
        return groups

    def _find_edits(self, groups: Sequence[GroupLog]) -> None:
        """Notice data files that changed while they were closed; from here on the others may change."""
        opened: dict[GroupId, str] = {}
        for group in groups:
            note = self._node.groups[group.group]
            number = group.group
            if number in self.replicas or self.damaged.get(number) or not self._has_data(group):
                continue
            try:
                doubt = closed.reason_to_doubt(self.path_of(group), note.closed, self.files)
            except OSError as error:
                raise Broken(f"reading {self.path_of(group).name}: {error}") from error
            if doubt:
                self.damaged[number] = doubt  # until it is as it was again, or a copy takes its place
            else:
                self._earlier.setdefault(number, note.closed)
                opened[number] = ""
        self._node.note_closed(opened)

    def _tidy(self) -> None:
        """Finish or undo what a crash left half done."""
        waiting: dict[str, GroupLog] = {}
        for number, group in self.log.groups.items():
            received = self.shelf.received(number, group.snapshot)
            if group.snapshot and self.files.exists(received):  # it is moved when it is installed, so it is not yet
                waiting[received.name] = group
        self.shelf.tidy(frozenset(waiting))
        remove_files(self.folder, self.files, self.log.dropped)
        for group in waiting.values():
            old = self.replicas.pop(group.group, None)
            if old is not None:
                old.close()
            self._install(group)
        for name in self.files.names(self.folder):
            if name.endswith(data_file.UNFINISHED) and DATA_FILE.fullmatch(name.removesuffix(data_file.UNFINISHED)):
                self.files.remove(self.folder / name)
            match = DATA_FILE.fullmatch(name)
            known = self.log.groups.get(int(match[1])) if match else None
            # A later generation than the log's is evidence of a damaged log: it stays for a person to look at.
            if match and known is not None and int(match[2]) < known.generation and self._has_data(known):
                self.files.remove(self.folder / name)

    def persist(self, writes: Sequence[LogWrite]) -> None:
        """Make log writes durable now, then move the mark. Raises DiskIsFull (the same call may be repeated) or
        Broken (the node must stop)."""
        self._check_usable()
        if self.long_us and is_large(writes):
            raise LogTakesLong(partial(self.log.commit, writes), lambda found: self._keep(writes, given, found))
        self._keep(writes, self.log.commit, writes)

    def _keep(self, writes: Sequence[LogWrite], keep: Callable[..., None], what: object) -> None:
        try:
            keep(what)
            self._unnoted.extend(filter(is_remembered, writes))
            # What finds no room here is written with a later turn: until then there is one copy of it, not two.
            try:  # suppress() would cost each turn as much as five calls
                while self._unnoted:
                    self._note(self._unnoted[0])
                    del self._unnoted[0]
                self._node.advance(self.log.sequence, self.log.hash)
            except DiskIsFull:
                pass
        except Broken as error:
            # SQLite opens a file that is damaged inside, and finds that out when it writes there: at every start anew.
            hint = f" ({self._log_hint()})" if isinstance(error.__cause__, disk.UNREADABLE) else ""
            self._unusable = f"{error}{hint}"
            raise Broken(self._unusable) from error

    def perform(self, effect: Effect) -> list[Event]:
        """See `BaseStore.perform`. After Broken nothing works any more."""
        try:
            return BaseStore.perform(self, effect)  # every write passes here, and super() costs as much as two calls
        except Broken as error:
            self._unusable = self._unusable or str(error)
            raise

    def _note(self, write: LogWrite) -> None:
        if isinstance(write, DropGroup):
            self._node.drop({write.group})
        elif write.group in self._node.dropped or write.group in self.log.dropped:
            return  # it was dropped meanwhile
        elif isinstance(write, WriteHardState):
            self._node.remember_vote(write.group, write.epoch, write.vote)
        elif isinstance(write, ForgetVoters):
            self._remember(self.log.groups[write.group], self._node.groups[write.group].damaged, grown=True)
        elif isinstance(write, TrimLog):
            if write.group in self.replicas:
                replica = self.replicas[write.group]
                self._node.note_standing(write.group, replica.applied, replica.controls)
        elif isinstance(write, SwitchGeneration):
            self._remember(self.log.groups[write.group], self.damaged.get(write.group, ""))
        elif write.group not in self._node.groups:
            self._remember(self.log.groups[write.group])

    def _remember(self, group: GroupLog, damaged: str = "", *, grown: bool = False) -> None:
        """What `node.db` is to know of a group: no voters once its log has named members, for then others may have
        what is lost here, with however many it began. A copy that takes the place of what was damaged does not end the
        damage: what this replica had acknowledged may be missing from it (`ForgetDamage`)."""
        known = self._node.groups.get(group.group)
        voters = () if grown or (known is not None and not known.voters) else group.voters
        if len(voters) == 1:
            damaged = ""
        self._node.remember(Remembered.of(group, voters, damaged))

    def _raise_format(self, number: int, release: str) -> None:
        self._node.raise_format(number, release)
        self.identity = self._node.identity

    def _remember_life(self, life: PeerLife) -> None:
        self._node.remember_life(life)

    def _raise_boot(self, boot: int) -> None:
        self._node.raise_boot(boot)
        self.identity = self._node.identity

    def _noted(self, group: GroupId) -> tuple[Position, tuple[Entry, ...]]:
        return self._node.standing_of(group)

    def _found_damage(self, group: GroupId, reason: str, *, log: bool = False) -> None:
        """Remembered from life to life, unless nobody could make the replica whole again."""
        super()._found_damage(group, reason, log=log)
        known = self._node.groups.get(group)
        if known is None or len(known.voters) == 1 or (known.damaged and (group in self._node.damaged_logs or not log)):
            return
        with suppress(DiskIsFull):  # then it is found again when it is read again
            self._node.accept(self.log.sequence, self.log.hash, {group: reason}, log=log)

    def _forget_damage(self, group: GroupId) -> None:
        super()._forget_damage(group)
        with suppress(DiskIsFull):  # then the next life has it made whole once more
            self._remember(self.log.groups[group])

    # ----------------------------------------------------------------------------------------------
    # Data files
    # ----------------------------------------------------------------------------------------------

    def path_of(self, group: GroupLog) -> Path:
        """Where the data file of a group is, or would be."""
        return self.folder / f"group-{group.group}-{group.generation}.db"

    def _has_data(self, group: GroupLog) -> bool:
        return self.files.exists(self.path_of(group))

    def _open_replica(self, group: GroupLog) -> Replica:
        path = self.path_of(group)
        if not self.files.exists(path):
            data_file.create(path, self.files)
        return self._kind(group)(path, clock=self._clock, files=self.files, versioned=self._versioned(group))

    def _close_replica(self, _group: GroupId, replica: Replica, /) -> None:
        replica.checkpoint()  # what SQLite does when it closes a file it does without a word when it fails
        replica.close()

    def _written(self, group: GroupLog) -> tuple[Position, tuple[Entry, ...]]:
        path = self.path_of(group)
        try:
            return data_file.standing_of(path, self.files)
        except apsw.Error as error:
            raise_if_fatal(error)
            raise Broken(f"{path.name}: {type(error).__name__}: {error}") from error

    def _delete(self, group: GroupId) -> None:
        remove_files(self.folder, self.files, {group})

    def _install(self, group: GroupLog) -> None:
        path = self.path_of(group)
        waiting = self.shelf.received(group.group, group.snapshot)
        if self.files.exists(waiting):
            remove(path, self.files)
            self.files.replace(waiting, path)
            self.files.sync(self.folder)
            self.files.sync(self.shelf.folder)
        if not self.files.exists(path):
            raise Divergent(f"the snapshot that group {group.group} has switched to is missing")
        for name in self.files.names(self.folder):
            match = DATA_FILE.fullmatch(name)
            if match and not match[3] and int(match[1]) == group.group and name != path.name:
                remove(self.folder / name, self.files)

    @property
    def alone(self) -> bool:
        """Nobody else ever had a replica of anything here."""
        return len(self.identity.founders) == 1 and all(len(each.voters) == 1 for each in self._node.groups.values())

    def keep_lost(self, group: GroupId, entries: Iterable[Entry], gap: tuple[int, int], wall_us: int) -> None:
        """Keep entries that are about to be dropped (see `LostTails.save`). Raises DiskIsFull or Broken."""
        self._lost_tails().save(group, self.log.groups[group].database, entries, gap, wall_us)

    def _lost_tails(self) -> LostTails:
        if self._lost is None:
            path = self.folder / LOST
            try:
                self._lost = LostTails(disk.open_exclusive(path, files=self.files))
            except (apsw.BusyError, *disk.UNREADABLE) as error:
                raise Broken(f"{path} cannot be read: {error}") from error
            self.files.sync(self.folder)
        return self._lost

    def _has_lost(self) -> bool:
        return self._lost is not None or self.files.exists(self.folder / LOST)

    # ----------------------------------------------------------------------------------------------
    # The end
    # ----------------------------------------------------------------------------------------------

    def _check_usable(self) -> None:
        if self._lock.forked:
            self._lock.check()
        if self._unusable:
            raise Broken(self._unusable)

    def close(self) -> None:
        """Close every file and give up the folder. Doing so again, or in a forked child, changes nothing."""
        if self._lock.forked or self._unusable == CLOSED:
            return
        broken, self._unusable = self._unusable, CLOSED
        if broken:
            self._let_go()
            return
        try:
            if self._lost is not None:
                self._lost.close()
            for replica in self.replicas.values():
                replica.close()
            self._note_closed()
            self.log.close()
            self._node.close()
        except StorageError:  # the disk fails as we go: what was reported is durable all the same
            self._let_go()
        self.replicas.clear()
        self._lock.release()

    def abandon(self) -> None:
        """Let go of every file as a dying process does, without writing to any."""
        if self._unusable != CLOSED:
            self._unusable = CLOSED
            self._let_go()

    def _let_go(self) -> None:
        for replica in self.replicas.values():
            replica.abandon()
        self.log.abandon()
        self._node.abandon()
        if self._lost is not None:
            self._lost.abandon()
        self.replicas.clear()
        self._lock.release()

    def _note_closed(self) -> None:
        with suppress(DiskIsFull, Broken, OSError):  # without it the next start has nothing to compare with
            descriptions = {
                number: closed.describe(self.path_of(group), self._earlier.get(number, ""), self.files)
                for number, group in self.log.groups.items()
                if number in self._node.groups and not self.damaged.get(number)
            }
            self._node.note_closed(descriptions)
