"""What must be known of a versioned table, and which tables cannot be one.

Rows are known by their declared primary key on every replica; rowids are each replica's own. The columns beside the
key are numbered in the order in which they came, so that a column that is dropped keeps its number.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import apsw
from msgspec import Struct
from msgspec.msgpack import Ext

from quorate.core.versions.claims import Value
from quorate.core.versions.custom import Custom, NoFunction
from quorate.core.versions.dots import Origin
from quorate.core.versions.resolvers import AnyResolver, Resolver, Spec, resolver_named
from quorate.core.versions.row import MISSING
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.failures import NoFunctionError, RefusedError
from quorate.storage.rows.payload import decode_row, encode
from quorate.storage.rows.table import NOT_UTF8, Table

_CHECK = re.compile(r"\bCHECK\b", re.IGNORECASE)
_NO_KEY = "declare one: CREATE TABLE t(id TEXT NOT NULL PRIMARY KEY, ...)"


class Slot(Struct, frozen=True):
    """A unique index beside the primary key."""

    number: int
    columns: tuple[str, ...]
    collations: tuple[str, ...]
    places: tuple[tuple[bool, int], ...]
    """For each: whether it belongs to the key, and its place there or its number."""

    @property
    def terms(self) -> str:
        """Its columns as SQL that compares as the index does."""
        named = zip(self.columns, self.collations, strict=True)
        return ", ".join([f"{quoted(column)} COLLATE {collation}" for column, collation in named])


class VersionedTable:
    """One table, as one version of the schema has it."""

    def __init__(
        self,
        connection: apsw.Connection,
        number: int,
        table: Table,
        columns: Sequence[str],
        resolvers: Mapping[str, str],
        ranks: Mapping[Origin, int],
        custom: Sequence[Custom] = (),
    ) -> None:
        """`columns`: those that have a number already, in order; more are added. `custom`: resolvers of programs.
        Raises RefusedError."""
        self.number = number
        self.name = table.name
        self.table = table
        self.key_names = tuple([table.columns[place] for place in table.key])
        self.key_places = table.key
        beside = [name for name in table.columns if name not in self.key_names]
        self.columns = (*columns, *[name for name in beside if name not in columns])
        """By number. One that was dropped is still there."""
        self.places = tuple([table.columns.index(each) if each in beside else -1 for each in self.columns])
        """Of each numbered column among those of the table; -1: it was dropped."""
        self.numbers = {place: number for number, place in enumerate(self.places) if place >= 0}
        self.visible = tuple([number for number, place in enumerate(self.places) if place >= 0])
        sql: Any = connection.execute("SELECT sql FROM main.sqlite_schema WHERE name = ?", (table.name,)).fetchall()
        has_check = bool(_CHECK.search(sql[0][0]))
        _refuse(connection, table, resolvers, self.key_names, custom)
        names = [resolvers.get(each, Resolver.LAST_WRITE_WINS.value) for each in self.columns]
        chosen = tuple([resolver_named(each, custom) for each in names])
        self.resolvers = {each: chosen[self.columns.index(each)].value for each in resolvers}
        """As they are kept: a program's own with the hash of its file."""
        self.spec = Spec(chosen, ranks, by_row=has_check)
        self.has_sets = Resolver.SET in chosen
        self.is_simple = not self.has_sets and Resolver.COUNTER not in chosen
        """Each entry is a value, so that calm states need no look at each."""
        self.may_break_check = has_check and any(each.value.startswith(("merge:", "custom:")) for each in chosen)
        """A column that is merged by itself may break a CHECK."""
        self.slots = tuple(self._slots(connection))
        self._defaults = self._read_defaults(connection) if self.slots else ()
        self._write_statements()

    def _slots(self, connection: apsw.Connection) -> Any:
        """The unique indexes. Raises RefusedError."""
        listed: Any = connection.execute(
            'SELECT name, "unique", origin, partial FROM pragma_index_list(?) ORDER BY name', (self.name,)
        ).fetchall()
        for number, (index, _, _, partial) in enumerate([each for each in listed if each[1] and each[2] != "pk"]):
            rows: Any = connection.execute(
                "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key", (index,)
            ).fetchall()
            names = tuple([name for name, _ in rows])
            if partial or not set(names) <= {*self.columns, *self.key_names}:
                what = "with WHERE" if partial else "on an expression or a generated column"
                hint = "make the value an ordinary column, NULL where it is to claim nothing, and the index on that"
                raise RefusedError("NotSupportedError", f"{self.name} has a unique index {what}, {index}", hint)
            places = tuple([self._place(name) for name in names])
            yield Slot(number, names, tuple([collation for _, collation in rows]), places)

    def _read_defaults(self, connection: apsw.Connection) -> tuple[Any, ...]:
        """What each numbered column shows where no write has left a value."""
        sql = "SELECT name, dflt_value FROM pragma_table_xinfo(?) WHERE dflt_value IS NOT NULL"
        found: Any = connection.execute(sql, (self.name,), prepare_flags=INTERNAL).fetchall()
        texts = dict(found)
        return tuple([
            connection.execute(f"SELECT {texts[each]}").fetchall()[0][0] if each in texts else None
            for each in self.columns
        ])  # fmt: skip

    def _place(self, name: str) -> tuple[bool, int]:
        if name in self.key_names:
            return True, self.key_names.index(name)
        return False, self.columns.index(name)

    def _write_statements(self) -> None:
        name, keys = f"main.{quoted(self.name)}", [quoted(each) for each in self.key_names]
        self.where = " AND ".join([f"{each} = ?" for each in keys])
        self.delete = f"DELETE FROM {name} WHERE {self.where}"  # noqa: S608
        self._upserts: dict[tuple[int, ...], str] = {}
        self.upsert = self.upsert_of(self.visible)

    def upsert_of(self, columns: tuple[int, ...]) -> str:
        """The statement that makes a row show these values: (key, values of the numbered columns)."""
        known = self._upserts.get(columns)
        if known is None:
            keys = [quoted(each) for each in self.key_names]
            names = [quoted(self.columns[number]) for number in columns]
            setting = ", ".join([f"{each} = excluded.{each}" for each in names])
            known = self._upserts[columns] = (
                f"INSERT INTO main.{quoted(self.name)}({', '.join([*keys, *names])})"  # noqa: S608
                f" VALUES ({', '.join('?' * (len(keys) + len(names)))}) ON CONFLICT({', '.join(keys)}) DO "
                + (f"UPDATE SET {setting}" if setting else "NOTHING")
            )
        return known

    def key_of(self, values: Sequence[Any]) -> bytes:
        """The key of a row, given all that an INSERT may name."""
        return encode_key([values[place] for place in self.key_places])

    def cells_of(self, values: Sequence[Any]) -> list[Any]:
        """The values of the numbered columns; NULL where one was dropped."""
        return [values[place] if place >= 0 else None for place in self.places]

    def claims_of(self, key: bytes, cells: Sequence[Any]) -> tuple[Value, ...]:
        """The unique values of a row. `cells` by number; MISSING, or not there: the column's default."""
        claimed: list[Value] = []
        keys = decode_row(key)
        for slot in self.slots:
            values = [keys[place] if is_key else self._cell(cells, place) for is_key, place in slot.places]
            if all(value is not None for value in values):
                named = zip(values, slot.collations, strict=True)
                claimed.append((slot.number, encode([_compared(each, collation) for each, collation in named])))
        return tuple(claimed)

    def _cell(self, cells: Sequence[Any], number: int) -> Any:
        value = cells[number] if number < len(cells) else MISSING
        return self._defaults[number] if value is MISSING else value


