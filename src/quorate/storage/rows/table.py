"""What must be known of one table so that its rows can travel: how a row is told from others, and the statements
that read and write it.

A row is known by its rowid, declared or hidden, and in a WITHOUT ROWID table by its primary key. As it travels, a row
is the tuple of its values: the hidden rowid first, where there is one, then the columns that an INSERT may name.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apsw
from msgspec.msgpack import Ext

from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL

NOT_UTF8 = 1
"""The msgpack extension that carries the bytes of a text that is not UTF-8, which Python's `str` cannot hold."""
_COLUMNS_MAX = 2000
"""SQLite's limit of the columns of a SELECT."""
_ALIASES = ("_rowid_", "rowid", "oid")

Row = Sequence[Any]


class Table:
    """One ordinary or shadow table, as one version of the schema has it."""

    __slots__ = (
        "_columns_sql", "_updates", "autoincrement", "columns", "delete", "found_by", "hidden_rowid", "identity",
        "insert", "insert_anywhere", "key", "key_places", "name", "places", "problem", "readable", "rowid",
        "rowid_place", "select", "select_many", "travelling", "unique", "where", "width", "without_rowid",
    )  # fmt: skip

    def __init__(self, connection: apsw.Connection, name: str, sql: str) -> None:
        def ask(question: str, about: str = name) -> list[Any]:
            return connection.execute(question, (about,), prepare_flags=INTERNAL).fetchall()

        listed = ask("SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'")
        every = ask("SELECT cid, name, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid")
        indexes = ask('SELECT name, "unique", origin, partial FROM pragma_index_list(?)')
        key = sorted((place, cid, column) for cid, column, place, _ in every if place)
        self.name = name
        self.autoincrement = "AUTOINCREMENT" in sql.upper()
        self.columns: tuple[str, ...] = tuple([column for _, column, _, hidden in every if hidden == 0])
        """Those that an INSERT may name, in order: neither generated nor hidden."""
        places = tuple([cid for cid, _, _, hidden in every if hidden == 0])
        self.places = None if len(places) == len(every) else places
        """Where they stand among all columns; None: there are no others."""
        self.readable = all(hidden != 2 for _, _, _, hidden in every)
        """The hook can see a row's values: apsw reads all columns, and SQLite refuses VIRTUAL ones."""
        self.without_rowid = bool(listed and listed[0][0])
        declared = len(key) == 1 and all(origin != "pk" for _, _, origin, _ in indexes)
        self.hidden_rowid = not self.without_rowid and not declared
        """Its rowid is none of its columns."""
        self.key_places = tuple([cid for _, cid, _ in key])
        """The columns of its primary key among all columns."""
        self.key = tuple([self.columns.index(column) for _, _, column in key])
        """The same among `columns`."""
        self.identity = tuple([place + self.hidden_rowid for place in self.key]) or (0,)
        """The same among the values of a row as it travels; the hidden rowid when it declares no key."""
        self.rowid_place = None if self.without_rowid else 0 if self.hidden_rowid else self.key[0]
        """Where among those values its rowid is."""
        self.found_by = len(self.key) if self.without_rowid else 1
        """Values that find a row: one rowid, or all of a key."""
        self.rowid, self.problem = self._name_of_rowid({column.lower() for _, column, _, _ in every})
        self.unique = self._unique(ask, indexes)
        self._write_statements()

    def _name_of_rowid(self, taken: set[str]) -> tuple[str, str]:
        """What SQL calls the rowid, and why rows of this table cannot travel (empty: they can)."""
        if self.without_rowid:
            return "", "" if self.readable else f"the table {self.name} is WITHOUT ROWID and has a VIRTUAL column"
        if not self.hidden_rowid:
            return quoted(self.columns[self.key[0]]), ""
        for alias in _ALIASES:
            if alias not in taken:
                return alias, ""
        reason = f"the table {self.name} has columns rowid, oid and _rowid_ and no INTEGER PRIMARY KEY"
        return "rowid", f"{reason}, so that nothing names its rowids"

    def _unique(self, ask: Callable[..., list[Any]], indexes: list[Any]) -> frozenset[int]:
        """Columns that are not changed in place, because another row of the same entry may still have the value."""
        unique = set() if self.hidden_rowid else set(self.key)
        for index, is_unique, _, partial in indexes:
            if not is_unique:
                continue
            columns = [name for (name,) in ask("SELECT name FROM pragma_index_xinfo(?) WHERE key", index)]
            if partial or not set(columns) <= set(self.columns):  # an expression, or a generated column
                return frozenset(range(len(self.columns)))
            unique |= {self.columns.index(name) for name in columns}
        return frozenset(unique)

    def _write_statements(self) -> None:
        table = f"main.{quoted(self.name)}"
        names = [quoted(column) for column in self.columns]
        if self.without_rowid:
            self.where = f"{_tuple([names[place] for place in self.key])} = {_marks(len(self.key))}"
        else:
            self.where = f"{self.rowid} = ?"
        self.travelling = self.key if self.hidden_rowid else ()
        """Columns whose values travel with every update: a declared key beside the hidden rowid that finds the row."""
        self._columns_sql = names
        self._updates: dict[tuple[int, ...], tuple[str, str]] = {}
        row = [self.rowid, *names] if self.hidden_rowid else names
        self.width = len(row)
        """Values of a row as it travels."""
        self.insert = f"INSERT OR ABORT INTO {table}({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608
        self.insert_anywhere = (
            f"INSERT OR ABORT INTO {table}({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
        )
        """The same where SQLite chooses a rowid."""
        self.delete = f"DELETE FROM {table} WHERE {self.where}"  # noqa: S608
        selected = row[-_COLUMNS_MAX:]  # of the widest tables without the rowid, which is known anyway
        self.select = f"SELECT {', '.join(selected)} FROM {table} WHERE {self.where}"  # noqa: S608
        self.select_many = ""
        """Reads the rows of an array of rowids; empty: they are read one by one."""
        if self.width <= _COLUMNS_MAX and not self.without_rowid and hasattr(apsw, "carray"):
            selected = [f"t.{name}" for name in selected]
            source = f"carray(?) AS k CROSS JOIN {table} AS t ON t.{self.rowid} = k.value"
            self.select_many = f"SELECT {', '.join(selected)} FROM {source}"  # noqa: S608

    def update(self, columns: tuple[int, ...]) -> tuple[str, str]:
        """The statement that gives one row new values in these columns, by (new values, key); and the one that also
        demands the old ones, by (new values, key, old values, values of `travelling`)."""
        known = self._updates.get(columns)
        if known is None:
            names = [self._columns_sql[place] for place in columns]
            setting = ", ".join([f"{name} = ?" for name in names])
            plain = f"UPDATE OR ABORT main.{quoted(self.name)} SET {setting} WHERE {self.where}"  # noqa: S608
            old = names + [self._columns_sql[place] for place in self.travelling]
            known = self._updates[columns] = plain, f"{plain} AND {_tuple(old)} IS {_marks(len(old))}"
        return known

    def key_of(self, row: Row) -> Any:
        """What a row is known by: its rowid, or in a WITHOUT ROWID table the tuple of its key. A row may also be its
        rowid alone."""
        if self.without_rowid:
            return tuple([row[place] for place in self.key])
        return row[0] if self.hidden_rowid or len(row) == 1 else row[self.key[0]]

    def bindings(self, key: Any) -> tuple[Any, ...]:
        """The parameters of `where`."""
        return key if self.without_rowid else (key,)

    def read(self, connection: apsw.Connection, keys: Sequence[Any], in_bulk: bool) -> Sequence[Row]:
        """The rows of those keys that are there now. `in_bulk`: no table of the user's is called carray."""
        ask = connection.execute
        try:
            if len(keys) == 1 and self.width <= _COLUMNS_MAX:
                return ask(self.select, self.bindings(keys[0]), prepare_flags=INTERNAL).fetchall()
            if in_bulk and self.select_many:
                rows = apsw.carray(array("q", keys))
                return ask(self.select_many, (rows,), prepare_flags=INTERNAL).fetchall()
            if self.width > _COLUMNS_MAX:
                return [(key, *row) for key in keys for row in ask(self.select, (key,), prepare_flags=INTERNAL)]
            bindings = keys if self.without_rowid else [(key,) for key in keys]
            return connection.executemany(self.select, bindings, prepare_flags=INTERNAL).fetchall()
        except UnicodeDecodeError:
            return [row for key in keys for row in self._read_raw(connection, key)]

    def _read_raw(self, connection: apsw.Connection, key: Any) -> Iterator[Row]:
        """The row of this key, an `Ext` for each text that is not UTF-8."""
        bindings = self.bindings(key)
        table = f"main.{quoted(self.name)}"

        def value(column: str) -> Any:
            sql = f"SELECT typeof({column}), iif(typeof({column}) = 'text', CAST({column} AS BLOB), {column})"
            rows: list[Any] = connection.execute(f"{sql} FROM {table} WHERE {self.where}", bindings).fetchall()
            kind, found = rows[0]
            if kind != "text":
                return found
            try:
                return found.decode()
            except UnicodeDecodeError:
                return Ext(NOT_UTF8, found)

        if connection.execute(f"SELECT 1 FROM {table} WHERE {self.where}", bindings).fetchall():  # noqa: S608
            hidden = (key,) if self.hidden_rowid else ()
            yield (*hidden, *[value(column) for column in self._columns_sql])


def _tuple(names: list[str]) -> str:
    """Not a chain of AND: SQLite's expressions are at most 1,000 deep."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _marks(count: int) -> str:
    return "?" if count == 1 else f"({', '.join('?' * count)})"
