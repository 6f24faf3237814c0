"""The tables that SQL sees in the data file of a replica without a leader: a function of the rows' states.

Changes of the schema are numbered, and every replica carries them out in that order. One that cannot be carried out is
passed over, on every replica alike: whether it can depends on the schema, never on rows. A table is known by its name
and the number of the change that made it, so that rows of a table that was dropped never come back in another.
"""

from collections.abc import Iterable

import apsw

from quorate.core.row_effects import RowKey
from quorate.sql.classify import RESOLVERS
from quorate.sql.inserting import insert_of
from quorate.sql.tokens import STRING, WORD, tokens
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.guard import Guard
from quorate.storage.data.schema import SchemaFacts, SchemaReader
from quorate.storage.failures import RefusedError, raise_if_fatal
from quorate.storage.rows.payload import Versioned
from quorate.storage.versions.base import Base
from quorate.storage.versions.keyed import StoredRows
from quorate.storage.versions.schemas import refuse_expressions
from quorate.storage.versions.table import VersionedTable
from quorate.storage.versions.visible import Face, Visible, face_of

_ROWS_AT_ONCE = 1000
_MADE = ("TABLE", "INDEX", "VIEW")
_RESOLVED = ("last-write-wins", "merge:")
_CHANGES = "there are: CREATE TABLE, INDEX and VIEW, DROP of these, ALTER TABLE ... ADD COLUMN, and resolvers"


def table_key(name: str, number: int) -> str:
    """What a table is called in the keys of rows."""
    return f"{name}@{number}"


class KeyedTables:
    """On one writing connection, in whatever transaction it has open; commits and undoes nothing."""

    def __init__(self, connection: apsw.Connection, rows: StoredRows, schema: SchemaReader, guard: Guard) -> None:
        self._connection, self._rows, self._schema, self._guard = connection, rows, schema, guard
        self._base = Base(connection)
        self._visible = Visible(connection, self._base)
        self._tables: dict[str, VersionedTable] | None = None
        self._changed = False
        """The schema was changed, in a transaction that may be undone."""

    @property
    def serial(self) -> int:
        """The number of the last change of the schema."""
        return self._base.serial()

    @property
    def tables(self) -> dict[str, VersionedTable]:
        """By what they are called in the keys of rows."""
        if self._tables is None:
            self._tables = self._read(self._schema.read())
        return self._tables

    def forget(self) -> None:
        """The open transaction is undone."""
        if self._changed:
            self._tables, self._changed = None, False

    def named(self, name: str) -> tuple[str, VersionedTable] | None:
        """The table that SQL calls so."""
        lower = name.lower()
        return next((each for each in self.tables.items() if each[1].name.lower() == lower), None)

    def _read(self, facts: SchemaFacts) -> dict[str, VersionedTable]:
        """Raises RefusedError, if a table cannot be one here."""
        chosen: dict[str, dict[str, str]] = {}
        for each in self._base.chosen():
            chosen.setdefault(each.table, {})[each.column] = each.resolver
        return {
            table_key(name, number): VersionedTable(
                self._connection, number, facts.tables[name], (), chosen.get(name, {}), {}
            )
            for number, name, _, _ in self._base.versioned()
            if name in facts.tables
        }

    # ------------------------------------------------------------------ what is shown

    def show(self, states: dict[RowKey, bytes]) -> None:
        """These rows have these states now."""
        faces: dict[str, dict[bytes, Face | None]] = {}
        for (tab, key), state in states.items():
            table = self.tables.get(tab)
            if table is not None:
                faces.setdefault(tab, {})[key] = face_of(table, state) if state else None
        for tab, found in faces.items():
            self._visible.show(self.tables[tab], found, {})

    def _show_all(self, tabs: Iterable[str]) -> None:
        """All rows of these tables: the tables are new here, or show them otherwise."""
        for tab in tabs:
            states: dict[RowKey, bytes] = {}
            for key, state in self._rows.of_table(tab):
                states[tab, key] = state
                if len(states) >= _ROWS_AT_ONCE:
                    self.show(states)
                    states = {}
            self.show(states)

    # ------------------------------------------------------------------ changes of the schema

    def change(self, number: int, sql: str) -> None:
        """Carry out a change, unless it was, or cannot be. Raises RefusedError: one before it has not come yet."""
        serial = self.serial
        if number <= serial:
            return
        if number > serial + 1:
            raise RefusedError("OperationalError", f"the schema is at change {serial}, and change {number} came")
        self._connection.execute("SAVEPOINT quorate_schema", prepare_flags=INTERNAL)
        try:
            self.attempt(number, sql)
        except (apsw.Error, RefusedError) as error:
            raise_if_fatal(error)
            self._connection.execute("ROLLBACK TO quorate_schema", prepare_flags=INTERNAL)
            self.forget()
        self._base.add_schema(number, sql.encode())
        self._connection.execute("RELEASE quorate_schema", prepare_flags=INTERNAL)

    def attempt(self, number: int, sql: str) -> None:
        """Do what it says. Raises RefusedError, or what SQLite says."""
        _refuse_words(sql)
        before = dict(self.tables)
        self._changed = True
        watched = self._guard.watching
        self._guard.watching = True
        try:
            self._connection.execute(sql, can_cache=False)
        finally:
            self._guard.watching = watched
        facts = self._schema.read()
        if facts.problem:
            raise RefusedError("NotSupportedError", facts.problem)
        there = {table.name for table in before.values()}
        for name in facts.tables:
            if name not in there:
                self._base.put_table(Versioned(number, name, (), {}))
        for table in before.values():
            if table.name not in facts.tables:
                self._base.put_table(Versioned(table.number, "", (), {}))
        self._tables = None
        changed = [tab for tab, table in self.tables.items() if not _is_alike(before.get(tab), table)]
        for tab in self.tables:
            self._check(self.tables[tab], is_new=tab not in before)
        self._show_all(changed)

    def _check(self, table: VersionedTable, *, is_new: bool) -> None:
        """Raise RefusedError, if its rows cannot be kept without a leader."""
        name = table.name
        if table.slots:
            hint = "make the value the key of a table of its own, or use a database with one leader"
            raise RefusedError("NotSupportedError", f"{name} has UNIQUE values, for which nobody could answer", hint)
        if table.spec.by_row:
            hint = "check the value in the program, or use a database with one leader"
            raise RefusedError("NotSupportedError", f"{name} has a CHECK, which merged rows might break", hint)
        if table.table.autoincrement:
            hint = "give the keys yourself: UUIDs, say"
            raise RefusedError("NotSupportedError", f"{name} has AUTOINCREMENT, and nobody counts", hint)
        if self._connection.execute("SELECT 1 FROM pragma_foreign_key_list(?)", (name,)).fetchall():
            hint = "leave REFERENCES out: rows that refer to others may come first, and others may go"
            raise RefusedError("NotSupportedError", f"{name} has a foreign key", hint)
        for column, resolver in table.resolvers.items():
            if not resolver.startswith(_RESOLVED):
                hint = "there are: last-write-wins, merge:counter, merge:set, merge:concat, merge:max, merge:min"
                raise RefusedError("NotSupportedError", f"{name}.{column} cannot be merged with {resolver}", hint)
        sql = "SELECT 1 FROM pragma_index_list(?) WHERE partial"
        if self._connection.execute(sql, (name,)).fetchall():
            raise RefusedError("NotSupportedError", f"{name} has an index with WHERE", "index all rows")
        refuse_expressions(self._connection, name)
        sql = 'SELECT name FROM pragma_table_xinfo(?) WHERE "notnull" AND dflt_value IS NULL AND NOT pk AND cid >= ?'
        added = self._connection.execute(sql, (name, self._made_with(table, is_new))).fetchall()
        if added:
            message = f"{name}.{added[0][0]} is NOT NULL and has no default, and there may be rows"
            raise RefusedError("ProgrammingError", message, "give it a DEFAULT")

    def _made_with(self, table: VersionedTable, is_new: bool) -> int:
        """How many columns it had when it was made: those behind came by ALTER TABLE."""
        name = f"columns of {table.number}"
        if is_new:
            self._base.remember(name, len(table.table.columns))
        return int(self._base.remembered(name, len(table.table.columns)))


