"""Tables whose rows SQLite itself may put out of order, and the look at whether it did.

Faults of SQLite (seen in 3.54.1): an INSERT of several rows remembers how a search of an earlier row ended, and puts
a later row before one with a smaller rowid. Searches then miss rows that scans find, so that replicas would differ.
Two ways lead there:
- ON CONFLICT DO UPDATE, where a trigger that runs before the update takes away the row that is to be changed. The row
  may also be left out of an index. The hook sees a sign: a trigger took a row away;
- REPLACE in a table with foreign keys in which the largest of all rowids is taken, so that SQLite chooses at random.
Only then is the table read.

What SQLite does with a row that a BEFORE trigger has deleted or moved is undefined anyway: it may also call the
database malformed, which it is not.
"""

import re
from collections.abc import Collection, Iterable
from itertools import islice

import apsw

from quorate.core.statements import Statement
from quorate.sql.tokens import quoted, tokens
from quorate.storage.data.connection import INTERNAL
from quorate.storage.failures import RefusedError
from quorate.storage.rows.table import Table

ABOUT_CONTENT = re.compile(r"(NULL|NUMERIC|TEXT|non-\w+) value in |CHECK constraint failed in ")
"""Findings of an integrity check about rows, not about pages: such rows are the same on every replica, or the digest
tells."""
_UPSERTS = "CONFLICT"


_RANDOM = 1 << 32
"""Rowids that SQLite chooses at random are larger, but for one in a thousand million."""
LAST_ROWID = (1 << 63) - 1


class OutOfOrderError(RefusedError):
    """SQLite has put rows of a table out of order."""

    def __init__(self, table: str, hint: str) -> None:
        super().__init__("NotSupportedError", f"SQLite would leave rows out of order in {table}", hint)


class UndefinedError(RefusedError):
    """SQLite has called a table malformed that is whole."""

    def __init__(self, table: str) -> None:
        message = f"a BEFORE trigger deletes or moves a row of {table} that the statement is to change; SQLite's result"
        super().__init__("NotSupportedError", f"{message} is undefined", "let an AFTER trigger delete or move it")


def runs_before(trigger: str) -> bool:
    """Whether this CREATE TRIGGER makes one that runs before the change; it does so where it does not say."""
    words = [text for _, text, _, _ in islice(tokens(trigger), 4)]
    return words[-1] != "AFTER"


def has_upsert(sql: str) -> bool:
    """Whether there may be an ON CONFLICT clause in it."""
    return _UPSERTS in sql.upper()


def may_upsert(statement: Statement, triggers: bool) -> bool:
    """Whether this statement may meet the fault; `triggers`: some trigger has an upsert."""
    return triggers or has_upsert(statement.sql)


def refuse_disorder(connection: apsw.Connection, tables: Iterable[Table]) -> None:
    """Raise OutOfOrderError when upserts have put rows of one of these tables out of the order of their rowids, or have
    left one out of an index."""
    for table in tables:
        if not are_sound(connection, (table.name,)):
            raise OutOfOrderError(table.name, "insert one row at a time, or let an AFTER trigger delete")


def refuse_random_disorder(connection: apsw.Connection, table: Table, rowids: Collection[int], *, seen: bool) -> None:
    """The same for a table with foreign keys of which these rows were touched, for rowids chosen at random. `seen`: it
    is known already that some table was out of order."""
    if not seen and (len(rowids) < 2 or max(rowids) < _RANDOM):
        return
    find = f"SELECT 1 FROM main.{quoted(table.name)} WHERE {table.where}"  # noqa: S608
    taken = connection.execute(find, (LAST_ROWID,), prepare_flags=INTERNAL).fetchall()
    if taken and (seen or not _in_order(connection, table)):
        raise OutOfOrderError(table.name, f"replace one row at a time, or give row {LAST_ROWID} another rowid")


def _in_order(connection: apsw.Connection, table: Table) -> bool:
    scan = f"SELECT {table.rowid} FROM main.{quoted(table.name)} NOT INDEXED"  # noqa: S608
    before: int | None = None
    for (rowid,) in connection.execute(scan, prepare_flags=INTERNAL):
        if before is not None and rowid <= before:
            return False
        before = rowid
    return True


def are_sound(connection: apsw.Connection, tables: Iterable[str]) -> bool:
    """Whether SQLite finds nothing wrong with the order of these tables' rows, nor with their indexes."""
    for table in tables:
        sql = f"PRAGMA main.integrity_check({quoted(table)})"
        try:
            found = connection.execute(sql, prepare_flags=INTERNAL).fetchall()
        except apsw.SQLError:  # it was made in the transaction that is undone
            continue
        if not all(line == "ok" or ABOUT_CONTENT.match(str(line)) for (line,) in found):
            return False
    return True
