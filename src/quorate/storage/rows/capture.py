"""Capturing what a batch does on the leader, as the segments of one entry.

A hook hears of each row before it changes. The first time a row is touched, its image is remembered: what it was when
the transaction began, or that it was not there. When the batch ends, the rows that were touched are read back, and
what differs travels: rows that went, columns that changed, rows that came. So nothing depends on the order in which
statements, triggers, foreign keys and conflict clauses did it, and what a savepoint has undone is seen to be as it was.

What the hook does not see, and what is done about it:
- changes of the schema: they travel as text, and the rows before them in a segment of their own (`flush`). The hook
  sleeps meanwhile, but for DROP TABLE, which deletes a parent's rows with all that foreign keys do to the children;
- `sqlite_sequence`: carried as a segment of its own, for every table that was touched;
- rows that CREATE TABLE ... AS puts into the new table: all of them are read back (`add_all`);
- rows that a virtual table's module still holds in memory: a savepoint makes it write them (`flush`);
- values of tables with VIRTUAL columns, and of rows with text that is not UTF-8: that the row was there is remembered,
  and the whole row travels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import apsw

from quorate.core.limits import CAPTURED_BYTES_MAX, IMAGES_BYTES_MAX
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.order import LAST_ROWID, refuse_random_disorder
from quorate.storage.data.schema import SchemaFacts, SequenceRows, read_sequences
from quorate.storage.failures import EntryTooLarge, RefusedError
from quorate.storage.rows.difference import PRESENT, Difference
from quorate.storage.rows.payload import Changes, Ddl, Delta, Rows, Segment, Sequences, encode
from quorate.storage.rows.table import Row, Table

_INSERT, _UPDATE, _DELETE = apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE
_FIRST_READ = 8
_READ_MAX = 4096
_READ_BYTES = 4 << 20
"""Rows that are read back at once: few at first, since each may be large, then about so many bytes of them."""
_AUTOMERGE = 2
"""The row of a full-text table's statistics (FTS3 and FTS4) that says how much it merges when it commits."""


class Touched:
    """The rows of one table that the open transaction has touched."""

    __slots__ = ("closely", "images", "merges", "table")

    def __init__(self, table: Table, *, merges: bool, disorderly: bool) -> None:
        self.table = table
        self.merges = merges
        """It holds the statistics of a full-text table of version 3 or 4."""
        self.closely = merges or disorderly
        """Its changes are looked at more closely."""
        self.images: dict[Any, bytes | None] = {}
        """For each key the row's image as the transaction found it, PRESENT, or None: it was not there."""


Mark = tuple[int, int, int, list[tuple[Touched, int]]]
"""How far the capture was: segments, their bytes, the bytes of images, and the tables with how many of their rows were
touched."""


