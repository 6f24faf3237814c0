"""What a local transaction did to versioned rows: the captured changes by key, stamped with the transaction's dot."""

from typing import Any

import apsw
from msgspec import Struct
from msgspec.msgpack import Decoder

from quorate.core.versions.dots import Context, Dot
from quorate.core.versions.encoding import calm_of, decode_row, encode_inserted, encode_updated
from quorate.core.versions.row import Row, delete, empty, insert, is_live, update
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.failures import RefusedError
from quorate.storage.rows.describing import parts_of_update
from quorate.storage.rows.difference import differing
from quorate.storage.rows.payload import Rows, Update
from quorate.storage.versions.base import Stored
from quorate.storage.versions.table import VersionedTable, encode_key

_decoder = Decoder(list[list[Any]])


def _rows(encoded: Any) -> list[list[Any]]:
    return _decoder.decode(encoded)


class Change(Struct):
    """What became of one row."""

    values: list[Any] | None = None
    """Those of a row that came."""
    cells: dict[int, Any] | None = None
    """Numbered columns that got new values; neither: the row went."""
    all_siblings: bool = False
    """They replace every value that there is, also those that are not shown."""


def changes_of(connection: apsw.Connection, table: VersionedTable, rows: Rows) -> dict[bytes, Change]:
    """The changes of one table, by key. A row that was taken away and put back was updated. Raises RefusedError."""
    hidden = int(table.table.hidden_rowid)
    changes: dict[bytes, Change] = {}
    old: dict[bytes, list[Any]] = {}
    for row in _rows(rows.deleted):
        if len(row) != rows.width:
            if hidden:
                raise RefusedError("NotSupportedError", "the row holds text that is not UTF-8", "store it as a BLOB")
            changes[encode_key(row)] = Change()
            continue
        key = encode_key([row[place] for place in rows.key])
        old[key] = row[hidden:]
        changes[key] = Change()
    for each in rows.updated:
        for row in _rows(each.rows):
            _update(connection, table, rows, each, row, changes)
    for row in _rows(rows.inserted):
        values = row[hidden:]
        key = table.key_of(values)
        if key not in changes:
            changes[key] = Change(values)
            continue
        places = differing(old[key], values)[0] if key in old else range(len(values))
        changes[key] = Change(None, {table.numbers[at]: values[at] for at in places if at in table.numbers})
    return changes


def _update(
    connection: apsw.Connection,
    table: VersionedTable,
    rows: Rows,
    change: Update,
    row: list[Any],
    changes: dict[bytes, Change],
) -> None:
    new, found_by, old, key = parts_of_update(rows, change, row)
    if table.table.hidden_rowid and not old:
        names = ", ".join([quoted(name) for name in table.key_names])
        sql = f"SELECT {names} FROM main.{quoted(table.name)} WHERE {table.table.where}"  # noqa: S608
        key = connection.execute(sql, found_by, prepare_flags=INTERNAL).fetchall()[0]
    cells = {table.numbers[at]: value for at, value in zip(change.columns, new, strict=True) if at in table.numbers}
    changes[encode_key(key)] = Change(None, cells)


def stamped(
    table: VersionedTable, dot: Dot, change: Change, before: Stored | None, floor: Context
) -> Row | tuple[bytes, bool]:
    """The row's state after a change; where nothing in it is concurrent, its bytes, and whether it looks back. Raises
    RefusedError."""
    try:
        if change.values is not None:
            cells = table.cells_of(change.values)
            if before is None and not table.has_sets:
                return encode_inserted(dot, cells), False
            return insert(_row(before), table.spec, dot, cells)
        if (
            table.is_simple
            and change.cells
            and not change.all_siblings
            and before is not None
            and not table.spec.by_row
        ):
            calm = calm_of(before[1])
            if calm is not None and len(calm.values) == len(table.columns):
                return encode_updated(calm, dot, change.cells, floor)
        row = _row(before)
        assert is_live(row), f"a visible row without versions, in {table.name}"
        if change.cells is None:
            return delete(row, table.spec, dot)
        return update(row, table.spec, dot, change.cells, all_siblings=change.all_siblings) if change.cells else row
    except ValueError as error:
        raise RefusedError("IntegrityError", f"{table.name}: {error}") from error


def _row(before: Stored | None) -> Row:
    return empty() if before is None else decode_row(before[1])
