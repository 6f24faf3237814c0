"""Running one statement for a user, on whichever connection, and gathering what it gave."""

import contextlib
from typing import TYPE_CHECKING

import apsw

from quorate.core.limits import RESULT_BYTES_MAX
from quorate.core.scripts import Pin
from quorate.core.statements import Parameters, Result, Statement, Value
from quorate.sql.classify import EMPTY, REFUSED, Shape
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL, NO_ROWID
from quorate.storage.data.guard import MORE, Guard
from quorate.storage.failures import RefusedError, ResultTooLarge
from quorate.storage.rows.payload import encode

if TYPE_CHECKING:
    from quorate.storage.execution.pinning import Pins

Columns = tuple[tuple[str, str | None], ...]
"""Name and declared type of each column."""

NOTHING = Result((), [], -1)
"""What a statement gives that gives nothing."""


def refuse(shape: Shape) -> None:
    """Raise RefusedError for a text that is empty, more than one statement, or not allowed."""
    if shape.surplus:
        hint = "one statement for each execute(); use batch() for several, atomically"
        raise RefusedError("ProgrammingError", f"a second statement begins at: {shape.surplus}", hint)
    if shape.kind == EMPTY:
        raise RefusedError("ProgrammingError", "the statement is empty")
    if shape.kind == REFUSED:
        raise RefusedError(*shape.refusal)


