"""The part of a store that reads states of rows and hash trees, for replicas without a leader."""

from collections.abc import Callable
from typing import Any, ClassVar

from quorate.core.bounds import GroupId
from quorate.core.kernel import Event
from quorate.core.row_effects import (
    CompareTree,
    PlanStatement,
    ReadLeaves,
    ReadOnRows,
    ReadRoot,
    ReadRows,
    ReadSchema,
    ReadTables,
    RunOnRow,
    SchemaRead,
)
from quorate.storage.data.data_files import DataFiles


class RowReading(DataFiles):
    """Raises Divergent, DiskIsFull or Broken."""

    def rows_of(self, group: GroupId) -> Any:
        """The rows of a group without a leader (`core.versions.comparing.KeyedRows`)."""
        return self._replica(group)

    ROWS: ClassVar[dict[type, Callable[[Any, Any], list[Event]]]] = {
        ReadRows: lambda store, effect: [store.rows_of(effect.group).read_rows(effect)],
        ReadRoot: lambda store, effect: [store.rows_of(effect.group).read_root(effect)],
        CompareTree: lambda store, effect: [store.rows_of(effect.group).compare(effect)],
        ReadLeaves: lambda store, effect: [store.rows_of(effect.group).read_leaves(effect)],
        ReadSchema: lambda store, effect: [
            SchemaRead(effect.group, effect.to, effect.number, store.rows_of(effect.group).serial())
        ],
        PlanStatement: lambda store, effect: [store.rows_of(effect.group).plan(effect)],
        RunOnRow: lambda store, effect: [store.rows_of(effect.group).run_on_row(effect)],
        ReadOnRows: lambda store, effect: [store.rows_of(effect.group).read_on_rows(effect)],
        ReadTables: lambda store, effect: [store.rows_of(effect.group).read_tables(effect)],
    }
