"""A hash of what a replica holds: equal contents give equal hashes, however the pages came to lie."""

import hashlib
from collections.abc import Generator, Iterator
from itertools import islice

import apsw

from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.schema import schema_rows
from quorate.storage.rows.payload import encode
from quorate.storage.rows.table import Table

COLUMNS_AT_ONCE = 1000
"""Half of what a SELECT may have: text that is not UTF-8 is read as two."""


_VERSIONS = (
    "SELECT number, name, columns, resolvers FROM main.quorate_versioned ORDER BY number",
    "SELECT tab, key, state FROM main.quorate_rows ORDER BY tab, key",
    "SELECT * FROM main.quorate_discarded ORDER BY tab, key, stamp, origin",
    "SELECT serial, change FROM main.quorate_schema ORDER BY serial",
    "SELECT name, value FROM main.quorate_replica WHERE name <> 'seen' ORDER BY name",
)

_KEYED = (
    "SELECT leaf, tab, key, state FROM main.quorate_states ORDER BY leaf, tab, key",
    "SELECT level, node, hash FROM main.quorate_hashes ORDER BY level, node",
)


def digest_of(connection: apsw.Connection) -> str:
    """The digest, all at once. The caller holds a read transaction."""
    pieces = digest_pieces(connection)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return str(end.value)


def digest_pieces(connection: apsw.Connection) -> Generator[None, None, str]:
    """Hash the schema, every row of every table in the order of its key, the sequences and the window; some hundred
    rows at a time.

    Hidden rowids are data: search indexes and programs refer to them. But those of versioned rows are each replica's
    own, as their sequences are; there the base store is added. Statistics of ANALYZE are left out.
    The caller holds a read transaction.
    """
    state = hashlib.blake2b(digest_size=16)
    rows = schema_rows(connection)
    versioned = _has(connection, "quorate_versioned")
    state.update(encode(rows))
    for kind, name, _, sql in rows:
        if kind == "table" and sql is not None and sql[:14].upper() != "CREATE VIRTUAL":
            state.update(encode(name))
            yield from _add_table(state, connection, Table(connection, name, sql), rowids=not versioned)
    if versioned:
        for sql in _VERSIONS:
            yield from _add_rows(state, connection, sql)
    elif _has(connection, "sqlite_sequence"):
        yield from _add_rows(state, connection, "SELECT name, seq FROM main.sqlite_sequence ORDER BY name, seq")
    if _has(connection, "quorate_states"):
        for sql in _KEYED:
            yield from _add_rows(state, connection, sql)
    for pragma in ("user_version", "application_id"):
        yield from _add_rows(state, connection, f"PRAGMA main.{pragma}")
    yield from _add_rows(state, connection, "SELECT entry, records FROM main.quorate_window ORDER BY entry")
    yield from _add_rows(state, connection, "SELECT floor FROM main.quorate_applied")
    return state.hexdigest()


def _has(connection: apsw.Connection, table: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM main.sqlite_schema WHERE name = ?", (table,)).fetchall())


def _add_table(state: hashlib.blake2b, connection: apsw.Connection, table: Table, *, rowids: bool) -> Iterator[None]:
    find = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden IN (2, 3) ORDER BY cid"
    generated = connection.execute(find, (table.name,), prepare_flags=INTERNAL).fetchall()
    names = [quoted(name) for name in (*table.columns, *[str(name) for (name,) in generated])]
    if table.hidden_rowid and rowids:
        names.insert(0, table.rowid)
    by_key = table.without_rowid or not rowids
    key = [quoted(table.columns[place]) for place in table.key] if by_key else [table.rowid]
    source = f"FROM main.{quoted(table.name)} ORDER BY {', '.join(key)}"
    for start in range(0, len(names), COLUMNS_AT_ONCE):
        some = names[start : start + COLUMNS_AT_ONCE]
        try:
            yield from _add_rows(state, connection, f"SELECT {', '.join(some)} {source}")
        except UnicodeDecodeError:  # text that is none; at the same row on every replica
            raw = (f"typeof({name}), CAST({name} AS BLOB)" for name in some)
            yield from _add_rows(state, connection, f"SELECT {', '.join(raw)} {source}")


def _add_rows(state: hashlib.blake2b, connection: apsw.Connection, sql: str) -> Iterator[None]:
    cursor = connection.execute(sql, can_cache=False)
    while rows := list(islice(cursor, 512)):
        for row in rows:
            state.update(encode(row))
        yield
