"""What the replica must know of a database's schema: its hash, and the tables with something special."""

import hashlib
from collections.abc import Iterable
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from quorate.sql.tokens import quoted
from quorate.storage.connection import INTERNAL
from quorate.storage.failures import KEY_IS_NULL
from quorate.storage.guard import RESERVED

SequenceRows = dict[object, tuple[object, ...]]
"""What `sqlite_sequence` holds: for each table its numbers (one, unless a user wrote into it)."""


class TableFacts(Struct, frozen=True):
    """What one CREATE TABLE statement means for capture."""

    nullable_key: tuple[str, ...] = ()
    """Columns of a declared key that may be NULL. Sessions do not capture such rows, so they are refused."""
    autoincrement: bool = False
    collated: bool = False
    """Two keys that differ as bytes may be equal in this table."""
    problem: str = ""
    """Why rows of this table could not travel, or empty."""


class SchemaFacts(Struct, frozen=True):
    """What is known of one version of a schema."""

    hash: bytes
    tables: dict[str, TableFacts]
    autoincrement: frozenset[str] = frozenset()
    collated: frozenset[str] = frozenset()
    virtual: bool = False
    """There is a virtual table: its module keeps things in memory that must be flushed or forgotten."""
    has_sequences: bool = False
    """`sqlite_sequence` exists; it stays when the last AUTOINCREMENT table goes."""
    problem: str = ""


Row = tuple[str, str, str, str | None]


class SchemaReader:
    """Reads the facts of the schema on one connection; tables whose SQL has not changed are not looked at again."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], TableFacts] = {}

    def read(self) -> SchemaFacts:
        rows = schema_rows(self._connection)
        tables: dict[str, TableFacts] = {}
        known: dict[tuple[str, str], TableFacts] = {}
        virtual = False
        problem = ""
        for kind, name, table, sql in rows:
            if name.lower().startswith(RESERVED):
                problem = problem or f"names that begin with {RESERVED} are reserved: {name}"
            if kind != "table" or sql is None:
                continue
            if sql[:14].upper() == "CREATE VIRTUAL":
                virtual = True
                continue
            key = (table, sql)
            facts = self._known.get(key) or self._look_at(name, sql)
            known[key] = tables[name] = facts
            problem = problem or facts.problem
        self._known = known
        autoincrement = frozenset(name for name, facts in tables.items() if facts.autoincrement)
        find = "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'"
        sequences = bool(self._connection.execute(find, prepare_flags=INTERNAL).fetchall())
        collated = frozenset(name for name, facts in tables.items() if facts.collated)
        return SchemaFacts(hash_of(rows), tables, autoincrement, collated, virtual, sequences, problem)

    def _look_at(self, name: str, sql: str) -> TableFacts:
        listed: list[Any] = self._connection.execute(
            "SELECT type, wr FROM pragma_table_list(?) WHERE schema = 'main'", (name,), prepare_flags=INTERNAL
        ).fetchall()
        columns: list[Any] = self._connection.execute(
            'SELECT name, "notnull", pk, type FROM pragma_table_xinfo(?)', (name,), prepare_flags=INTERNAL
        ).fetchall()
        kind, without_rowid = listed[0]
        key = [(column, not_null) for column, not_null, place, _ in columns if place]
        autoincrement = "AUTOINCREMENT" in sql.upper()
        if kind == "shadow":
            return TableFacts()
        if not key:
            hidden = any(column.lower() == "_rowid_" for column, _, _, _ in columns)
            problem = f"the table {name} has a column _rowid_ and no PRIMARY KEY, so its rows cannot be told apart"
            return TableFacts(problem=problem if hidden else "")
        collations: list[Any] = self._connection.execute(
            "SELECT x.coll FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x"
            " WHERE l.origin = 'pk' AND x.key",
            (name,),
            prepare_flags=INTERNAL,
        ).fetchall()  # none for an INTEGER PRIMARY KEY, which is the rowid itself
        nullable = tuple(column for column, not_null in key if not not_null) if collations else ()
        untyped = any(
            place and kind.upper() in ("", "ANY") for _, _, place, kind in columns
        )  # 1 and 1.0 are equal there
        collated = bool(collations) and (untyped or any(name.upper() != "BINARY" for (name,) in collations))
        return TableFacts(() if without_rowid else nullable, autoincrement, collated)


def schema_rows(connection: apsw.Connection) -> list[Row]:
    """The users' part of the schema, in an order that does not depend on how it came about."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_schema"
        " WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_'"
        " AND tbl_name NOT IN ('quorate_applied', 'quorate_window', 'quorate_acks', 'quorate_members')"
        " ORDER BY type, name",
        prepare_flags=INTERNAL,
    )
    return rows.fetchall()  # type: ignore[return-value]


def hash_of(rows: Iterable[Row]) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(list(rows)), digest_size=16).digest()


def read_sequences(connection: apsw.Connection) -> SequenceRows:
    """What `sqlite_sequence` holds; the table must exist."""
    values: SequenceRows = {}
    rows = connection.execute("SELECT name, seq FROM main.sqlite_sequence ORDER BY rowid", prepare_flags=INTERNAL)
    for name, number in rows:
        values[name] = (*values.get(name, ()), number)
    return values


# --------------------------------------------------------------------------------------------------
# Our own triggers against NULL keys. They are temporary: they exist on the leading connection alone, and
# nothing of them is in the file. (ENABLE_TRIGGER does not switch temporary triggers off, so an import
# is guarded too.)
# --------------------------------------------------------------------------------------------------


def drop_key_triggers(connection: apsw.Connection, table: str = "") -> None:
    """Drop those of one table, or all."""
    mine = {f"{RESERVED}{event}_{table}".lower() for event in ("insert", "update")}
    for name in _key_triggers(connection):
        if table and name.lower() not in mine:
            continue
        connection.execute(f"DROP TRIGGER temp.{quoted(name)}", can_cache=False, prepare_flags=INTERNAL)


def sync_key_triggers(connection: apsw.Connection, facts: SchemaFacts) -> None:
    """Make the triggers that the tables need, and drop the others."""
    wanted = {
        f"{RESERVED}{event}_{name}": (event, name, table.nullable_key)
        for name, table in facts.tables.items()
        if table.nullable_key
        for event in ("insert", "update")
    }
    present = set(_key_triggers(connection))
    if present == wanted.keys():
        return
    for name in present - wanted.keys():
        connection.execute(f"DROP TRIGGER temp.{quoted(name)}", can_cache=False, prepare_flags=INTERNAL)
    for trigger in wanted.keys() - present:
        connection.execute(_key_trigger(trigger, *wanted[trigger]), can_cache=False, prepare_flags=INTERNAL)


def _key_triggers(connection: apsw.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM temp.sqlite_schema WHERE type = 'trigger'", prepare_flags=INTERNAL)
    return [name for (name,) in rows]


def _key_trigger(trigger: str, event: str, table: str, columns: tuple[str, ...]) -> str:
    message = f"{KEY_IS_NULL}{table}".replace("'", "''")
    condition = " OR ".join(f"NEW.{quoted(column)} IS NULL" for column in columns)
    when = "INSERT" if event == "insert" else "UPDATE OF " + ", ".join(map(quoted, columns))
    return (
        f"CREATE TEMP TRIGGER {quoted(trigger)} BEFORE {when} ON main.{quoted(table)}"
        f" WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )
