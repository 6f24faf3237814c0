"""One replica's versioned rows: local transactions are stamped and become deltas, deltas of others are merged.

What is visible, which conflicts there are and what is hidden are functions of the base store (`base.py`). Each call
that writes is one transaction of the data file, so both change together.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import apsw

from quorate.core.versions.clock import AHEAD_MAX_MS, HybridClock, Stamp
from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import Context, Dot, Origin, includes, joined
from quorate.core.versions.encoding import decode_row
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import FOLLOW, INTERNAL, LEAD, set_mode
from quorate.storage.data.schema import SchemaReader
from quorate.storage.failures import RefusedError
from quorate.storage.rows.capture import Capture
from quorate.storage.rows.payload import Changes, Segment, encode
from quorate.storage.versions.base import HIDDEN, LISTED, Base
from quorate.storage.versions.delta import Discarded, TableRows, decode_delta, delta_of
from quorate.storage.versions.derived import Derived, Indexes, described
from quorate.storage.versions.listing import Listed, listed
from quorate.storage.versions.local import Change, changes_of
from quorate.storage.versions.merging import Merging
from quorate.storage.versions.states import States
from quorate.storage.versions.table import VersionedTable, encode_key
from quorate.storage.versions.visible import Face, face_of

_AWAY = "take a new copy of the database, under a new origin"


class VersionStore:
    """On a writing connection that nobody else uses. Raises RefusedError where nothing is changed."""

    def __init__(
        self,
        connection: apsw.Connection,
        origin: Origin,
        ranks: Mapping[Origin, int] | None = None,
        ahead_max_ms: int = AHEAD_MAX_MS,
        custom: Sequence[Custom] = (),
    ) -> None:
        """`ranks`: for the resolver `priority`; as `custom`, the resolvers of programs, the same on every replica."""
        self._connection = connection
        self.origin = origin
        self._ranks = ranks or {}
        self._custom = custom
        self._base = Base(connection)
        self._states = States(connection, self._base)
        self._schema = SchemaReader(connection)
        self._capture = Capture(connection)
        self.seen, highest = self._remembered()
        """What this replica has seen, of each origin."""
        self._states.floor = self._base.remembered("floor", {})
        self.clock = HybridClock(self._base.remembered("ceiling", 0), highest, ahead_max_ms)
        self.refused = 0
        """Rows that came from before the floor, and were not taken."""
        self.tables: dict[str, VersionedTable] = {}
        self._read_tables()

    def _remembered(self) -> tuple[Context, Stamp]:
        seen, highest = self._base.remembered("seen", ({}, 0))
        return seen, highest

    def _read_tables(self) -> None:
        facts, custom = self._schema.read(), self._custom
        self.tables = {
            name: VersionedTable(self._connection, number, facts.tables[name], columns, resolvers, self._ranks, custom)
            for number, name, columns, resolvers in self._base.versioned()
            if name in facts.tables
        }
        derived = [Derived(*each) for each in self._base.remembered("derived", [])]
        self._states.visible.indexes = Indexes(self._connection, derived)

    # ------------------------------------------------------------------ transactions

    @contextmanager
    def _transaction(self, mode: int) -> Iterator[None]:
        set_mode(self._connection, mode)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.remember("seen", (dict(self.seen), self.clock.last))
            self._connection.execute("COMMIT")
        except BaseException:
            self._capture.drop()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self.seen = self._remembered()[0]
            self._states.floor = self._base.remembered("floor", {})
            raise
        finally:
            set_mode(self._connection, FOLLOW)

    def _dot(self, now_ms: int) -> Dot:
        """The open transaction's dot. Its ceiling is durable when the transaction is."""
        wanted = self.clock.wanted(now_ms)
        if wanted is not None:
            self._base.remember("ceiling", wanted)
            self.clock.raise_ceiling(wanted)
        dot = self.clock.tick(now_ms), self.origin
        self.seen = joined(self.seen, {self.origin: dot[0]})
        return dot

    def create(self, name: str, now_ms: int, resolvers: Mapping[str, str] | None = None) -> None:
        """The table is versioned from now on, with the columns that it has now. Rows that it holds are this replica's
        inserts. Raises RefusedError: a table cannot be versioned."""
        facts = self._schema.read()
        if name not in facts.tables:
            raise RefusedError("ProgrammingError", f"there is no table {name}")
        known = {each: (columns, chosen) for _, each, columns, chosen in self._base.versioned()}
        columns, chosen = known.get(name, ([], {}))
        wanted = {**chosen, **(resolvers or {})}
        with self._transaction(FOLLOW):
            versioned = VersionedTable(
                self._connection, 0, facts.tables[name], columns, wanted, self._ranks, self._custom
            )
            self._base.add_table(name, versioned.columns, versioned.resolvers)
            self._read_tables()
            versioned = self.tables[name]
            if name not in known:
                every = ", ".join([quoted(each) for each in versioned.table.columns])
                rows = self._connection.execute(f"SELECT {every} FROM main.{quoted(name)}").fetchall()  # noqa: S608
                changes = {versioned.key_of(row): Change(list(row)) for row in rows}
                if changes:
                    self._states.store(versioned, self._dot(now_ms), changes)
            else:
                self._show_again(versioned)
        self._read_tables()

    def derive(self, name: str, source: str, columns: Mapping[str, str]) -> None:
        """Keep an FTS5 or R-Tree index filled from a versioned table: for each column of the index the source's. To
        be said on every replica. Raises RefusedError."""
        table = self.tables[source]
        derived = described(self._connection, name, table, dict(columns))
        with self._transaction(FOLLOW):
            known = [Derived(*each) for each in self._base.remembered("derived", [])]
            self._base.remember("derived", [*[each for each in known if each.name != name], derived])
            self._read_tables()
            self._states.visible.indexes.fill(derived, table)

    def _show_again(self, table: VersionedTable) -> None:
        """There may be columns now whose values have been waiting for them, and unique indexes may have gone."""
        faces: dict[bytes, Face | None] = {}
        flags: dict[bytes, int] = {}
        for key, kept, state in self._base.flagged(table.number, LISTED | HIDDEN):
            row = decode_row(state)
            flags[key] = self._states.kept(table, row, (kept, state))[0]
            faces[key] = face_of(table, row)
            self._base.flag(table.number, key, flags[key])
        self._states.apply(table, faces, flags)

    @contextmanager
    def writing(self, now_ms: int) -> Iterator[list[bytes]]:
        """A local transaction: whatever the caller runs on the connection. The list holds its delta afterwards."""
        deltas: list[bytes] = []
        with self._transaction(LEAD):
            self._capture.begin(self._schema.read())
            yield deltas
            segments = self._capture.finish()
            self._capture.drop()
            set_mode(self._connection, FOLLOW)
            deltas += self._stamp(segments, now_ms)

    def resolve(self, name: str, key: Sequence[Any], values: Mapping[str, Any], now_ms: int) -> bytes:
        """A write of these columns that replaces every value that there is, also those that are not shown: how a
        conflict is resolved, or undone. Its delta. Raises RefusedError: the row is not shown."""
        table = self.tables[name]
        names = ", ".join([quoted(column) for column in values])
        setting = ", ".join([f"{quoted(column)} = ?" for column in values])
        before = dict(self.seen)
        with self._transaction(LEAD):
            self._capture.begin(self._schema.read())
            sql = f"UPDATE main.{quoted(name)} SET {setting} WHERE {table.where}"  # noqa: S608
            self._connection.execute(sql, (*values.values(), *key), prepare_flags=INTERNAL)
            segments = self._capture.finish()
            self._capture.drop()
            set_mode(self._connection, FOLLOW)
            sent = self._stamp_rows(segments, now_ms)[1]
            sql = f"SELECT {names} FROM main.{quoted(name)} WHERE {table.where}"  # noqa: S608
            rows: Any = self._connection.execute(sql, key, prepare_flags=INTERNAL).fetchall()
            if not rows:
                raise RefusedError("OperationalError", f"{name} shows no such row", "INSERT it again")
            cells = {table.columns.index(column): value for column, value in zip(values, rows[0], strict=True)}
            dot = self._dot(now_ms)
            change = Change(None, cells, all_siblings=True)
            sent.append(TableRows(name, self._states.store(table, dot, {encode_key(key): change})))
            return delta_of(dot[0], before, self.seen, self._states.floor, sent)

    def _stamp(self, segments: Iterable[Segment], now_ms: int) -> list[bytes]:
        before = dict(self.seen)
        dot, sent = self._stamp_rows(segments, now_ms)
        return [] if dot is None else [delta_of(dot[0], before, self.seen, self._states.floor, sent)]

    def _stamp_rows(self, segments: Iterable[Segment], now_ms: int) -> tuple[Dot | None, list[TableRows]]:
        sent: list[TableRows] = []
        dot: Dot | None = None
        for segment in segments:
            for rows in segment.tables if isinstance(segment, Changes) else ():
                table = self.tables.get(rows.table)
                changes = changes_of(self._connection, table, rows) if table is not None else None
                if table is not None and changes:
                    dot = dot or self._dot(now_ms)
                    sent.append(TableRows(table.name, self._states.store(table, dot, changes)))
        return dot, sent

    # ------------------------------------------------------------------ what others send

    def merge(self, encoded: bytes, now_ms: int) -> int:
        """Merge a delta. How many rows have changed. Raises RefusedError: the sender's clock is too far ahead, or this
        replica was away so long that it lacks what all others have forgotten."""
        delta = decode_delta(encoded)
        if not self.clock.observe(delta.highest, now_ms):
            raise RefusedError("OperationalError", "the clock of the sender is too far ahead", "set the clocks")
        if self.seen and not includes(self.seen, delta.floor):
            raise RefusedError("OperationalError", "this replica has been away for too long", _AWAY)
        with self._transaction(FOLLOW):
            if includes(self.seen, delta.floor):
                self._states.advance(delta.floor, self.tables)  # first: both must settle the same
            if includes(self.seen, delta.after):
                self.seen = joined(self.seen, delta.seen)
            changed = sum([self._merge_table(each, delta.floor) for each in delta.tables])
            self._take_discarded(delta.discarded)
            if includes(self.seen, delta.floor):
                self._states.advance(delta.floor, self.tables)  # of one that was empty
            return changed

    def _take_discarded(self, discarded: Iterable[Discarded]) -> None:
        for each in discarded:
            table = self.tables.get(each.name)
            if table is not None:
                self._base.discard(table.number, each.key, *each.loser, each.record)

    def _merge_table(self, sent: TableRows, floor: Context) -> int:
        table = self.tables.get(sent.name)
        if table is None:
            raise RefusedError("OperationalError", f"the table {sent.name} is not here yet", "change the schema first")
        merging = Merging(self._states, table, floor)
        changed = merging.run(sent)
        self.refused += merging.refused
        return changed

    # ------------------------------------------------------------------ the floor

    def advance(self, floor: Context) -> None:
        """All members have seen this. It must be true of the writes that they made before they said so, too."""
        assert includes(self.seen, floor), "a floor above what this replica has seen"
        with self._transaction(FOLLOW):
            self._states.advance(floor, self.tables)

    # ------------------------------------------------------------------ looking at it

    def conflicts(self) -> list[Listed]:
        """Every conflict, of what is there now and of what was."""
        return listed(self._connection, self._base, self.tables, self._states.floor)

    def whole(self) -> bytes:
        """A delta of everything, for a replica that is new or was away."""
        tables = [TableRows(each.name, list(self._base.all_rows(each.number))) for each in self.tables.values()]
        highest: Stamp = max(self.seen.values(), default=0)
        names = {each.number: each.name for each in self.tables.values()}
        final = [
            Discarded(names[number], key, (stamp, origin), record)
            for number, key, stamp, origin, record in self._base.discarded()
            if number in names
        ]
        return delta_of(highest, {}, self.seen, self._states.floor, tables, final)

    def digest(self) -> str:
        """A hash of the base store and of the visible rows: equal on replicas that have seen the same."""
        state = hashlib.blake2b(digest_size=16)
        for name, table in sorted(self.tables.items()):
            state.update(encode([name, list(self._base.all_rows(table.number))]))
            names = [quoted(each) for each in (*table.key_names, *[table.columns[n] for n in table.visible])]
            as_bytes = [f"typeof({each}), iif(typeof({each}) = 'text', CAST({each} AS BLOB), {each})" for each in names]
            columns = ", ".join(as_bytes)
            order = ", ".join(names[: len(table.key_names)])
            sql = f"SELECT {columns} FROM main.{quoted(name)} ORDER BY {order}"  # noqa: S608
            rows: Any = self._connection.execute(sql, prepare_flags=INTERNAL)
            state.update(encode(rows.fetchall()))
        return state.hexdigest()
