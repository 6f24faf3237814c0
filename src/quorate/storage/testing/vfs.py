"""A simulated disk as SQLite sees it: a VFS whose files lie in a `storage.testing.disk.SimulatedDisk`."""

import atexit
import errno
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw

if TYPE_CHECKING:
    from quorate.storage.testing.disk import Inode, SimulatedDisk

BASE = "unix-excl"
"""SQLite's own VFS whose locks and shared memory are those of one process."""

_numbers = itertools.count(1)
_folders: list[str] = []
"""The folder of the empty files, once it is there."""


def _stand() -> str:
    """A name for an empty file of the real system that nobody has used before."""
    if not _folders:
        _folders.append(tempfile.mkdtemp(prefix="quorate-locks-"))
        atexit.register(shutil.rmtree, _folders[0], ignore_errors=True)
    return f"{_folders[0]}/{next(_numbers)}"


def pages_of(disk: "SimulatedDisk", path: str, tables: tuple[str, str]) -> set[int]:
    """Where the pages of two tables (or indexes) begin in a database, as its main file alone has them, for whoever is
    to harm just these; nothing when the file cannot be read any more."""
    with disk.calm():
        connection = apsw.Connection(
            f"file:{path}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs=disk.vfs
        )
        try:
            rows: Any = connection.execute("SELECT (pageno - 1) * pgsize FROM dbstat WHERE name IN (?, ?)", tables)
            return {int(place) for (place,) in rows}
        except apsw.Error:
            return set()
        finally:
            connection.close()


class SimulatedVfs(apsw.VFS):
    def __init__(self, disk: "SimulatedDisk") -> None:
        self._disk = disk
        assert disk.vfs is not None
        super().__init__(disk.vfs, BASE, maxpathname=512)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - these names are SQLite's
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        disk, given = self._disk, flags[0]
        if disk.dead:
            raise _error(apsw.CantOpenError, apsw.SQLITE_CANTOPEN)
        if path is None:
            inode = disk.nameless()
        elif disk.find(path) is None and not given & apsw.SQLITE_OPEN_CREATE:
            raise _error(apsw.CantOpenError, apsw.SQLITE_CANTOPEN)
        else:
            inode = disk.make(path)
        flags[1] = given
        if given & apsw.SQLITE_OPEN_MAIN_DB:
            inode.stand = inode.stand or _stand()
            return _Database(disk, path, inode, given)
        return _File(disk, path or "", inode, given)

    def xAccess(self, path: str, flags: int) -> bool:  # noqa: N802
        inode = self._disk.find(path)  # an empty file passes for none, as in SQLite's own
        return inode is not None and (len(inode.data) > 0 or flags != apsw.SQLITE_ACCESS_EXISTS)

    def xDelete(self, path: str, sync: bool) -> None:  # noqa: N802
        with _reported(apsw.SQLITE_IOERR_DELETE):
            try:
                self._disk.working(self._disk.life, name=True)
                self._disk.unlink(path)
            except FileNotFoundError as error:
                raise _error(apsw.IOError, apsw.SQLITE_IOERR_DELETE_NOENT) from error
            if sync:
                self._disk.working(self._disk.life, name=True)
                self._disk.sync_folder(os.path.dirname(path))

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def excepthook(self, _type: Any, _value: Any, _traceback: Any) -> Any:
        """As for files."""

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        return microseconds


class _Content:
    """What SQLite does with the content of any file."""

    disk: "SimulatedDisk"
    path: str
    inode: "Inode"
    life: int
    new_name: bool
    """SQLite's own VFS syncs the folder with the first sync of a journal that it may have made."""

    def excepthook(self, _type: Any, _value: Any, _traceback: Any) -> Any:
        """Errors that SQLite itself passes over, as when it closes, are not news here."""

    def _begin(self, disk: "SimulatedDisk", path: str, inode: "Inode", flags: int) -> None:
        self.disk, self.path, self.inode, self.life = disk, path, inode, disk.life
        journals = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
        self.new_name = bool(flags & apsw.SQLITE_OPEN_CREATE and flags & journals)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        with _reported(apsw.SQLITE_IOERR_READ):
            return self.disk.fetch(self.inode, offset, amount)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        with _reported(apsw.SQLITE_IOERR_WRITE):
            self.disk.working(self.life)
            self.disk.write(self.inode, offset, bytes(data))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        with _reported(apsw.SQLITE_IOERR_TRUNCATE):
            self.disk.working(self.life)
            self.disk.truncate(self.inode, size)

    def xSync(self, _flags: int) -> None:  # noqa: N802
        with _reported(apsw.SQLITE_IOERR_FSYNC):
            self.disk.working(self.life)
            self.disk.sync_inode(self.path, self.inode)
            if self.new_name:
                self.disk.sync_folder(os.path.dirname(self.path))
                self.new_name = False

    def xFileSize(self) -> int:  # noqa: N802
        return len(self.inode.data)


class _File(_Content):
    """A journal or a write-ahead log: nobody locks it."""

    def __init__(self, disk: "SimulatedDisk", path: str, inode: "Inode", flags: int) -> None:
        self._begin(disk, path, inode, flags)

    def xClose(self) -> None:  # noqa: N802
        """Nothing to close."""

    def xLock(self, level: int) -> None:  # noqa: N802
        """Always granted."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """Always granted."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, _operation: int, _pointer: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE


class _Database(_Content, apsw.VFSFile):
    """A database: locks and shared memory are those of an empty file of the real system."""

    def __init__(self, disk: "SimulatedDisk", path: str, inode: "Inode", flags: int) -> None:
        self._begin(disk, path, inode, flags)
        real = (flags | apsw.SQLITE_OPEN_CREATE) & ~apsw.SQLITE_OPEN_EXCLUSIVE
        apsw.VFSFile.__init__(self, BASE, inode.stand, [real, real])

    def xFileControl(self, operation: int, pointer: int) -> bool:  # noqa: N802
        if operation in (apsw.SQLITE_FCNTL_SIZE_HINT, apsw.SQLITE_FCNTL_CHUNK_SIZE):
            return False
        return apsw.VFSFile.xFileControl(self, operation, pointer)


def _error(kind: type[apsw.Error], code: int) -> apsw.Error:
    error = kind("simulated")
    error.extendedresult = code  # type: ignore[attr-defined]
    return error


@contextmanager
def _reported(code: int) -> Iterator[None]:
    """What SQLite hears of an OSError."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _error(apsw.FullError, apsw.SQLITE_FULL) from error
        raise _error(apsw.IOError, code) from error