def _is_alike(before: VersionedTable | None, after: VersionedTable) -> bool:
    return before is not None and before.columns == after.columns and before.resolvers == after.resolvers


def _refuse_words(sql: str) -> None:
    """Raise RefusedError for a change that there is not."""
    words = [text if kind == WORD else "" for kind, text, _, _ in tokens(sql)]
    if RESOLVERS in sql and words[:1] == ["INSERT"]:
        insert = insert_of(sql)
        values = list(tokens(sql, insert.rows_at[0])) if insert is not None and insert.rows_at else []
        plain = all(kind == STRING or text in "(),;" for kind, text, _, _ in values)
        if insert is not None and insert.table.lower() == RESOLVERS and values and plain:
            return
        hint = f"INSERT INTO {RESOLVERS}(\"table\", \"column\", resolver) VALUES ('stock', 'n', 'merge:counter')"  # noqa: S608
        raise RefusedError("NotSupportedError", "resolvers are chosen by an INSERT of plain texts", hint)
    verb, what = words[:1], words[1:2]
    if verb == ["ALTER"]:
        if "ADD" not in words[3:] or "RENAME" in words[3:5]:
            hint = "make a new table, or leave the old column unused"
            raise RefusedError("NotSupportedError", "without a leader ALTER TABLE only adds columns", hint)
        if any(word.startswith("CURRENT_") for word in words) or "DEFAULT (" in " ".join(sql.upper().split()):
            raise RefusedError("NotSupportedError", "the default of an added column is a literal", "write a literal")
        return
    if what == ["UNIQUE"]:
        hint = "make the value the key of a table of its own, or use a database with one leader"
        raise RefusedError("NotSupportedError", "UNIQUE is not promised without a leader", hint)
    if verb not in (["CREATE"], ["DROP"]) or not what or what[0] not in _MADE:
        name = " ".join([*verb, *what])
        raise RefusedError("NotSupportedError", f"a database without a leader has no {name}", _CHANGES)
    if verb == ["CREATE"] and what == ["TABLE"] and "SELECT" in words:
        hint = "make the table, then INSERT row by row"
        raise RefusedError("NotSupportedError", "CREATE TABLE ... AS reads many rows", hint)
