"""Triggers that chain, and views that are written through."""

from random import Random

from quorate.lab.sql.shape import Catalog, Column, Drawn, Table
from quorate.lab.sql.values import Texts
from quorate.lab.sql.weights import CLAUSES, chance, pick

ROWS_MAX = 200
"""No trigger adds a row to a table that has more: chains end."""


EVENTS = ("INSERT", "UPDATE", "DELETE")


def draw_trigger(rng: Random, catalog: Catalog, table: Table, event: str = "") -> Drawn:
    """A trigger on a table, or INSTEAD OF on a view."""
    name = catalog.name("g")
    event = event or rng.choice(EVENTS)
    time = "INSTEAD OF" if table.kind == "view" else rng.choice(("BEFORE", "AFTER", "AFTER"))
    features = {f"trigger {time} {event}"}
    of = ""
    if event == "UPDATE" and chance(rng, 40):
        of = f" OF {rng.choice(table.columns).sql}"
    seen = {"INSERT": ("NEW",), "DELETE": ("OLD",)}.get(event, ("NEW", "OLD"))
    body = [_step(rng, catalog, table, seen, features) for _ in range(rng.choice((1, 1, 2)))]
    when = ""
    if chance(rng, 30):
        column = rng.choice(table.columns)
        when = f" WHEN {rng.choice(seen)}.{column.sql} {rng.choice(('IS NOT NULL', '> 4', '< 6', '<> 3'))}"
    sql = f"CREATE TRIGGER {name} {time} {event}{of} ON {table.sql}{when} BEGIN {' '.join(body)} END"

    def then(catalog: Catalog) -> None:
        catalog.triggers[name] = table.name

    return Drawn(sql, features=tuple(sorted(features)), then=then)


def _step(rng: Random, catalog: Catalog, table: Table, seen: tuple[str, ...], features: set[str]) -> str:
    """One statement of a trigger's body."""
    if chance(rng, 10):
        kind = rng.choice(("ABORT", "FAIL", "IGNORE", "ROLLBACK", "ABORT"))
        features.add(f"RAISE({kind})")
        message = "" if kind == "IGNORE" else ", 'raised'"
        side = rng.choice(seen)
        column = rng.choice(table.columns)
        return f"SELECT RAISE({kind}{message}) WHERE {side}.{column.sql} = {rng.randrange(2, 9)};"
    targets = catalog.of_kind("table", "fts")
    if table.kind == "table" and chance(rng, 30):
        target = table
    elif targets:
        target = rng.choice(targets)
        features.add("trigger that writes another table")
    else:
        return "SELECT 1;"
    clause = pick(rng, CLAUSES)
    kind = rng.choice(("insert", "insert", "update", "delete"))
    columns = target.written[: rng.randrange(1, 4)]
    values = ", ".join(_source(rng, table, seen) for _ in columns)
    few = f"(SELECT count(*) FROM {target.sql}) < {ROWS_MAX}"
    if kind == "insert":
        names = ", ".join(column.sql for column in columns)
        either = f" OR {clause}" if clause and target.kind == "table" else ""
        return f"INSERT{either} INTO {target.sql}({names}) SELECT {values} WHERE {few};"
    condition = f"{rng.choice(target.columns).sql} = {_source(rng, table, seen)}"
    if kind == "delete":
        return f"DELETE FROM {target.sql} WHERE {condition};"
    either = f" OR {clause}" if clause and target.kind == "table" else ""
    column = rng.choice(columns)
    to = rng.choice((_source(rng, table, seen), f"{column.sql} + 1", f"-{column.sql}"))
    return f"UPDATE{either} {target.sql} SET {column.sql} = {to} WHERE {condition};"


def _source(rng: Random, table: Table, seen: tuple[str, ...]) -> str:
    if chance(rng, 25):
        return Texts(rng, binds=False).some()
    side = rng.choice(seen)
    if table.kind == "table" and table.rowid and chance(rng, 15):
        return f"{side}.{table.rowid}"
    return f"{side}.{rng.choice(table.columns).sql}"


def draw_view(rng: Random, catalog: Catalog) -> Drawn | None:
    """A view of one table, or of two."""
    table = catalog.any_table(rng, "table")
    if table is None:
        return None
    name = catalog.name("v")
    shown = table.columns[:20]
    columns = tuple(Column(column.name, column.type) for column in shown)
    names = ", ".join(column.sql for column in shown)
    sql = f"CREATE VIEW {name} AS SELECT {names} FROM {table.sql}"
    if chance(rng, 30):
        sql += f" WHERE {rng.choice(table.columns).sql} IS NOT NULL"
    view = Table(name, columns, kind="view", features=("view",))
    return Drawn(sql, features=("CREATE VIEW",), then=lambda catalog: catalog.add(view))
