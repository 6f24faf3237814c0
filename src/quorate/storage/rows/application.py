"""Applying a batch that a leader captured, on the writing connection in FOLLOW mode."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import apsw
import msgspec
from msgspec.msgpack import Ext

from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.schema import SchemaFacts
from quorate.storage.execution.pragmas import renaming
from quorate.storage.failures import raise_if_fatal
from quorate.storage.interface import Divergent
from quorate.storage.rows.payload import Batch, Changes, Ddl, Rows, Sequences
from quorate.storage.rows.table import Table

_MARK = re.compile(r'"(?:[^"]|"")*"|\?')
"""A quoted name, which may have a question mark in it, or a parameter."""
_NOT_OURS = (KeyError, IndexError, TypeError, ValueError, OverflowError, msgspec.MsgspecError)
"""What Python raises for a segment that no leader with the same schema has made."""


def apply_batch(
    connection: apsw.Connection, batch: Batch, facts: SchemaFacts, read: Callable[[], SchemaFacts]
) -> SchemaFacts:
    """Apply every segment in the open transaction; `facts` are those of the schema now, `read` gives them again after a
    change of the schema. The facts behind the batch.

    Raises Divergent when the data are not what the leader's were: then the transaction must be rolled back.
    """
    present: SchemaFacts | None = facts
    try:
        for segment in batch.segments:
            if type(segment) is Changes:
                present = present or read()
                _apply_rows(connection, present.tables, segment.tables)
            elif type(segment) is Ddl:
                with renaming(connection, segment.legacy):
                    connection.execute(segment.sql, can_cache=False, prepare_flags=INTERNAL)
                present = None
            else:
                assert type(segment) is Sequences
                _apply_sequences(connection, segment)
    except apsw.Error as error:
        raise_if_fatal(error)
        raise Divergent(f"an entry cannot be applied: {error}") from error
    except _NOT_OURS as error:
        raise Divergent(f"an entry cannot be applied: {type(error).__name__}: {error}") from error
    return present or read()


def _apply_rows(connection: apsw.Connection, tables: dict[str, Table], changed: Sequence[Rows]) -> None:
    for segment in changed:
        table = tables[segment.table]
        if segment.width != table.width:
            raise Divergent(f"the table {table.name} has {table.width} columns here, not {segment.width}")
        if segment.deleted:
            keys = [table.bindings(table.key_of(row)) for row in segment.deleted]
            _run(connection, table, table.delete, keys, "a row that the leader deleted is missing")
    for segment in changed:
        table = tables[segment.table]
        for change in segment.updated:
            sql = table.update(change.columns)[change.compared]
            _run(connection, table, sql, change.rows, "a row that the leader changed is missing or differs")
        if segment.inserted:
            _run(connection, table, table.insert, segment.inserted, "a row that the leader inserted exists already")


def _run(connection: apsw.Connection, table: Table, sql: str, rows: Sequence[Any], otherwise: str) -> None:
    """Change one row for each of `rows`. Raises Divergent when it were fewer."""
    before = connection.total_changes()
    try:
        if len(rows) == 1:
            connection.execute(sql, rows[0], prepare_flags=INTERNAL)
        else:
            connection.executemany(sql, rows, prepare_flags=INTERNAL)
    except TypeError:  # apsw binds no Ext
        for row in rows[connection.total_changes() - before :]:
            execute_row(connection, sql, row)
    if connection.total_changes() - before != len(rows):
        raise Divergent(f"{otherwise}, in the table {table.name}")


def execute_row(connection: apsw.Connection, sql: str, row: Sequence[Any]) -> apsw.Cursor:
    """Run a statement with the values of a row, of which some may be text that is not UTF-8."""
    if any(type(value) is Ext for value in row):
        sql = _with_casts(sql, row)
        row = [value.data if type(value) is Ext else value for value in row]
    return connection.execute(sql, row, prepare_flags=INTERNAL)


def _with_casts(sql: str, row: Sequence[Any]) -> str:
    """The statement with a CAST around the parameters of texts that are not UTF-8, which travel as bytes."""
    marks = iter(["CAST(? AS TEXT)" if type(value) is Ext else "?" for value in row])
    return _MARK.sub(lambda found: next(marks) if found[0] == "?" else found[0], sql)


def _apply_sequences(connection: apsw.Connection, segment: Sequences) -> None:
    for name, _ in segment.values:
        connection.execute("DELETE FROM main.sqlite_sequence WHERE name IS ?", (name,), prepare_flags=INTERNAL)
    for name, rows in segment.values:
        for rowid, number in rows:
            insert = "INSERT INTO main.sqlite_sequence(rowid, name, seq) VALUES (?, ?, ?)"
            connection.execute(insert, (rowid, name, number), prepare_flags=INTERNAL)
