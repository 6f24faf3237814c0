"""The shelf of snapshots: copies of data files that are being sent, and those that are being received."""

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import apsw

from quorate.core.bounds import GroupId
from quorate.core.entries import Entry, Position
from quorate.core.recovered import Identity
from quorate.storage.data.copying import Copying
from quorate.storage.data.data_file import read_controls
from quorate.storage.data.replica import Replica
from quorate.storage.failures import raise_if_fatal
from quorate.storage.files import NO_ROOM, SYSTEM, Files
from quorate.storage.interface import Broken, DiskIsFull, Divergent


class Shelf(Protocol):
    """Where a store keeps snapshots."""

    def copy(self, group: GroupId, replica: Replica, spare: int = 0, /) -> "MakeCopy":
        """Pin what is committed now, to be copied. Raises DiskIsFull when the copy would leave no `spare` bytes."""

    def read(self, snapshot: int, offset: int, bytes_max: int) -> tuple[bytes, bool]:
        """A chunk, and whether it is the last; nothing and not the last when there is no such copy."""

    def close(self, snapshot: int) -> None:
        """Let go of a copy. Doing so again changes nothing."""

    def store(self, group: GroupId, snapshot: int, offset: int, data: bytes) -> int:
        """Keep a chunk of a received snapshot; how many bytes of it are held now. Offset 0 begins anew; a
        chunk that does not follow what is held is not kept. Raises DiskIsFull or Broken."""

    def finish(self, group: GroupId, snapshot: int, position: Position, keep: int) -> None:
        """Make a received snapshot durable and check it; earlier ones of the group go, but for the one that is
        to be kept. Any thread may do that. Raises Divergent, DiskIsFull or Broken."""

    def drop(self, group: GroupId, snapshot: int) -> None:
        """Forget a received snapshot."""

    def forget(self, group: GroupId) -> None:
        """The group was dropped: keep no copy of it, sent or received."""

    def controls_of(self, group: GroupId, snapshot: int) -> tuple[tuple[Entry, ...], Position]:
        """The control entries that a received snapshot, complete and checked, keeps, and where it stands. Raises
        Broken."""


MakeCopy = Callable[[], tuple[int, Position, int]]
"""Make a copy of what was pinned, on any thread: its number, the position it stands at, its size in bytes. Raises
Divergent, DiskIsFull or Broken."""


def snapshot_numbers(identity: Identity) -> Iterator[int]:
    """Numbers for the copies of one life of a node, which no other node or life will give again."""
    counter = 0
    while True:
        counter += 1
        name = f"{identity.node} {identity.boot} {counter}".encode()
        yield int.from_bytes(blake2b(name, digest_size=8).digest(), "big") >> 1 or 1


