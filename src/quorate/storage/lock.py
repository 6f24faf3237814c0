"""A node's folder belongs to one process, and in it to one store.

The lock is an exclusive POSIX lock on `folder/lock`, which the operating system gives up with the process,
however it ends; the file holds the process id for whoever is refused. POSIX locks do not tell users inside one
process apart, so that is done with a table. Where there are no POSIX locks, folders are not opened.
"""

import errno
import os
import sys
import weakref
from pathlib import Path

from quorate.errors import AlreadyOpen, DiskFull, InterfaceError, NotSupportedError, OperationalError
from quorate.storage import audit

if sys.platform != "win32":
    import fcntl

NAME = "lock"

_held: dict[str, "FolderLock"] = {}
"""Real path of each folder that this process holds."""
_forkable: "weakref.WeakSet[FolderLock]" = weakref.WeakSet()


class FolderLock:
    """Holds a folder until `release`. Raises AlreadyOpen, DiskFull, OperationalError; on Windows NotSupportedError."""

    def __init__(self, folder: Path) -> None:
        if os.name == "nt":
            raise NotSupportedError(
                f"{folder} cannot be opened: Windows has no lock here that keeps two processes apart",
                hint="run nodes and embedded databases on Linux or macOS; clients of a cluster run on Windows too",
            )
        self.folder = folder
        self.forked = False
        """This is a copy in a forked child, which does not hold the lock."""
        self._key = os.path.realpath(folder)
        if self._key in _held:
            raise AlreadyOpen(
                f"{folder} is already open in this process", pid=os.getpid(), hint="use the connection that has it open"
            )
        try:
            self._descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        except OSError as error:
            raise OperationalError(f"{folder} cannot be used: {error}") from error
        try:
            self._take()
        except BaseException:
            os.close(self._descriptor)
            raise
        _held[self._key] = self
        _forkable.add(self)
        audit.watch(folder)

    def _take(self) -> None:
        if sys.platform != "win32":
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                pid = self._holder()
                who = f"by process {pid}" if pid else "by another process"
                raise AlreadyOpen(
                    f"{self.folder} is open {who}",
                    pid=pid,
                    hint="one process opens a folder; several share a server: quorate up --nodes 1 --dir ANOTHER",
                ) from error
            try:  # One write of fixed length: a reader sees the old id or the new one, never part of one.
                os.pwrite(self._descriptor, b"%-20d\n" % os.getpid(), 0)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise OperationalError(f"{self.folder} cannot be used: {error}") from error
                raise DiskFull(f"{self.folder} cannot be opened: no room", hint="make room on the disk") from error

    def _holder(self) -> int:
        text = (self.folder / NAME).read_bytes().strip()
        return int(text) if text.isdigit() else 0

    def check(self) -> None:
        """Raise InterfaceError in a forked child."""
        if self.forked:
            raise InterfaceError(
                f"{self.folder} was opened before this process was forked and belongs to the parent",
                hint="connect in the child, after the fork, and to a server rather than to the folder",
            )

    def release(self) -> None:
        """Give the folder up. Doing so again changes nothing; nor does doing so in a forked child."""
        if self.forked or _held.pop(self._key, None) is None:
            return
        audit.forget(self.folder)
        _forkable.discard(self)
        os.close(self._descriptor)


def _in_child() -> None:
    """The child holds no locks: what it inherited must not be used, and its folders may be opened by others."""
    for lock in list(_forkable):
        lock.forked = True
        audit.forget(lock.folder)
        os.close(lock._descriptor)  # noqa: SLF001 - the same class's business
    _forkable.clear()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
