"""The conflicts of a replica: those of what it holds now, as a function of that, and those that are final."""

from collections.abc import Iterator, Mapping
from typing import Any

import apsw
from msgspec import Struct
from msgspec.msgpack import decode

from quorate.core.versions.claims import Claim, lost
from quorate.core.versions.conflicts import Conflict, Record, is_final, records
from quorate.core.versions.dots import Context, Dot
from quorate.core.versions.encoding import decode_row
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.rows.payload import decode_row as decode_values
from quorate.storage.rows.payload import encode
from quorate.storage.versions.base import BROKEN, DEAD, HIDDEN, LISTED, Base
from quorate.storage.versions.table import VersionedTable
from quorate.storage.versions.visible import face_of


class Listed(Struct, frozen=True):
    """One conflict, for people."""

    table: str
    key: tuple[Any, ...]
    conflict: Conflict
    loser: Dot | None
    winner: Dot | None
    cells: tuple[tuple[str, Any, Any], ...]
    """Column, what is not shown, and what is shown instead."""
    against: tuple[tuple[Any, ...], ...] = ()
    """The keys of the rows that hold the unique values."""
    is_discard: bool = False
    is_final: bool = False


def told(record: Record) -> bytes:
    """A conflict that is final, as it is kept."""
    return encode((record.conflict.value, record.winner, record.cells))


def listed(
    connection: apsw.Connection, base: Base, tables: Mapping[str, VersionedTable], floor: Context
) -> list[Listed]:
    """Every conflict, by table and key."""
    found: list[Listed] = []
    for table in tables.values():
        for key, _, state in base.flagged(table.number, LISTED | DEAD):
            for record in records(decode_row(state), table.spec):
                named = record.conflict, record.loser, record.winner
                final = is_final(record, floor)
                found.append(
                    Listed(table.name, _key(key), *named, _cells(table, record.cells), (), record.is_discard, final)
                )
        found += _hidden(base, table)
        found += [
            Listed(table.name, _key(key), Conflict.CHECK, None, None, ())
            for key, _, _ in base.flagged(table.number, BROKEN)
        ]
        found += _orphans(connection, table)
    by_number = {table.number: table for table in tables.values()}
    for number, key, stamp, origin, kept in base.discarded():
        if number in by_number:
            conflict, winner, cells = decode(kept)
            dot = tuple(winner) if winner else None
            table = by_number[number]
            named = Conflict(conflict), (stamp, origin), dot
            found.append(
                Listed(table.name, _key(key), *named, _cells(table, cells), (), is_discard=True, is_final=True)
            )
    return sorted(found, key=lambda each: (each.table, repr(each.key), each.conflict.value, each.loser or (0, 0)))


def _key(key: bytes) -> tuple[Any, ...]:
    return tuple(decode_values(key))


def _cells(table: VersionedTable, cells: Any) -> tuple[tuple[str, Any, Any], ...]:
    names = table.columns
    return tuple([(names[at] if at < len(names) else f"column {at}", was, shown) for at, was, shown in cells])


def _hidden(base: Base, table: VersionedTable) -> Iterator[Listed]:
    """Rows of which another holds a unique value."""
    hidden = base.flagged(table.number, HIDDEN)
    if not hidden:
        return
    claims: list[Claim] = []
    for key, state in base.all_rows(table.number):
        face = face_of(table, state)
        if face is not None:
            claims.append(Claim(key, face.born, table.claims_of(key, face.cells)))
    against = lost(claims)
    for key, _, _ in hidden:
        rows = against[key]
        conflict = Conflict.UNIQUE if len(rows) == 1 else Conflict.MULTIPLE_UNIQUE
        holders = tuple([_key(holder) for _, holder in rows])
        yield Listed(table.name, _key(key), conflict, None, None, (), holders)


def _orphans(connection: apsw.Connection, table: VersionedTable) -> Iterator[Listed]:
    """Rows whose foreign keys find no parent."""
    names = ", ".join([quoted(name) for name in table.key_names])
    if table.table.without_rowid:
        return
    check = f"PRAGMA main.foreign_key_check({quoted(table.name)})"
    rows: Any = connection.execute(check, prepare_flags=INTERNAL).fetchall()
    for _, rowid, _, _ in rows:
        sql = f"SELECT {names} FROM main.{quoted(table.name)} WHERE {table.table.rowid} = ?"  # noqa: S608
        for key in connection.execute(sql, (rowid,), prepare_flags=INTERNAL):
            yield Listed(table.name, key, Conflict.FOREIGN_KEY, None, None, ())
