"""Copying one committed state of a data file to a new file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from quorate.core.entries import Position
from quorate.storage.data.reader import Reader
from quorate.storage.descriptors import short_of_descriptors
from quorate.storage.failures import raise_if_fatal
from quorate.storage.files import Files
from quorate.storage.interface import Broken, NoCopy


class Copying:
    """One state, pinned by a read transaction until it is copied: writers neither wait nor make the copy start again.

    Give either a reader of its own, after which any thread may copy, or the connection of a database in memory and
    where it stands.
    """

    def __init__(self, source: Reader | apsw.Connection, files: Files, position: Position | None = None) -> None:
        self._source = source
        self._files = files
        with reading():
            self.position = position or self._pin()

    def _pin(self) -> Position:
        assert isinstance(self._source, Reader), "a database in memory is not pinned"
        try:
            return self._source.begin()
        except BaseException:
            self.close()
            raise

    def to(self, path: str | Path) -> Position:
        """Write a durable copy to a new file, and let go of the state; where it stands. Raises DiskIsFull, Divergent,
        Broken or NoCopy."""
        target = Path(os.path.abspath(path))
        try:
            with reading():
                source = self._source.connection if isinstance(self._source, Reader) else self._source
                _copy(source, target, self._files)
        finally:
            self.close()
        self._files.sync(target)
        self._files.sync(target.parent)
        return self.position

    def close(self) -> None:
        """Let go of the pinned state."""
        if isinstance(self._source, Reader):
            self._source.end()
            self._source.close()


@contextmanager
def reading() -> Iterator[None]:
    """Turn what apsw raises here into what drivers know."""
    try:
        yield
    except apsw.Error as error:
        raise_if_fatal(error)
        raise Broken(f"{type(error).__name__}: {error}") from error


def _copy(source: apsw.Connection, target: Path, files: Files) -> None:
    """Copy every page in one step: the source cannot change between two steps when there is one."""
    try:
        if files.exists(target):
            raise NoCopy(f"{target} exists already")
        copy = apsw.Connection(str(target), vfs=files.vfs)
    except (apsw.CantOpenError, OSError) as error:
        if short_of_descriptors():
            raise
        raise NoCopy(f"{target} cannot be made: {error}") from error
    try:
        copy.execute("PRAGMA synchronous=OFF")  # the whole file is synced afterwards
        with copy.backup("main", source, "main") as backup:
            backup.step(-1)
    finally:
        copy.close()
