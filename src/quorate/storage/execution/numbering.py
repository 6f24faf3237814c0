"""The numbers of the rows that open transactions have added: no two are shown the same.

Two open transactions that insert into one table would both be shown the largest rowid plus one, and one of them could
not be committed. So the leader keeps in memory which numbers it has given, and a number goes back to its client with
the statement (`Pin.reserved`): when that runs again, its text names the number. What another leader has given is not
known here; then one of the two fails, and is run again.
"""

from collections.abc import Callable
from typing import Any

import apsw

from quorate.core.scripts import Pin
from quorate.core.statements import Statement
from quorate.sql.classify import Shape
from quorate.sql.inserting import ROWID_NAMES, Insert, insert_of, numbered
from quorate.sql.tokens import quoted, tokens
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.order import LAST_ROWID
from quorate.storage.data.schema import SchemaFacts
from quorate.storage.execution.pinning import NUMBER, Pins
from quorate.storage.rows.table import Table

_ROOM = 1 << 40
"""So far from the last rowid of all no numbers are reserved any more."""


class Numbers:
    """Those that one leader has given for one database."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.ranged: Callable[[Table], int] | None = None
        """The next key where a leader has a range of its own; 0: it is used up."""
        self._given: dict[str, int] = {}
        """The highest, for each table."""
        self._schema = b""
        """Of which they are: a table that is made anew begins anew."""

    def plan(self, statement: Statement, shape: Shape, facts: SchemaFacts) -> tuple[Statement, Table] | None:
        """The statement with its numbers named, and the table; None when SQLite does not choose them, or the text
        cannot name them."""
        insert = insert_of(shape.sql)
        table = None if insert is None else allotted(insert, facts)
        if insert is None or table is None:
            return None
        text = numbered(shape.sql, insert, table.rowid, table.columns, NUMBER)
        return Statement(text, statement.sets, statement.many), table

    def first(self, table: Table, pin: Pin | None, facts: SchemaFacts) -> int:
        """The number to begin with; 0: there is no room."""
        for name, number in pin.reserved if pin is not None else ():
            if name == table.name:
                return number
        if self._schema != facts.hash:
            self._schema = facts.hash
            self._given.clear()
        if self.ranged is not None and not table.hidden_rowid:
            first = self.ranged(table)
            return max(first, self._given.get(table.name, 0) + 1) if first else 0
        most = max(self._largest(table), self._given.get(table.name, 0))
        return most + 1 if 0 <= most < LAST_ROWID - _ROOM else 0

    def gave(self, table: Table, pins: Pins) -> None:
        """The statement has run, and used these."""
        self._given[table.name] = max(self._given.get(table.name, 0), pins.next_number - 1)

    def _largest(self, table: Table) -> int:
        """What SQLite would begin behind."""
        found = self._ask(f"SELECT max({table.rowid}) FROM main.{quoted(table.name)}")  # noqa: S608
        if table.autoincrement:
            numbers = self._ask("SELECT max(seq) FROM main.sqlite_sequence WHERE name = ?", table.name)
            found = max(found, numbers)
        return found

    def _ask(self, sql: str, *parameters: str) -> int:
        found: Any = self._connection.execute(sql, parameters, prepare_flags=INTERNAL).get
        return found if isinstance(found, int) else 0


def allotted(insert: Insert, facts: SchemaFacts) -> Table | None:
    """The table, if SQLite chooses the rowids of these rows and the text can name them."""
    table = _find(insert, facts)
    return table if table is not None and _chooses(insert, table) else None


def _table(insert: Insert, facts: SchemaFacts) -> Table | None:
    wanted = insert.table.lower()
    found = (each for name, each in facts.tables.items() if name.lower() == wanted)
    return facts.tables.get(insert.table) or next(found, None)


def _find(insert: Insert, facts: SchemaFacts) -> Table | None:
    """The table, if its rows have rowids and none of its triggers looks at a row before it has one."""
    table = _table(insert, facts)
    if table is None or table.without_rowid:
        return None
    name = table.name.lower()
    return None if name in facts.disorderly or name in facts.shadows else table


def _chooses(insert: Insert, table: Table) -> bool:
    """Whether SQLite chooses the rowids of these rows."""
    if not insert.rows_at:
        return True
    if insert.columns is None:
        return table.hidden_rowid
    if table.hidden_rowid:
        taken = {column.lower() for column in table.columns}
        return not any(name in ROWID_NAMES and name not in taken for name in insert.columns)
    declared = table.columns[table.key[0]].lower()
    return not any(name == declared or name in ROWID_NAMES for name in insert.columns)


def shows_chosen(statement: Statement, shape: Shape, facts: SchemaFacts, lastrowid: int | None) -> bool:
    """Whether a client was shown a rowid that it did not give, as far as the text and the parameters tell."""
    if lastrowid is None:
        return False
    insert = insert_of(shape.sql)
    table = None if insert is None else _table(insert, facts)
    if table is not None and table.without_rowid:
        return False  # of an earlier statement
    if insert is None or table is None or _chooses(insert, table):
        return True
    sets = [each.values() if isinstance(each, dict) else each for each in statement.sets]
    given = {value for each in sets for value in each if isinstance(value, int)}
    return lastrowid not in given and all(text != str(lastrowid) for _, text, _, _ in tokens(shape.sql))
