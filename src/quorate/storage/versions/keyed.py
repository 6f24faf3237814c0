"""The rows of a replica without a leader, in its data file.

quorate_states   the state of each row, by leaf of the hash tree, table and key; the leaf follows from the other two,
                 so that one table finds single rows as well as all rows of a leaf
quorate_hashes   the hashes of the tree's nodes, by level and number
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw

from quorate.core.row_effects import RowKey, RowState
from quorate.core.versions.comparing import KeyedRows
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.merkle import DEPTH, FAN_OUT_BITS, hash_of, leaf_of
from quorate.core.versions.row import merge
from quorate.storage.data.connection import INTERNAL
from quorate.storage.versions.base import in_parts, marks

_SCHEMA = (
    (
        "CREATE TABLE IF NOT EXISTS quorate_states(leaf INTEGER, tab TEXT, key BLOB, state BLOB NOT NULL,"
        " PRIMARY KEY (leaf, tab, key)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE IF NOT EXISTS quorate_hashes(level INTEGER, node INTEGER, hash INTEGER NOT NULL,"
        " PRIMARY KEY (level, node)) WITHOUT ROWID"
    ),
)
_FIND = "SELECT state FROM quorate_states WHERE leaf = ? AND tab = ? AND key = ?"
_LEAF = "SELECT tab, key, state FROM quorate_states WHERE leaf = ? ORDER BY tab, key"
_WRITE = "INSERT OR REPLACE INTO quorate_states VALUES (?, ?, ?, ?)"
_CHANGE = (
    "INSERT INTO quorate_hashes VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
    " SET hash = (hash | excluded.hash) - (hash & excluded.hash)"  # exclusive or, which SQLite lacks
)


class StoredRows(KeyedRows):
    """On one connection, in whatever transaction it has open; commits and undoes nothing."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        for sql in _SCHEMA:
            connection.execute(sql)
        self._changed: dict[int, int] = {}
        """What the open transaction has changed of the hashes of leaves."""

    def _run(self, sql: str, bindings: Sequence[Any]) -> Any:
        return self._connection.execute(sql, bindings, prepare_flags=INTERNAL)

    def merge(self, rows: Iterable[RowState]) -> dict[RowKey, bytes]:
        """Merge these states into what is there: the states of those that have changed. Raises ValueError where one is
        no state."""
        news: dict[RowKey, bytes] = {}
        for table, key, theirs in rows:
            before = self.state_of((table, key))
            if before != theirs:
                after = self._merged(before, theirs) if before else theirs
                leaf = leaf_of(table, key)
                self._run(_WRITE, (leaf, table, key, after))
                change = hash_of(table, key, before) ^ hash_of(table, key, after)
                self._changed[leaf] = self._changed.get(leaf, 0) ^ change
                news[table, key] = after
        return news

    def _merged(self, mine: bytes, theirs: bytes) -> bytes:
        return encode_row(merge(decode_row(mine), decode_row(theirs)))

    def settle(self) -> None:
        """Bring the tree to where the rows are, before they are committed."""
        changed, self._changed = self._changed, {}
        for level in range(DEPTH, -1, -1):
            rows = [(level, node, change) for node, change in changed.items() if change]
            self._connection.executemany(_CHANGE, rows, prepare_flags=INTERNAL)
            above: dict[int, int] = {}
            for _, node, change in rows:
                parent = node >> FAN_OUT_BITS
                above[parent] = above.get(parent, 0) ^ change
            changed = above

    def forget(self) -> None:
        """The open transaction is undone."""
        self._changed.clear()

    def state_of(self, key: RowKey) -> bytes:
        found = self._run(_FIND, (leaf_of(*key), *key)).fetchall()
        return found[0][0] if found else b""

    def rows_of(self, leaf: int) -> list[RowState]:
        return list(self._run(_LEAF, (leaf,)))

    def hashes(self, level: int, nodes: Sequence[int]) -> tuple[int, ...]:
        known: dict[int, int] = {}
        for some in in_parts(nodes):
            sql = f"SELECT node, hash FROM quorate_hashes WHERE level = ? AND node IN ({marks(some)})"  # noqa: S608
            known |= dict(self._run(sql, (level, *some)))
        return tuple([known.get(node, 0) for node in nodes])

    def of_table(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Key and state of every row of a table, read one after the other."""
        return iter(self._run("SELECT key, state FROM quorate_states WHERE tab = ?", (table,)))

    def all_rows(self) -> dict[RowKey, bytes]:
        """Every row's state."""
        rows = self._run("SELECT tab, key, state FROM quorate_states", ())
        return {(table, key): state for table, key, state in rows}
