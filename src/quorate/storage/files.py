"""What storage asks of the operating system about files, beside what SQLite asks for itself.

There are two implementations: the operating system (`Files`), and a disk in memory that forgets, tears and fails
(`storage.testing.disk`). Everything that a store does to a folder goes through one of these objects or through the
SQLite VFS that it names, so that a simulated crash loses what a real one may lose.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from quorate.errors import OperationalError
from quorate.storage.descriptors import none_left
from quorate.storage.interface import Broken, DiskIsFull, NoDescriptors
from quorate.storage.lock import FolderLock

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers of a write that found no room: the device, a quota, the largest allowed file."""
REWRITE_BYTES = 1 << 20


class Lock(Protocol):
    """A folder that is held."""

    forked: bool
    """This is a copy in a forked child, which holds nothing."""

    def check(self) -> None:
        """Raise InterfaceError in a forked child."""

    def release(self) -> None:
        """Give the folder up. Doing so again changes nothing."""


class Files:
    """The operating system's files. What finds no room or cannot be read raises OSError, unless it says otherwise; a
    failed fsync, after which nobody knows what the disk holds, raises Broken."""

    vfs: str | None = None
    """SQLite's name of the VFS that holds the same files; None for SQLite's own."""

    def lock(self, folder: Path) -> Lock:
        """Take a folder. Raises AlreadyOpen, DiskFull or OperationalError."""
        return FolderLock(folder)

    def make_folder(self, folder: Path) -> None:
        """Make a folder, and those that it lies in, where they are missing."""
        folder.mkdir(parents=True, exist_ok=True)

    def is_folder(self, path: Path) -> bool:
        return path.is_dir()

    def exists(self, path: Path) -> bool:
        return path.exists()

    def names(self, folder: Path) -> list[str]:
        """What lies in a folder, sorted."""
        return sorted(os.listdir(folder))

    def size(self, path: Path) -> int:
        """Bytes of a file, 0 when there is none."""
        with contextlib.suppress(FileNotFoundError):
            return path.stat().st_size
        return 0

    def free(self, folder: Path) -> int:
        """Bytes that its disk has room for."""
        return shutil.disk_usage(folder).free

    def changed_ns(self, path: Path) -> int:
        """When a file was last written."""
        return path.stat().st_mtime_ns

    def read(self, path: Path, offset: int, bytes_max: int) -> bytes:
        """A part of a file; less at its end."""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(bytes_max)

    def append(self, path: Path, data: bytes) -> None:
        """Write at the end of a file, making it when it is not there. Unsynced."""
        with path.open("ab") as file:
            file.write(data)

    def rewrite(self, path: Path) -> None:
        """Write a file's content over itself and sync it, if there is one. For what the last process left.

        When an fsync has failed, the pages that it was about may be in memory, marked as clean, and not on the disk:
        whoever reads sees them, another fsync passes over them, and a power failure takes them away (Rebello and
        others, "Can applications recover from fsync failures?", 2020). Only writing makes an fsync mean something
        again. Raises DiskIsFull or Broken.
        """
        with told_apart(f"writing {path}"):
            if not path.exists() or not path.stat().st_size:
                return
            with path.open("r+b", buffering=0) as file:
                while part := file.read(REWRITE_BYTES):
                    file.seek(-len(part), os.SEEK_CUR)
                    file.write(part)
        self.sync(path)

    def remove(self, path: Path) -> None:
        """Delete a file, if there is one. Unsynced. Raises DiskIsFull or Broken."""
        with told_apart(f"deleting {path}"):
            path.unlink(missing_ok=True)

    def replace(self, path: Path, target: Path) -> None:
        """Give a file another name, in place of what had that name before. Unsynced. Raises DiskIsFull or Broken."""
        with told_apart(f"renaming {path}"):
            path.replace(target)

    def sync(self, path: Path) -> None:
        """Make a file's content durable, or, of a folder, which names it holds. Does nothing when there is none.

        Never used on a database that is open: closing a second descriptor would drop SQLite's locks on it.
        """
        if os.name == "nt" and path.is_dir():  # folders cannot be opened there, and need not be
            return
        try:
            descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
        except FileNotFoundError:
            return
        except OSError as error:
            if none_left(error):
                raise NoDescriptors(f"{path} cannot be synced now: {error}") from error
            raise Broken(f"opening {path}: {error}") from error
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise Broken(f"fsync of {path}: {error}") from error
        finally:
            os.close(descriptor)


def make_folder(path: Path, files: Files) -> None:
    """Make the folder of a node where it is missing. Raises OperationalError."""
    if files.exists(path) and not files.is_folder(path):
        raise OperationalError(f"{path} is a file, not a folder", hint="load a SQLite file with quorate import")
    try:
        files.make_folder(path)
    except OSError as error:
        raise OperationalError(f"{path} cannot be made: {error}") from error
    files.sync(path.parent)


@contextlib.contextmanager
def told_apart(what: str) -> Iterator[None]:
    """Turn an OSError into DiskIsFull, NoDescriptors or Broken."""
    try:
        yield
    except OSError as error:
        if none_left(error):
            raise NoDescriptors(f"{what}: {error}") from error
        if error.errno in NO_ROOM:
            raise DiskIsFull(f"{what}: {error}") from error
        raise Broken(f"{what}: {error}") from error


SYSTEM = Files()
"""The operating system's."""
