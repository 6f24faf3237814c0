"""What a change of the schema makes of the versioned tables, where it is made; and which changes are refused, because
the other leaders, whose rows may be others, could not carry them out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw

from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import Origin
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.schema import SchemaFacts
from quorate.storage.failures import RefusedError
from quorate.storage.rows.payload import Versioned
from quorate.storage.rows.table import Table
from quorate.storage.versions.table import VersionedTable

Known = tuple[int, str, Sequence[str], Mapping[str, str]]
"""Of a versioned table: number, name (empty: it was dropped), numbered columns, resolvers."""


def settled(
    connection: apsw.Connection,
    facts: SchemaFacts,
    known: Iterable[Known],
    tables: Mapping[str, VersionedTable],
    ranks: Mapping[Origin, int],
    custom: Sequence[Custom] = (),
) -> tuple[Versioned, ...]:
    """The versioned tables that one statement has made, changed or dropped. `known`: as they were; `tables`: the same,
    but for those that it has dropped or renamed. Raises RefusedError."""
    if facts.virtual:
        hint = "search with LIKE, or index a copy of the database with one leader"
        raise RefusedError("NotSupportedError", "a database with several leaders has no virtual tables", hint)
    every = list(known)
    before = {name: (number, columns, resolvers) for number, name, columns, resolvers in every if name}
    gone = [name for name in before if name not in facts.tables]
    new = [name for name in facts.tables if name not in before]
    if gone and new:  # one statement does both only by renaming
        before[new[0]] = before.pop(gone[0])
        gone, renamed = [], new.pop(0)
    else:
        renamed = ""
    changed = [Versioned(before[name][0], "", (), {}) for name in gone]
    highest = max([number for number, _, _, _ in every], default=0)
    for name, table in facts.tables.items():
        if name in new:
            highest += 1
            changed.append(_described(connection, highest, table, (), {}, ranks, custom))
        elif name == renamed or name not in tables or tables[name].table is not table:
            number, columns, resolvers = before[name]
            changed.append(_described(connection, number, table, *_renamed(table, columns, resolvers), ranks, custom))
    return tuple(changed)


def _described(
    connection: apsw.Connection,
    number: int,
    table: Table,
    columns: Sequence[str],
    resolvers: Mapping[str, str],
    ranks: Mapping[Origin, int],
    custom: Sequence[Custom],
) -> Versioned:
    found = VersionedTable(connection, number, table, columns, resolvers, ranks, custom)
    _refuse_expressions(connection, table.name)
    return Versioned(number, table.name, found.columns, found.resolvers)


def _renamed(table: Table, columns: Sequence[str], resolvers: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The numbered columns and their resolvers behind one statement: one was renamed, or dropped, or neither."""
    keys = {table.columns[place] for place in table.key}
    there = [name for name in table.columns if name not in keys]
    gone = [name for name in columns if name and name not in there]
    new = [name for name in there if name not in columns]
    names = {gone[0]: new[0]} if gone and new else dict.fromkeys(gone, "")
    kept = {names.get(column, column): resolver for column, resolver in resolvers.items()}
    kept.pop("", None)
    return [names.get(column, column) for column in columns], kept


def _refuse_expressions(connection: apsw.Connection, table: str) -> None:
    """An expression may fail for rows that others have."""
    for (index,) in connection.execute("SELECT name FROM pragma_index_list(?)", (table,), prepare_flags=INTERNAL):
        sql = "SELECT 1 FROM pragma_index_xinfo(?) WHERE cid = -2"
        found: Any = connection.execute(sql, (index,), prepare_flags=INTERNAL).fetchall()
        if found:
            hint = "make the value a STORED generated column of a new table, and the index on that"
            raise RefusedError("NotSupportedError", f"the index {index} is on an expression", hint)
