"""Reading an ordinary SQLite file that somebody else has made, to load it into a database."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from quorate.core.limits import ROW_BYTES_MAX
from quorate.sql.tokens import quoted
from quorate.storage.data.guard import RESERVED
from quorate.storage.plain.shape import VIRTUAL, Object, Table, carried, objects, settings, tables

CHUNK_ROWS = 500
CHUNK_BYTES = 256 << 10
"""A chunk ends at whichever comes first."""
_BUILT_IN = frozenset({"BINARY", "NOCASE", "RTRIM"})

Row = tuple[Any, ...]


class PlainFileError(Exception):
    """The file cannot be read, or there is no room for one."""


class Extent(Struct, frozen=True):
    """How much there is to load."""

    digest: str
    """Of everything that will be loaded."""
    rows: int
    bytes: int
    problems: tuple[str, ...] = ()
    """Rows that cannot be carried."""


class PlainFile:
    """One state of the file, whoever writes to it meanwhile. Raises PlainFileError."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise PlainFileError(f"{path} is not a file")
        try:
            self._connection = _open(self.path)
            self.objects: list[Object] = objects(self._connection)
            self.tables: list[Table] = tables(self._connection)
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise PlainFileError(f"{path} is not a SQLite database, or it is encrypted or damaged: {error}") from error
        except apsw.Error as error:
            raise PlainFileError(f"{path} cannot be read: {error}") from error

    # ------------------------------------------------------------------ what cannot be carried

    def problems(self) -> list[str]:
        """Everything about the schema that cannot be carried, one sentence for each; empty: all can."""
        found = self._damage()
        if found:
            return found
        for each in self.objects:
            if each.name.lower().startswith(RESERVED):
                found.append(f"{each.kind} {each.name}: names that begin with {RESERVED} are reserved")
        for table in self.tables:
            found += self._problems_of(table)
        return found + self._cannot_be_made()

    def _damage(self) -> list[str]:
        try:
            rows: list[Any] = self._connection.execute("PRAGMA main.quick_check(5)").fetchall()
        except (apsw.CorruptError, apsw.IOError) as error:
            rows = [(str(error),)]
        except apsw.Error:  # an unknown collation or function, which has a name of its own below
            rows = []
        return [f"the file is damaged: {row}" for (row,) in rows if row != "ok"]

    def _problems_of(self, table: Table) -> Iterator[str]:
        name = table.name
        if not carried(table):
            yield f"table {name}: virtual tables of the module {table.module} are not supported"
        elif table.kind == VIRTUAL and table.content == "":
            yield f"table {name}: a full-text table that does not store its text cannot be read back"
        elif table.kind == VIRTUAL and table.language:
            yield f"table {name}: full-text tables with languageid are not supported"
        if table.kind == VIRTUAL:
            return
        for collation in self._collations(table):
            yield f"table {name}: the collation {collation} is defined by an application"
        if table.problem:
            yield table.problem

    def _collations(self, table: Table) -> list[str]:
        """Collations that are not SQLite's own, in the table's columns and indexes."""
        used: set[str] = set()
        for column in table.columns:
            try:
                used.add(str(self._connection.column_metadata("main", table.name, column)[1] or "BINARY"))
            except apsw.SQLError:  # a hidden rowid
                continue
        rows: list[Any] = self._connection.execute(
            "SELECT DISTINCT x.coll FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x WHERE x.key",
            (table.name,),
        ).fetchall()
        used |= {str(coll) for (coll,) in rows if coll}
        return sorted(each for each in used if each.upper() not in _BUILT_IN)

    def _cannot_be_made(self) -> list[str]:
        """Make the whole schema once, empty: what this build of SQLite refuses has a problem."""
        found = []
        trial = apsw.Connection(":memory:")
        try:
            for each in self.ordered():
                try:
                    trial.execute(each.sql).fetchall()
                except apsw.Error as error:
                    found.append(f"{each.kind} {each.name}: {error}")
        finally:
            trial.close()
        return found

    # ------------------------------------------------------------------ what there is

    def ordered(self) -> list[Object]:
        """Everything in an order in which it can be made: tables, indexes, views, triggers."""
        rank = {"table": 0, "index": 1, "view": 2, "trigger": 3}
        return sorted(self.objects, key=lambda each: rank[each.kind])

    def extent(self, progress: Callable[[int], None] | None = None) -> Extent:
        """Read everything once: how much it is, a digest of it, and rows that cannot be carried."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(msgspec.msgpack.encode([self.objects, self.sequences(), self.header()]))
        total = size = 0
        found: list[str] = []
        checked = self._checked()
        for table in self.tables:
            try:
                for rows in self.chunks(table):
                    if table.name in checked:
                        checked[table.name](rows)
                    encoded = msgspec.msgpack.encode(rows)
                    digest.update(encoded)
                    total += len(rows)
                    size += len(encoded)
                    if len(encoded) > ROW_BYTES_MAX:
                        found.append(
                            f"table {table.name}: a row of {len(encoded)} bytes; a row has at most {ROW_BYTES_MAX}"
                        )
                    if progress is not None:
                        progress(total)
            except UnicodeDecodeError:
                found.append(f"table {table.name}: it has text that is not UTF-8")
            except apsw.Error as error:
                found.append(f"table {table.name}: {error}")
        return Extent(digest.hexdigest(), total, size, tuple(found))

    def _checked(self) -> dict[str, Callable[[list[Row]], None]]:
        """For each table with CHECK: what raises ConstraintError for rows that break it. They are tried on a table
        in memory, because a connection that only reads does not even parse them."""
        trial = apsw.Connection(":memory:")
        found: dict[str, Callable[[list[Row]], None]] = {}

        def check(table: Table, rows: list[Row]) -> None:
            trial.executemany(table.insert, rows)
            trial.execute(f"DELETE FROM {quoted(table.name)}")  # noqa: S608 - a quoted name

        made = {each.name: each.sql for each in self.objects if each.kind == "table"}
        for table in self.tables:
            if table.kind != VIRTUAL and "check" in made[table.name].lower():
                trial.execute(made[table.name])
                found[table.name] = partial(check, table)
        return found

    def chunks(self, table: Table) -> Iterator[list[Row]]:
        """A table's rows, in order, always cut in the same places. Nothing for an index over another table."""
        if table.derived:
            return
        rows: list[Row] = []
        size = 0
        for row in self._connection.execute(table.select()):
            weight = weight_of(row)
            if rows and (len(rows) >= CHUNK_ROWS or size + weight > CHUNK_BYTES):
                yield rows
                rows, size = [], 0
            rows.append(row)
            size += weight
        if rows:
            yield rows

    def sequences(self) -> list[tuple[str, int]]:
        """Where the numbers of AUTOINCREMENT tables stand."""
        if not self._connection.table_exists("main", "sqlite_sequence"):
            return []
        names = {table.name for table in self.tables}
        rows: list[Any] = self._connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name").fetchall()
        return [(name, seq) for name, seq in rows if name in names and isinstance(seq, int)]

    def header(self) -> list[tuple[str, int]]:
        """The two numbers that a program may keep in the file's header, when they are set."""
        found = []
        for name in ("user_version", "application_id"):
            value: Any = self._connection.pragma(name)
            if value:
                found.append((name, int(value)))
        return found

    def settings(self, table: Table) -> list[tuple[str, object]]:
        """What a full-text table was told to do differently from its defaults."""
        return list(settings(self._connection, table))

    @property
    def analyzed(self) -> bool:
        """Does it have statistics of ANALYZE?"""
        return bool(self._connection.table_exists("main", "sqlite_stat1"))

    def violations(self) -> tuple[int, list[str]]:
        """How many rows refer to rows that do not exist; and foreign keys that SQLite cannot check, in its words."""
        broken, mismatched = 0, []
        for table in self.tables:
            try:
                found = self._connection.execute(f"PRAGMA foreign_key_check({quoted(table.name)})").fetchall()
            except apsw.SQLError as error:  # it refers to a view, or to columns that are not UNIQUE
                mismatched.append(str(error))
            else:
                broken += len(found)
        return broken, mismatched

    def close(self) -> None:
        """Close the file; it was not changed."""
        self._connection.close(force=True)


def weight_of(row: Row) -> int:
    """About how many bytes a row takes in a request."""
    return 8 * len(row) + sum(len(value) for value in row if isinstance(value, str | bytes))


def _open(path: Path) -> apsw.Connection:
    """Open a file read-only and pin its state. A file in a folder that cannot be written, left in WAL mode, opens
    only when SQLite is told that nobody else writes to it."""
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return _pinned(connection)
    except apsw.CantOpenError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
    return _pinned(apsw.Connection(f"{path.resolve().as_uri()}?immutable=1", flags=flags))


def _pinned(connection: apsw.Connection) -> apsw.Connection:
    connection.set_busy_timeout(5000)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    return connection
