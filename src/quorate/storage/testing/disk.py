"""A disk in memory under real SQLite: what was not synced may be gone after a power failure, in any order.

`SimulatedDisk` is both the `Files` of a store and the SQLite VFS that it names, so `folder.open_store` runs on it as
it is. Every file has what a reader sees (the page cache) and what is on the disk; `xSync` brings the second to the
first. Names are kept likewise: one that was made, moved or deleted is only sure when its folder was synced (Pillai and
others, "All file systems are not created equal", 2014). `crash` is what happens to both.

A failed fsync is told once; the pages it was about are dropped from what is still to be written, and the next fsync
succeeds without them (Rebello and others, "Can applications recover from fsync failures?", 2020).

Python cannot give SQLite the shared memory that WAL mode needs between connections. So behind each database stands an
empty file of the real system, opened with SQLite's own "unix-excl", which locks and shares memory within a process;
no byte of a database ever lies in it. What is not simulated: calls that never return (a VFS is synchronous, so the
model disk has these), and folders themselves, which are durable when they are made.
"""

import errno
import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from quorate.storage.files import Files, Lock, told_apart
from quorate.storage.testing.vfs import SimulatedVfs

SECTOR = 512
"""What a disk writes whole or not at all."""
TORN_SECTORS_MAX = 256
"""A larger write is torn at one place only."""

_numbers = itertools.count(1)


class Inode:
    """A file's content: as it is seen, as it is on the disk, and what happened in between."""

    __slots__ = ("changed", "data", "doubtful", "durable", "earlier", "pending", "stand")

    def __init__(self, image: bytes = b"") -> None:
        self.data = bytearray(image)
        self.durable = bytearray(image)
        self.pending: list[tuple[int, bytes | None]] = []
        """Writes (offset, data) and truncations (size, None), in order."""
        self.changed = 0
        self.earlier: dict[int, bytes] = {}
        """What lay where something was written: offset -> the bytes that it replaced last (`remembers`)."""
        self.doubtful = False
        """An fsync failed: pages that are seen may be dropped at any time."""
        self.stand = ""

    def sync(self) -> None:
        """What is pending is on the disk."""
        for offset, data in self.pending:
            put(self.durable, offset, data)
        self.pending.clear()

    def survive(self, rng: random.Random) -> None:
        """Some of what is pending is on the disk, the rest never will be."""
        kind = rng.choice(("nothing", "everything", "beginning", "sectors", "sectors"))
        if kind == "everything":
            self.sync()
        elif kind == "beginning":
            del self.pending[rng.randint(0, len(self.pending)) :]
            if self.pending and self.pending[-1][1]:
                offset, data = self.pending.pop()
                self.pending.append((offset, torn(offset, data or b"", rng)))
            self.sync()
        elif kind == "sectors":
            self._survive_in_parts(rng)
        self.pending.clear()

    def _survive_in_parts(self, rng: random.Random) -> None:
        part = rng.choice((0.1, 0.5, 0.9))
        for offset, data in self.pending:
            if data is None:
                if rng.random() < part:
                    put(self.durable, offset, None)
            elif len(data) > TORN_SECTORS_MAX * SECTOR:
                put(self.durable, offset, torn(offset, data, rng))
            else:
                for start, end in sectors(offset, len(data)):
                    if rng.random() < part:
                        put(self.durable, start, data[start - offset : end - offset])


def put(image: bytearray, offset: int, data: bytes | None) -> None:
    """Write into an image; None for data sets its size."""
    if data is None:
        del image[offset:]
        return
    if not data:
        return
    if offset > len(image):
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data