class Runner:
    """Runs users' statements on one connection, watched by its guard. Raises what apsw raises."""

    __slots__ = ("_columns", "_connection", "_cursor", "_guard", "_pins", "_traced")

    def __init__(self, connection: apsw.Connection, guard: Guard) -> None:
        self._connection = connection
        self._guard = guard
        self._columns: Columns = ()
        self._pins: Pins | None = None
        self._renew()

    def pin(self, pin: Pin | None) -> None:
        """What follows sees this time and these random numbers; None: as always."""
        if self._pins is None:
            if pin is None:
                return
            from quorate.storage.execution.pinning import Pins  # ctypes, which no other request needs

            self._pins = Pins(self._connection)
        self._pins.set(pin)

    @property
    def pins(self) -> "Pins":
        """There are some, once `pin` has been called with one."""
        assert self._pins is not None, "nothing was pinned"
        return self._pins

    def _renew(self) -> None:
        self._cursor = self._connection.cursor()
        self._traced = self._connection.cursor()
        self._traced.exec_trace = self._describe

    def _describe(self, cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        """Before the first step: the only moment when the columns of an empty result can be asked for."""
        self._columns = cursor.get_description()
        return True

    def change(self, statement: Statement, shape: Shape) -> Result:
        """Run an INSERT, UPDATE or DELETE, once for each set of parameters."""
        guard = self._guard
        connection = self._connection
        sets = statement.sets
        guard.watching = guard.keeps_schema = True
        try:
            if len(sets) == 1 and not statement.many:
                if shape.rows:
                    return self._returning(statement, shape)
                self._cursor.execute(shape.sql, sets[0])
                count = connection.changes()
            else:
                count = 0
                for parameters in sets:
                    self._cursor.execute(shape.sql, parameters).fetchall()
                    count += connection.changes()
        finally:
            guard.watching = guard.keeps_schema = False
        return Result((), [], count, self._rowid() if shape.inserts and count else None)

    def _returning(self, statement: Statement, shape: Shape) -> Result:
        cursor = self._cursor.execute(shape.sql, statement.sets[0])
        try:
            columns: Columns = cursor.get_description()
        except apsw.ExecutionCompleteError:
            columns = self._columns_of(shape.sql, statement.sets[0])
        rows = self._fetch(cursor)
        count = self._connection.changes()
        return Result(columns, rows, count, self._rowid() if shape.inserts and count else None)

    def _columns_of(self, sql: str, parameters: Parameters) -> Columns:
        """The columns of a statement that gave no rows. It is prepared anew: before its first step, a statement of an
        older schema would tell the columns of that."""
        cursor = self._connection.cursor()
        cursor.exec_trace = self._describe_only
        with contextlib.suppress(apsw.ExecTraceAbort):
            cursor.execute(sql, parameters, can_cache=False)
        return self._columns

    def _describe_only(self, cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        self._describe(cursor, sql, bindings)
        return False

    def _rowid(self) -> int | None:
        """Of the last row that this request has added to a table that has rowids."""
        rowid = self._connection.last_insert_rowid()
        return None if rowid == NO_ROWID else rowid

    def read(self, statement: Statement, shape: Shape) -> Result:
        """Run a statement that changes nothing."""
        guard = self._guard
        guard.watching = guard.keeps_schema = True
        changed = self._connection.total_changes()
        try:
            if len(statement.sets) != 1 or statement.many:
                for parameters in statement.sets:
                    self._cursor.execute(shape.sql, parameters).fetchall()
                self._check_unchanged(changed)
                return NOTHING
            cursor = self._cursor.execute(shape.sql, statement.sets[0])
            try:
                columns: Columns = cursor.get_description()
            except apsw.ExecutionCompleteError:  # no rows: run it again where the columns can be seen
                cursor = self._traced.execute(shape.sql, statement.sets[0])
                columns = self._columns
            rows = self._fetch(cursor)
            self._check_unchanged(changed)
            return Result(columns, rows, -1)
        finally:
            guard.watching = guard.keeps_schema = False

    def _check_unchanged(self, changed: int) -> None:
        """The role that a statement needs was told from its text. Raises RefusedError when it said less than is so.
        The guard cannot tell: to open an R-tree for reading SQLite prepares statements that write."""
        if self._connection.total_changes() != changed:
            raise RefusedError(*MORE)

    def open(self, statement: Statement, shape: Shape) -> tuple[Columns, apsw.Cursor]:
        """Begin a statement that changes nothing: its columns, and its rows as they are asked for, with the guard
        watching."""
        cursor = self._connection.cursor()
        cursor.exec_trace = self._describe
        cursor.execute(shape.sql, statement.sets[0])
        return self._columns, cursor

    def forget_indexes(self) -> None:
        """Have every virtual table look whether somebody else has written. FTS5 does so whenever a cursor is opened,
        but not for an integrity check, which would find its new pages wrong."""
        tables = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual'"
        for (name,) in self._connection.execute(tables, prepare_flags=INTERNAL).fetchall():
            look = f"SELECT 1 FROM main.{quoted(str(name))} LIMIT 1"  # noqa: S608
            with contextlib.suppress(apsw.SQLError):  # its content is no more: the check will say so
                self._connection.execute(look, prepare_flags=INTERNAL).fetchall()

    def rows_of(self, sql: str, parameters: Parameters) -> list[tuple[Value, ...]]:
        """Run a text that `read` has run before, with the guard watching."""
        return self._fetch(self._cursor.execute(sql, parameters))

    def text(self, statement: Statement, shape: Shape) -> Result:
        """Run a statement that changes the schema."""
        guard = self._guard
        guard.watching = guard.analyzing = True
        guard.altering = shape.alters
        try:
            for parameters in statement.sets:
                self._cursor.execute(shape.sql, parameters, can_cache=False).fetchall()
        finally:
            guard.watching = guard.analyzing = guard.altering = False
        return NOTHING

    def _fetch(self, cursor: apsw.Cursor) -> list[tuple[Value, ...]]:
        """All rows, each measured as it comes: none that would be too much is waited for."""
        rows: list[tuple[Value, ...]] = []
        room = RESULT_BYTES_MAX
        for row in cursor:
            rows.append(row)
            room -= len(encode(row))
            if room < 0:
                self.reset()
                raise ResultTooLarge
        return rows

    def reset(self) -> None:
        """Stop whatever statement is half run."""
        self._cursor.close(force=True)
        self._traced.close(force=True)
        self._renew()

    def close(self) -> None:
        self._cursor.close(force=True)
        self._traced.close(force=True)
