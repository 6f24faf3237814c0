"""What a statement does, told from its text alone: no schema, no connection, the same on every node.

The verdict decides where a statement runs and how it travels; it is not the guard. SQLite itself is asked
again when the statement is prepared: readers are query-only, and an authorizer watches every connection.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from msgspec import Struct

from quorate.sql.pragmas import ARGUMENT_READS, BARE_READS, REPLICATED, refusal_of_pragma
from quorate.sql.tokens import NAME, STRING, WORD, Token, tokens, unquoted

EMPTY, READ, CHANGE, DDL, CREATE_AS, DROP_TABLE, REFUSED = range(7)
"""Nothing; reads; changes rows; changes the schema by its text; CREATE TABLE ... AS; DROP TABLE; not allowed."""


class Shape(Struct, frozen=True):
    """What is known of one text."""

    kind: int
    sql: str
    """The first statement of the text, without what follows it."""
    rows: bool = False
    """It may return rows."""
    inserts: bool = False
    """It is an INSERT or REPLACE, so a last rowid makes sense."""
    alters: bool = False
    """It is an ALTER TABLE."""
    surplus: str = ""
    """The beginning of a second statement, which one `execute` may not have."""
    refusal: tuple[str, str, str] = ("", "", "")
    """Error class, message and hint of a REFUSED statement."""
    table: str = ""
    """CREATE_AS and DROP_TABLE: the table's name without its quotes."""
    select: int = 0
    """CREATE_AS: where in `sql` its SELECT begins."""


_TRANSACTION = "use connection.batch() for several statements at once, or transaction() on an embedded database"
_TEMP = "temporary objects would exist on one replica only; use an ordinary table"
_ATTACH = "a connection sees one database; open another connection for another database"
_REFUSED: dict[str, tuple[str, str]] = {
    "BEGIN": ("transaction control", _TRANSACTION),
    "COMMIT": ("transaction control", _TRANSACTION),
    "END": ("transaction control", _TRANSACTION),
    "ROLLBACK": ("transaction control", _TRANSACTION),
    "SAVEPOINT": ("transaction control", _TRANSACTION),
    "RELEASE": ("transaction control", _TRANSACTION),
    "ATTACH": ("ATTACH", _ATTACH),
    "DETACH": ("DETACH", _ATTACH),
    "VACUUM": ("VACUUM", "it would renumber rows differently on every replica; nodes reclaim space by themselves"),
}
_VERBS = frozenset({"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"})
_CACHED_TEXT = 8192
"""Longer texts are classified anew each time: a script of literals must not fill the cache."""


class HasText(Protocol):
    """A statement, whatever else belongs to it."""

    @property
    def sql(self) -> str: ...


def is_read(sql: str) -> bool:
    """Can this text be answered without a log entry? True too for what is refused or has no meaning: the
    reader answers with the error, and nothing needs to be logged."""
    return shape_of(sql).kind in (EMPTY, READ, REFUSED)


def reads_only(statements: Sequence[HasText]) -> bool:
    """Is every one of these a read?"""
    if len(statements) == 1:
        return is_read(statements[0].sql)
    return all(is_read(statement.sql) for statement in statements)


def shape_of(sql: str) -> Shape:
    """Classify the first statement of a text and name what follows it."""
    return _cached(sql) if len(sql) <= _CACHED_TEXT else _classify(sql)


def _classify(sql: str) -> Shape:
    if "\0" in sql:
        return Shape(REFUSED, "", refusal=("ProgrammingError", "the statement contains a NUL character", ""))
    words, end, surplus = _first_statement(sql)
    text = sql if end >= len(sql) else sql[:end]
    shape = _shape(text, words)
    if surplus < 0:
        return shape
    following = " ".join(sql[surplus : surplus + 60].split())
    return Shape(shape.kind, text, surplus=following or ";")


_cached = lru_cache(maxsize=4096)(_classify)


def _first_statement(sql: str) -> tuple[list[Token], int, int]:
    """Its tokens, the offset behind it, and where a second statement begins (-1: there is none)."""
    words: list[Token] = []
    end = len(sql)
    trigger = ended = False
    for token in tokens(sql):
        if ended:
            if token[1] != ";":
                return words, end, token[2]
        elif token[1] != ";":
            words.append(token)
            trigger = trigger or (len(words) <= 3 and token[1] == "TRIGGER" and words[0][1] == "CREATE")
        elif words and (not trigger or _closes_trigger(words)):
            end, ended = token[2], True
        elif words:
            words.append(token)
    return words, end, -1


