"""Loading a plain SQLite file by steps: each is one atomic request, and can be repeated without harm.

The target keeps a small table while it is being loaded: which file (a digest of all it holds), which attempt (a
random run id), and how many steps are done. Each step's request moves that number on, so a loader that died goes
on where the target says. The token of a step is made of run id and step, so a request that was sent twice, even by
two processes, happens once. The run id keeps a later import of the same file apart from this one.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import Struct

from quorate import errors
from quorate.cli.output import Exit, Fail
from quorate.core.requests import Done
from quorate.core.statements import Parameters, Statement
from quorate.sql.tokens import quoted
from quorate.storage.plain.file import Extent, PlainFile
from quorate.storage.plain.shape import VIRTUAL, Table

PROGRESS = "_quorate_import"
_MADE = (
    f"CREATE TABLE {PROGRESS}(id INTEGER PRIMARY KEY CHECK (id = 1), digest TEXT NOT NULL, run TEXT NOT NULL,"
    " step INTEGER NOT NULL) STRICT"
)
_MOVE = f"UPDATE {PROGRESS} SET step = ? WHERE id = 1"  # noqa: S608 - a constant
_FIND = f"SELECT digest, run, step FROM {PROGRESS}"  # noqa: S608 - a constant
PATIENCE = 60.0
"""Seconds for which one step is tried again when nobody answers."""


class Database(Protocol):
    """What loading needs of a connection: a cluster's or an embedded one."""

    def run(
        self, statements: tuple[Statement, ...], name: str | None = None, *, load: bool = False
    ) -> tuple[Done, int]:
        """Carry statements through as one request."""

    def outcome(self, token: str) -> object:
        """Settle a write whose answer was lost."""


class Step(Struct, frozen=True):
    """One atomic request."""

    statements: tuple[Statement, ...]
    rows: int = 0
    what: str = ""


def steps(file: PlainFile) -> Iterator[Step]:
    """Everything after the tables themselves, always in the same order and cut in the same places."""
    for table in file.tables:
        for rows in file.chunks(table):
            yield Step((Statement(table.insert, tuple(rows), many=True),), len(rows), table.name)
        yield from _finish_virtual(file, table)
    sequences = file.sequences()
    if sequences:
        yield Step(tuple(each for name, number in sequences for each in _sequence(name, number)))
    for each in file.ordered():
        if each.kind == "index":
            yield Step((Statement(each.sql),), what=each.name)
    if file.analyzed:
        yield Step((Statement("ANALYZE"),))
    rest = [Statement(each.sql) for each in file.ordered() if each.kind in ("view", "trigger")]
    rest += [Statement(f"PRAGMA {name} = {number}") for name, number in file.header()]
    yield Step((*rest, Statement(f"DROP TABLE {PROGRESS}")))


def _finish_virtual(file: PlainFile, table: Table) -> Iterator[Step]:
    """What a full-text table needs beside its rows."""
    if table.kind != VIRTUAL or not table.module.startswith("fts"):
        return
    name = quoted(table.name)
    if table.derived:
        sql = f"INSERT INTO {name}({name}) VALUES ('rebuild')"  # noqa: S608 - a quoted name
        yield Step((Statement(sql),), what=table.name)
    given: list[Parameters] = [(key, value) for key, value in file.settings(table)]  # type: ignore[misc]
    if given:
        sql = f"INSERT INTO {name}({name}, rank) VALUES (?, ?)"  # noqa: S608 - a quoted name
        yield Step((Statement(sql, tuple(given), many=True),), what=table.name)


def _sequence(name: str, number: int) -> Iterator[Statement]:
    """Numbers of deleted rows are not given out again."""
    yield Statement("DELETE FROM sqlite_sequence WHERE name = ?", ((name,),))
    yield Statement("INSERT INTO sqlite_sequence(name, seq) VALUES (?, ?)", ((name, number),))


class Loader:
    """Loads one file into one database. Raises Fail before anything is written when that cannot be done."""

    def __init__(self, file: PlainFile, extent: Extent, database: Database) -> None:
        self._file = file
        self._extent = extent
        self._database = database
        self._run = secrets.token_hex(8)
        self.done = 0
        """Steps that were done when the loading began."""
        self.resumed = False

    def prepare(self) -> None:
        """Find out where to go on, or that nothing is in the way. Raises Fail."""
        done, _ = self._database.run((Statement("SELECT name FROM sqlite_schema"),))
        names = {str(row[0]).lower() for row in done.results[0].rows}
        if PROGRESS in names:
            self._resume()
            return
        mine = [each.name for each in self._file.objects]
        taken = sorted(name for name in mine if name.lower() in names)
        if taken:
            raise Fail(
                f"the database has {', '.join(taken[:5])} already; nothing was written",
                Exit.REFUSED,
                "load into a new database",
            )
        if PROGRESS in (name.lower() for name in mine):
            raise Fail(f"the file has a table {PROGRESS}, which loading needs for itself", Exit.REFUSED)

    def _resume(self) -> None:
        done, _ = self._database.run((Statement(_FIND),))
        digest, run, step = done.results[0].rows[0]
        if digest != self._extent.digest:
            raise Fail(
                "the database holds a part of another file, or the file has changed since; nothing was written",
                Exit.REFUSED,
                f"finish that import, or drop its tables and {PROGRESS}",
            )
        assert isinstance(step, int)
        self._run, self.done, self.resumed = str(run), step, True

    def load(self, progress: Callable[[int, str], None]) -> None:
        """Do every step that is not done. Raises client errors; running it again goes on."""
        rows = 0
        if not self.resumed:
            first = (self._extent.digest, self._run, 0)
            made = [Statement(each.sql) for each in self._file.ordered() if each.kind == "table"]
            record = Statement(f"INSERT INTO {PROGRESS} VALUES (1, ?, ?, ?)", (first,))  # noqa: S608 - a constant
            self._send(0, (Statement(_MADE), record, *made))
        for number, step in enumerate(steps(self._file), 1):
            rows += step.rows
            if number > self.done:
                last = step.statements[-1].sql.startswith("DROP TABLE")
                move = () if last else (Statement(_MOVE, ((number,),)),)
                self._send(number, step.statements + move)
            progress(rows, step.what)

    def _send(self, number: int, statements: tuple[Statement, ...]) -> None:
        """Do one step, whatever becomes of its answers, for as long as `PATIENCE` allows."""
        until = time.monotonic() + PATIENCE
        attempt = 0
        while True:
            token = f"import:{self._run}:{number}:{attempt}"
            try:
                try:
                    self._database.run(statements, token, load=True)
                except errors.MaybeDone:
                    self._database.outcome(token)
                return
            except errors.Cancelled:
                attempt += 1
            except (errors.MaybeDone, errors.OperationalError) as error:
                if not error.retryable and not isinstance(error, errors.MaybeDone):
                    raise
                if time.monotonic() >= until:
                    raise
                time.sleep(0.1)
