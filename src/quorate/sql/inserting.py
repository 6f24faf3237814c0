"""INSERT statements whose rows get their number from SQLite: the same text, with the number named."""

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from quorate.sql.tokens import NAME, STRING, WORD, Token, find_closing, quoted, tokens, unquoted

ROWID_NAMES = frozenset({"rowid", "oid", "_rowid_"})
_ACTIONS = frozenset({"ABORT", "FAIL", "IGNORE", "REPLACE", "ROLLBACK"})
_NAMES = (WORD, NAME, STRING)


class Insert(Struct, frozen=True):
    """Where the parts of an INSERT of values are in its text."""

    table: str
    columns: tuple[str, ...] | None
    """Those that it names, in lower case; None: it names none."""
    names_at: int
    """The offset of the first of them, or where the list would begin."""
    rows_at: tuple[int, ...]
    """The offset of the first value of each row; none: DEFAULT VALUES."""
    ends: int
    """Where DEFAULT VALUES ends."""


class _Words:
    """The tokens of a text, one after the other."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.at = 0

    def peek(self) -> Token:
        return next(tokens(self.sql, self.at), (-1, "", len(self.sql), len(self.sql)))

    def skip(self, *words: str) -> bool:
        """Whether these came next; then they are behind us."""
        began = self.at
        for word in words:
            _, text, _, behind = self.peek()
            if text != word:
                self.at = began
                return False
            self.at = behind
        return True

    def name(self) -> str:
        """The name that comes next; empty: none does."""
        kind, text, _, behind = self.peek()
        if kind not in _NAMES:
            return ""
        self.at = behind
        return unquoted(kind, text)


@lru_cache(maxsize=1024)
def insert_of(sql: str) -> Insert | None:
    """The parts; None for anything but INSERT ... VALUES (or DEFAULT VALUES) into a table of `main`."""
    words = _Words(sql)
    if words.skip("INSERT", "OR"):
        if words.peek()[1] not in _ACTIONS:
            return None
        words.at = words.peek()[3]
    elif not words.skip("INSERT") and not words.skip("REPLACE"):
        return None
    if not words.skip("INTO"):
        return None
    table = words.name()
    if words.skip("."):
        if table.lower() != "main":
            return None
        table = words.name()
    if words.skip("AS"):
        words.name()
    names_at = words.at
    columns: tuple[str, ...] | None = None
    if words.skip("("):
        names_at = words.at
        columns = _columns(words)
        if columns is None:
            return None
    if words.skip("DEFAULT", "VALUES"):
        return Insert(table, columns, names_at, (), words.at) if columns is None else None
    if not words.skip("VALUES"):
        return None
    return Insert(table, columns, names_at, tuple(_rows(words)), 0)


def _columns(words: _Words) -> tuple[str, ...] | None:
    columns: list[str] = []
    while True:
        columns.append(words.name().lower())
        if words.skip(")"):
            return tuple(columns) if all(columns) else None
        if not words.skip(","):
            return None


def _rows(words: _Words) -> list[int]:
    rows: list[int] = []
    while words.skip("("):
        rows.append(words.at)
        words.at = find_closing(words.sql, words.at)
        if not words.skip(","):
            break
    return rows


def numbered(sql: str, insert: Insert, rowid: str, columns: Sequence[str], number: str) -> str:
    """The same INSERT, with `number` for `rowid` in each row. `columns` are those of the table that may be named."""
    if not insert.rows_at:
        return f"{sql[: insert.names_at]} ({rowid}) VALUES ({number}){sql[insert.ends :]}"
    every = f" ({', '.join([rowid, *map(quoted, columns)])})"
    named = every if insert.columns is None else f"{rowid}, "
    pieces = [sql[: insert.names_at], named]
    at = insert.names_at
    for row in insert.rows_at:
        pieces += [sql[at:row], number, ", "]
        at = row
    return "".join([*pieces, sql[at:]])
