"""Tables whose rows SQLite itself may put out of order, and the look at whether it did.

A fault of SQLite (seen in 3.54.1): an INSERT of several rows with ON CONFLICT DO UPDATE, where a trigger that runs
before the update takes away the row that DO UPDATE is to change. The place where that row was not found any more is
remembered, and the next new rows are put there, before others with smaller rowids. Searches then miss rows that scans
find, so that replicas would differ, and new rowids are given out twice. The hook sees the signs of it: a row went at
some depth of triggers, and behind it another came at a smaller one. Only then is the table read.
"""

from collections.abc import Iterable
from itertools import islice

import apsw

from quorate.core.requests import Statement
from quorate.sql.tokens import quoted, tokens
from quorate.storage.connection import INTERNAL
from quorate.storage.failures import RefusedError
from quorate.storage.table import Table

_UPSERTS = "CONFLICT"


class OutOfOrderError(RefusedError):
    """SQLite has put rows of a table out of order."""

    def __init__(self, table: str) -> None:
        super().__init__(
            "NotSupportedError",
            f"a trigger takes away a row of {table} that ON CONFLICT DO UPDATE is to change, and SQLite then writes the"
            " next rows out of order",
            "insert one row at a time, or let an AFTER trigger delete",
        )


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
    """Raise OutOfOrderError when rows of one of these tables are not in the order of their rowids."""
    for table in tables:
        scan = f"SELECT {table.rowid} FROM main.{quoted(table.name)} NOT INDEXED"  # noqa: S608
        before: int | None = None
        for (rowid,) in connection.execute(scan, prepare_flags=INTERNAL):
            if before is not None and rowid <= before:
                raise OutOfOrderError(table.name)
            before = rowid
