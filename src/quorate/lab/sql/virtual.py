"""Virtual tables that travel: full-text indexes, with their own text or beside a table, and R-Trees."""

from random import Random

from quorate.lab.sql.shape import Catalog, Column, Drawn, Table
from quorate.lab.sql.weights import chance

WORDS = ("a", "b", "word", "one", "two", "w1", "w2", "É", "longer", "A")


def text_of(rng: Random) -> str:
    """Some words."""
    return " ".join(rng.choices(WORDS, k=rng.randrange(0, 7)))


def draw_fts(rng: Random, catalog: Catalog) -> Drawn:
    """A full-text table that keeps its own text, or none."""
    name = catalog.name("f")
    columns = tuple(Column(each, "TEXT") for each in ("x", "y")[: rng.randrange(1, 3)])
    fts4 = chance(rng, 25)
    options = [column.name for column in columns]
    features = {"FTS4" if fts4 else "FTS5"}
    kind = "fts"
    if not fts4:
        if chance(rng, 30):
            options.append(rng.choice(("prefix='1 2'", "tokenize='porter'", "tokenize='trigram'", "columnsize=0")))
        if chance(rng, 15):
            options.append(f"detail={rng.choice(('column', 'none'))}")
        if chance(rng, 12):
            options += ["content=''", "contentless_delete=1"] if "columnsize=0" not in options else ["content=''"]
            features.add("contentless FTS5")
    elif chance(rng, 30):
        options.append("tokenize=porter")
    table = Table(name, columns, kind=kind, rowid="rowid", features=tuple(sorted(features)))
    sql = f"CREATE VIRTUAL TABLE {name} USING {'fts4' if fts4 else 'fts5'}({', '.join(options)})"
    return Drawn(sql, features=table.features, then=lambda catalog: catalog.add(table))


def draw_external_fts(rng: Random, catalog: Catalog) -> list[Drawn]:
    """A table, an FTS5 index beside it and the triggers that keep them together."""
    base, name = catalog.name("doc"), catalog.name("f")
    key = rng.choice(("id INTEGER PRIMARY KEY", "id TEXT PRIMARY KEY", "id", "id INTEGER PRIMARY KEY AUTOINCREMENT"))
    column = "id" if "INTEGER" in key else "rowid"
    integer = "INTEGER" in key
    table = Table(
        base,
        (Column("id", "INTEGER" if integer else "TEXT"), Column("x", "TEXT")),
        key=("id",) if "PRIMARY" in key else (),
        rowid=column,
        targets=("id",) if "PRIMARY" in key else (),
        features=("external content",),
    )
    content = f"content='{base}'" + (f", content_rowid='{column}'" if integer else "")
    gone = f"INSERT INTO {name}({name}, rowid, x) VALUES ('delete', OLD.{column}, OLD.x);"
    come = f"INSERT INTO {name}(rowid, x) VALUES (NEW.{column}, NEW.x);"
    made = (
        Drawn(f"CREATE TABLE {base}({key}, x TEXT)", then=lambda catalog: catalog.add(table)),
        Drawn(f"CREATE VIRTUAL TABLE {name} USING fts5(x, {content})", features=("external content FTS5",)),
    )
    triggers = (
        f"CREATE TRIGGER {name}_i AFTER INSERT ON {base} BEGIN {come} END",
        f"CREATE TRIGGER {name}_d AFTER DELETE ON {base} BEGIN {gone} END",
        f"CREATE TRIGGER {name}_u AFTER UPDATE ON {base} BEGIN {gone} {come} END",
    )
    return [*made, *(Drawn(sql, features=("external content FTS5",)) for sql in triggers)]


