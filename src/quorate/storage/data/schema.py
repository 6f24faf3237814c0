"""What the replica must know of a database's schema: its hash, and the tables with something special."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.guard import RESERVED, TABLES
from quorate.storage.data.order import LAST_ROWID, has_upsert, runs_before
from quorate.storage.rows.table import Table

SequenceRows = dict[object, tuple[tuple[object, object], ...]]
"""What `sqlite_sequence` holds: for each table (rowid, number) of its rows (one, unless a user wrote into it)."""


class SchemaFacts(Struct, frozen=True):
    """What is known of one version of a schema."""

    hash: bytes
    tables: dict[str, Table]
    """Ordinary and shadow tables, by name."""
    shadows: frozenset[str] = frozenset()
    """Tables that a virtual table is made of, in lower case."""
    statistics: frozenset[str] = frozenset()
    """Those in which full-text tables of versions 3 and 4 keep how they merge."""
    autoincrement: frozenset[str] = frozenset()
    virtual: bool = False
    """There is a virtual table: its module keeps things in memory that must be flushed or forgotten."""
    in_bulk: bool = True
    """Rows may be read with the table-valued function carray: nothing of the user's has this name."""
    has_sequences: bool = False
    """`sqlite_sequence` exists; it stays when the last AUTOINCREMENT table goes."""
    deferrable: bool = False
    """A foreign key may be looked at when the transaction ends: so each request must be looked at by itself."""
    apart: bool = False
    """Each request needs a savepoint of its own: a foreign key may be looked at when the transaction ends, or a
    full-text table of version 3 or 4 writes when the next savepoint begins, which must not be one within another
    caller's statement: its last rowid would become 0."""
    disorderly: frozenset[str] = frozenset()
    """Tables with triggers that run before a change, in lower case: SQLite may put their rows out of order."""
    triggers_upsert: bool = False
    """Some trigger may have an ON CONFLICT clause."""
    references: bool = False
    """There is a foreign key."""
    problem: str = ""


Row = tuple[str, str, str, str | None]


_FULL_TEXT = re.compile(r"\bUSING\s+[\"'`\[]?fts[34]\b", re.IGNORECASE)


class SchemaReader:
    """Reads the facts of the schema on one connection; tables whose SQL has not changed are not looked at again."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, ...], Table] = {}

    def read(self) -> SchemaFacts:
        rows = schema_rows(self._connection)
        indexes: dict[str, list[str]] = {}
        for kind, name, table, sql in rows:
            if kind == "index":
                indexes.setdefault(table, []).append(f"{name} {sql}")
        tables: dict[str, Table] = {}
        known: dict[tuple[str, ...], Table] = {}
        virtual: list[tuple[str, str]] = []
        problem = ""
        for kind, name, _, sql in rows:
            if name.lower().startswith(RESERVED):
                problem = problem or f"names that begin with {RESERVED} are reserved: {name}"
            if kind != "table" or sql is None:
                continue
            if sql[:14].upper() == "CREATE VIRTUAL":
                virtual.append((name, sql))
                continue
            key = (name, sql, *indexes.get(name, ()))
            known[key] = tables[name] = self._known.get(key) or Table(self._connection, name, sql)
            problem = problem or tables[name].problem
        self._known = known
        deferrable = any("DEFERR" in sql.upper() for kind, _, _, sql in rows if kind == "table" and sql is not None)
        triggers = [(table, sql) for kind, _, table, sql in rows if kind == "trigger" and sql is not None]
        statistics = frozenset(f"{name}_stat" for name, sql in virtual if _FULL_TEXT.search(sql))
        return SchemaFacts(
            hash_of(rows),
            tables,
            self._shadows() if virtual else frozenset(),
            statistics,
            frozenset(name for name, table in tables.items() if table.autoincrement),
            bool(virtual),
            all(name.lower() != "carray" for _, name, _, _ in rows),
            bool(self._rows("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'")),
            deferrable,
            deferrable or bool(statistics),
            frozenset(table.lower() for table, sql in triggers if runs_before(sql)),
            any(has_upsert(sql) for _, sql in triggers),
            any("REFERENCES" in sql.upper() for kind, _, _, sql in rows if kind == "table" and sql is not None),
            problem,
        )

    def _shadows(self) -> frozenset[str]:
        rows = self._rows("SELECT lower(name) FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'")
        return frozenset(name for (name,) in rows)

    def _rows(self, sql: str) -> list[Any]:
        return self._connection.execute(sql, prepare_flags=INTERNAL).fetchall()


def numbers_are_out(connection: apsw.Connection, facts: SchemaFacts) -> bool:
    """Whether some table of AUTOINCREMENT has given out its last number."""
    for name in facts.autoincrement:
        table = facts.tables[name]
        find = f"SELECT 1 FROM main.{quoted(name)} WHERE {table.where}"  # noqa: S608
        if connection.execute(find, (LAST_ROWID,), prepare_flags=INTERNAL).fetchall():
            return True
    numbers = read_sequences(connection).values() if facts.has_sequences else ()
    return any(isinstance(number, int) and number >= LAST_ROWID for rows in numbers for _, number in rows)


def schema_rows(connection: apsw.Connection) -> list[Row]:
    """The users' part of the schema, in an order that does not depend on how it came about."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_schema"  # noqa: S608 - constants
        " WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_'"
        f" AND tbl_name NOT IN {TABLES} ORDER BY type, name",
        prepare_flags=INTERNAL,
    )
    return rows.fetchall()  # type: ignore[return-value]


def hash_of(rows: Iterable[Row]) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(list(rows)), digest_size=16).digest()


def read_sequences(connection: apsw.Connection) -> SequenceRows:
    """What `sqlite_sequence` holds; the table must exist."""
    values: SequenceRows = {}
    sql = "SELECT rowid, name, seq FROM main.sqlite_sequence ORDER BY rowid"
    for rowid, name, number in connection.execute(sql, prepare_flags=INTERNAL):
        values[name] = (*values.get(name, ()), (rowid, number))
    return values
