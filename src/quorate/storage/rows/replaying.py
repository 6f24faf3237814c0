"""Applying a lost entry again, as far as it still fits: what a person asked for with `quorate lost replay`.

An entry's rows are compared with what is there now. One that is still as the lost write found it is changed as it was
then; one that another write has changed since, or taken, is left alone and reported. Rows are found by the primary key
that they declare, for their hidden rowids may be others now. Nothing fires again: what triggers did is among the rows.

Exactly once: the replay is a write with a token made of the entry's place, and the tokens of the callers whose writes
the entry carries are remembered with it. If one of them is known already, its caller has sent it again since, or had
it cancelled; an entry's rows cannot be told apart by caller, so then nothing of it is applied, and it says so.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import apsw

from quorate.core.requests import Done
from quorate.core.statements import Result, Value
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.schema import SchemaFacts
from quorate.storage.rows.application import execute_row
from quorate.storage.rows.describing import changes_of, key_of_row, key_text, parts_of_update
from quorate.storage.rows.difference import differ
from quorate.storage.rows.payload import (
    Batch,
    Changes,
    Ddl,
    Delta,
    Record,
    Rows,
    Schema,
    Sequences,
    Update,
    decode_outcome,
)
from quorate.storage.rows.table import Row, Table

if TYPE_CHECKING:
    from quorate.storage.versions.group import GroupVersions

COLUMNS: tuple[tuple[str, str | None], ...] = (("table", None), ("key", None), ("what", None))
CHANGED = "another write has changed it since"
TAKEN = "the key is taken by another row"
GONE = "the row is not there any more"
FORBIDDEN = "a constraint forbids it now"
NO_TABLE = "the table is not there, or has other columns, now"
OTHER_SCHEMA = "the schema has changed since"
UNSEEN = "what the row held before is not known: look at it by hand"
DERIVED = "part of a virtual table: change its rows by hand, or rebuild its index"


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
    """One entry on the writing connection, inside a savepoint, while the capture listens."""

    def __init__(
        self,
        connection: apsw.Connection,
        facts: SchemaFacts,
        run_ddl: Callable[[Ddl], SchemaFacts],
        versions: "GroupVersions | None" = None,
    ) -> None:
        self._versions = versions
        self._connection = connection
        self._facts = facts
        """Of the schema as it is now."""
        self._run_ddl = run_ddl
        self.applied = 0
        self.unfit: list[tuple[Value, ...]] = []

    def run(self, batch: Batch) -> Result:
        """Apply what fits. Raises what is the disk's fault."""
        same = batch.schema == self._facts.hash
        for segment in batch.segments:
            if isinstance(segment, Changes):
                self._changes(segment)
            elif isinstance(segment, Delta):
                self.applied += 0 if self._versions is None else self._versions.replay(segment)
            elif isinstance(segment, Ddl) and same:
                self._facts = self._run_ddl(segment)
                self.applied += 1
            elif isinstance(segment, Ddl | Schema):
                self.unfit.append(("", segment.sql, OTHER_SCHEMA))
            else:
                assert isinstance(segment, Sequences)
                self._sequences(segment)
        return Result(COLUMNS, self.unfit, self.applied)

    def _changes(self, segment: Changes) -> None:
        """Deletions first, as in the entry, so that what comes finds its place free."""
        known = [(rows, table) for rows in segment.tables if (table := self._table_of(rows)) is not None]
        gone = [self._delete(rows, table) for rows, table in known]
        for (rows, table), deleted in zip(known, gone, strict=True):
            for change in rows.updated:
                for row in change.rows:
                    self._update(rows, table, change, row)
            for row in rows.inserted:
                self._insert(table, row, deleted)

    def _table_of(self, rows: Rows) -> Table | None:
        table = self._facts.tables.get(rows.table)
        if table is not None and table.width == rows.width and rows.table.lower() not in self._facts.shadows:
            return table
        reason = DERIVED if rows.table.lower() in self._facts.shadows else NO_TABLE
        if reason == DERIVED:
            self.unfit.append((rows.table, "", reason))
        else:
            self.unfit += [(rows.table, key, reason) for _, key, _ in changes_of(rows)]
        return None

    def _find(self, table: Table, key: Any, declared: Row) -> Row | None:
        """The row that is there now: by its declared key, or by its rowid when it has none. None: there is none, or
        there are several (a key may hold NULL)."""
        if not table.travelling:
            found = table.read(self._connection, [key], in_bulk=False)
            return found[0] if found else None
        names = ", ".join(quoted(table.columns[place]) for place in table.key)
        marks = ", ".join("?" * len(table.key))
        sql = f"SELECT {table.rowid} FROM main.{quoted(table.name)} WHERE ({names}) IS ({marks})"  # noqa: S608
        rowids: list[Any] = execute_row(self._connection, sql, declared).fetchall()
        return table.read(self._connection, [rowids[0][0]], in_bulk=False)[0] if len(rowids) == 1 else None

    def _delete(self, rows: Rows, table: Table) -> dict[Any, Row | None]:
        """Take away the rows that are as they were: for each key what was taken, None: it was not as it was."""
        taken: dict[Any, Row | None] = {}
        coming = {table.key_of(row) for row in rows.inserted}
        for row in rows.deleted:
            key = table.key_of(row)
            taken[key] = None
            if len(row) < table.width:
                self.unfit.append((table.name, repr(row[0]), UNSEEN))
                continue
            now = self._find(table, key, [row[place] for place in table.identity])
            shift = int(table.hidden_rowid and bool(table.travelling))
            if now is None:
                self.unfit.append((table.name, key_text(key_of_row(rows, row)), GONE))
            elif any(differ(one, other) for one, other in zip(row[shift:], now[shift:], strict=True)):
                self.unfit.append((table.name, key_text(key_of_row(rows, row)), CHANGED))
            else:
                execute_row(self._connection, table.delete, table.bindings(table.key_of(now)))
                taken[key] = now
                self.applied += key not in coming
        return taken

    def _update(self, rows: Rows, table: Table, change: Update, row: Row) -> None:
        new, found_by, old, declared = parts_of_update(rows, change, row)
        text = key_text(declared)
        if not change.compared:
            self.unfit.append((table.name, text, UNSEEN))
            return
        now = self._find(table, tuple(found_by) if table.without_rowid else found_by[0], declared)
        values = () if now is None else now[table.hidden_rowid :]
        if now is None:
            self.unfit.append((table.name, text, GONE))
        elif any(differ(values[place], was) for place, was in zip(change.columns, old, strict=True)):
            self.unfit.append((table.name, text, CHANGED))
        else:
            sql = table.update(change.columns)[0]
            self._try(table, sql, (*new, *table.bindings(table.key_of(now))), text)

    def _insert(self, table: Table, row: Row, deleted: dict[Any, Row | None]) -> None:
        key = table.key_of(row)
        before = deleted.get(key)
        if key in deleted and before is None:
            return  # reported when it was to go
        declared = [row[place] for place in table.identity]
        text = key_text(declared)
        if table.key and self._find(table, key, declared) is not None:
            self.unfit.append((table.name, text, TAKEN))
        elif self._try(table, *self._placed(table, row), text):
            return
        if before is not None:
            execute_row(self._connection, table.insert, before)

    def _placed(self, table: Table, row: Row) -> tuple[str, Row]:
        """How to insert a row: with its hidden rowid if it is free, else SQLite chooses another."""
        if table.hidden_rowid and table.read(self._connection, [row[0]], in_bulk=False):
            return table.insert_anywhere, row[1:]
        return table.insert, row

    def _try(self, table: Table, sql: str, values: Row, text: str) -> bool:
        try:
            execute_row(self._connection, sql, values)
        except apsw.ConstraintError:
            self.unfit.append((table.name, text, FORBIDDEN))
            return False
        self.applied += 1
        return True

    def _sequences(self, segment: Sequences) -> None:
        """AUTOINCREMENT must not give again what it gave then."""
        raise_it = "UPDATE main.sqlite_sequence SET seq = max(seq, ?) WHERE name IS ?"
        for name, rows in segment.values:
            for _, number in rows:
                self._connection.execute(raise_it, (number, name), prepare_flags=INTERNAL)
