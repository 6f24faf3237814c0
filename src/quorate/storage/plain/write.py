"""Making an ordinary SQLite file of a replica's data file: everything of a database, and nothing of ours."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw

from quorate.storage.data.guard import TABLES
from quorate.storage.plain.file import PlainFileError


class PlainWriter:
    """Builds the file beside its final name and moves it there when it is whole. Raises PlainFileError."""

    def __init__(self, path: str | Path, *, replace: bool = False) -> None:
        self.path = Path(path)
        if self.path.exists() and not replace:
            raise PlainFileError(f"{path} exists already")
        if not self.path.parent.is_dir():
            raise PlainFileError(f"the folder {self.path.parent} does not exist")
        self.draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        self.draft.unlink(missing_ok=True)
        self._connection: apsw.Connection | None = None

    def take_copy(self) -> None:
        """The draft is a copy of a replica's data file: take out what is ours, and give it its name."""
        connection = self._open()
        for name in TABLES:
            connection.execute(f"DROP TABLE IF EXISTS {name}").fetchall()
        # A VACUUM in place would number hidden rowids anew, to which search indexes and programs refer.
        small = self.draft.with_name(self.draft.name + "-small")
        small.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(small),)).fetchall()
        self.start_again()
        small.replace(self.draft)
        self._complete()

    def _complete(self) -> None:
        self._open().execute("PRAGMA journal_mode=DELETE").fetchall()
        self._open().close()
        self._connection = None  # another looks at it anew: modules of virtual tables remember what they have seen
        connection = self._open()
        found: list[Any] = connection.execute("PRAGMA quick_check(1)").fetchall()
        connection.close()
        self._connection = None
        if found != [("ok",)]:
            raise PlainFileError(f"the written file is damaged: {found[0][0]}")
        descriptor = os.open(self.draft, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.draft.replace(self.path)

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = apsw.Connection(str(self.draft))
        return self._connection

    def start_again(self) -> None:
        """Throw away what was written so far."""
        if self._connection is not None:
            self._connection.close(force=True)
            self._connection = None
        self.draft.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close(force=True)
        for suffix in ("", "-wal", "-shm", "-journal", "-small"):
            self.draft.with_name(self.draft.name + suffix).unlink(missing_ok=True)