def encode_key(values: Sequence[Any]) -> bytes:
    """Keys that SQLite takes for equal are encoded alike: 1 and 1.0 are one key."""
    if any(type(each) not in (int, str, float, bytes) for each in values):
        raise RefusedError(
            "DataError", "a key of a versioned table holds text that is not UTF-8, or NULL", "use a BLOB"
        )
    return encode([_plain(each) for each in values])


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and -(1 << 63) <= value < 1 << 63:
        return int(value)
    return value


def _compared(value: Any, collation: str) -> Any:
    """Texts that the collation takes for equal become alike. NOCASE does not look beyond a NUL, but at the length."""
    kind = collation.upper()
    if not isinstance(value, str | Ext) or kind not in ("NOCASE", "RTRIM"):
        return _plain(value)
    text = value.encode() if isinstance(value, str) else bytes(value.data)
    head, nul, rest = text.partition(b"\0")
    alike = head.lower() + b"\0" * len(nul + rest) if kind == "NOCASE" else text.rstrip(b" ")
    try:
        return alike.decode()
    except UnicodeDecodeError:
        return Ext(NOT_UTF8, alike)


def _refuse(
    connection: apsw.Connection,
    table: Table,
    resolvers: Mapping[str, str],
    keys: tuple[str, ...],
    custom: Sequence[Custom],
) -> None:
    """Raise RefusedError, if the rows of this table cannot be versioned."""
    if not keys:
        raise RefusedError("NotSupportedError", f"{table.name} has no primary key", _NO_KEY)
    every: Any = connection.execute(
        'SELECT name, type, "notnull", hidden FROM pragma_table_xinfo(?)', (table.name,), prepare_flags=INTERNAL
    ).fetchall()
    nullable = {name for name, _, strict, _ in every if not strict}
    if table.hidden_rowid and nullable & set(keys):
        raise RefusedError("NotSupportedError", f"the primary key of {table.name} may be NULL", _NO_KEY)
    for index, origin in connection.execute("SELECT name, origin FROM pragma_index_list(?)", (table.name,)):
        sql = "SELECT coll FROM pragma_index_xinfo(?) WHERE key AND coll <> 'BINARY'"
        if origin == "pk" and connection.execute(sql, (index,)).fetchall():
            hint = "keep the collation for queries and other indexes, and store keys in one spelling"
            raise RefusedError("NotSupportedError", f"the primary key of {table.name} has a collation", hint)
    if any(hidden == 2 for _, _, _, hidden in every):
        raise RefusedError("NotSupportedError", f"{table.name} has a VIRTUAL column", "make it STORED")
    known = {name: (declared.upper(), name in nullable) for name, declared, _, hidden in every if not hidden}
    for column, resolver in resolvers.items():
        if column not in known or column in keys:
            raise RefusedError("ProgrammingError", f"{table.name} has no column {column} that could be merged")
        _refuse_resolver(f"{table.name}.{column}", *known[column], resolver, custom)


