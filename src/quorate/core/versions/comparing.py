"""Answers from a replica's rows and hash tree (`core.row_effects`), wherever those are kept."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from quorate.core.row_effects import (
    CompareTree,
    LeavesRead,
    ReadLeaves,
    ReadRoot,
    ReadRows,
    RootRead,
    RowKey,
    RowsRead,
    RowState,
    TreeCompared,
)
from quorate.core.versions.merkle import DEPTH, children_of


class KeyedRows(Protocol):
    """Rows by table and key, and the hash tree over them."""

    def state_of(self, key: RowKey) -> bytes:
        """Of one row; empty: nothing is known of it."""
        ...

    def rows_of(self, leaf: int) -> list[RowState]:
        """All rows of a leaf of the tree, in the order of tables and keys."""
        ...

    def hashes(self, level: int, nodes: Sequence[int]) -> tuple[int, ...]:
        """Of these nodes of the tree; 0: there is no row."""
        ...

    def read_rows(self, effect: ReadRows) -> RowsRead:
        """See `core.row_effects`."""
        states = tuple([self.state_of(key) for key in effect.keys])
        return RowsRead(effect.group, effect.to, effect.number, effect.keys, states)

    def read_root(self, effect: ReadRoot) -> RootRead:
        """The same."""
        return RootRead(effect.group, effect.to, effect.number, self.hashes(0, (0,))[0])

    def compare(self, effect: CompareTree) -> TreeCompared:
        """The same."""
        level = effect.level
        pairs = zip(effect.nodes, effect.hashes, self.hashes(level, effect.nodes), strict=True)
        nodes = tuple([node for node, theirs, mine in pairs if theirs != mine])[: effect.nodes_max]
        told = TreeCompared(effect.group, effect.to, effect.number, level, nodes)
        if level < DEPTH:
            return msgspec.structs.replace(told, children=self.hashes(level + 1, children_of(nodes)))
        rows: list[RowState] = []
        size = 0
        for count, leaf in enumerate(nodes):
            found = self.rows_of(leaf)
            size += sum([len(state) for _, _, state in found])
            if count and size > effect.bytes_max:
                return msgspec.structs.replace(told, nodes=nodes[:count], rows=tuple(rows))
            rows += found
        return msgspec.structs.replace(told, rows=tuple(rows))

    def read_leaves(self, effect: ReadLeaves) -> LeavesRead:
        """The same."""
        rows = tuple([row for leaf in effect.leaves for row in self.rows_of(leaf)])
        return LeavesRead(effect.group, effect.to, effect.number, effect.leaves, rows)
