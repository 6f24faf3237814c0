"""Applying a lost entry again, as far as it still fits: what a person asked for with `quorate lost replay`.

An entry's rows are compared with what is there now. One that is still as the lost write found it is changed as it was
then; one that another write has changed since, or taken, is left alone and reported. Nothing fires again: what
triggers did is among the rows.

Exactly once: the replay is a write with a token made of the entry's place, and the tokens of the callers whose writes
the entry carries are remembered with it. If one of them is known already, its caller has sent it again since, or had
it cancelled; an entry's rows cannot be told apart by caller, so then nothing of it is applied, and it says so.
"""

from collections.abc import Callable
from typing import Any

import apsw

from quorate.core.requests import Done, Result, Statement, Value
from quorate.sql.tokens import quoted
from quorate.storage.connection import INTERNAL
from quorate.storage.failures import raise_if_fatal
from quorate.storage.payload import Batch, Changes, Ddl, Record, Rows, Sequences, decode_outcome

COLUMNS: tuple[tuple[str, str | None], ...] = (("table", None), ("key", None), ("what", None))
CHANGED = "another write has changed it since"
TAKEN = "the key is taken by another row"
GONE = "the row is not there any more"
FORBIDDEN = "a constraint forbids it now"
NO_TABLE = "the table is not there, or has other columns, now"
OTHER_SCHEMA = "the schema has changed since"
BY_KEY = "told apart by a collation: look at it by hand"

_REASONS = {
    apsw.SQLITE_CHANGESET_DATA: CHANGED,
    apsw.SQLITE_CHANGESET_NOTFOUND: GONE,
    apsw.SQLITE_CHANGESET_CONFLICT: TAKEN,
    apsw.SQLITE_CHANGESET_CONSTRAINT: FORBIDDEN,
    apsw.SQLITE_CHANGESET_FOREIGN_KEY: FORBIDDEN,
}


def settled_since(records: tuple[Record, ...], known: Callable[[str], bool]) -> tuple[list[str], int]:
    """Of the writes that an entry carried out: the tokens that are known by now, and how many there are in all."""
    done = [token for token, outcome in records if isinstance(decode_outcome(outcome), Done)]
    return [token for token in done if known(token)], len(done)


def settled_result(tokens: list[str], of: int) -> Result:
    """The answer when some of an entry's writes were sent again."""
    every = "each of its writes was sent again since, or cancelled: nothing is missing"
    some = f"sent again since, or cancelled, unlike {of - len(tokens)} others of this entry: apply those by hand"
    rows: list[tuple[Value, ...]] = [("", token, every if len(tokens) == of else some) for token in tokens]
    return Result(COLUMNS, rows, 0)


