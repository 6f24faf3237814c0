"""`quorate_conflicts`: the conflicts of a database with several leaders, as a table that can be read, and in which
`UPDATE quorate_conflicts SET shown = lost WHERE id = ...` undoes what was chosen.

Such an UPDATE writes the columns that `shown` names into the row itself, and notes in `quorate_resolving` that this
write replaces all values that there are, also those that nobody was shown. Both are undone with the statement.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import apsw
import msgspec

from quorate.core.versions.clock import time_of
from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import Dot, group_of
from quorate.core.versions.resolvers import ByGroup
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.guard import CONFLICTS, Guard
from quorate.storage.failures import RefusedError
from quorate.storage.rows.payload import encode
from quorate.storage.versions.base import Base
from quorate.storage.versions.listing import Listed
from quorate.storage.versions.table import VersionedTable, encode_key
from quorate.storage.versions.within import Versions

COLUMNS = (
    "id", "table", "class", "key", "lost", "shown", "row", "lost_by", "shown_by", "lost_at", "shown_at", "resolver",
    "state", "against",
)  # fmt: skip
_DECLARED = f"CREATE TABLE conflicts({', '.join([quoted(each) for each in COLUMNS])})"
_SHOWN = COLUMNS.index("shown")
Row = tuple[Any, ...]


def declare(
    connection: apsw.Connection, guard: Guard, versions: Versions | None = None, custom: Sequence[Custom] = ()
) -> None:
    """Make the table known to a connection of a reader, with its `custom` resolvers, or of the writer."""
    module = _Module(guard, versions, custom)
    connection.create_module(
        CONFLICTS, cast("Any", module), eponymous=True, eponymous_only=True, read_only=versions is None
    )


def id_of(table: VersionedTable, each: Listed) -> str:
    """The same on every replica."""
    named = [table.number, list(each.key), each.conflict.value, each.loser]
    return hashlib.blake2b(encode(named), digest_size=7).hexdigest()


class _Module:
    def __init__(self, guard: Guard, versions: Versions | None, custom: Sequence[Custom]) -> None:
        self._guard = guard
        self._versions = versions
        self._custom = custom

    def Connect(self, connection: apsw.Connection, *_: str) -> tuple[str, "_Table"]:  # noqa: N802 - apsw's names
        return _DECLARED, _Table(connection, self._guard, self._versions, self._custom)

    Create = Connect


class _Table:
    def __init__(
        self, connection: apsw.Connection, guard: Guard, versions: Versions | None, custom: Sequence[Custom]
    ) -> None:
        self._connection = connection
        self._guard = guard
        self._versions = versions
        self._custom = custom
        self.listed: dict[int, tuple[VersionedTable, Listed]] = {}
        """By rowid, as they were read last."""

    def BestIndex(self, *_: Any) -> None:  # noqa: N802
        """They are read from the first to the last."""

    def Open(self) -> "_Cursor":  # noqa: N802
        return _Cursor(self.rows)

    def Disconnect(self) -> None:  # noqa: N802
        """Nothing is held."""

    Destroy = Disconnect

    def _unwatched(self, run: Callable[[], Any]) -> Any:
        watching, self._guard.watching = self._guard.watching, False
        try:
            return run()
        finally:
            self._guard.watching = watching

    def rows(self) -> list[tuple[int, Row]]:
        """Rowid and values of each."""
        return self._unwatched(lambda: list(self._rows()))  # type: ignore[no-any-return]

    def _rows(self) -> Iterator[tuple[int, Row]]:
        versions = self._versions or self._read_versions()
        self.listed = {}
        for each in versions.conflicts():
            table = versions.tables[each.table]
            name = id_of(table, each)
            rowid = int(name, 16)
            self.listed[rowid] = table, each
            yield rowid, (name, *_told(self._connection, table, each))

    def _read_versions(self) -> Versions:
        base = Base(self._connection, create=False)
        return Versions(self._connection, 0, ByGroup(), custom=self._custom, base=base)

    def UpdateInsertRow(self, *_: Any) -> int:  # noqa: N802
        raise _no("conflicts come by themselves")

    def UpdateDeleteRow(self, *_: Any) -> None:  # noqa: N802
        raise _no("a conflict goes when a write replaces all values")

    def UpdateChangeRow(self, rowid: int, _new: int, values: Sequence[Any]) -> None:  # noqa: N802
        """Undo or resolve one. Raises RefusedError."""
        assert self._versions is not None
        table, each = self.listed[rowid]
        wanted = _cells(values[_SHOWN])
        unknown = [name for name in wanted if name not in [table.columns[number] for number in table.visible]]
        if not wanted or unknown:
            raise _no(
                f"{table.name} has no column {unknown[0]}" if unknown else f"{each.conflict.value} is not of cells"
            )
        self._unwatched(lambda: self._resolve(table, each.key, wanted))

    def _resolve(self, table: VersionedTable, key: Sequence[Any], wanted: dict[str, Any]) -> None:
        setting = ", ".join([f"{quoted(column)} = ?" for column in wanted])
        sql = f"UPDATE main.{quoted(table.name)} SET {setting} WHERE {table.where}"  # noqa: S608
        self._connection.execute(sql, (*wanted.values(), *key), prepare_flags=INTERNAL)
        find = f"SELECT 1 FROM main.{quoted(table.name)} WHERE {table.where}"  # noqa: S608
        if not self._connection.execute(find, key, prepare_flags=INTERNAL).fetchall():
            raise RefusedError("OperationalError", f"{table.name} shows no such row", "INSERT it again")
        assert self._versions is not None
        self._versions.resolve_later(table, encode_key(key), [table.columns.index(name) for name in wanted])


class _Cursor:
    def __init__(self, read: Callable[[], list[tuple[int, Row]]]) -> None:
        self._read = read
        self._rows: list[tuple[int, Row]] = []
        self._at = 0

    def Filter(self, *_: Any) -> None:  # noqa: N802
        self._rows, self._at = self._read(), 0

    def Eof(self) -> bool:  # noqa: N802
        return self._at >= len(self._rows)

    def Rowid(self) -> int:  # noqa: N802
        return self._rows[self._at][0]

    def Column(self, number: int) -> Any:  # noqa: N802
        rowid, values = self._rows[self._at]
        return rowid if number < 0 else values[number]

    def Next(self) -> None:  # noqa: N802
        self._at += 1

    def Close(self) -> None:  # noqa: N802
        self._rows = []


def _told(connection: apsw.Connection, table: VersionedTable, each: Listed) -> Row:
    lost = {column: was for column, was, _ in each.cells}
    shown = {column: now for column, _, now in each.cells}
    chosen = {name: resolver.value for name, resolver in zip(table.columns, table.spec.columns, strict=True)}
    return (
        each.table, each.conflict.value, _json(list(each.key)), _json(lost), _json(shown),
        _row(connection, table, each.key), *_writers(each.loser, each.winner),
        ", ".join(sorted({chosen[column] for column in lost if column in chosen})),
        "final" if each.is_final else "provisional",
        _json([list(key) for key in each.against]) if each.against else None,
    )  # fmt: skip


def _writers(loser: Dot | None, winner: Dot | None) -> tuple[int | None, ...]:
    by = [group_of(dot[1]) if dot else None for dot in (loser, winner)]
    at = [time_of(dot[0]) if dot else None for dot in (loser, winner)]
    return (*by, *at)


def _row(connection: apsw.Connection, table: VersionedTable, key: Sequence[Any]) -> str | None:
    names = [*table.key_names, *[table.columns[number] for number in table.visible]]
    sql = f"SELECT {', '.join([quoted(name) for name in names])} FROM main.{quoted(table.name)} WHERE {table.where}"  # noqa: S608
    found: Any = connection.execute(sql, key, prepare_flags=INTERNAL).fetchall()
    return _json(dict(zip(names, found[0], strict=True))) if found else None


def _json(value: Any) -> str:
    """A BLOB is an object with its bytes in hexadecimal."""
    return msgspec.json.encode(_plain(value)).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes) or hasattr(value, "code"):
        return {"blob": (value if isinstance(value, bytes) else bytes(value.data)).hex()}
    return value if isinstance(value, int | float | str) or value is None else None


def _cells(text: Any) -> dict[str, Any]:
    """The columns and values of an object as `_json` makes it. Raises RefusedError."""
    try:
        found: dict[str, Any] = msgspec.json.decode(text or "", type=dict[str, Any])
    except (msgspec.MsgspecError, TypeError) as error:
        raise _no("shown is to be a JSON object: column and value") from error
    return {name: bytes.fromhex(each["blob"]) if isinstance(each, dict) and "blob" in each else each
            for name, each in found.items()}  # fmt: skip


def _no(message: str) -> RefusedError:
    hint = f"UPDATE {CONFLICTS} SET shown = lost WHERE id = ..., or SET shown = json_object('column', value)"  # noqa: S608
    return RefusedError("ProgrammingError", message, hint)
