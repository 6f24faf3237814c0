"""Statements that change the schema while rows are there."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from quorate.lab.sql.shape import Catalog, Column, Drawn, Table, quoted
from quorate.lab.sql.tables import draw_index, draw_table
from quorate.lab.sql.triggers import draw_trigger, draw_view
from quorate.lab.sql.values import Texts, literal, typed, where
from quorate.lab.sql.weights import SCHEMA_CHANGES, TYPES, chance, pick

COLUMNS_MAX = 12
"""More columns than these are not added to a table by and by."""


def draw_schema_change(rng: Random, catalog: Catalog) -> Drawn | None:
    """One of `weights.SCHEMA_CHANGES`, or None when there is nothing for it."""
    kind = pick(rng, SCHEMA_CHANGES)
    table = catalog.any_table(rng, "table")
    if kind == "create table":
        return draw_table(rng, catalog) if len(catalog.tables) < 9 else None
    if kind == "create view":
        return draw_view(rng, catalog) if len(catalog.tables) < 9 else None
    if kind in ("drop view", "drop index", "drop trigger"):
        return _drop(rng, catalog, kind.split()[1])
    if kind == "analyze":
        return Drawn(rng.choice(("ANALYZE", f"ANALYZE {table.sql}" if table else "ANALYZE")), features=("ANALYZE",))
    if kind == "reindex":
        return Drawn("REINDEX", features=("REINDEX",))
    if kind == "user_version":
        return Drawn(f"PRAGMA user_version = {rng.randrange(100)}", features=("user_version",))
    if table is None:
        return None
    return _OF_TABLE[kind](rng, catalog, table)


def _drop(rng: Random, catalog: Catalog, what: str) -> Drawn | None:
    names = {
        "index": sorted(catalog.indexes),
        "trigger": sorted(catalog.triggers),
        "view": [table.name for table in catalog.of_kind("view")],
    }[what]
    if not names:
        return None
    name = rng.choice(names)

    def then(catalog: Catalog) -> None:
        catalog.indexes.pop(name, None)
        catalog.triggers.pop(name, None)
        catalog.drop(name)

    return Drawn(f"DROP {what.upper()} {quoted(name)}", features=(f"DROP {what.upper()}",), then=then)


def _drop_table(rng: Random, catalog: Catalog, table: Table) -> Drawn | None:
    every = catalog.of_kind("table", "fts", "rtree")
    if len(every) < 2:
        return None
    sources = [column.source for each in every for column in each.columns if column.source]
    parents = [each for each in every if any(f"FROM {each.sql}" in source for source in sources)]
    table = rng.choice(parents if parents and chance(rng, 60) else every)
    exists = "IF EXISTS " if chance(rng, 20) else ""
    sql = f"DROP TABLE {exists}{table.sql}"
    return Drawn(sql, features=("DROP TABLE",), then=lambda catalog: catalog.drop(table.name))


def _create_index(rng: Random, catalog: Catalog, table: Table) -> Drawn:
    return draw_index(rng, catalog, table)


def _create_trigger(rng: Random, catalog: Catalog, table: Table) -> Drawn | None:
    if len(catalog.triggers) >= 6:
        return None
    return draw_trigger(rng, catalog, catalog.any_table(rng, "table", "table", "view") or table)


def _add_column(rng: Random, catalog: Catalog, table: Table) -> Drawn | None:
    if len(table.columns) > COLUMNS_MAX:
        return None
    column = Column(catalog.name("n"), "ANY" if table.strict else pick(rng, TYPES))
    text = f"{column.sql} {column.type}"
    if chance(rng, 15):
        column = replace(column, written=False)
        text = f"{column.sql} {'ANY ' if table.strict else ''}AS (length({rng.choice(table.columns).sql})) VIRTUAL"
    elif chance(rng, 60):
        text += f" DEFAULT {literal(typed(rng, column))}"
        text += " NOT NULL" if chance(rng, 30) else ""

    def then(catalog: Catalog) -> None:
        known = catalog.tables.get(table.name)
        if known is not None:
            catalog.tables[table.name] = replace(known, columns=(*known.columns, column))

    return Drawn(f"ALTER TABLE {table.sql} ADD COLUMN {text}", features=("ADD COLUMN",), then=then)


def _drop_column(rng: Random, _catalog: Catalog, table: Table) -> Drawn | None:
    if len(table.columns) < 2:
        return None
    column = rng.choice(table.columns)

    def then(catalog: Catalog) -> None:
        known = catalog.tables.get(table.name)
        if known is not None:
            kept = tuple(each for each in known.columns if each.name != column.name)
            catalog.tables[table.name] = replace(known, columns=kept)

    return Drawn(f"ALTER TABLE {table.sql} DROP COLUMN {column.sql}", features=("DROP COLUMN",), then=then)


def _rename_column(rng: Random, catalog: Catalog, table: Table) -> Drawn:
    column = rng.choice(table.columns)
    new = rng.choice((catalog.name("n"), catalog.name("new name ")))
    if column.sql == table.rowid:
        new = catalog.name("id")

    def then(catalog: Catalog) -> None:
        known = catalog.tables.get(table.name)
        if known is not None:
            columns = tuple(replace(each, name=new) if each.name == column.name else each for each in known.columns)
            catalog.tables[table.name] = replace(
                known,
                columns=columns,
                key=tuple(new if name == column.name else name for name in known.key),
                rowid=quoted(new) if known.rowid == column.sql else known.rowid,
                targets=tuple(quoted(new) if each == column.sql else each for each in known.targets),
            )

    sql = f"ALTER TABLE {table.sql} RENAME COLUMN {column.sql} TO {quoted(new)}"
    return Drawn(sql, features=("RENAME COLUMN",), then=then)


def _rename_table(_rng: Random, catalog: Catalog, table: Table) -> Drawn:
    new = catalog.name("renamed ")
    sql = f"ALTER TABLE {table.sql} RENAME TO {quoted(new)}"
    return Drawn(sql, features=("RENAME TABLE",), then=lambda catalog: catalog.rename(table.name, new))


def _create_as(rng: Random, catalog: Catalog, table: Table) -> Drawn | None:
    if len(catalog.tables) > 9:
        return None
    name = catalog.name("made")
    shown = table.columns[:8]
    texts = Texts(rng, binds=False)
    made = Table(name, tuple(Column(column.name) for column in shown), rowid="rowid", features=("CREATE AS",))
    if any(column.name.lower() == "rowid" for column in shown):
        made = replace(made, rowid="")
    sql = (
        f"CREATE TABLE {name} AS SELECT {', '.join(column.sql for column in shown)} FROM {table.sql}"
        f" WHERE {where(rng, texts, table)} ORDER BY {table.order}"
    )
    return Drawn(sql, features=("CREATE AS",), then=lambda catalog: catalog.add(made))


_OF_TABLE: dict[str, Callable[[Random, Catalog, Table], Drawn | None]] = {
    "drop table": _drop_table, "create index": _create_index, "create trigger": _create_trigger,
    "add column": _add_column, "drop column": _drop_column, "rename column": _rename_column,
    "rename table": _rename_table, "create as": _create_as,
}  # fmt: skip
