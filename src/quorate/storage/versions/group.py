"""Versioned rows of one replica of a group that has siblings: the group of a leader among several.

Its log carries, in place of rows, deltas and changes of the schema that are numbered. The same bytes bring the group's
followers forward and travel to the siblings, whose logs carry them on as a `Merge` (`core/streams.py`).
"""

from collections.abc import Callable, Iterable, Mapping

import apsw
import msgspec

from quorate.core.bounds import Epoch, GroupId
from quorate.core.entries import ORIGIN
from quorate.core.limits import COMPUTED_BYTES_MAX
from quorate.core.streams import Cursor, Merge, Streams
from quorate.core.versions.dots import Context, flat, includes, origin_of, unflat
from quorate.core.versions.encoding import decode_row
from quorate.core.versions.ranges import RANGES
from quorate.core.versions.resolvers import ByGroup
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import FOLLOW, INTERNAL, LEAD, limit_rows, set_mode
from quorate.storage.data.schema import SchemaFacts, SchemaReader
from quorate.storage.execution.pragmas import renaming
from quorate.storage.failures import RefusedError
from quorate.storage.rows.payload import (
    Batch,
    Changes,
    Ddl,
    Delta,
    Record,
    Schema,
    Segment,
    Versioned,
    decode_batch,
    decode_records,
    encode,
)
from quorate.storage.rows.payload import decode_row as decode_values
from quorate.storage.versions.among import Among
from quorate.storage.versions.delta import TableRows, decode_delta, delta_of
from quorate.storage.versions.numbers import RangedKeys
from quorate.storage.versions.schemas import settled
from quorate.storage.versions.table import VersionedTable
from quorate.storage.versions.visible import Face, face_of
from quorate.storage.versions.whole import Part, decode_part
from quorate.storage.versions.within import Versions

_EVERYTHING = 1 << 62
"""Stamps of one origin are given out by one leader in one life, so none needs a ceiling that is durable."""
_schema = msgspec.msgpack.Decoder(Schema)


