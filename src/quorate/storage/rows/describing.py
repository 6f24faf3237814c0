"""The rows of an entry, told to a person."""

from collections.abc import Iterator
from typing import Any

from quorate.storage.rows.payload import Batch, Changes, Ddl, Rows, Update
from quorate.storage.rows.table import Row


def key_text(values: Row) -> str:
    return ", ".join(map(repr, values))


def key_of_row(rows: Rows, row: Row) -> Row:
    """The primary key of a row that was deleted or inserted; its rowid where that is all that is known."""
    return [row[place] for place in rows.key] if len(row) == rows.width else row


def parts_of_update(rows: Rows, change: Update, row: Row) -> tuple[Row, Row, Row, Row]:
    """The new values, what finds the row (its rowid, or its key), the old values, and its primary key."""
    count = len(change.columns)
    until = count + rows.found_by
    old = row[until : until + count]
    return row[:count], row[count:until], old, row[until + len(old) :] or row[count:until]


def describe(batch: Batch) -> list[tuple[str, str, str, str]]:
    """What a batch changed, a row for each change: table, operation, key, and the values before and after."""
    found: list[tuple[str, str, str, str]] = []
    for segment in batch.segments:
        if isinstance(segment, Changes):
            for rows in segment.tables:
                found += [(rows.table, what, key, values) for what, key, values in changes_of(rows)]
        elif isinstance(segment, Ddl):
            found.append(("", "SCHEMA", "", segment.sql))
    return found


def changes_of(rows: Rows) -> Iterator[tuple[str, str, str]]:
    """Operation, key and values of each row that changed. A row that was replaced is deleted and inserted."""
    for row in rows.deleted:
        yield "DELETE", key_text(key_of_row(rows, row)), _values(row)
    for change in rows.updated:
        for row in change.rows:
            new, _, old, key = parts_of_update(rows, change, row)
            columns = zip(change.columns, old or ["?"] * len(new), new, strict=True)
            told = [f"column {place + 1}: {was if not old else repr(was)} -> {now!r}" for place, was, now in columns]
            yield "UPDATE", key_text(key), "; ".join(told)
    for row in rows.inserted:
        yield "INSERT", key_text(key_of_row(rows, row)), _values(row)


def _values(row: Any) -> str:
    return "(" + ", ".join(map(repr, row)) + ")"