class FileShelf:
    """Snapshots as files of one folder. What an earlier life left there is removed with `tidy`."""

    def __init__(self, folder: Path, identity: Identity, files: Files = SYSTEM) -> None:
        self.folder = folder
        self._files = files
        self._numbers = snapshot_numbers(identity)
        self._copies: dict[int, Path] = {}

    def incoming(self, group: GroupId, snapshot: int) -> Path:
        """The file of a snapshot that is being received."""
        return self.folder / f"incoming-{group}-{snapshot}.db"

    def received(self, group: GroupId, snapshot: int) -> Path:
        """The file of a snapshot that is complete, durable and checked."""
        return self.folder / f"received-{group}-{snapshot}.db"

    def copy(self, group: GroupId, replica: Replica, spare: int = 0) -> MakeCopy:
        if spare and self._files.free(self.folder) < self._files.size(Path(replica.file)) + spare:
            raise DiskIsFull(f"a copy would leave less than {spare} bytes free")
        return partial(self._copy, group, next(self._numbers), replica.copying())

    def _copy(self, group: GroupId, snapshot: int, copying: Copying) -> tuple[int, Position, int]:
        path = self.folder / f"outgoing-{group}-{snapshot}.db"
        try:
            position = copying.to(path)
            # A damaged page that nobody reads here would make every copy useless, and its receiver ask for ever.
            check_sound(path, self._files)
        except BaseException:
            remove(path, self._files)
            raise
        self._copies[snapshot] = path
        return snapshot, position, self._files.size(path)

    def read(self, snapshot: int, offset: int, bytes_max: int) -> tuple[bytes, bool]:
        path = self._copies.get(snapshot)
        if path is None:
            return b"", False
        try:
            data = self._files.read(path, offset, bytes_max)
            size = self._files.size(path)
        except OSError as error:
            raise Broken(f"reading {path}: {error}") from error
        return data, offset + len(data) >= size

    def close(self, snapshot: int) -> None:
        path = self._copies.pop(snapshot, None)
        if path is not None:
            remove(path, self._files)

    def store(self, group: GroupId, snapshot: int, offset: int, data: bytes) -> int:
        path = self.incoming(group, snapshot)
        if offset == 0:
            for name in self._files.names(self.folder):
                if name.startswith(f"incoming-{group}-"):
                    self._files.remove(self.folder / name)
        held = self._files.size(path)
        if offset != held:
            return held
        try:
            self._files.append(path, data)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise DiskIsFull(f"writing {path.name}: {error}") from error
            raise Broken(f"writing {path}: {error}") from error
        return held + len(data)

    def finish(self, group: GroupId, snapshot: int, position: Position, keep: int) -> None:
        path, complete = self.incoming(group, snapshot), self.received(group, snapshot)
        check_copy(path, position, self._files)
        self._files.sync(path)
        for name in self._files.names(self.folder):
            if name.startswith(f"received-{group}-") and name != self.received(group, keep).name:
                self._files.remove(self.folder / name)
        self._files.replace(path, complete)
        self._files.sync(self.folder)

    def controls_of(self, group: GroupId, snapshot: int) -> tuple[tuple[Entry, ...], Position]:
        path = self.received(group, snapshot)
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._files.vfs)
            try:
                return _read_controls(connection)
            finally:
                connection.close()
        except apsw.Error as error:
            raise_if_fatal(error)
            raise Broken(f"reading {path}: {error}") from error

    def drop(self, group: GroupId, snapshot: int) -> None:
        remove(self.incoming(group, snapshot), self._files)
        remove(self.received(group, snapshot), self._files)

    def forget(self, group: GroupId) -> None:
        outgoing = f"outgoing-{group}-"
        self._copies = {key: path for key, path in self._copies.items() if not path.name.startswith(outgoing)}
        for name in self._files.names(self.folder):
            if name.startswith((f"incoming-{group}-", f"received-{group}-", outgoing)):
                self._files.remove(self.folder / name)

    def tidy(self, keep: frozenset[str]) -> None:
        """Remove every file except those that the log has switched to and that are not in place yet."""
        self._copies.clear()
        for name in self._files.names(self.folder):
            if name not in keep:
                self._files.remove(self.folder / name)


def check_copy(path: Path, position: Position, files: Files = SYSTEM) -> None:
    """Whether a received file is a sound data file that stands at this position. Raises Divergent or Broken."""
    check_sound(path, files)
    replica = Replica(path, files=files)
    try:
        check_position(replica, position)
    finally:
        replica.close()


def check_sound(path: Path, files: Files = SYSTEM) -> None:
    """Whether a file is a sound database. Raises Divergent or Broken."""
    try:
        connection = apsw.Connection(str(path), vfs=files.vfs)  # it reads the header
    except apsw.Error as error:
        raise_if_fatal(error)
        raise Broken(f"opening {path}: {error}") from error
    try:
        check_pages(connection)
    finally:
        connection.close()


def check_pages(connection: apsw.Connection) -> None:
    """Raises Divergent when the database is not sound, Broken when it cannot be read."""
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchall()
    except apsw.Error as error:
        raise_if_fatal(error)
        raise Divergent(f"the snapshot is not a sound database: {error}") from error
    if found != [("ok",)]:
        raise Divergent(f"the snapshot is not a sound database: {found[0][0]}")


