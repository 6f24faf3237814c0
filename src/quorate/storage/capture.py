"""Capturing what a batch does on the leader, as the segments of one entry.

Rows are recorded by SQLite's session extension, one session for as many statements as possible: a session
a batch does 103,000 updates a second where a session a statement does 40,000. A session cannot live through a
change of the schema, so DDL closes it, travels as text, and the next row opens another.

What a session does not see, and what is done about it:
- rows whose declared key has a NULL: refused by triggers (`schema.sync_key_triggers`);
- `sqlite_sequence`: carried as a segment of its own, for every table that was touched;
- rows that CREATE TABLE ... AS puts into the new table: they are put in once more, seen (`execution`);
- rows that a virtual table's module still holds in memory: a savepoint makes it write them (`flush`);
- keys that are equal though they differ as values, by a collation or because 1 = 1.0 in a column without a
  type: tables with such keys are recorded apart, and the rows behind the keys travel themselves (`_add_rows`);
- hidden rowids of tables that declare another primary key: they may differ between replicas, as they may
  after a VACUUM in plain SQLite. Tables without a declared key travel with their rowids.
"""

from collections.abc import Callable
from typing import Any

import apsw

from quorate.core.requests import Value
from quorate.sql.tokens import quoted
from quorate.storage.connection import INTERNAL
from quorate.storage.payload import Changes, Ddl, Rows, Segment, Sequences
from quorate.storage.schema import SchemaFacts, SequenceRows, read_sequences


class Capture:
    """The segments of the open transaction. `session` is None whenever nothing is being recorded."""

    __slots__ = ("_apart", "_before", "_collated", "_connection", "_excluded", "_touched", "segments", "session")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.segments: list[Segment] = []
        self.session: apsw.Session | None = None
        self._apart: apsw.Session | None = None
        self._collated: frozenset[str] = frozenset()
        self._touched: set[str] = set()
        self._excluded = ""
        self._before: SequenceRows = {}

    def begin(self, facts: SchemaFacts) -> None:
        """A transaction begins."""
        self.segments = []
        self._touched.clear()
        self._before = read_sequences(self._connection) if facts.has_sequences else {}

    def open(self, facts: SchemaFacts, excluded: str = "") -> None:
        """Record rows from here on, except those of one table (which is about to be dropped)."""
        self._excluded = excluded.lower()
        self._collated = facts.collated
        self.session = self._attach(self._wanted)
        if facts.collated:
            self._apart = self._attach(self._wanted_apart)

    def _attach(self, wanted: Callable[[str], bool]) -> apsw.Session:
        session = apsw.Session(self._connection, "main")
        session.config(apsw.SQLITE_SESSION_OBJCONFIG_ROWID, True)  # noqa: FBT003 - SQLite's own switch
        session.table_filter(wanted)
        session.attach()
        return session

    def _wanted(self, table: str) -> bool:
        """Called once for each table that a session sees change."""
        if table.startswith(("sqlite_", "quorate_")) or table.lower() == self._excluded:
            return False
        self._touched.add(table)
        return table not in self._collated

    def _wanted_apart(self, table: str) -> bool:
        return table in self._collated and table.lower() != self._excluded

    def flush(self, facts: SchemaFacts) -> None:
        """Close the session; what it recorded becomes a segment."""
        session = self.session
        if session is None:
            return
        if facts.virtual:  # today's sessions open a savepoint themselves before they look; nothing promises it
            self._connection.execute("SAVEPOINT quorate_flush", prepare_flags=INTERNAL)
            self._connection.execute("RELEASE quorate_flush", prepare_flags=INTERNAL)
        self.session = None
        try:
            changeset = session.changeset()
        finally:
            session.close()
        if changeset:
            self.segments.append(Changes(changeset))
        if self._apart is not None:
            self._flush_apart(self._apart)

    def _flush_apart(self, session: apsw.Session) -> None:
        """The keys that were touched, and the rows that they have now."""
        self._apart = None
        try:
            changeset = session.changeset()
        finally:
            session.close()
        keys: dict[str, dict[tuple[Value, ...], None]] = {}
        places: dict[str, list[int]] = {}
        for change in apsw.Changeset.iter(changeset):
            place = places.setdefault(change.name, sorted(change.pk_columns))
            for values in (change.old, change.new):
                if values is not None and not any(values[at] is apsw.no_change for at in place):
                    keys.setdefault(change.name, {})[tuple(values[at] for at in place)] = None  # type: ignore[misc]
        for table, touched in keys.items():
            self._add_rows(table, places[table], tuple(touched))

    def _add_rows(self, table: str, places: list[int], keys: tuple[tuple[Value, ...], ...]) -> None:
        execute = self._connection.execute
        names: list[Any] = execute(
            "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (table,), prepare_flags=INTERNAL
        ).fetchall()
        columns = tuple(name for (name,) in names)
        key = tuple(columns[place] for place in places)
        condition = " AND ".join(f"{quoted(name)} = ?" for name in key)
        sql = f"SELECT {', '.join(map(quoted, columns))} FROM main.{quoted(table)} WHERE {condition}"  # noqa: S608
        rows: dict[tuple[Value, ...], None] = {}
        for values in keys:
            rows.update(dict.fromkeys(execute(sql, values, prepare_flags=INTERNAL).fetchall()))
        self.segments.append(Rows(table, key, columns, keys, tuple(rows)))

    def ddl(self, sql: str) -> None:
        """A statement has changed the schema; no session is open."""
        self.segments.append(Ddl(sql))

    def forget(self, length: int) -> None:
        """A request was undone: drop the session and every segment after the first `length`."""
        self._close()
        del self.segments[length:]

    def finish(self, facts: SchemaFacts) -> tuple[Segment, ...]:
        """Everything the transaction did."""
        self.flush(facts)
        if facts.has_sequences:
            self._add_sequences(facts)
        return tuple(self.segments)

    def _add_sequences(self, facts: SchemaFacts) -> None:
        """Carry the numbers of every table whose rows or numbers changed: a follower that inserts the same rows
        counts too, but not in the same way."""
        after = read_sequences(self._connection)
        names: set[object] = {name for name in after if after[name] != self._before.get(name)}
        names |= self._before.keys() - after.keys()
        names |= self._touched & facts.autoincrement
        if names:
            values = tuple((name, after.get(name, ())) for name in sorted(names, key=repr))
            self.segments.append(Sequences(values))  # type: ignore[arg-type]

    def drop(self) -> None:
        """The transaction ends."""
        self._close()
        self.segments = []

    def _close(self) -> None:
        for session in (self.session, self._apart):
            if session is not None:
                session.close()
        self.session = self._apart = None
