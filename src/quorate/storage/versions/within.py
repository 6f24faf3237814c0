"""Versioned rows of one data file, within whatever transaction its writing connection has open.

Local changes are stamped, changes of others are merged. What is visible, which conflicts there are and what is hidden
are functions of the base store (`base.py`). Nothing is begun, committed or undone here; who undoes it calls `forget`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw

from quorate.core.versions.clock import AHEAD_MAX_MS, HybridClock, Stamp
from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import Context, Dot, Origin, includes, joined
from quorate.core.versions.encoding import decode_row
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.schema import SchemaReader
from quorate.storage.failures import RefusedError
from quorate.storage.rows.payload import Changes, Segment, encode
from quorate.storage.rows.payload import decode_row as decode_values
from quorate.storage.versions.base import HIDDEN, LISTED, Base
from quorate.storage.versions.delta import Delta, Discarded, Stretch, TableRows, delta_of
from quorate.storage.versions.derived import Derived, Indexes
from quorate.storage.versions.listing import Listed, listed
from quorate.storage.versions.local import Change, changes_of
from quorate.storage.versions.merging import Merging
from quorate.storage.versions.states import States
from quorate.storage.versions.table import VersionedTable
from quorate.storage.versions.visible import Face, face_of


class Versions:
    """On a writing connection. Raises RefusedError where the open transaction must be undone."""

    def __init__(
        self,
        connection: apsw.Connection,
        origin: Origin,
        ranks: Mapping[Origin, int] | None = None,
        ahead_max_ms: int = AHEAD_MAX_MS,
        custom: Sequence[Custom] = (),
        schema: SchemaReader | None = None,
        base: Base | None = None,
    ) -> None:
        """`ranks`: for the resolver `priority`; as `custom`, the resolvers of programs, the same on every replica."""
        self._connection = connection
        self.origin = origin
        self._ranks = ranks if ranks is not None else {}
        self._custom = custom
        self._base = base or Base(connection)
        self._states = States(connection, self._base)
        self._schema = schema or SchemaReader(connection)
        self.seen, highest = self._remembered()
        """What this replica has seen, of each origin."""
        self._states.floor = self._base.remembered("floor", {})
        self.clock = HybridClock(self._base.remembered("ceiling", 0), highest, ahead_max_ms)
        self._resolving = False
        self.refused = 0
        """Rows that came from before the floor, and were not taken."""
        self._tables: dict[str, VersionedTable] | None = None
        self._dropped: frozenset[int] = frozenset()

    def _remembered(self) -> tuple[Context, Stamp]:
        seen, highest = self._base.remembered("seen", ({}, 0))
        return seen, highest

    def remember(self) -> None:
        """Keep what was seen, with the open transaction."""
        self._base.remember("seen", (dict(self.seen), self.clock.last))

    def forget(self) -> None:
        """What was not committed is undone."""
        self.seen = self._remembered()[0]
        self._states.floor = self._base.remembered("floor", {})
        self._tables = None

    @property
    def tables(self) -> dict[str, VersionedTable]:
        """The versioned tables, by name."""
        if self._tables is None:
            self._tables = self._read_tables()
        return self._tables

    def _read_tables(self) -> dict[str, VersionedTable]:
        facts, custom = self._schema.read(), self._custom
        known = self._base.versioned()
        self._dropped = frozenset([number for number, name, _, _ in known if not name])
        derived = [Derived(*each) for each in self._base.remembered("derived", [])]
        self._states.visible.indexes = Indexes(self._connection, derived)
        return {
            name: VersionedTable(self._connection, number, facts.tables[name], columns, resolvers, self._ranks, custom)
            for number, name, columns, resolvers in known
            if name in facts.tables
        }

    # ------------------------------------------------------------------ local changes

    def _dot(self, now_ms: int) -> Dot:
        """The next dot. Its ceiling is durable when the transaction is."""
        wanted = self.clock.wanted(now_ms)
        if wanted is not None:
            self._base.remember("ceiling", wanted)
            self.clock.raise_ceiling(wanted)
        dot = self.clock.tick(now_ms), self.origin
        self.seen = joined(self.seen, {self.origin: dot[0]})
        return dot

    def _stamp_rows(self, segments: Iterable[Segment], now_ms: int) -> tuple[Dot | None, list[TableRows]]:
        """Captured changes get their versions: each segment a dot of its own, for a row may be in several."""
        sent: list[TableRows] = []
        dot: Dot | None = None
        for segment in segments:
            mine: Dot | None = None
            for rows in segment.tables if isinstance(segment, Changes) else ():
                table = self.tables.get(rows.table)
                changes = changes_of(self._connection, table, rows) if table is not None else None
                if table is not None and changes:
                    dot = mine = mine or self._dot(now_ms)
                    sent.append(TableRows(table.number, self._states.store(table, mine, changes)))
        return dot, sent

    def resolve_later(self, table: VersionedTable, key: bytes, columns: Sequence[int]) -> None:
        """What the open transaction writes in these cells of a visible row replaces all values that there are."""
        self._resolving = True
        self._base.resolve_later(table.number, key, columns)

    def _resolve(self, now_ms: int) -> tuple[Dot | None, list[TableRows]]:
        """The cells that were told to `resolve_later`, as they are shown now, under a dot of their own."""
        self._resolving = False
        wanted: dict[tuple[int, bytes], set[int]] = {}
        for number, key, columns in self._base.take_resolving():
            wanted.setdefault((number, key), set()).update(columns)
        tables = {table.number: table for table in self.tables.values()}
        dot: Dot | None = None
        sent: list[TableRows] = []
        for (number, key), cells in wanted.items():
            table = tables.get(number)
            shown = None if table is None else self._cells(table, key, sorted(cells))
            if table is not None and shown is not None:
                dot = dot or self._dot(now_ms)
                change = Change(None, shown, all_siblings=True)
                sent.append(TableRows(number, self._states.store(table, dot, {key: change})))
        return dot, sent

    def _cells(self, table: VersionedTable, key: bytes, numbers: Sequence[int]) -> dict[int, Any] | None:
        names = ", ".join([quoted(table.columns[number]) for number in numbers])
        sql = f"SELECT {names} FROM main.{quoted(table.name)} WHERE {table.where}"  # noqa: S608
        rows: Any = self._connection.execute(sql, decode_values(key), prepare_flags=INTERNAL).fetchall()
        return dict(zip(numbers, rows[0], strict=True)) if rows else None

    # ------------------------------------------------------------------ what others send

    def _merge(self, delta: Delta) -> int:
        """Merge what another has sent; how many rows have changed."""
        if includes(self.seen, delta.floor):
            self._states.advance(delta.floor, self.tables)  # first: both must settle the same
        if includes(self.seen, delta.after):
            self.seen = joined(self.seen, delta.seen)
        tables = {table.number: table for table in self.tables.values()}
        changed = sum([self._merge_table(each, delta.floor, tables) for each in delta.tables])
        self._take_discarded(delta.discarded, tables)
        if includes(self.seen, delta.floor):
            self._states.advance(delta.floor, self.tables)  # of one that was empty
        return changed

    def _take_discarded(self, discarded: Iterable[Discarded], tables: Mapping[int, VersionedTable]) -> None:
        for each in discarded:
            if each.table in tables:
                self._base.discard(each.table, each.key, *each.loser, each.record)

    def _merge_table(self, sent: TableRows, floor: Context, tables: Mapping[int, VersionedTable]) -> int:
        table = tables.get(sent.table)
        if table is None:
            if sent.table in self._dropped:
                return 0
            raise RefusedError("OperationalError", "a table of it is not here yet", "change the schema first")
        merging = Merging(self._states, table, floor)
        changed = merging.run(sent)
        self.refused += merging.refused
        return changed

    def _forget_rest(self, delta: Delta, stretch: Stretch) -> None:
        """A part of everything that another holds says all that there is in this stretch of keys. What is here beside
        it and lies below the other's floor was deleted there, and the delete may be forgotten."""
        for table in self.tables.values():
            if table.number == stretch.table:
                sent = {key for each in delta.tables for key, _ in each.rows}
                Merging(self._states, table, delta.floor).forget_rest(stretch, sent)

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

    # ------------------------------------------------------------------ looking at it

    def conflicts(self) -> list[Listed]:
        """Every conflict, of what is there now and of what was."""
        return listed(self._connection, self._base, self.tables, self._states.floor)

    def whole(self) -> bytes:
        """A delta of everything, for a replica that is new or was away."""
        tables = [TableRows(each.number, list(self._base.all_rows(each.number))) for each in self.tables.values()]
        highest: Stamp = max(self.seen.values(), default=0)
        there = {each.number for each in self.tables.values()}
        final = [
            Discarded(number, key, (stamp, origin), record)
            for number, key, stamp, origin, record in self._base.discarded()
            if number in there
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
