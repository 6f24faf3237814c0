"""Integer keys from a leader's own range, in INSERT statements that leave them to SQLite.

SQLite would take the largest key of the table plus one, also if that is another leader's. So the text names the key
(`sql/inserting.py`), by a function that counts within the range.
"""

from collections.abc import Iterable
from typing import Any

import apsw

from quorate.core.statements import Result, Statement
from quorate.core.versions.ranges import keys_of, next_key
from quorate.sql.classify import Shape, shape_of
from quorate.sql.inserting import insert_of, numbered
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.schema import SchemaFacts
from quorate.storage.execution.numbering import allotted
from quorate.storage.execution.running import Runner
from quorate.storage.failures import RefusedError
from quorate.storage.rows.table import Table
from quorate.storage.versions.base import Base

FUNCTION = "quorate_next_key"


class RangedKeys:
    """The keys of one range, on one writing connection."""

    def __init__(self, connection: apsw.Connection, base: Base, number: int) -> None:
        self._connection = connection
        self._base = base
        self._number = number
        self._keys = keys_of(number)
        self._next = 0
        self._table = ""
        """An AUTOINCREMENT table of which keys are being given."""
        connection.create_scalar_function(FUNCTION, self._count, 0, flags=apsw.SQLITE_INNOCUOUS)

    def prepared(self, sql: str, facts: SchemaFacts) -> str:
        """The statement as it is to be run next, before `done`. Raises RefusedError: the range is used up."""
        insert = insert_of(sql)
        table = None if insert is None else allotted(insert, facts)
        if insert is None or table is None or table.hidden_rowid:
            return sql
        found = next_key(self._number, self._highest(table))
        if found is None:
            hint = "give the keys yourself, or use UUIDs"
            raise RefusedError("IntegrityError", f"this leader's range of keys of {table.name} is used up", hint)
        self._next = found
        self._table = table.name if table.autoincrement else ""
        return numbered(sql, insert, table.rowid, table.columns, f"{FUNCTION}()")

    def done(self) -> None:
        """The statement has run. A key of AUTOINCREMENT is not given again, also if its row goes."""
        if self._table:
            self._base.remember(_mark(self._table), self._next - 1)
            self._table = ""

    def change(self, runner: Runner, statement: Statement, shape: Shape, facts: SchemaFacts) -> Result:
        """Run an INSERT, with keys of this range where SQLite would choose them. Raises what `Runner.change` raises, or
        RefusedError."""
        text = self.prepared(shape.sql, facts)
        if text is shape.sql:
            return runner.change(statement, shape)
        first = self._next
        try:
            return runner.change(statement, shape_of(text))
        except apsw.SQLError:
            if self._next != first:
                raise
            return runner.change(statement, shape)  # it is wrong: what SQLite says is to be about the caller's text

    def take(self, table: Table, keys: Iterable[Any]) -> None:
        """Rows with these keys have come: a key of AUTOINCREMENT is not given again, also if its row goes."""
        if table.autoincrement:
            given = max([each for each in keys if isinstance(each, int) and each in self._keys], default=0)
            if given > self._base.remembered(_mark(table.name), 0):
                self._base.remember(_mark(table.name), given)

    def first(self, table: Table) -> int:
        """The next key of the range; 0: there is none."""
        return next_key(self._number, self._highest(table)) or 0

    def _highest(self, table: Table) -> int | None:
        """The highest key of the range, of rows that there are or, with AUTOINCREMENT, that there were."""
        between = self._keys.start, self._keys.stop - 1
        sql = f"SELECT max({table.rowid}) FROM main.{quoted(table.name)} WHERE {table.rowid} BETWEEN ? AND ?"  # noqa: S608
        rows: Any = self._connection.execute(sql, between, prepare_flags=INTERNAL).fetchall()
        found = [rows[0][0], self._base.remembered(_mark(table.name), None) if table.autoincrement else None]
        return max([each for each in found if each is not None], default=None)

    def _count(self, *_: Any) -> int:
        number = self._next
        if number not in self._keys:
            raise ValueError("this leader's range of keys is used up")
        self._next += 1
        return number


def _mark(table: str) -> str:
    return f"keys of {table}"