def check_position(replica: Replica, position: Position) -> None:
    """Raises Divergent when the replica stands somewhere else."""
    if replica.applied != position:
        raise Divergent(f"the snapshot stands at {replica.applied}, not at {position}")


def remove(path: Path, files: Files = SYSTEM) -> None:
    """Delete a database file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        files.remove(path.with_name(path.name + suffix))


def _read_controls(connection: apsw.Connection) -> tuple[tuple[Entry, ...], Position]:
    try:
        controls = read_controls(connection)
        rows = connection.execute("SELECT epoch, entry FROM quorate_applied").fetchall()
    except apsw.Error as error:
        raise Broken(f"reading a received snapshot: {error}") from error
    return controls, Position(int(rows[0][0]), int(rows[0][1]))  # type: ignore[arg-type]


class MemoryShelf:
    """Snapshots as bytes."""

    def __init__(self, identity: Identity) -> None:
        self._numbers = snapshot_numbers(identity)
        self._copies: dict[int, bytes] = {}
        self._groups: dict[int, GroupId] = {}
        """Of which group each copy is."""
        self._arriving: dict[tuple[GroupId, int], bytearray] = {}
        self.received: dict[tuple[GroupId, int], bytes] = {}
        """Complete and durable, not yet in use."""

    def copy(self, group: GroupId, replica: Replica, _spare: int = 0) -> MakeCopy:
        snapshot = next(self._numbers)
        image = self._copies[snapshot] = replica.dump()
        self._groups[snapshot] = group
        made = snapshot, replica.applied, len(image)
        return lambda: made

    def read(self, snapshot: int, offset: int, bytes_max: int) -> tuple[bytes, bool]:
        image = self._copies.get(snapshot)
        if image is None:
            return b"", False
        data = image[offset : offset + bytes_max]
        return data, offset + len(data) >= len(image)

    def close(self, snapshot: int) -> None:
        self._copies.pop(snapshot, None)

    def store(self, group: GroupId, snapshot: int, offset: int, data: bytes) -> int:
        key = group, snapshot
        if offset == 0:
            for other in [other for other in self._arriving if other[0] == group]:
                del self._arriving[other]
        held = self._arriving.setdefault(key, bytearray())
        if offset == len(held):
            held += data
        return len(held)

    def finish(self, group: GroupId, snapshot: int, position: Position, keep: int) -> None:
        for other in [other for other in self.received if other[0] == group and other[1] != keep]:
            del self.received[other]
        image = bytes(self._arriving.pop((group, snapshot)))
        self._check(image, position)
        self.received[group, snapshot] = image

    def _check(self, image: bytes, position: Position) -> None:
        """Whether it is a sound database that stands at this position. Raises Divergent."""
        connection = apsw.Connection(":memory:")
        replica = Replica(":memory:")
        try:
            connection.deserialize("main", image)
            check_pages(connection)
            replica.load(image)
            check_position(replica, position)
        finally:
            replica.close()
            connection.close()

    def drop(self, group: GroupId, snapshot: int) -> None:
        self._arriving.pop((group, snapshot), None)
        self.received.pop((group, snapshot), None)

    def forget(self, group: GroupId) -> None:
        for number in [number for number, known in self._groups.items() if known == group]:
            self.close(number)
        for kept in (self._arriving, self.received):
            for key in [key for key in kept if key[0] == group]:
                del kept[key]

    def controls_of(self, group: GroupId, snapshot: int) -> tuple[tuple[Entry, ...], Position]:
        connection = apsw.Connection(":memory:")
        connection.deserialize("main", self.received[group, snapshot])
        try:
            return _read_controls(connection)
        finally:
            connection.close()

    def crash(self, identity: Identity) -> None:
        """A new life begins: what was not complete is gone."""
        self._numbers = snapshot_numbers(identity)
        self._copies.clear()
        self._arriving.clear()
