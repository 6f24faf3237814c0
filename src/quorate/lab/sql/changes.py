"""INSERT, UPDATE, DELETE and SELECT, on whatever table there is."""

from random import Random

from quorate.lab.sql import virtual
from quorate.lab.sql.shape import Catalog, Column, Drawn, Parameters, Table
from quorate.lab.sql.values import Texts, expression, typed, value, where
from quorate.lab.sql.weights import CLAUSES, chance, pick

MANY = (100, 129, 300, 1_000, 2_500)
"""Rows of a large statement."""
_COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {0}) "


def draw_change(rng: Random, catalog: Catalog, kind: str) -> Drawn | None:
    """A statement of this kind (`weights.STATEMENTS`), or None when there is no table for it."""
    table = catalog.any_table(rng, "table", "table", "view", "fts", "rtree")
    if table is None:
        return None
    if table.kind == "view" and table.name not in catalog.triggers.values():
        kind = "select"
    if table.kind == "fts" and kind not in ("select", "update", "delete"):
        return virtual.change_fts(rng, table)
    if table.kind == "rtree" and kind not in ("select", "update", "delete"):
        return virtual.change_rtree(rng, table)
    if table.kind != "table" and kind not in ("select", "update", "delete", "insert"):
        kind = "insert"
    drawn = _KINDS[kind](rng, catalog, table)
    return Drawn(drawn.sql, drawn.sets, drawn.many, (kind, *drawn.features), drawn.then)


FAR = 1_000_000


def draw_shift(rng: Random, catalog: Catalog) -> tuple[Drawn, Drawn]:
    """All integers of a column move by one, far away first and then back. No statement meets a value twice, yet no
    order of single rows leads from the state before to the one after without that, where they are unique."""
    tables = catalog.of_kind("table")
    table = rng.choice([each for each in tables if each.unique] or tables)
    names = [column.sql for column in table.written or table.columns]
    column = rng.choice([name for name in names if name in table.unique] or names)
    by = rng.choice((1, -1, 2))
    whole = f"typeof({column}) = 'integer'"
    away = f"UPDATE {table.sql} SET {column} = {column} + {FAR} WHERE {whole}"
    back = f"UPDATE {table.sql} SET {column} = {column} - {FAR - by} WHERE {whole} AND {column} > {FAR // 2}"
    return Drawn(away, features=("shift",)), Drawn(back, features=("shift",))


def _either(rng: Random, table: Table, features: list[str]) -> str:
    """OR FAIL and its like."""
    clause = pick(rng, CLAUSES) if table.kind == "table" else ""
    if not clause:
        return ""
    features.append(f"OR {clause}")
    return f" OR {clause}"


def _returning(rng: Random, table: Table, features: list[str]) -> str:
    if table.kind != "table" or not chance(rng, 12) or len(table.columns) > 30:
        return ""
    features.append("RETURNING")
    return " RETURNING " + rng.choice(
        ("*", table.columns[0].sql, table.rowid or "*", f"typeof({table.columns[0].sql})")
    )


def _targets(rng: Random, table: Table) -> list[Column]:
    """The columns that an INSERT gives: mostly all."""
    columns = list(table.written)
    if len(columns) > 40 or chance(rng, 80):
        return columns
    return rng.sample(columns, rng.randrange(1, len(columns) + 1))


def _names(columns: list[Column]) -> str:
    return ", ".join(column.sql for column in columns)


def _row(texts: Texts, columns: list[Column], table: Table) -> str:
    return "(" + ", ".join(texts.some(column, key=column.name in table.key) for column in columns) + ")"