def draw_rtree(rng: Random, catalog: Catalog) -> Drawn:
    """An R-Tree, of reals or integers, with or without columns beside."""
    name = catalog.name("r")
    whole = chance(rng, 30)
    names = ["x0", "x1", "y0", "y1"][: rng.choice((2, 4))]
    beside = ["+note"] if chance(rng, 40) else []
    columns = (
        Column("id", "INTEGER"),
        *(Column(each, "INT" if whole else "REAL") for each in names),
        *(Column(each[1:], "TEXT") for each in beside),
    )
    table = Table(name, columns, kind="rtree", key=("id",), rowid="id", features=("R-Tree",))
    module = "rtree_i32" if whole else "rtree"
    sql = f"CREATE VIRTUAL TABLE {name} USING {module}({', '.join(('id', *names, *beside))})"
    return Drawn(sql, features=("R-Tree", *(("R-Tree with columns",) if beside else ())), then=lambda c: c.add(table))


def change_fts(rng: Random, table: Table) -> Drawn:
    """A row of a full-text table, or one of its commands."""
    columns = ", ".join(column.sql for column in table.columns)
    texts = ", ".join(f"'{text_of(rng)}'" for _ in table.columns)
    rowid = rng.randrange(1, 14)
    kinds = [
        f"INSERT INTO {table.sql}({columns}) VALUES ({texts})",
        f"INSERT INTO {table.sql}({columns}) VALUES ({texts})",
        f"INSERT INTO {table.sql}(rowid, {columns}) VALUES ({rowid}, {texts})",
        f"INSERT OR REPLACE INTO {table.sql}(rowid, {columns}) VALUES ({rowid}, {texts})",
        f"UPDATE {table.sql} SET {table.columns[0].sql} = '{text_of(rng)}' WHERE rowid = {rowid}",
        f"UPDATE {table.sql} SET rowid = rowid + 20 WHERE rowid = {rowid}",
        f"DELETE FROM {table.sql} WHERE rowid = {rowid}",
        f"DELETE FROM {table.sql} WHERE {table.sql} MATCH '{rng.choice(WORDS)}'",
        f"DELETE FROM {table.sql}",
    ]
    command = rng.choice(("optimize", "rebuild", "optimize"))
    if "FTS5" in table.features:
        command = rng.choice(("optimize", "delete-all", "rebuild"))
        kinds.append(f"INSERT INTO {table.sql}({table.sql}, rank) VALUES ('merge', {rng.choice((8, -8))})")
        kinds.append(f"INSERT INTO {table.sql}({table.sql}, rank) VALUES ('automerge', {rng.choice((0, 2, 4))})")
    kinds.append(f"INSERT INTO {table.sql}({table.sql}) VALUES ('{command}')")
    return Drawn(rng.choice(kinds), features=("change FTS",))


def change_rtree(rng: Random, table: Table) -> Drawn:
    """A row of an R-Tree."""
    rowid = rng.randrange(1, 20)
    low = [rng.randrange(-20, 20) / 2 for _ in range(2)]
    pairs = [str(each) for at in low for each in (at, at + rng.randrange(-1, 9))]
    numbers = sum(column.type in ("REAL", "INT") for column in table.columns)
    values = [str(rowid), *pairs[:numbers], *(["'note'"] if table.columns[-1].name == "note" else [])]
    row = ", ".join(values)
    numbers_from = (
        f"WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < {rng.choice((120, 260))})"
    )
    kinds = (
        f"INSERT INTO {table.sql} VALUES ({row})",
        f"INSERT INTO {table.sql} VALUES ({row})",
        f"INSERT OR REPLACE INTO {table.sql} VALUES ({row})",
        f"INSERT OR IGNORE INTO {table.sql} VALUES ({row})",
        f"UPDATE {table.sql} SET x1 = x1 + 5 WHERE id > {rowid}",
        f"UPDATE {table.sql} SET id = id + 30 WHERE id = {rowid}",
        f"DELETE FROM {table.sql} WHERE id = {rowid}",
        f"DELETE FROM {table.sql} WHERE x0 > {low[0]} AND x1 < {low[0] + 9}",
        f"{numbers_from} INSERT OR REPLACE INTO {table.sql}(id, x0, x1) SELECT i, i % 7, i % 7 + 1 FROM n",
    )
    return Drawn(rng.choice(kinds), features=("change R-Tree",))
