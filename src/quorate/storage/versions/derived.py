"""Full-text and R-Tree indexes over versioned tables: each replica keeps its own from a declared source table.

Their rows are known by rowids, which are each replica's own, so they do not travel. Where a write is made, the
program's triggers keep them, as on one machine. Where it is merged no trigger fires: there the entries of the rows that
change are taken out and put in here.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
from msgspec import Struct

from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.failures import RefusedError
from quorate.storage.rows.application import execute_row
from quorate.storage.rows.payload import decode_row
from quorate.storage.versions.table import VersionedTable


class Derived(Struct, frozen=True, array_like=True):
    """One index, and the columns of its source that it is filled from."""

    name: str
    source: str
    columns: tuple[tuple[str, str], ...]
    """The index's column, and the source's."""
    rowid: str
    """What the index calls the source's rowid."""
    is_external: bool
    """FTS5 that reads its text from the source (`content=`): it must be told what to forget."""


def described(connection: apsw.Connection, name: str, table: VersionedTable, columns: dict[str, str]) -> Derived:
    """The index of this name. Raises RefusedError: it cannot be kept."""
    find = "SELECT sql FROM main.sqlite_schema WHERE name = ? AND sql LIKE 'CREATE VIRTUAL TABLE%'"
    rows: Any = connection.execute(find, (name,), prepare_flags=INTERNAL).fetchall()
    sql = rows[0][0].upper() if rows else ""
    if "FTS5" not in sql and "RTREE" not in sql:
        raise RefusedError("NotSupportedError", f"{name} is neither FTS5 nor an R-Tree", "derive one of these")
    if table.table.without_rowid:
        hint = "make the table without WITHOUT ROWID"
        raise RefusedError("NotSupportedError", f"{name} needs rowids, and {table.name} has none", hint)
    unknown = [each for each in columns.values() if each not in (*table.columns, *table.key_names)]
    if unknown:
        raise RefusedError("ProgrammingError", f"{table.name} has no column {unknown[0]}")
    rowid = "rowid"
    if "RTREE" in sql:
        first = connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE cid = 0", (name,)).fetchall()
        rowid = str(first[0][0])
    return Derived(name, table.name, tuple(columns.items()), rowid, "CONTENT=" in sql.replace(" ", ""))


class Indexes:
    """The derived indexes on one writing connection."""

    def __init__(self, connection: apsw.Connection, derived: Iterable[Derived]) -> None:
        self._connection = connection
        self._by_source: dict[str, list[Derived]] = {}
        for each in derived:
            self._by_source.setdefault(each.source, []).append(each)

    def of(self, table: VersionedTable) -> Sequence[Derived]:
        """Those over one table."""
        return self._by_source.get(table.name, ())

    def fill(self, derived: Derived, table: VersionedTable) -> None:
        """Make an index anew of all rows that there are."""
        name = quoted(derived.name)
        if derived.is_external:
            self._run(f"INSERT INTO main.{name}({name}) VALUES ('rebuild')")  # noqa: S608
            return
        self._run(f"DELETE FROM main.{name}")  # noqa: S608
        self._run(_filling(derived, table))

    def take_out(self, table: VersionedTable, keys: Iterable[bytes]) -> None:
        """These rows are about to change or to go, if they are there."""
        for derived in self.of(table):
            name, rowid = quoted(derived.name), table.table.rowid
            sources = ", ".join([rowid, *[quoted(source) for _, source in derived.columns]])
            find = f"SELECT {sources} FROM main.{quoted(table.name)} WHERE {table.where}"  # noqa: S608
            targets = ", ".join([derived.rowid, *[quoted(target) for target, _ in derived.columns]])
            forget = f"INSERT INTO main.{name}({name}, {targets}) VALUES ('delete', ?{', ?' * len(derived.columns)})"  # noqa: S608
            delete = f"DELETE FROM main.{name} WHERE {quoted(derived.rowid)} = ?"  # noqa: S608
            for key in keys:
                for row in self._run(find, decode_row(key)).fetchall():
                    if derived.is_external:
                        execute_row(self._connection, forget, row)
                    else:
                        self._run(delete, row[:1])

    def put_in(self, table: VersionedTable, keys: Iterable[bytes]) -> None:
        """These rows are as they are to be."""
        for derived in self.of(table):
            sql = f"{_filling(derived, table)} WHERE {table.where}"
            for key in keys:
                self._run(sql, decode_row(key))

    def _run(self, sql: str, bindings: Sequence[Any] = ()) -> Any:
        return self._connection.execute(sql, bindings, prepare_flags=INTERNAL)


def _filling(derived: Derived, table: VersionedTable) -> str:
    targets = ", ".join([derived.rowid, *[quoted(target) for target, _ in derived.columns]])
    sources = ", ".join([table.table.rowid, *[quoted(source) for _, source in derived.columns]])
    return f"INSERT INTO main.{quoted(derived.name)}({targets}) SELECT {sources} FROM main.{quoted(table.name)}"  # noqa: S608
