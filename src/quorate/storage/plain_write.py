"""Writing an ordinary SQLite file: everything of a database, and nothing of ours."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw

from quorate.sql.tokens import quoted
from quorate.storage.plain_file import PlainFileError
from quorate.storage.plain_shape import OURS, VIRTUAL, Object, Table, ordinary, shadow_tables, tables


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
        self._later: list[Object] = []

    def begin(self, made: Sequence[Object]) -> list[Table]:
        """Make the tables, and say which rows are wanted; what else there is comes after the rows."""
        connection = self._open()
        connection.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF").fetchall()
        connection.execute("BEGIN IMMEDIATE")
        rank = {"index": 1, "view": 2, "trigger": 3}
        self._later = sorted((each for each in made if each.kind != "table"), key=lambda each: rank[each.kind])
        for each in made:
            if each.kind == "table":
                connection.execute(each.sql).fetchall()
        return [shape for table in tables(connection) for shape in self._parts(table)]

    def _parts(self, table: Table) -> list[Table]:
        """A virtual table is copied as what it is made of, emptied of what a new one has."""
        if table.kind != VIRTUAL:
            return [table]
        connection = self._open()
        shadows = shadow_tables(connection, table.name)
        for name in shadows:
            connection.execute(f"DELETE FROM {quoted(name)}").fetchall()  # noqa: S608 - a quoted name
        return [ordinary(connection, name) for name in shadows]

    def rows(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows of a table that `begin` named."""
        self._open().executemany(table.insert, rows)

    def finish(self, sequences: Iterable[tuple[str, int]], header: Iterable[tuple[str, int]], *, analyze: bool) -> None:
        """Write what comes after the rows, check the file, and give it its name."""
        connection = self._open()
        for each in self._later:
            connection.execute(each.sql).fetchall()
        for name, number in sequences:
            connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
            connection.execute("INSERT INTO sqlite_sequence(name, seq) VALUES (?, ?)", (name, number))
        for name, number in header:
            connection.execute(f"PRAGMA {name} = {int(number)}").fetchall()
        connection.execute("COMMIT")
        if analyze:
            connection.execute("ANALYZE").fetchall()
        self._complete()

    def take_copy(self) -> None:
        """The draft is a copy of a replica's data file: take out what is ours, and give it its name."""
        connection = self._open()
        for name in OURS:
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