class Capture:
    """The segments of the open transaction. It is the writing connection's hook from the beginning to the end: a
    DELETE that was prepared without one would empty a table unseen."""

    __slots__ = (
        "_before", "_connection", "_counted", "_dropping", "_image_bytes", "_sealed", "_size", "_tables", "awake",
        "bytes_max", "facts", "late", "merging", "segments", "stamp", "vanished",
    )  # fmt: skip

    facts: SchemaFacts
    """Of the schema as the open transaction sees it."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.bytes_max = CAPTURED_BYTES_MAX
        self.segments: list[Segment] = []
        self._size = 0
        """Bytes of the rows in them."""
        self._tables: dict[str, Touched | None] = {}
        """Those that were touched since the last segment; None: its rows do not travel."""
        self._image_bytes = 0
        self._counted: set[str] = set()
        """Tables that were touched before the last segment."""
        self._before: SequenceRows = {}
        self._dropping = ""
        self.awake = False
        self._sealed = False
        self.late = ""
        """A table that changed after the capture was finished: replicas differ from here on."""
        self.merging = ""
        """The full-text table that was told to merge by itself, which was refused."""
        self.vanished: set[str] = set()
        """Tables of which triggers have taken rows that an upsert may be at (`storage/data/order.py`)."""
        self.stamp: Callable[[Changes], Delta | None] | None = None
        """Makes of changes of versioned rows what travels instead."""
        connection.preupdate_hook(self._hear)

    # ------------------------------------------------------------------ the transaction

    def begin(self, facts: SchemaFacts) -> None:
        """A transaction begins, or goes on for the next batch."""
        self.drop()
        self.facts = facts
        self._counted.clear()
        self._before = read_sequences(self._connection) if facts.has_sequences else {}
        self.awake = True

    def drop(self) -> None:
        """The transaction ends."""
        self.awake = self._sealed = False
        self._tables = {}
        self.segments = []
        self._size = self._image_bytes = 0
        self.late = ""
        self.forget_vanished()

    def mark(self) -> Mark:
        """How far it is, for `undo`."""
        touched: list[tuple[Touched, int]] = []
        if self._tables:
            touched = [(each, len(each.images)) for each in self._tables.values() if each is not None]
        return len(self.segments), self._size, self._image_bytes, touched

    def forget_vanished(self) -> None:
        """A statement has ended: what it did to the order of rows has been looked at, or is undone."""
        if self.vanished:
            self.vanished.clear()

    def undo(self, mark: Mark) -> None:
        """The transaction has gone back to where it was at that mark."""
        self.forget_vanished()
        segments, self._size, self._image_bytes, touched = mark
        del self.segments[segments:]
        self._tables = {each.table.name: each for each, _ in touched}
        for each, count in touched:
            for _ in range(len(each.images) - count):
                each.images.popitem()  # first touched since then

    def flushed(self) -> frozenset[str]:
        """The tables whose numbers will travel, for `recount`."""
        return frozenset(self._counted)

    def recount(self, counted: frozenset[str]) -> None:
        """Everything since then was undone."""
        self._counted = set(counted)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """See nothing meanwhile."""
        self.awake = False
        try:
            yield
        finally:
            self.awake = True

    @contextmanager
    def dropping(self, table: str) -> Iterator[None]:
        """See nothing of this table and of the tables that a virtual table of this name is made of."""
        self._dropping = table.lower()
        try:
            yield
        finally:
            self._dropping = ""

    # ------------------------------------------------------------------ rows

    def _hear(self, change: apsw.PreUpdate) -> None:
        """SQLite is about to change a row. What is raised here fails the statement when it has run to its end."""
        name = change.table_name
        if not self.awake:
            if self._sealed and not name.startswith(("sqlite_", "quorate_")):
                self.late = name
            return
        touched = self._tables.get(name)
        if touched is None:
            if name in self._tables:
                return
            touched = self._first(name)
            if touched is None:
                return
        if touched.table.without_rowid:
            self._hear_keyed(touched, change)
            return
        rowid = change.rowid
        images = touched.images
        operation = change.opcode
        if rowid not in images:
            images[rowid] = None if operation == _INSERT else self._image(touched.table, rowid, change)
        if operation == _UPDATE:
            moved = change.rowid_new
            if moved not in images:
                images[moved] = None
        if touched.closely:
            self._look_closely(touched, change)

    def _first(self, name: str) -> Touched | None:
        """The first row of a table is touched."""
        facts = self.facts
        touched: Touched | None = None
        if not name.startswith(("sqlite_", "quorate_")) and not (self._dropping and self._is_dropped(name)):
            table = facts.tables.get(name)
            if table is None:
                reason = f"the statement makes a table, {name}, behind a virtual table"
                raise RefusedError("NotSupportedError", reason, "use FTS5")
            touched = Touched(table, merges=name in facts.statistics, disorderly=name.lower() in facts.disorderly)
        self._tables[name] = touched
        return touched

    def _is_dropped(self, name: str) -> bool:
        gone, name = self._dropping, name.lower()
        return name == gone or (name.startswith(gone + "_") and name in self.facts.shadows)

    def _image(self, table: Table, rowid: int, change: apsw.PreUpdate) -> bytes:
        if not table.readable:
            image = PRESENT
        else:
            try:
                values: Any = change.old
                if table.places is not None:
                    values = tuple([values[place] for place in table.places])
                image = encode((rowid, *values) if table.hidden_rowid else values)
            except UnicodeDecodeError:
                image = PRESENT
        self._count(len(image))
        return image

    def _hear_keyed(self, touched: Touched, change: apsw.PreUpdate) -> None:
        """The same for a table WITHOUT ROWID, whose rows are known by their key."""
        table, images, operation = touched.table, touched.images, change.opcode
        if operation != _INSERT:
            old: Any = change.old
            key = tuple([old[place] for place in table.key_places])
            if key not in images:
                values = old if table.places is None else tuple([old[place] for place in table.places])
                images[key] = image = encode(values)
                self._count(len(image))
        if operation != _DELETE:
            new: Any = change.new
            key = tuple([new[place] for place in table.key_places])
            if key not in images:
                images[key] = None

    def _count(self, size: int) -> None:
        self._image_bytes += size
        if self._image_bytes > IMAGES_BYTES_MAX:
            raise EntryTooLarge(self.bytes_max)

    def _look_closely(self, touched: Touched, change: apsw.PreUpdate) -> None:
        if touched.merges:
            self._refuse_merging(touched.table, change)
        operation = change.opcode
        if change.depth and operation != _INSERT and (operation == _DELETE or change.rowid != change.rowid_new):
            self.vanished.add(change.table_name)

    def _refuse_merging(self, table: Table, change: apsw.PreUpdate) -> None:
        if change.rowid != _AUTOMERGE or change.opcode == _DELETE:
            return
        new: Any = change.new
        if new[1]:
            self.merging = table.name.rpartition("_")[0]
            raise RefusedError(
                "NotSupportedError",
                "automerge of FTS3 and FTS4 is not supported: it writes while the transaction is committed",
                "merge by hand with INSERT INTO t(t) VALUES ('merge=A,B') or 'optimize', or use FTS5",
            )

    def add_all(self, table: str) -> None:
        """All rows of this table have come since the last segment."""
        touched = self._first(table)
        assert touched is not None
        sql = f"SELECT {touched.table.rowid} FROM main.{quoted(table)}"  # noqa: S608
        rowids = self._connection.execute(sql, prepare_flags=INTERNAL)
        touched.images = dict.fromkeys([rowid for (rowid,) in rowids])

    def refuse_disorder(self, *, seen: bool = False) -> None:
        """Raise OutOfOrderError when a statement has put rows out of order in a way that the hook has no sign of, or
        may have, where SQLite has `seen` some that were."""
        if self.facts.references:
            for touched in self._tables.values():
                if touched is not None and not touched.table.without_rowid:
                    refuse_random_disorder(self._connection, touched.table, touched.images, seen=seen)

    def touched(self) -> list[str]:
        """Tables of which rows were touched since the last segment."""
        return [name for name, each in self._tables.items() if each is not None]

    @property
    def last_rowid(self) -> bool:
        """The batch has touched a row with the last of all rowids, or the numbers of AUTOINCREMENT themselves."""
        touched = [each for each in self._tables.values() if each is not None]
        return "sqlite_sequence" in self._tables or any(LAST_ROWID in each.images for each in touched)

    # ------------------------------------------------------------------ segments

    def ddl(self, sql: str, legacy: int = 0) -> None:
        """A statement has changed the schema."""
        self.segments.append(Ddl(sql, legacy))

    def flush(self) -> None:
        """What the rows are now becomes a segment. Raises EntryTooLarge or OutOfOrderError."""
        if self.facts.virtual:
            self._connection.execute("SAVEPOINT quorate_flush", prepare_flags=INTERNAL)
            self._connection.execute("RELEASE quorate_flush", prepare_flags=INTERNAL)
        self.refuse_disorder()
        changed: list[Rows] = []
        for touched in self._tables.values():
            if touched is not None and touched.images:
                rows = self._compare(touched.table, touched.images)
                if rows is not None:
                    changed.append(rows)
        if changed and self.stamp is None:
            self.segments.append(Changes(changed))
        elif self.stamp is not None:
            with self.asleep():
                delta = self.stamp(Changes(changed))
            if delta is not None:
                self._count_size(len(delta.changes))
                self.segments.append(delta)
        self._counted |= self._tables.keys()
        self._tables = {}
        self._image_bytes = 0

    def _compare(self, table: Table, images: dict[Any, bytes | None]) -> Rows | None:
        """The rows of one table that differ from what they were. Those that are there are read back some at a time."""
        difference = Difference(table, images, self._count_size)
        keys = list(images)
        start, count, size = 0, _FIRST_READ, 1
        while True:
            rows = table.read(self._connection, keys[start : start + count], self.facts.in_bulk)
            difference.add(rows)
            start += count
            if start >= len(keys):
                return difference.rows()
            size += sum([_size_of(row) for row in rows[:_FIRST_READ]]) * count // _FIRST_READ
            count = max(1, min(4 * count, _READ_MAX, _READ_BYTES * start // size))

    def _count_size(self, size: int) -> None:
        self._size += size
        if self._size > self.bytes_max:
            raise EntryTooLarge(self.bytes_max)

    def finish(self) -> tuple[Segment, ...]:
        """Everything the transaction did. Nothing may change from here on. Raises what `flush` raises."""
        self.flush()
        if self.facts.has_sequences and self.stamp is None:
            self._add_sequences()
        self.awake = False
        self._sealed = True
        return tuple(self.segments)

    def _add_sequences(self) -> None:
        """Carry the numbers of every table whose rows or numbers changed: a follower that inserts the same rows
        counts too, but not in the same way."""
        after = read_sequences(self._connection)
        names: set[object] = {name for name in after if after[name] != self._before.get(name)}
        names |= self._before.keys() - after.keys()
        names |= self._counted & self.facts.autoincrement
        if names:
            values = tuple((name, after.get(name, ())) for name in sorted(names, key=repr))
            self.segments.append(Sequences(values))  # type: ignore[arg-type]


def _size_of(row: Row) -> int:
    return sum([len(value) if isinstance(value, str | bytes) else 8 for value in row])
