"""A database as a script of SQL, as `sqlite3` writes it, and scripts as what is to be run: no input, no output."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from quorate import errors
from quorate.client.checks import check_text
from quorate.core.statements import Result, Statement
from quorate.sql.classify import shape_of, statements_of
from quorate.sql.control import BEGIN, COMMIT, ROLLBACK
from quorate.sql.tokens import quoted

SCHEMA = (
    Statement(
        "SELECT m.name, m.sql, l.type, i.name FROM sqlite_master AS m JOIN pragma_table_list AS l"
        " ON l.schema = 'main' AND l.name = m.name LEFT JOIN pragma_table_info(m.name) AS i"
        " WHERE m.type = 'table' AND m.sql NOT NULL AND l.type IN ('table', 'virtual') ORDER BY m.name, i.cid"
    ),
    Statement(
        "SELECT sql FROM sqlite_master WHERE sql NOT NULL AND type IN ('index', 'trigger', 'view')"
        " ORDER BY type = 'trigger', rootpage, name"
    ),
)
"""Tables with their columns; then what is made behind them."""
_SEQUENCES = "sqlite_sequence"
TRIES = 5
CHANGING = f"the schema has changed {TRIES} times while it was read"


def check_script(script: object) -> str:
    """The text of a script. Raises ProgrammingError."""
    return check_text(script, "a script")


def requests_of(script: str) -> Iterator[tuple[Statement, ...]]:
    """What is to be run, one request after the other: each statement by itself, and all between BEGIN and COMMIT
    together. Raises ProgrammingError for a transaction that does not end."""
    open_: list[Statement] | None = None
    for sql in statements_of(script):
        control = shape_of(sql).control
        word = control.word if control is not None else ""
        if word == BEGIN and open_ is None:
            open_ = []
        elif word in (COMMIT, ROLLBACK) and open_ is not None:
            if word == COMMIT and open_:
                yield tuple(open_)
            open_ = None
        elif open_ is not None:
            open_.append(Statement(sql))
        else:
            yield (Statement(sql),)
    if open_ is not None:
        raise errors.ProgrammingError("the script has a BEGIN without a COMMIT", hint="nothing behind it was done")


def contents_of(tables: Result) -> tuple[Statement, ...]:
    """What reads the rows of all tables as INSERTs."""
    return tuple(Statement(_rows_of(name, columns)) for name, _, columns in _tables(tables))


def _tables(tables: Result) -> Iterator[tuple[str, str, list[str]]]:
    rows: Any = tables.rows
    for (name, sql), columns in groupby(rows, lambda row: row[:2]):
        if name == _SEQUENCES or not name.startswith("sqlite_"):
            yield name, sql, [column for *_, column in columns]


def _rows_of(name: str, columns: Sequence[str]) -> str:
    values = "||','||".join(f"quote({quoted(column)})" for column in columns)
    table = quoted(name).replace("'", "''")
    return f"SELECT 'INSERT INTO {table} VALUES('||{values}||')' FROM {quoted(name)}"  # noqa: S608 - names are quoted


def lines_of(schema: Sequence[Result], contents: Sequence[Result]) -> Iterator[str]:
    """The script, line by line. All tables come first, and foreign keys are looked at when it is committed, so rows
    may come in any order."""
    yield "BEGIN TRANSACTION;"
    yield "PRAGMA defer_foreign_keys=ON;"
    inserts: list[str] = []
    numbers: list[str] = []
    for (name, sql, _), found in zip(_tables(schema[0]), contents, strict=True):
        rows = [f"{row[0]!s};" for row in found.rows]
        if name == _SEQUENCES:
            numbers = [f"DELETE FROM {_SEQUENCES};", *rows]  # noqa: S608 - a name of SQLite's
            continue
        yield f"{sql};"
        inserts += rows
    yield from inserts
    yield from (f"{row[0]!s};" for row in schema[1].rows)
    yield from numbers
    yield "COMMIT;"