def resolver_of(column: str, resolver: str, custom: Sequence[Custom]) -> AnyResolver:
    """The resolver of this name. Raises RefusedError: there is none, or (NoFunctionError) not on this node."""
    try:
        return resolver_named(resolver, custom)
    except NoFunction as error:
        raise NoFunctionError(f"{column} is merged with {resolver}, but {error}") from error
    except ValueError as error:
        raise RefusedError("ProgrammingError", str(error)) from error


def _refuse_resolver(column: str, declared: str, nullable: bool, resolver: str, custom: Sequence[Custom]) -> None:
    """Raise RefusedError, if a column of this type cannot be merged so."""
    suitable: dict[AnyResolver, str] = {Resolver.COUNTER: "INT", Resolver.SET: "TEXT", Resolver.CONCAT: "TEXT"}
    wanted = suitable.get(resolver_of(column, resolver, custom))
    if wanted is not None and (wanted not in declared or (nullable and resolver != Resolver.CONCAT.value)):
        spelled = {"INT": "INTEGER NOT NULL"}.get(
            wanted, "TEXT" if resolver == Resolver.CONCAT.value else "TEXT NOT NULL"
        )
        raise RefusedError("NotSupportedError", f"{column} cannot be merged with {resolver}", f"declare it {spelled}")