class Replaying:
    """One entry on the writing connection, inside a savepoint, recorded by a session."""

    def __init__(self, connection: apsw.Connection, schema: bytes, run_ddl: Callable[[Statement], None]) -> None:
        self._connection = connection
        self._schema = schema
        """Hash of the schema as it is now."""
        self._run_ddl = run_ddl
        self.applied = 0
        self.unfit: list[tuple[Value, ...]] = []

    def run(self, batch: Batch) -> Result:
        """Apply what fits. Raises what is the disk's fault."""
        same = batch.schema == self._schema
        for segment in batch.segments:
            if isinstance(segment, Changes):
                self._changes(segment.changeset)
            elif isinstance(segment, Ddl) and same:
                self._run_ddl(Statement(segment.sql))
                self.applied += 1
            elif isinstance(segment, Ddl):
                self.unfit.append(("", segment.sql, OTHER_SCHEMA))
            elif isinstance(segment, Rows):
                self._rows(segment)
            else:
                assert isinstance(segment, Sequences)
                self._sequences(segment)
        return Result(COLUMNS, self.unfit, self.applied)

    def _changes(self, changeset: bytes) -> None:
        fits: dict[str, bool] = {}
        for change in apsw.Changeset.iter(changeset):
            if change.name not in fits:
                fits[change.name] = self._has_columns(change.name, change.column_count)
            if fits[change.name]:
                self.applied += 1  # less those that turn out not to fit
            else:
                self.unfit.append((change.name, key_of(change), NO_TABLE))

        def conflict(reason: int, change: Any) -> int:
            self.applied -= 1
            self.unfit.append((change.name, key_of(change), _REASONS.get(reason, str(reason))))
            return apsw.SQLITE_CHANGESET_OMIT

        flags = apsw.SQLITE_CHANGESETAPPLY_NOSAVEPOINT
        try:
            apsw.Changeset.apply(
                changeset, self._connection, filter=lambda table: fits.get(table, False), conflict=conflict, flags=flags
            )
        except apsw.Error as error:
            raise_if_fatal(error)
            raise

    def _has_columns(self, table: str, count: int) -> bool:
        """Whether a table of this name has so many columns (a hidden rowid that travels counts as one)."""
        sql = "SELECT count(*), max(pk) FROM pragma_table_xinfo(?) WHERE hidden = 0"
        rows: list[Any] = self._connection.execute(sql, (table,), prepare_flags=INTERNAL).fetchall()
        columns, key = rows[0]
        return bool(columns) and count == columns + (not key)

    def _rows(self, segment: Rows) -> None:
        """Rows without what they were before: only those that are new can be put back."""
        if not self._has_columns(segment.table, len(segment.columns)):
            self.unfit.append((segment.table, "", NO_TABLE))
            return
        table = quoted(segment.table)
        condition = " AND ".join(f"{quoted(name)} = ?" for name in segment.key)
        columns = ", ".join(map(quoted, segment.columns))
        find = f"SELECT {columns} FROM main.{table} WHERE {condition}"  # noqa: S608
        insert = f"INSERT OR IGNORE INTO main.{table}({columns}) VALUES ({', '.join('?' * len(segment.columns))})"  # noqa: S608
        for row in segment.rows:
            key = tuple(row[segment.columns.index(name)] for name in segment.key)
            there = self._connection.execute(find, key, prepare_flags=INTERNAL).fetchall()
            before = self._connection.total_changes()
            if not there:
                self._connection.execute(insert, row, prepare_flags=INTERNAL)
            if self._connection.total_changes() > before:
                self.applied += 1
            elif there != [row]:
                self.unfit.append((segment.table, repr(key), BY_KEY if there else FORBIDDEN))
        if len(segment.gone) > len(segment.rows):
            self.unfit.append((segment.table, "", f"rows were deleted; {BY_KEY}"))

    def _sequences(self, segment: Sequences) -> None:
        """AUTOINCREMENT must not give again what it gave then."""
        raise_it = "UPDATE main.sqlite_sequence SET seq = max(seq, ?) WHERE name IS ?"
        for name, numbers in segment.values:
            for number in numbers:
                self._connection.execute(raise_it, (number, name), prepare_flags=INTERNAL)


def key_of(change: Any) -> str:
    """The primary key of a changed row, as text."""
    values = change.new if change.op == "INSERT" else change.old
    return ", ".join(repr(values[place]) for place in sorted(change.pk_columns))


def describe(batch: Batch) -> list[tuple[str, str, str, str]]:
    """What a batch changed, a row for each change: table, operation, key, and the values before and after."""
    found: list[tuple[str, str, str, str]] = []
    for segment in batch.segments:
        if isinstance(segment, Changes):
            found += [
                (each.name, each.op, key_of(each), _values(each)) for each in apsw.Changeset.iter(segment.changeset)
            ]
        elif isinstance(segment, Ddl):
            found.append(("", "SCHEMA", "", segment.sql))
        elif isinstance(segment, Rows):
            found += [(segment.table, "ROW", "", repr(row)) for row in segment.rows]
            found += [(segment.table, "KEY", repr(key), "replaced or deleted") for key in segment.gone]
    return found


def _values(change: Any) -> str:
    def told(values: Any) -> str:
        return "(" + ", ".join("-" if value is apsw.no_change else repr(value) for value in values) + ")"

    parts = [told(values) for values in (change.old, change.new) if values is not None]
    return " -> ".join(parts)
