"""What all our SQLite files share: how they are opened and closed, and how their errors are told apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from quorate.storage.files import NO_ROOM, SYSTEM, Files
from quorate.storage.interface import Broken, DiskIsFull, StorageError

WRITES = frozenset({apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_SHMSIZE, apsw.SQLITE_IOERR_TRUNCATE})
"""Failures that can be for want of room. A failed fsync is never one of them, whatever number it gives:
after it nobody knows what the disk holds (Rebello et al., "Can applications recover from fsync
failures?", ATC 2020)."""

HEADER = b"SQLite format 3\0"

_STATEMENTS = 20
"""Prepared statements that are kept of such a file, about as many as there are: looking for one takes longer where
there is room for more."""

UNREADABLE = (apsw.CorruptError, apsw.NotADBError, apsw.CantOpenError)
"""What opening or reading a file raises that is no database, not any more, or not there."""


def is_full(error: apsw.Error, connection: apsw.Connection | None) -> bool:
    """Whether SQLite failed because there was no room, so that the same call may work later."""
    if isinstance(error, apsw.FullError):
        return True
    if connection is None or not isinstance(error, apsw.IOError):
        return False
    return getattr(error, "extendedresult", 0) in WRITES and connection.system_errno in NO_ROOM


def translated(error: apsw.Error, connection: apsw.Connection | None, what: str) -> StorageError:
    """The storage error that says what this SQLite error means to the node."""
    if is_full(error, connection):
        return DiskIsFull(f"{what}: no room ({error})")
    return Broken(f"{what}: {type(error).__name__}: {error}")


def open_exclusive(
    path: Path, vfs: str | None = None, *, files: Files = SYSTEM, page_bytes: int = 4096
) -> apsw.Connection:
    """Open a file that only this connection may use, in WAL mode, checkpointed only when told to. `page_bytes` is for
    a file that is new.

    What an earlier process left in its WAL is written again first: see `Files.rewrite`.

    In exclusive locking mode SQLite keeps the WAL's index in memory and takes no lock at each commit.
    A connection that merely goes out of scope (after a fork, or when the disk broke) must not touch the
    file again, so closing checkpoints nothing unless `close_orderly` asked for it.

    Raises DiskIsFull or Broken; what apsw raises for a file that is in use or no database (BusyError,
    `UNREADABLE`) is left as it is.
    """
    if vfs is None:
        _check_header(path, files)
    files.rewrite(path.with_name(path.name + "-wal"))
    try:
        connection = apsw.Connection(str(path), vfs=vfs or files.vfs, statementcachesize=_STATEMENTS)
    except (apsw.BusyError, *UNREADABLE):
        raise
    except apsw.Error as error:
        raise translated(error, None, f"opening {path}") from error
    with opening(connection, path):
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for pragma in (
            f"page_size={page_bytes}",
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            "synchronous=FULL",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.wal_autocheckpoint(0)
    return connection


def _check_header(path: Path, files: Files) -> None:
    """Raise NotADBError when the file itself is no database. SQLite would not notice while its write-ahead log holds
    the first page, and would fold that log into whatever took the file's place."""
    try:
        head = files.read(path, 0, len(HEADER))
    except OSError:  # not there yet; or SQLite says what is wrong with it
        return
    if head and head != HEADER:
        raise apsw.NotADBError("file is not a database")


@contextmanager
def opening(connection: apsw.Connection, path: Path) -> Iterator[None]:
    """Closes the connection when what belongs to opening it fails, and tells errors apart as `open_exclusive`."""
    try:
        yield
    except (apsw.BusyError, *UNREADABLE):
        connection.close()
        raise
    except apsw.Error as error:
        failed = translated(error, connection, f"opening {path}")
        connection.close()
        raise failed from error
    except BaseException:
        connection.close()
        raise


def close_orderly(connection: apsw.Connection) -> None:
    """Bring everything into the file itself and remove its WAL. Raises apsw.Error when that fails."""
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    connection.close()