class GroupVersions(Versions):
    """On the writing connection of one replica, which is in FOLLOW mode but where users' statements run."""

    def __init__(self, connection: apsw.Connection, among: Among, schema: SchemaReader) -> None:
        super().__init__(connection, origin_of(among.group, 0), ByGroup(), custom=among.custom, schema=schema)
        self.group = among.group
        self._touched = self._changed = False
        """Something was stamped or merged, or tables have changed, since the last commit."""
        self.now_ms = 0
        self.changes = 0
        """How often the schema was changed here, or changed back."""
        self._before: Mapping[str, VersionedTable] = {}
        self.keys = RangedKeys(connection, self._base, 1 + self.group % (RANGES - 1))
        self.clock.raise_ceiling(_EVERYTHING)
        self.cursors = self._read_cursors()
        """How far each sibling's log was merged, in the open transaction."""

    def lead(self, epoch: Epoch, now_ms: int) -> None:
        """What is stamped from here on is of the leader of this epoch."""
        self.origin, self.now_ms = origin_of(self.group, epoch), now_ms

    def remember(self) -> None:
        if self._touched:
            super().remember()

    def committed(self) -> bool:
        """What was remembered is committed; whether that was anything."""
        touched, self._touched = self._touched, False
        self._changed = False
        return touched

    def streams(self) -> Streams:
        """What was merged, and what is settled."""
        cursors = tuple([cursor for _, cursor in sorted(self.cursors.items())])
        return Streams(cursors, flat(self.seen), flat(self._states.floor))

    def forget(self) -> None:
        if self._touched:
            tables = self._tables
            super().forget()
            self.cursors = self._read_cursors()
            if not self._changed:
                self._tables = tables
            self._touched = self._changed = False

    def look(self) -> None:
        """The schema is about to change."""
        self._before = self.tables

    def forget_tables(self) -> None:
        """The open transaction has gone back to where tables were others."""
        self._tables = None

    # ------------------------------------------------------------------ where users' statements run

    def stamp(self, changes: Changes) -> Delta | None:
        """Captured changes as they travel. The capture must be asleep."""
        room = self._connection.limit(apsw.SQLITE_LIMIT_LENGTH)
        limit_rows(self._connection, COMPUTED_BYTES_MAX)
        shows = any(table.slots or table.has_sets for table in self.tables.values())
        if shows:  # others' rows may have to come, or to go
            set_mode(self._connection, FOLLOW)
        try:
            return self._stamp(changes)
        finally:
            limit_rows(self._connection, room)
            if shows:
                set_mode(self._connection, LEAD)

    def _stamp(self, changes: Changes) -> Delta | None:
        if not changes.tables and not self._resolving:
            return None
        self._touched = True
        dot, sent = self._stamp_rows([changes], self.now_ms)
        if self._resolving:
            last, more = self._resolve(self.now_ms)
            dot, sent = last or dot, sent + more
        if dot is None:
            return None
        self._take_keys(sent)
        return Delta(delta_of(dot[0], {}, {dot[1]: dot[0]}, self._states.floor, sent))

    def _take_keys(self, changed: Iterable[TableRows]) -> None:
        counted = {table.number: table.table for table in self.tables.values() if table.table.autoincrement}
        for each in changed:
            if each.table in counted:
                self.keys.take(counted[each.table], [decode_values(key)[0] for key, _ in each.rows])

    def settle(self, facts: SchemaFacts, ddl: Ddl) -> Schema:
        """A statement has changed the schema: as it travels. The capture must be asleep. Raises RefusedError: others
        could not follow."""
        known, how = self._base.versioned(), (self._ranks, self._custom)
        tables, chosen = settled(self._connection, facts, known, self._before, self._base.chosen(), how)
        schema = Schema(self._base.serial() + 1, ddl.sql, ddl.legacy, tables, chosen)
        self._take(schema)
        set_mode(self._connection, FOLLOW)
        try:
            self._show(tables, every=not ddl.sql)
        finally:
            set_mode(self._connection, LEAD)
        return schema

    def replay(self, delta: Delta) -> int:
        """Merge what a lost entry held, under the versions that it had; how many rows have changed."""
        self._touched = True
        set_mode(self._connection, FOLLOW)
        try:
            return self._merge(decode_delta(delta.changes))
        finally:
            set_mode(self._connection, LEAD)

    # ------------------------------------------------------------------ where what was logged is applied

    def apply(self, segments: Iterable[Segment]) -> None:
        """What one batch did. Raises RefusedError or what apsw raises."""
        self._touched = True
        for segment in segments:
            if isinstance(segment, Delta):
                delta = decode_delta(segment.changes)
                self._merge(delta)
                self._take_keys(delta.tables)
            elif isinstance(segment, Schema):
                self._change_schema(segment)

    def _change_schema(self, schema: Schema) -> None:
        """Carry out a change of the schema, wherever it was made."""
        serial = self._base.serial()
        if schema.serial <= serial:
            return
        if schema.serial > serial + 1:
            reason = f"the schema is at change {serial} here, and change {schema.serial} came"
            raise RefusedError("OperationalError", reason, "it can be merged when the changes between have come")
        every = not schema.sql  # resolvers
        with renaming(self._connection, schema.legacy):
            try:
                self._run(schema.sql)
            except apsw.ConstraintError:  # of an index on values that were unique where it was made
                every = True
                for each in schema.tables:
                    self._connection.execute(f"DELETE FROM main.{quoted(each.name)}", prepare_flags=INTERNAL)  # noqa: S608
                self._run(schema.sql)
        self._take(schema)
        self._show(schema.tables, every=every)

    def _run(self, sql: str) -> None:
        if sql:
            self._connection.execute(sql, can_cache=False, prepare_flags=INTERNAL)

    def _take(self, schema: Schema) -> None:
        self._touched = self._changed = True
        self.changes += 1
        self._base.add_schema(schema.serial, encode(schema))
        self._base.choose(schema.chosen)
        for each in schema.tables:
            self._base.put_table(each)
        self._tables = None

    def _show(self, tables: Iterable[Versioned], *, every: bool = False) -> None:
        for each in tables:
            table = self.tables.get(each.name)
            if table is not None and every:
                self._show_all(table)
            elif table is not None and not self._base.is_empty(table.number):
                self._show_again(table)

    def _show_all(self, table: VersionedTable) -> None:
        faces: dict[bytes, Face | None] = {}
        flags: dict[bytes, int] = {}
        states = dict(self._base.all_rows(table.number))
        for key, (kept, state) in self._base.read(table.number, list(states)).items():
            row = decode_row(state)
            flags[key], faces[key] = self._states.kept(table, row, (kept, state))[0], face_of(table, row)
            self._base.flag(table.number, key, flags[key])
        self._states.apply(table, faces, flags)

    # ------------------------------------------------------------------ what siblings send

    def check(self, merge: Merge) -> None:
        """Where it is to be logged: raise RefusedError when the clock of its author is too far ahead."""
        for payload in self._news(merge):
            for changes in _deltas(payload, whole=merge.whole is not None):
                if not self.clock.observe(decode_delta(changes).highest, self.now_ms):
                    raise RefusedError("OperationalError", "the clock of the sender is too far ahead", "set the clocks")

    def merge(self, merge: Merge, known: Callable[[str], bool]) -> list[Record]:
        """Merge what a sibling wrote: its callers' outcomes, but for those that are `known`."""
        records: dict[str, bytes] = {}
        for payload in self._news(merge):
            if merge.whole is not None:
                records.update(self._merge_part(decode_part(payload)))
            else:
                batch: Batch = decode_batch(payload)
                self.apply(batch.segments)
                records.update(decode_records(bytes(batch.records)))
        if merge.floor:
            self._settle(unflat(merge.floor))
        if merge.whole is None or merge.whole:
            self._move(merge)
        return [(token, outcome) for token, outcome in records.items() if not known(token)]

    def _settle(self, floor: Context) -> None:
        """What lies below this floor."""
        if not includes(self.seen, floor):
            raise RefusedError("OperationalError", "not all of what is to be settled was merged here")
        self._touched = True
        self._states.advance(floor, self.tables)

    def _merge_part(self, part: Part) -> list[Record]:
        self.apply([*[_schema.decode(each) for each in part.schemas], Delta(part.changes)])
        if part.stretch is not None:
            self._forget_rest(decode_delta(part.changes), part.stretch)
        return [record for blob in part.records for record in decode_records(blob)]

    def _news(self, merge: Merge) -> tuple[bytes, ...]:
        mine = self.cursors.get(merge.origin) if merge.whole is None else None
        return () if mine is not None and merge.merged <= mine.merged else merge.payloads

    def _read_cursors(self) -> dict[GroupId, Cursor]:
        return {each.group: each for each in self._base.streams()}

    def _move(self, merge: Merge) -> None:
        """Note how far the logs of siblings are merged and read."""
        self._touched = True
        moved = [
            Cursor(merge.origin, merge.merged, ORIGIN),
            Cursor(merge.upstream, ORIGIN, merge.read),
            *(merge.whole or ()),
        ]
        for each in moved:
            if each.group != self.group or merge.whole:  # what it had forgotten itself
                mine = self.cursors.get(each.group, Cursor(each.group, ORIGIN, ORIGIN))
                self.cursors[each.group] = Cursor(each.group, max(mine.merged, each.merged), max(mine.read, each.read))
        self._base.remember("streams", [self.cursors[group] for group in sorted(self.cursors)])


def _deltas(payload: bytes, *, whole: bool) -> list[bytes]:
    if whole:
        return [decode_part(payload).changes]
    return [each.changes for each in decode_batch(payload).segments if isinstance(each, Delta)]