def _closes_trigger(words: list[Token]) -> bool:
    """A trigger's body ends with `; END` and nothing else in it can look like that."""
    return len(words) > 1 and words[-1][1] == "END" and words[-2][1] == ";"


def _shape(sql: str, words: list[Token]) -> Shape:
    if not words:
        return Shape(EMPTY, sql)
    verb = words[0][1]
    if verb in ("SELECT", "VALUES", "EXPLAIN"):
        return Shape(READ, sql, rows=True)
    if verb == "WITH":
        verb = _verb_of_with(words)
        if verb in ("SELECT", "VALUES"):
            return Shape(READ, sql, rows=True)
    if verb in ("INSERT", "REPLACE", "UPDATE", "DELETE"):
        returning = any(kind == WORD and text == "RETURNING" for kind, text, _, _ in words)
        return Shape(CHANGE, sql, rows=returning, inserts=verb in ("INSERT", "REPLACE"))
    if verb == "CREATE":
        return _shape_of_create(sql, words)
    if verb == "DROP":
        return _shape_of_drop(sql, words)
    if verb in ("ALTER", "ANALYZE", "REINDEX"):
        return Shape(DDL, sql, alters=verb == "ALTER")
    if verb == "PRAGMA":
        return _shape_of_pragma(sql, words)
    if verb in _REFUSED:
        name, hint = _REFUSED[verb]
        return Shape(REFUSED, sql, refusal=("NotSupportedError", f"{name} is not supported", hint))
    return Shape(READ, sql, rows=True)  # no verb of SQLite's: the reader will say what is wrong with it


def _verb_of_with(words: list[Token]) -> str:
    """The verb behind the common table expressions: `WITH [RECURSIVE] name [(columns)] AS [..] (..), ...`.

    A table may be called `replace`, so the first verb at depth 0 is not always it.
    """
    depth = 0
    expect_name = True
    for position, (kind, text, _, _) in enumerate(words[1:], 1):
        if text == "(" and kind not in (NAME, STRING):
            depth += 1
        elif text == ")" and kind not in (NAME, STRING):
            depth -= 1
        elif depth == 0 and text == "," and kind not in (NAME, STRING):
            expect_name = True
        elif depth == 0 and expect_name:
            expect_name = position == 1 and text == "RECURSIVE"
        elif depth == 0 and kind == WORD and text in _VERBS:
            return text
    return ""


def _after_exists(words: list[Token], at: int, *phrase: str) -> int:
    """Skip `IF NOT EXISTS` or `IF EXISTS` when it stands at this place."""
    if tuple(text for _, text, _, _ in words[at : at + len(phrase)]) == phrase:
        return at + len(phrase)
    return at


def _qualified(words: list[Token], at: int) -> tuple[str, str, int]:
    """Read `[schema.]name` at this place: both, and the place behind."""
    first = unquoted(*words[at][:2]) if at < len(words) else ""
    if at + 2 < len(words) and words[at + 1][1] == ".":
        return first, unquoted(*words[at + 2][:2]), at + 3
    return "", first, at + 1


def _shape_of_create(sql: str, words: list[Token]) -> Shape:
    second = words[1][1] if len(words) > 1 else ""
    if second in ("TEMP", "TEMPORARY"):
        return Shape(REFUSED, sql, refusal=("NotSupportedError", "temporary objects are not supported", _TEMP))
    if second != "TABLE":
        return Shape(DDL, sql)
    schema, name, at = _qualified(words, _after_exists(words, 2, "IF", "NOT", "EXISTS"))
    if schema.lower() == "temp":
        return Shape(REFUSED, sql, refusal=("NotSupportedError", "temporary objects are not supported", _TEMP))
    if at + 1 < len(words) and words[at][1] == "AS" and words[at][0] == WORD:
        return Shape(CREATE_AS, sql, table=name, select=words[at + 1][2])
    return Shape(DDL, sql)


def _shape_of_drop(sql: str, words: list[Token]) -> Shape:
    if len(words) > 1 and words[1][1] == "TABLE":
        _, name, _ = _qualified(words, _after_exists(words, 2, "IF", "EXISTS"))
        return Shape(DROP_TABLE, sql, table=name)
    return Shape(DDL, sql)


def _shape_of_pragma(sql: str, words: list[Token]) -> Shape:
    _, name, at = _qualified(words, 1)
    name = name.lower()
    argument = at < len(words)
    if name in ARGUMENT_READS or (name in BARE_READS and not argument):
        return Shape(READ, sql, rows=True)
    if name in REPLICATED:
        return Shape(DDL if argument else READ, sql, rows=not argument)
    return Shape(REFUSED, sql, refusal=refusal_of_pragma(name))
