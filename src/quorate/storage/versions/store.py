"""One replica's versioned rows by themselves: local transactions are stamped and become deltas, deltas of others are
merged. Each call that writes is one transaction of the data file, so the visible rows change with the base store.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import apsw

from quorate.core.versions.clock import AHEAD_MAX_MS
from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import Context, Origin, includes
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import FOLLOW, INTERNAL, LEAD, set_mode
from quorate.storage.failures import RefusedError
from quorate.storage.rows.capture import Capture
from quorate.storage.rows.payload import Segment
from quorate.storage.versions.delta import decode_delta, delta_of
from quorate.storage.versions.derived import Derived, described
from quorate.storage.versions.local import Change
from quorate.storage.versions.table import VersionedTable, encode_key
from quorate.storage.versions.within import Versions

_AWAY = "take a new copy of the database, under a new origin"


class VersionStore(Versions):
    """On a writing connection that nobody else uses: each call is a transaction. Raises RefusedError where nothing is
    changed."""

    def __init__(
        self,
        connection: apsw.Connection,
        origin: Origin,
        ranks: Mapping[Origin, int] | None = None,
        ahead_max_ms: int = AHEAD_MAX_MS,
        custom: Sequence[Custom] = (),
    ) -> None:
        super().__init__(connection, origin, ranks, ahead_max_ms, custom)
        self._capture = Capture(connection)

    # ------------------------------------------------------------------ transactions

    @contextmanager
    def _transaction(self, mode: int) -> Iterator[None]:
        set_mode(self._connection, mode)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.remember()
            self._connection.execute("COMMIT")
        except BaseException:
            self._capture.drop()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self.forget()
            raise
        finally:
            set_mode(self._connection, FOLLOW)

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
            self._tables = None
            versioned = self.tables[name]
            if name not in known:
                every = ", ".join([quoted(each) for each in versioned.table.columns])
                rows = self._connection.execute(f"SELECT {every} FROM main.{quoted(name)}").fetchall()  # noqa: S608
                changes = {versioned.key_of(row): Change(list(row)) for row in rows}
                if changes:
                    self._states.store(versioned, self._dot(now_ms), changes)
            else:
                self._show_again(versioned)
        self._tables = None

    def derive(self, name: str, source: str, columns: Mapping[str, str]) -> None:
        """Keep an FTS5 or R-Tree index filled from a versioned table: for each column of the index the source's. To
        be said on every replica. Raises RefusedError."""
        table = self.tables[source]
        derived = described(self._connection, name, table, dict(columns))
        with self._transaction(FOLLOW):
            known = [Derived(*each) for each in self._base.remembered("derived", [])]
            self._base.remember("derived", [*[each for each in known if each.name != name], derived])
            self._tables = None
            self._states.visible.indexes.fill(derived, table)

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
        setting = ", ".join([f"{quoted(column)} = ?" for column in values])
        with self.writing(now_ms) as deltas:
            sql = f"UPDATE main.{quoted(name)} SET {setting} WHERE {table.where}"  # noqa: S608
            self._connection.execute(sql, (*values.values(), *key), prepare_flags=INTERNAL)
            columns = [table.columns.index(column) for column in values]
            if self._cells(table, encode_key(key), columns) is None:
                raise RefusedError("OperationalError", f"{name} shows no such row", "INSERT it again")
            self.resolve_later(table, encode_key(key), columns)
        return deltas[0]

    def _stamp(self, segments: Iterable[Segment], now_ms: int) -> list[bytes]:
        before = dict(self.seen)
        dot, sent = self._stamp_rows(segments, now_ms)
        if self._resolving:
            last, more = self._resolve(now_ms)
            dot, sent = last or dot, sent + more
        return [] if dot is None else [delta_of(dot[0], before, self.seen, self._states.floor, sent)]

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
            return self._merge(delta)

    def advance(self, floor: Context) -> None:
        """All members have seen this. It must be true of the writes that they made before they said so, too."""
        assert includes(self.seen, floor), "a floor above what this replica has seen"
        with self._transaction(FOLLOW):
            self._states.advance(floor, self.tables)