def _insert(rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    features: list[str] = []
    texts = Texts(rng, binds=len(table.columns) < 100 and chance(rng, 40))
    columns = _targets(rng, table)
    either = _either(rng, table, features)
    if not columns or (table.kind == "table" and chance(rng, 4)):
        return Drawn(f"INSERT{either} INTO {table.sql} DEFAULT VALUES", features=("DEFAULT VALUES", *features))
    names, before = _names(columns), ""
    if table.rowid and table.kind == "table" and table.rowid.strip('"') not in table.key and chance(rng, 15):
        names, before = f"{table.rowid}, {names}", str(rng.randrange(-3, 30))
        features.append("explicit rowid")
    count = 1 if len(columns) > 100 else rng.choice((1, 1, 2, 3, 6))
    rows = []
    for number in range(count):
        row = _row(texts, columns, table)
        rows.append(f"({int(before) + number}, {row[1:]}" if before else row)
    sql = f"INSERT{either} INTO {table.sql}({names}) VALUES {', '.join(rows)}"
    return Drawn(sql + _returning(rng, table, features), (tuple(texts.parameters),), features=tuple(features))


def _insert_select(rng: Random, catalog: Catalog, table: Table) -> Drawn:
    features: list[str] = []
    texts = Texts(rng, binds=chance(rng, 30))
    source = catalog.any_table(rng, "table") or table
    columns = _targets(rng, table)
    terms = []
    for column in columns:
        other = rng.choice(source.columns)
        same = next((each for each in source.columns if each.name == column.name), other)
        terms.append(rng.choice((same.sql, other.sql, f"{same.sql} + 10", f"{same.sql} || 'y'")))
    if source is table and chance(rng, 20):
        names, chosen = "", "*"
    else:
        names, chosen = f"({_names(columns)})", ", ".join(terms)
    condition = where(rng, texts, source)
    either = _either(rng, table, features)
    cte = ""
    origin = source.sql
    if chance(rng, 25):
        cte, origin = f"WITH s AS (SELECT * FROM {source.sql}) ", "s"
        texts, condition = Texts(rng, binds=False), "1"
        features.append("CTE")
    order = "" if origin == "s" else f" ORDER BY {source.order}"
    sql = (
        f"{cte}INSERT{either} INTO {table.sql}{names} SELECT {chosen} FROM {origin} WHERE {condition}{order}"
        f" LIMIT {rng.choice((3, 20, 200))}"
    )
    return Drawn(sql, (tuple(texts.parameters),), features=tuple(features))


def _insert_many(rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    """So many rows that sessions, caches and page splits notice; they may fail half-way."""
    features: list[str] = []
    count = rng.choice(MANY) if len(table.columns) < 100 else 3
    either = _either(rng, table, features)
    columns = list(table.written)[:400]
    terms = []
    for column in columns:
        unlikely = chance(rng, 10)
        term = rng.choice(("i", "i + 100", "'t' || i", "i * 1.0", "CAST(i AS TEXT)"))
        if "INT" in column.type or column.type == "BOOLEAN":
            term = "i + 100"
        terms.append("i % 90" if unlikely else term)
    if not columns:
        return Drawn(f"INSERT INTO {table.sql} DEFAULT VALUES")
    sql = f"{_COUNT.format(count)}INSERT{either} INTO {table.sql}({_names(columns)}) SELECT {', '.join(terms)} FROM n"
    return Drawn(sql, features=("many rows", "CTE", *features))


def _upsert(rng: Random, catalog: Catalog, table: Table) -> Drawn:
    base = _insert(rng, catalog, table)
    if " DEFAULT VALUES" in base.sql or " OR " in base.sql.split("(")[0] or " RETURNING " in base.sql:
        return base
    texts = Texts(rng, binds=False)
    target = f"({rng.choice(table.targets)})" if table.targets and chance(rng, 75) else ""
    if chance(rng, 25):
        return Drawn(f"{base.sql} ON CONFLICT {target} DO NOTHING", base.sets, features=("DO NOTHING",))
    writable = table.written
    column = rng.choice(writable)
    to = rng.choice((f"excluded.{column.sql}", texts.some(column), f"{column.sql} || 'u'", f"{column.sql} + 1", "NULL"))
    condition = f" WHERE excluded.{rng.choice(writable).sql} IS NOT NULL" if chance(rng, 20) else ""
    sql = f"{base.sql} ON CONFLICT {target} DO UPDATE SET {column.sql} = {to}{condition}"
    if chance(rng, 15):
        return Drawn(f"{sql} RETURNING {column.sql}", base.sets, features=("DO UPDATE", "RETURNING"))
    return Drawn(sql, base.sets, features=("DO UPDATE",))


def _replace(rng: Random, catalog: Catalog, table: Table) -> Drawn:
    base = _insert(rng, catalog, table)
    _, rest = base.sql.split(" INTO ", 1)
    return Drawn("REPLACE INTO " + rest, base.sets, features=tuple(f for f in base.features if f[:3] != "OR "))


def _update(rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    features: list[str] = []
    texts = Texts(rng, binds=len(table.columns) < 100 and chance(rng, 40))
    either = _either(rng, table, features)
    writable = table.written or table.columns
    chosen = rng.sample(writable, min(len(writable), rng.choice((1, 1, 1, 2, 3))))
    sets = ", ".join(f"{column.sql} = {expression(rng, texts, column, table.columns)}" for column in chosen)
    condition = "" if chance(rng, 15) else " WHERE " + where(rng, texts, table)
    sql = f"UPDATE{either} {table.sql} SET {sets}{condition}"
    return Drawn(sql + _returning(rng, table, features), (tuple(texts.parameters),), features=tuple(features))


def _update_from(rng: Random, catalog: Catalog, table: Table) -> Drawn:
    source = catalog.any_table(rng, "table") or table
    column, other = rng.choice(table.written or table.columns), rng.choice(source.columns)
    few = f"(SELECT {other.sql} AS s FROM {source.sql} ORDER BY {source.order} LIMIT 1)"
    sql = f"UPDATE {table.sql} SET {column.sql} = z.s FROM {few} AS z WHERE {rng.choice(table.columns).sql} <> z.s"
    return Drawn(sql, features=("UPDATE FROM",))


def _rotate(rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    """Two values change places, or all change their sign: what unique constraints see half-way is no state of it."""
    column = rng.choice(table.written or table.columns)
    one, two = rng.sample(range(9), 2)
    case = f"CASE {column.sql} WHEN {one} THEN {two} WHEN {two} THEN {one} ELSE {column.sql} END"
    to = rng.choice((case, f"-{column.sql}", f"{column.sql} + 1", f"{column.sql} - 1", f"{two} - {column.sql}"))
    return Drawn(f"UPDATE {table.sql} SET {column.sql} = {to}", features=("rotation",))


def _retype(rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    """Numbers become what is equal to them: 1 becomes 1.0 and back, 0.0 becomes -0.0."""
    column = rng.choice(table.written or table.columns).sql
    other = f"WHEN 'real' THEN CAST({column} AS INT) ELSE {column}"
    to = f"CASE typeof({column}) WHEN 'integer' THEN {column} * 1.0 {other} END"
    to = rng.choice((to, to, f"CASE WHEN {column} = 0 THEN -0.0 ELSE {column} END"))
    return Drawn(f"UPDATE {table.sql} SET {column} = {to}", features=("retype",))


def _move_rowid(rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    if not table.rowid or table.kind != "table":
        return _rotate(rng, _catalog, table)
    rowid = table.rowid
    to = rng.choice((f"{rowid} + 40", f"-{rowid}", f"{rowid} + 1", str(rng.randrange(1, 12)), f"{rowid} - 1"))
    condition = rng.choice(("", f" WHERE {rowid} = {rng.randrange(1, 12)}", f" WHERE {rowid} % 2"))
    return Drawn(f"UPDATE {table.sql} SET {rowid} = {to}{condition}", features=("move rowid",))


def _delete(rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    features: list[str] = []
    texts = Texts(rng, binds=chance(rng, 30))
    sql = f"DELETE FROM {table.sql} WHERE {where(rng, texts, table)}"
    return Drawn(sql + _returning(rng, table, features), (tuple(texts.parameters),), features=tuple(features))


def _delete_all(_rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    return Drawn(f"DELETE FROM {table.sql}")


def _executemany(rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    columns = list(table.written)[:50]
    features: list[str] = []
    either = _either(rng, table, features)
    if not columns or chance(rng, 30):
        column = rng.choice(table.columns)
        pairs: list[Parameters] = [(typed(rng, column), value(rng)) for _ in range(rng.randrange(1, 6))]
        sql = f"UPDATE{either} {table.sql} SET {column.sql} = ? WHERE {rng.choice(table.columns).sql} = ?"
        return Drawn(sql, tuple(pairs), many=True, features=tuple(features))
    marks = ", ".join("?" * len(columns))
    count = 1 if len(columns) > 30 else rng.randrange(1, 12)
    sets = tuple(tuple(typed(rng, column) for column in columns) for _ in range(count))
    return Drawn(
        f"INSERT{either} INTO {table.sql}({_names(columns)}) VALUES ({marks})",
        sets,
        many=True,
        features=tuple(features),
    )


def _select(rng: Random, _catalog: Catalog, table: Table) -> Drawn:
    texts = Texts(rng, binds=chance(rng, 30))
    condition = where(rng, texts, table)
    if table.kind == "view":
        sql = f"SELECT count(*) FROM {table.sql} WHERE {condition}"
    else:
        shown = ", ".join(column.sql for column in table.columns[:9])
        sql = f"SELECT {shown} FROM {table.sql} WHERE {condition} ORDER BY {table.order} LIMIT 30"
    return Drawn(sql, (tuple(texts.parameters),))


_KINDS = {
    "insert": _insert, "insert select": _insert_select, "insert many rows": _insert_many, "upsert": _upsert,
    "replace": _replace, "update": _update, "update from": _update_from, "rotate": _rotate, "retype": _retype,
    "move rowid": _move_rowid, "delete": _delete, "delete all": _delete_all, "executemany": _executemany,
    "select": _select,
}  # fmt: skip