def sectors(offset: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a write that lie in one sector each: from, to."""
    end = offset + size
    while offset < end:
        following = min(end, (offset // SECTOR + 1) * SECTOR)
        yield offset, following
        offset = following


def torn(offset: int, data: bytes, rng: random.Random) -> bytes:
    """The beginning of a write, up to the end of some sector."""
    end = offset + rng.randint(0, len(data))
    return data[: max(0, end // SECTOR * SECTOR - offset)]


Change = dict[str, Inode | None]
"""Names that one call set, atomically, and which file each names then; None when it names none."""


class SimulatedDisk(Files):
    """One machine's disk. Dies at `stop` or when `dies_in` operations are over; lives again after `crash`."""

    def __init__(self, name: str) -> None:
        self.vfs = f"quorate-simulated-{next(_numbers)}"
        self.name = name
        self.rng = random.Random(name)
        self.life = 0
        self.dead = False
        self.full = False
        """Nothing grows while this is set."""
        self.read_error = False
        """The next read fails, once."""
        self.sync_error: Callable[[str], bool] | None = None
        """The next sync of a file of which this is true fails, once."""
        self.dies_in = 0
        """After so many operations that change something the machine stops; 0: not soon."""
        self.remembers = False
        """What is overwritten is kept, so that the disk can show it again."""
        self.dies_renaming = False
        """Only operations on names and folders count for that."""
        self.fired: dict[str, int] = {}
        """Which faults struck, and how often."""
        self._calm = False
        self._folders: set[str] = {"/"}
        self._names: dict[str, Inode] = {}
        self._durable: dict[str, Inode] = {}
        self._changes: list[Change] = []
        self._ticks = 0
        self._vfs = SimulatedVfs(self)

    # ---- faults ----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Whatever has files open can change nothing any more."""
        self.dead = True
        self.life += 1
        self.dies_in = 0

    def crash(self, rng: random.Random, *, machine: bool) -> None:
        """A new life: after the end of the process, or of the machine with all that was not synced."""
        self.rng = rng
        files = {id(inode): inode for inode in (*self._durable.values(), *self._names.values())}
        if machine:
            for inode in files.values():
                self.count("writes lost", len(inode.pending))
                inode.survive(rng)
                inode.data[:] = inode.durable
            self._survive_names(rng)
        for inode in files.values():
            if inode.doubtful and rng.random() < 0.5:
                self.count("pages dropped")
                inode.data[:] = inode.durable
                inode.pending.clear()
            inode.doubtful, inode.stand = False, ""
        self.dead = False

    def _survive_names(self, rng: random.Random) -> None:
        kind = rng.choice(("nothing", "everything", "beginning", "some"))
        changes = [] if kind == "nothing" else self._changes
        if kind == "beginning":
            changes = changes[: rng.randint(0, len(changes))]
        elif kind == "some":
            changes = [change for change in changes if rng.random() < 0.5]
        self.count("names lost", len(self._changes) - len(changes))
        for change in changes:
            _name(self._durable, change)
        self._changes = []
        self._names = dict(self._durable)

    def count(self, what: str, times: int = 1) -> None:
        """A fault struck."""
        if times:
            self.fired[what] = self.fired.get(what, 0) + times

    @contextmanager
    def calm(self) -> Iterator[None]:
        """No fault strikes inside: somebody looks who is no part of the machine."""
        was, self._calm = self._calm, True
        try:
            yield
        finally:
            self._calm = was

    def working(self, life: int, *, name: bool = False) -> None:
        """Something (a name?) is about to change. Raises OSError when the machine is, or now goes, dead."""
        if self.dead or life != self.life:
            raise OSError(errno.EIO, "the simulated machine has stopped")
        if self.dies_in and (name or not self.dies_renaming) and not self._calm:
            self.dies_in -= 1
            if not self.dies_in:
                self.stop()
                self.count("died in storage")
                raise OSError(errno.EIO, "the simulated machine stops here")

    def change(self, path: str, offset: int, byte: int) -> None:
        """Something else than a write changes a byte, where it lies and where it is seen."""
        inode = self._names[path]
        for image in (inode.data, inode.durable):
            if offset < len(image):
                image[offset] = byte

    def overwritten(self, path: str) -> list[int]:
        """Where something was written over something else, and synced: what `revert` and `misdirect` can strike."""
        inode = self._names.get(path)
        if inode is None or inode.pending:
            return []
        return [
            place
            for place, old in sorted(inode.earlier.items())
            if place + len(old) <= len(inode.data) and inode.data[place : place + len(old)] != old
        ]

    def overwritten_bytes(self, path: str, place: int) -> int:
        """How much was written there."""
        return len(self._names[path].earlier[place])

    def revert(self, path: str, place: int, skipped: int = 0, size: int | None = None) -> None:
        """The newest write there turns out never to have been made (or only some of it, behind what is skipped)."""
        inode = self._names[path]
        old = inode.earlier[place][skipped:][:size]
        for image in (inode.data, inode.durable):
            put(image, place + skipped, old)

    def misdirect(self, path: str, place: int, other: int) -> None:
        """The newest write there turns out to have been made in another place."""
        inode = self._names[path]
        written = bytes(inode.data[place : place + len(inode.earlier[place])])
        self.revert(path, place)
        for image in (inode.data, inode.durable):
            put(image, other, written[: len(image) - other])

    def copy(self) -> tuple[set[str], dict[str, bytes]]:
        """Every folder, and every file with what it seems to hold."""
        return set(self._folders), {path: bytes(inode.data) for path, inode in self._names.items()}

    def put_back(self, copied: tuple[set[str], dict[str, bytes]]) -> None:
        """That copy is all there is, durably. Nobody has a file open."""
        self._folders, files = set(copied[0]), copied[1]
        self._names = {path: Inode() for path in files}
        for path, inode in self._names.items():
            put(inode.data, 0, files[path])
            put(inode.durable, 0, files[path])
        self._durable, self._changes = dict(self._names), []

    def content(self, path: str) -> bytes:
        """What a file seems to hold; nothing when it is not there."""
        inode = self._names.get(path)
        return b"" if inode is None else bytes(inode.data)

    def close(self) -> None:
        """Forget everything; SQLite forgets the name."""
        self.stop()
        self._names.clear()
        self._durable.clear()
        self._vfs.unregister()

    # ---- contents --------------------------------------------------------------------------------------

    def find(self, path: str) -> Inode | None:
        """The file of this name, as it is seen."""
        return self._names.get(path)

    def make(self, path: str) -> Inode:
        """The file of this name, new when there is none."""
        inode = self._names.get(path)
        if inode is None:
            inode = Inode()
            self._rename({path: inode})
        return inode

    def nameless(self) -> Inode:
        """A file that nobody else will see."""
        return Inode()

    def fetch(self, inode: Inode, offset: int, count: int) -> bytes:
        """Read. Raises OSError."""
        if self.read_error and not self._calm:
            self.read_error = False
            self.count("read error")
            raise OSError(errno.EIO, "simulated read error")
        return bytes(inode.data[offset : offset + count])

    def write(self, inode: Inode, offset: int, data: bytes) -> None:
        """Write, unsynced. Raises OSError; a file that would grow finds no room while the disk is full."""
        if self.full and offset + len(data) > len(inode.data) and not self._calm:
            self.count("no room")
            raise OSError(errno.ENOSPC, "the simulated disk is full")
        if self.remembers and offset + len(data) <= len(inode.data):
            inode.earlier[offset] = bytes(inode.data[offset : offset + len(data)])
        put(inode.data, offset, data)
        inode.pending.append((offset, data))
        self._tick(inode)

    def truncate(self, inode: Inode, size: int) -> None:
        """Cut a file, unsynced."""
        put(inode.data, size, None)
        inode.pending.append((size, None))
        self._tick(inode)

    def _tick(self, inode: Inode) -> None:
        self._ticks += 1
        inode.changed = self._ticks

    def sync_inode(self, path: str, inode: Inode) -> None:
        """Make a file's content durable. Raises OSError."""
        fails = self.sync_error
        if fails is not None and not self._calm and fails(path):
            self.sync_error = None
            self.count("fsync error")
            inode.survive(self.rng)
            inode.doubtful = True
            raise OSError(errno.EIO, "simulated fsync error")
        inode.sync()

    # ---- names -----------------------------------------------------------------------------------------

    def _rename(self, change: Change) -> None:
        _name(self._names, change)
        self._changes.append(change)

    def sync_folder(self, folder: str) -> None:
        """Make what happened to the names of a folder durable."""
        kept: list[Change] = []
        for change in self._changes:
            if all(os.path.dirname(path) != folder for path in change):
                kept.append(change)
                continue
            _name(self._durable, change)
            for earlier in kept:  # what this one has settled, an earlier one cannot unsettle
                for path in change:
                    earlier.pop(path, None)
        self._changes = [change for change in kept if change]

    def unlink(self, path: str) -> None:
        """Take a name away. Raises FileNotFoundError."""
        if path not in self._names:
            raise FileNotFoundError(errno.ENOENT, path)
        self._rename({path: None})

    # ---- what a store asks (Files) -----------------------------------------------------------------------

    def lock(self, folder: Path) -> Lock:  # noqa: ARG002
        """Nobody else can come."""
        return _NoLock()

    def make_folder(self, folder: Path) -> None:
        self._folders.update(map(str, (folder, *folder.parents)))

    def is_folder(self, path: Path) -> bool:
        return str(path) in self._folders

    def exists(self, path: Path) -> bool:
        return str(path) in self._names or str(path) in self._folders

    def names(self, folder: Path) -> list[str]:
        inside = [path for path in (*self._names, *self._folders) if os.path.dirname(path) == str(folder)]
        return sorted(os.path.basename(path) for path in inside)

    def free(self, _folder: Path) -> int:
        return 1 << 40  # it fills up when the simulator says so

    def size(self, path: Path) -> int:
        inode = self._names.get(str(path))
        return 0 if inode is None else len(inode.data)

    def _inode(self, path: Path) -> Inode:
        inode = self._names.get(str(path))
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, str(path))
        return inode

    def changed_ns(self, path: Path) -> int:
        return self._inode(path).changed

    def read(self, path: Path, offset: int, bytes_max: int) -> bytes:
        return self.fetch(self._inode(path), offset, bytes_max)

    def append(self, path: Path, data: bytes) -> None:
        self.working(self.life)
        inode = self.make(str(path))
        self.write(inode, len(inode.data), data)

    def rewrite(self, path: Path) -> None:
        inode = self._names.get(str(path))
        if inode is None or not inode.data:
            return
        with told_apart(f"writing {path}"):
            self.working(self.life)
            self.write(inode, 0, self.fetch(inode, 0, len(inode.data)))
        self.sync(path)

    def remove(self, path: Path) -> None:
        if str(path) in self._names:
            with told_apart(f"deleting {path}"):
                self.working(self.life, name=True)
                self.unlink(str(path))

    def replace(self, path: Path, target: Path) -> None:
        with told_apart(f"renaming {path}"):
            self.working(self.life, name=True)
            self._rename({str(path): None, str(target): self._inode(path)})

    def sync(self, path: Path) -> None:
        with told_apart(f"fsync of {path}"):
            self.working(self.life, name=True)
            if str(path) in self._folders:
                self.sync_folder(str(path))
            elif str(path) in self._names:
                self.sync_inode(str(path), self._names[str(path)])


def _name(names: dict[str, Inode], change: Change) -> None:
    for path, inode in change.items():
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode


class _NoLock:
    forked = False

    def check(self) -> None:
        """Nothing forks here."""

    def release(self) -> None:
        """Nothing is held."""
