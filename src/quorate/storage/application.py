"""Applying a batch that a leader captured, on the writing connection in FOLLOW mode."""

import apsw

from quorate.sql.tokens import quoted
from quorate.storage.connection import INTERNAL
from quorate.storage.failures import raise_if_fatal
from quorate.storage.interface import Divergent
from quorate.storage.payload import Batch, Changes, Ddl, Rows, Sequences

_CONFLICTS = {
    apsw.SQLITE_CHANGESET_DATA: "a row differs from what the leader changed",
    apsw.SQLITE_CHANGESET_NOTFOUND: "a row that the leader changed is missing",
    apsw.SQLITE_CHANGESET_CONFLICT: "a row that the leader inserted exists already",
    apsw.SQLITE_CHANGESET_CONSTRAINT: "a constraint forbids what the leader did",
    apsw.SQLITE_CHANGESET_FOREIGN_KEY: "a foreign key forbids what the leader did",
}


def apply_batch(connection: apsw.Connection, batch: Batch) -> bool:
    """Apply every segment in the open transaction; True when the schema may have changed.

    Raises Divergent when the data are not what the leader's were: then the transaction must be rolled back.
    """
    schema_changed = False
    try:
        for segment in batch.segments:
            kind = type(segment)
            if kind is Changes:
                _apply_changes(connection, segment.changeset)  # type: ignore[union-attr]
            elif kind is Ddl:
                connection.execute(segment.sql, can_cache=False, prepare_flags=INTERNAL)  # type: ignore[union-attr]
                schema_changed = True
            elif isinstance(segment, Rows):
                _apply_rows(connection, segment)
            else:
                assert isinstance(segment, Sequences)
                _apply_sequences(connection, segment)
    except apsw.Error as error:
        raise_if_fatal(error)
        raise Divergent(f"an entry cannot be applied: {error}") from error
    return schema_changed


def _apply_changes(connection: apsw.Connection, changeset: bytes) -> None:
    conflicts: list[str] = []

    def conflict(reason: int, change: apsw.TableChange) -> int:
        conflicts.append(f"{_CONFLICTS.get(reason, reason)}, in table {change.name}")
        return apsw.SQLITE_CHANGESET_ABORT

    try:
        apsw.Changeset.apply(changeset, connection, conflict=conflict, flags=apsw.SQLITE_CHANGESETAPPLY_NOSAVEPOINT)
    except apsw.AbortError as error:
        raise Divergent(conflicts[0] if conflicts else str(error)) from error


def _apply_rows(connection: apsw.Connection, segment: Rows) -> None:
    table = quoted(segment.table)
    condition = " AND ".join(f"{quoted(name)} = ?" for name in segment.key)
    delete = f"DELETE FROM main.{table} WHERE {condition}"  # noqa: S608
    for key in segment.gone:
        connection.execute(delete, key, prepare_flags=INTERNAL)
    columns = ", ".join(map(quoted, segment.columns))
    marks = ", ".join("?" * len(segment.columns))
    insert = f"INSERT INTO main.{table}({columns}) VALUES ({marks})"  # noqa: S608
    for row in segment.rows:
        connection.execute(insert, row, prepare_flags=INTERNAL)


def _apply_sequences(connection: apsw.Connection, segment: Sequences) -> None:
    for name, numbers in segment.values:
        connection.execute("DELETE FROM main.sqlite_sequence WHERE name IS ?", (name,), prepare_flags=INTERNAL)
        for number in numbers:
            values = (name, number)
            connection.execute("INSERT INTO main.sqlite_sequence VALUES (?, ?)", values, prepare_flags=INTERNAL)
