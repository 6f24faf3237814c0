"""The base store: the versions of all rows, in tables beside the user's, written in the same transactions.

quorate_versioned   the versioned tables: number, name (NULL: it was dropped), their numbered columns and resolvers
quorate_rows        the state of each row, by table and key; `flags` marks those that need a second look
quorate_discarded   the conflicts that are final
quorate_resolvers   which resolver was chosen for which column; programs write it
quorate_resolving   rows and columns of which a write of the open transaction replaces all values
quorate_schema      the changes of the schema that all leaders carry out, in order
quorate_replica     this replica: its origin, the ceiling of its clock, what it has seen, the floor
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw
import msgspec

from quorate.core.streams import Cursor
from quorate.storage.data.connection import INTERNAL
from quorate.storage.rows.payload import Chosen, Versioned

DEAD, LISTED, HIDDEN, BROKEN = 1, 2, 4, 8
"""Flags of a row: it is deleted, it has conflicts, another row holds a unique value of it, it breaks a CHECK."""
TABLES = (
    "quorate_versioned",
    "quorate_rows",
    "quorate_discarded",
    "quorate_resolving",
    "quorate_schema",
    "quorate_replica",
)
_AT_ONCE = 500
"""Keys that one SELECT asks for."""

_SCHEMA = (
    (
        "CREATE TABLE IF NOT EXISTS quorate_versioned(number INTEGER PRIMARY KEY, name TEXT UNIQUE,"
        " columns TEXT NOT NULL, resolvers TEXT NOT NULL)"
    ),
    (
        "CREATE TABLE IF NOT EXISTS quorate_rows(tab INTEGER, key BLOB, flags INTEGER NOT NULL, state BLOB NOT NULL,"
        " PRIMARY KEY (tab, key)) WITHOUT ROWID"
    ),
    "CREATE INDEX IF NOT EXISTS quorate_flagged ON quorate_rows(tab, flags) WHERE flags <> 0",
    "CREATE INDEX IF NOT EXISTS quorate_hidden ON quorate_rows(tab, key) WHERE flags & 4",
    (
        "CREATE TABLE IF NOT EXISTS quorate_discarded(tab INTEGER, key BLOB, stamp INTEGER, origin INTEGER,"
        " record BLOB NOT NULL, PRIMARY KEY (tab, key, stamp, origin)) WITHOUT ROWID"
    ),
    "CREATE TABLE IF NOT EXISTS quorate_resolving(tab INTEGER, key BLOB, columns BLOB NOT NULL)",
    (
        'CREATE TABLE IF NOT EXISTS quorate_resolvers("table" TEXT NOT NULL, "column" TEXT NOT NULL,'
        ' resolver TEXT NOT NULL, PRIMARY KEY ("table", "column")) WITHOUT ROWID'
    ),
    "CREATE TABLE IF NOT EXISTS quorate_schema(serial INTEGER PRIMARY KEY, change BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS quorate_replica(name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID",
)

Stored = tuple[int, bytes]
"""Flags and state."""


class Base:
    """The base store on one writing connection. It commits nothing itself."""

    def __init__(self, connection: apsw.Connection, *, create: bool = True) -> None:
        self._connection = connection
        for sql in _SCHEMA if create else ():
            connection.execute(sql)

    def _run(self, sql: str, bindings: Sequence[Any] = ()) -> Any:
        return self._connection.execute(sql, bindings, prepare_flags=INTERNAL)

    # ------------------------------------------------------------------ this replica

    def remembered(self, name: str, default: Any) -> Any:
        """What was kept under this name."""
        found = self._run("SELECT value FROM quorate_replica WHERE name = ?", (name,)).fetchall()
        return msgspec.msgpack.decode(found[0][0]) if found else default

    def remember(self, name: str, value: Any) -> None:
        """Keep a value, with the open transaction."""
        self._run("INSERT OR REPLACE INTO quorate_replica VALUES (?, ?)", (name, msgspec.msgpack.encode(value)))

    def versioned(self) -> list[tuple[int, str, list[str], dict[str, str]]]:
        """The versioned tables: number, name (empty: it was dropped), numbered columns, resolvers."""
        rows = self._run("SELECT number, name, columns, resolvers FROM quorate_versioned ORDER BY number").fetchall()
        decode = msgspec.json.decode
        return [(number, name or "", decode(columns), decode(resolvers)) for number, name, columns, resolvers in rows]

    def add_table(self, name: str, columns: Sequence[str], resolvers: dict[str, str]) -> None:
        """A table is versioned from now on, or has other columns."""
        texts = [msgspec.json.encode(each).decode() for each in (columns, resolvers)]
        update = "ON CONFLICT(name) DO UPDATE SET columns = excluded.columns, resolvers = excluded.resolvers"
        sql = f"INSERT INTO quorate_versioned(name, columns, resolvers) VALUES (?, ?, ?) {update}"  # noqa: S608
        self._run(sql, (name, *texts))

    def put_table(self, table: Versioned) -> None:
        """A table is as this says from now on."""
        texts = [msgspec.json.encode(each).decode() for each in (table.columns, table.resolvers)]
        sql = "INSERT OR REPLACE INTO quorate_versioned(number, name, columns, resolvers) VALUES (?, ?, ?, ?)"
        self._run(sql, (table.number, table.name or None, *texts))
        if not table.name:
            self._run("DELETE FROM quorate_rows WHERE tab = ?", (table.number,))
            self._run("DELETE FROM quorate_discarded WHERE tab = ?", (table.number,))

    def chosen(self) -> tuple[Chosen, ...]:
        """The resolvers that were chosen."""
        rows = self._run('SELECT "table", "column", resolver FROM quorate_resolvers ORDER BY 1, 2').fetchall()
        return tuple([Chosen(*row) for row in rows])

    def choose(self, chosen: Iterable[Chosen]) -> None:
        """These are all that were chosen."""
        self._run("DELETE FROM quorate_resolvers")
        for each in chosen:
            self._run("INSERT INTO quorate_resolvers VALUES (?, ?, ?)", (each.table, each.column, each.resolver))

    def serial(self) -> int:
        """Of the last change of the schema; 0: there was none."""
        found = self._run("SELECT max(serial) FROM quorate_schema").get
        return found or 0

    def add_schema(self, serial: int, change: bytes) -> None:
        """A change of the schema was carried out."""
        self._run("INSERT INTO quorate_schema VALUES (?, ?)", (serial, change))

    def schemas(self) -> list[bytes]:
        """The changes of the schema, in order."""
        return [change for (change,) in self._run("SELECT change FROM quorate_schema ORDER BY serial")]

    def resolve_later(self, table: int, key: bytes, columns: Sequence[int]) -> None:
        """A write of the open transaction replaces all values of these cells."""
        self._run("INSERT INTO quorate_resolving VALUES (?, ?, ?)", (table, key, msgspec.msgpack.encode(columns)))

    def take_resolving(self) -> list[tuple[int, bytes, list[int]]]:
        """Those cells, each once, by rows."""
        found = self._run("SELECT tab, key, columns FROM quorate_resolving ORDER BY rowid").fetchall()
        self._run("DELETE FROM quorate_resolving")
        return [(table, key, msgspec.msgpack.decode(columns)) for table, key, columns in found]

    # ------------------------------------------------------------------ rows

    def read(self, table: int, keys: Sequence[bytes]) -> dict[bytes, Stored]:
        """Those of these rows that there are."""
        if len(keys) == 1:
            sql = "SELECT flags, state FROM quorate_rows WHERE tab = ? AND key = ?"
            rows = self._run(sql, (table, keys[0])).fetchall()
            return {keys[0]: rows[0]} if rows else {}
        found: dict[bytes, Stored] = {}
        for some in in_parts(keys):
            sql = f"SELECT key, flags, state FROM quorate_rows WHERE tab = ? AND key IN ({marks(some)})"  # noqa: S608
            found |= {key: (flags, state) for key, flags, state in self._run(sql, (table, *some))}
        return found

    def is_empty(self, table: int) -> bool:
        """There is no row of this table yet."""
        return not self._run("SELECT 1 FROM quorate_rows WHERE tab = ? LIMIT 1", (table,)).fetchall()

    def all_rows(self, table: int) -> Iterator[tuple[bytes, bytes]]:
        """Every row's key and state, in the order of keys."""
        return iter(self._run("SELECT key, state FROM quorate_rows WHERE tab = ? ORDER BY key", (table,)).fetchall())

    def stretch(self, table: int, after: bytes, through: bytes | None) -> list[tuple[bytes, int, bytes]]:
        """Key, flags and state of the rows behind one key and up to another; None: to the end."""
        sql = "SELECT key, flags, state FROM quorate_rows WHERE tab = ? AND key > ?"
        ends = ("", ()) if through is None else (" AND key <= ?", (through,))
        return self._run(f"{sql}{ends[0]} ORDER BY key", (table, after, *ends[1])).fetchall()  # type: ignore[no-any-return]

    def streams(self) -> list[Cursor]:
        """How far the logs of siblings are merged."""
        return msgspec.convert(self.remembered("streams", []), list[Cursor])

    def flagged(self, table: int, flags: int) -> list[tuple[bytes, int, bytes]]:
        """Key, flags and state of the rows that have any of these flags."""
        sql = "SELECT key, flags, state FROM quorate_rows WHERE tab = ? AND flags <> 0 AND flags & ? ORDER BY key"
        return list(self._run(sql, (table, flags)))

    def write(self, table: int, rows: Iterable[tuple[bytes, int, bytes]]) -> None:
        """Key, flags and state of each row that has changed."""
        sql = f"INSERT OR REPLACE INTO quorate_rows(key, flags, state, tab) VALUES (?, ?, ?, {table})"  # noqa: S608
        self._connection.executemany(sql, rows, prepare_flags=INTERNAL)

    def flag(self, table: int, key: bytes, flags: int) -> None:
        """A row's flags have changed."""
        self._run("UPDATE quorate_rows SET flags = ? WHERE tab = ? AND key = ?", (flags, table, key))

    def erase(self, table: int, keys: Iterable[bytes]) -> None:
        """Nothing needs to be known of these rows any more."""
        sql = f"DELETE FROM quorate_rows WHERE tab = {table} AND key = ?"  # noqa: S608
        self._connection.executemany(sql, [(key,) for key in keys], prepare_flags=INTERNAL)

    def hidden(self, table: int) -> list[bytes]:
        """The rows of which another holds a unique value."""
        return [key for (key,) in self._run("SELECT key FROM quorate_rows WHERE tab = ? AND flags & 4", (table,))]

    # ------------------------------------------------------------------ final conflicts

    def discard(self, table: int, key: bytes, stamp: int, origin: int, record: bytes) -> None:
        """A conflict is final."""
        self._run("INSERT OR IGNORE INTO quorate_discarded VALUES (?, ?, ?, ?, ?)", (table, key, stamp, origin, record))

    def discarded(self) -> list[tuple[int, bytes, int, int, bytes]]:
        """The final conflicts."""
        return list(self._run("SELECT tab, key, stamp, origin, record FROM quorate_discarded"))


def in_parts(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """As many at a time as one statement asks for."""
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]


def marks(some: Sequence[Any]) -> str:
    """So many parameters."""
    return ",".join("?" * len(some))
