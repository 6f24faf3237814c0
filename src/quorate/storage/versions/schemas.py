"""What a change of the schema makes of the versioned tables, where it is made; and which changes are refused, because
the other leaders, whose rows may be others, could not carry them out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw
from msgspec import structs

from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import Origin
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.schema import SchemaFacts
from quorate.storage.failures import RefusedError
from quorate.storage.rows.payload import Chosen, Versioned
from quorate.storage.rows.table import Table
from quorate.storage.versions.table import VersionedTable, resolver_of

Known = tuple[int, str, Sequence[str], Mapping[str, str]]
"""Of a versioned table: number, name (empty: it was dropped), numbered columns, resolvers."""


def settled(
    connection: apsw.Connection,
    facts: SchemaFacts,
    known: Iterable[Known],
    tables: Mapping[str, VersionedTable],
    chosen: Iterable[Chosen],
    how: tuple[Mapping[Origin, int], Sequence[Custom]],
) -> tuple[tuple[Versioned, ...], tuple[Chosen, ...]]:
    """The versioned tables that one statement has made, changed or dropped, and the resolvers that are `chosen` behind
    it. `known`: the tables as they were; `tables`: the same, but for those that it has dropped or renamed; `how`:
    ranks, and the resolvers of programs. Raises RefusedError."""
    if facts.virtual:
        hint = "search with LIKE, or index a copy of the database with one leader"
        raise RefusedError("NotSupportedError", "a database with several leaders has no virtual tables", hint)
    every = list(known)
    chosen = [_pinned(each, how[1]) for each in chosen]
    before = {name: (number, columns, resolvers) for number, name, columns, resolvers in every if name}
    gone = [name for name in before if name not in facts.tables]
    new = [name for name in facts.tables if name not in before]
    changed = [] if new else [Versioned(before[name][0], "", (), {}) for name in gone]
    if gone and new:  # one statement does both only by renaming
        before[new[0]] = before.pop(gone[0])
        chosen = [structs.replace(each, table=new[0] if each.table == gone[0] else each.table) for each in chosen]
    elif gone:
        chosen = [each for each in chosen if each.table not in gone]
    highest = max([number for number, _, _, _ in every], default=0)
    for name, table in facts.tables.items():
        number, columns, resolvers = before.get(name, (highest + 1, (), {}))
        highest = max(highest, number)
        names = _renamed(table, columns)
        chosen = [_follow(each, names) if each.table == name else each for each in chosen]
        wanted = {each.column: each.resolver for each in chosen if each.table == name and each.column}
        kept = [names.get(column, column) for column in columns]
        if name in new or wanted != resolvers or name not in tables or tables[name].table is not table:
            found = VersionedTable(connection, number, table, kept, wanted, *how)
            refuse_expressions(connection, name)
            chosen = [structs.replace(each, resolver=found.resolvers[each.column]) if each.table == name else each
                      for each in chosen if each.column]  # fmt: skip
            changed.append(Versioned(number, name, found.columns, found.resolvers))
    return tuple(changed), tuple([each for each in chosen if each.column])


def _pinned(chosen: Chosen, custom: Sequence[Custom]) -> Chosen:
    """Also where its table is still to be made."""
    found = resolver_of(f"{chosen.table}.{chosen.column}", chosen.resolver, custom)
    return structs.replace(chosen, resolver=found.value)


def _follow(chosen: Chosen, names: Mapping[str, str]) -> Chosen:
    return structs.replace(chosen, column=names.get(chosen.column, chosen.column))


def _renamed(table: Table, columns: Sequence[str]) -> dict[str, str]:
    """What became of the names of numbered columns in one statement: one was renamed, or dropped (empty), or none."""
    keys = {table.columns[place] for place in table.key}
    there = [name for name in table.columns if name not in keys]
    gone = [name for name in columns if name and name not in there]
    new = [name for name in there if name not in columns]
    return {gone[0]: new[0]} if gone and new else dict.fromkeys(gone, "")


def refuse_expressions(connection: apsw.Connection, table: str) -> None:
    """An expression may fail for rows that others have."""
    for (index,) in connection.execute("SELECT name FROM pragma_index_list(?)", (table,), prepare_flags=INTERNAL):
        sql = "SELECT 1 FROM pragma_index_xinfo(?) WHERE cid = -2"
        found: Any = connection.execute(sql, (index,), prepare_flags=INTERNAL).fetchall()
        if found:
            hint = "make the value a STORED generated column of a new table, and the index on that"
            raise RefusedError("NotSupportedError", f"the index {index} is on an expression", hint)
