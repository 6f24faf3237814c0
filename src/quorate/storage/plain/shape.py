"""What an ordinary SQLite database consists of, and how each table's rows are read and written again."""

import re
from collections.abc import Iterator
from typing import Any

import apsw
from msgspec import Struct

from quorate.sql.tokens import quoted
from quorate.storage.data.guard import MODULES, TABLES
from quorate.storage.rows.table import Table as TableFacts

ROWS, WITHOUT_ROWID, VIRTUAL = "rows", "without rowid", "virtual"
_VIRTUAL = re.compile(r"\s*CREATE\s+VIRTUAL\b", re.IGNORECASE)
_MODULE = re.compile(r"\bUSING\s+[\"'`\[]?(\w+)", re.IGNORECASE)
_OPTION = re.compile(r"[(,]\s*(content|languageid)\s*=\s*(\"[^\"]*\"|'[^']*'|[^,)]*)", re.IGNORECASE)


class Object(Struct, frozen=True):
    """A row of `sqlite_schema` that a program has made."""

    kind: str
    """table, index, view or trigger"""
    name: str
    table: str
    sql: str


class Table(Struct, frozen=True):
    """A table whose rows are to be carried. Shadow tables of virtual ones are not among them."""

    name: str
    kind: str
    columns: tuple[str, ...]
    """Those that an INSERT can name, in order; a hidden rowid is the first."""
    order: tuple[str, ...]
    """What tells rows apart and puts them in order."""
    problem: str = ""
    """Why its rows cannot be carried, or empty."""
    module: str = ""
    content: str | None = None
    """Full-text tables: the value of the option `content`; empty: no text is stored."""
    language: bool = False
    """A full-text table with the option `languageid`."""

    @property
    def insert(self) -> str:
        """The statement that writes one row."""
        names = ", ".join(quoted(column) for column in self.columns)
        places = ", ".join("?" * len(self.columns))
        return f"INSERT INTO {quoted(self.name)}({names}) VALUES ({places})"  # noqa: S608 - quoted names

    def select(self, after: bool = False, limit: bool = False) -> str:
        """The statement that reads rows in order: all, those after a place (one parameter for each column of
        `order`), and at most so many (the last parameter)."""
        names = ", ".join(quoted(column) for column in self.columns)
        order = ", ".join(quoted(column) for column in self.order)
        sql = f"SELECT {names} FROM {quoted(self.name)}"  # noqa: S608 - quoted names
        if after:
            sql += f" WHERE ({order}) > ({', '.join('?' * len(self.order))})"
        if order:
            sql += f" ORDER BY {order}"
        return sql + " LIMIT ?" if limit else sql

    @property
    def derived(self) -> bool:
        """A full-text index over another table: it is rebuilt, not copied."""
        return bool(self.content)


def objects(connection: apsw.Connection) -> list[Object]:
    """Everything a program has made, in the order it was made. Shadow tables of virtual tables are left out."""
    shadows = {name for name, kind in _table_list(connection) if kind == "shadow"}
    rows: list[Any] = connection.execute(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
    ).fetchall()
    replica = any(row[1] == TABLES[0] for row in rows)
    return [
        Object(*row)
        for row in rows
        if not row[1].lower().startswith("sqlite_") and row[2] not in shadows and not (replica and row[2] in TABLES)
    ]  # what SQLite makes by itself has no text, or a name that nobody else may use


def tables(connection: apsw.Connection) -> list[Table]:
    """Every table whose rows are to be carried, in the order in which they were made."""
    return [_table(connection, each) for each in objects(connection) if each.kind == "table"]


def _table_list(connection: apsw.Connection) -> list[tuple[str, str]]:
    rows: list[Any] = connection.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main'").fetchall()
    return rows


def _table(connection: apsw.Connection, made: Object) -> Table:
    try:
        columns: list[Any] = connection.execute(
            "SELECT name, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid", (made.name,)
        ).fetchall()
    except apsw.SQLError:
        if not _VIRTUAL.match(made.sql):
            raise
        return _virtual(made, ())  # of a module that this build lacks
    if _kind(connection, made.name) == "virtual":
        return _virtual(made, tuple(name for name, _, hidden in columns if hidden == 0))
    return ordinary(connection, made.name, made.sql)


def ordinary(connection: apsw.Connection, name: str, sql: str = "") -> Table:
    """How the rows of a table that is not virtual are carried; it may be one that a virtual table is made of."""
    facts = TableFacts(connection, name, sql)
    if facts.without_rowid:
        return Table(
            name, WITHOUT_ROWID, facts.columns, tuple(facts.columns[place] for place in facts.key), facts.problem
        )
    if not facts.hidden_rowid:
        return Table(name, ROWS, facts.columns, (facts.columns[facts.key[0]],))
    return Table(name, ROWS, (facts.rowid, *facts.columns), (facts.rowid,), facts.problem)


def _kind(connection: apsw.Connection, name: str) -> str:
    sql = "SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?"
    return str(connection.execute(sql, (name,)).fetchall()[0][0])


def _virtual(made: Object, columns: tuple[str, ...]) -> Table:
    found = _MODULE.search(made.sql)
    module = found[1].lower() if found else ""
    if module.startswith("rtree"):
        return Table(made.name, VIRTUAL, columns, columns[:1], module=module)
    options = {name.lower(): value.strip("\"' ") for name, value in _OPTION.findall(made.sql)}
    return Table(
        made.name,
        VIRTUAL,
        ("rowid", *columns),
        ("rowid",),
        module=module,
        content=options.get("content"),
        language="languageid" in options,
    )


def shadow_tables(connection: apsw.Connection, table: str) -> list[str]:
    """The ordinary tables in which a virtual table keeps what it holds."""
    prefix = f"{table}_".lower()
    return sorted(
        name for name, kind in _table_list(connection) if kind == "shadow" and name.lower().startswith(prefix)
    )


def settings(connection: apsw.Connection, table: Table) -> Iterator[tuple[str, object]]:
    """What a full-text table of version 5 was told to do differently from its defaults."""
    if table.module == "fts5":
        rows = connection.execute(f"SELECT k, v FROM {quoted(table.name + '_config')} WHERE k <> 'version'")  # noqa: S608
        for name, value in rows:
            yield str(name), value


def carried(table: Table) -> bool:
    """Can a virtual table of this module travel?"""
    return table.kind != VIRTUAL or table.module in MODULES
