"""A hash of what a replica holds: equal contents give equal hashes, however the pages came to lie."""

import hashlib
from collections.abc import Generator, Iterator
from itertools import islice

import apsw

from quorate.sql.tokens import quoted
from quorate.storage.connection import INTERNAL
from quorate.storage.payload import encode
from quorate.storage.schema import schema_rows


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

    Statistics of ANALYZE and hidden rowids beside a declared key are left out: they are not data.
    The caller holds a read transaction.
    """
    state = hashlib.blake2b(digest_size=16)
    rows = schema_rows(connection)
    state.update(encode(rows))
    for kind, name, _, sql in rows:
        if kind == "table" and sql is not None and sql[:14].upper() != "CREATE VIRTUAL":
            state.update(encode(name))
            yield from _add_table(state, connection, name)
    if connection.execute("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'").fetchall():
        yield from _add_rows(state, connection, "SELECT name, seq FROM main.sqlite_sequence ORDER BY name, seq")
    for pragma in ("user_version", "application_id"):
        yield from _add_rows(state, connection, f"PRAGMA main.{pragma}")
    yield from _add_rows(state, connection, "SELECT entry, records FROM main.quorate_window ORDER BY entry")
    yield from _add_rows(state, connection, "SELECT floor FROM main.quorate_applied")
    return state.hexdigest()


def _add_table(state: hashlib.blake2b, connection: apsw.Connection, table: str) -> Iterator[None]:
    names, source = _in_key_order(connection, table)
    try:
        yield from _add_rows(state, connection, f"SELECT {', '.join(names)} {source}")
    except UnicodeDecodeError:  # text that is none; at the same row on every replica
        raw = (f"typeof({name}), CAST({name} AS BLOB)" for name in names)
        yield from _add_rows(state, connection, f"SELECT {', '.join(raw)} {source}")


def _in_key_order(connection: apsw.Connection, table: str) -> tuple[list[str], str]:
    """The columns to read (with the rowid where it is the key), and the rest of the query."""
    columns: list[tuple[str, int]] = connection.execute(
        "SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid", (table,), prepare_flags=INTERNAL
    ).fetchall()  # type: ignore[assignment]
    key = [quoted(name) for place, name in sorted((place, name) for name, place in columns if place)]
    names = [quoted(name) for name, _ in columns]
    if not key:
        taken = {name.lower() for name, _ in columns}
        rowid = next(alias for alias in ("_rowid_", "rowid", "oid") if alias not in taken)
        names.insert(0, rowid)
        key = [rowid]
    return names, f"FROM main.{quoted(table)} ORDER BY {', '.join(key)}"


def _add_rows(state: hashlib.blake2b, connection: apsw.Connection, sql: str) -> Iterator[None]:
    cursor = connection.execute(sql, can_cache=False)
    while rows := list(islice(cursor, 512)):
        for row in rows:
            state.update(encode(row))
        yield
