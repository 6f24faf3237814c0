"""What a statement does, told from its text alone: no schema, no connection, the same on every node.

The verdict decides where a statement runs and how it travels; it is not the guard. SQLite itself is asked
again when the statement is prepared: readers are query-only, and an authorizer watches every connection.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final, Protocol

from msgspec import Struct

from quorate.sql.control import VERBS, Control, control_of
from quorate.sql.hiding import table_list, without_ours
from quorate.sql.pragmas import ARGUMENT_READS, BARE_READS, REPLICATED, SETTINGS, in_force, is_on, refusal_of_pragma
from quorate.sql.tokens import (
    NAME,
    STRING,
    WORD,
    Token,
    behind_nothing,
    find_closing,
    find_end,
    find_trigger_end,
    tokens,
    unquoted,
)

TEXT_BYTES_MAX: Final = 8 << 20
"""A longer statement (UTF-8) is refused before it is looked at."""

EMPTY, READ, CHANGE, DDL, CREATE_AS, DROP_TABLE, REFUSED, SETTING = range(8)
"""Nothing; reads; changes rows; changes the schema by its text; CREATE TABLE ... AS; DROP TABLE; not allowed; sets what
holds for one transaction (`pragmas.SETTINGS`)."""
_READS = (EMPTY, READ, REFUSED, SETTING)


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
    replaced: bool = False
    """`sql` is not what was written, but a SELECT that gives what it would."""
    surplus: str = ""
    """The beginning of a second statement, which one `execute` may not have."""
    refusal: tuple[str, str, str] = ("", "", "")
    """Error class, message and hint of a REFUSED statement."""
    table: str = ""
    """CREATE_AS and DROP_TABLE: the table's name without its quotes."""
    control: Control | None = None
    """What a REFUSED statement would do to a transaction: a connection does it, and no node."""
    setting: str = ""
    """The setting that a SETTING sets, or a READ asks for."""
    on: bool = False
    """SETTING: it sets it to true."""
    select: int = 0
    """CREATE_AS: where in `sql` its SELECT begins."""


_CONTROL = (
    "NotSupportedError",
    "transaction control is not supported here",
    "use connection.batch() for several statements at once, or transaction()",
)
_TEMP = "temporary objects would exist on one replica only; use an ordinary table"
_ATTACH = "a connection sees one database; open another connection for another database"
_REFUSED: dict[str, tuple[str, str]] = {
    "ATTACH": ("ATTACH", _ATTACH),
    "DETACH": ("DETACH", _ATTACH),
    "VACUUM": ("VACUUM", "it would renumber rows differently on every replica; nodes reclaim space by themselves"),
}
_VERBS = frozenset({"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"})
_CACHED_TEXT = 8192
"""Of longer texts only the last few are remembered: a script of literals must not fill the cache."""
_PIECE = 16384
_HEAD = 10
"""Tokens at which CREATE, DROP and PRAGMA are told apart: CREATE TABLE IF NOT EXISTS main.name AS SELECT."""


class HasText(Protocol):
    """A statement, whatever else belongs to it."""

    @property
    def sql(self) -> str: ...


RESOLVERS = "quorate_resolvers"
"""The table in which a database with several leaders has the resolvers of columns: to change it changes the schema."""


def names_resolvers(sql: str) -> bool:
    """Whether this text may be about the table of resolvers, however it spells the name."""
    behind = len(RESOLVERS) - 1  # a long text is not copied as a whole
    return any(RESOLVERS in sql[at : at + _PIECE + behind].lower() for at in range(0, len(sql), _PIECE))


def travelling(sql: str) -> str:
    """The text of a change of the schema, as it travels to other replicas; empty: its rows do."""
    return "" if names_resolvers(sql) else sql


def is_read(sql: str) -> bool:
    """Can this text be answered without a log entry? True too for what is refused or has no meaning: the
    reader answers with the error, and nothing needs to be logged."""
    return shape_of(sql).kind in _READS


def reads_only(statements: Sequence[HasText]) -> bool:
    """Is every one of these a read?"""
    if len(statements) == 1:
        sql = statements[0].sql
        if len(sql) <= _CACHED_TEXT:  # `shape_of`, without the call: each read of a node comes by here
            return _cached(sql).kind in _READS
    return all(shape_of(statement.sql).kind in _READS for statement in statements)


def shape_of(sql: str) -> Shape:
    """Classify the first statement of a text and name what follows it."""
    return _cached(sql) if len(sql) <= _CACHED_TEXT else _cached_long(sql)


def statements_of(script: str) -> Iterator[str]:
    """The statements of a script, in order, without what is between them."""
    at = behind_nothing(script)
    while at < len(script):
        end, _ = find_end(script, at)
        if next(tokens(script, at))[1] == "CREATE" and _is_trigger(script, at):
            end = find_trigger_end(script, at)
        yield script[at:end]
        at = behind_nothing(script, end)


def _classify(sql: str) -> Shape:
    size = _bytes(sql)
    if size > TEXT_BYTES_MAX:
        message = f"the text of a statement has at most {TEXT_BYTES_MAX} bytes, and this one has {size}"
        hint = "pass large values as parameters, or make several statements of it"
        return Shape(REFUSED, "", refusal=("TooLarge", message, hint))
    if "\0" in sql:
        return Shape(REFUSED, "", refusal=("ProgrammingError", "the statement contains a NUL character", ""))
    at = behind_nothing(sql)
    verb = next(tokens(sql, at), None)
    if verb is None:
        return Shape(EMPTY, sql)
    end, returning = find_end(sql, at)
    if verb[1] == "CREATE" and _is_trigger(sql, at):
        end = find_trigger_end(sql, at)
    text = sql if end >= len(sql) else sql[:end]
    shape = _shape(text, verb[1], at, returning)
    surplus = behind_nothing(sql, end)
    if surplus == len(sql):
        return shape
    following = " ".join(sql[surplus : surplus + 60].split())
    return Shape(shape.kind, text, surplus=following or ";")


_cached = lru_cache(maxsize=4096)(_classify)
_cached_long = lru_cache(maxsize=2)(_classify)


def _bytes(sql: str) -> int:
    """The length in UTF-8; of a text that is too long anyway only its characters are counted."""
    if sql.isascii() or len(sql) > TEXT_BYTES_MAX:
        return len(sql)
    return len(sql.encode(errors="surrogatepass"))


def _is_trigger(sql: str, at: int) -> bool:
    """Is this CREATE [TEMP] TRIGGER?"""
    words = [text for _, text, _, _ in islice(tokens(sql, at), 1, 3)]
    return words[:1] == ["TRIGGER"] or (words[:1] != [";"] and words[1:] == ["TRIGGER"])


def _shape(sql: str, verb: str, at: int, returning: bool) -> Shape:
    """The shape of a text that is one statement; `at`: where its first token begins."""
    if verb == "WITH":
        verb = _verb_of_with(sql, at) or verb
    if verb in ("SELECT", "VALUES", "EXPLAIN"):
        shown = without_ours(sql)
        return Shape(READ, shown, rows=True, replaced=shown is not sql)
    if verb in ("INSERT", "REPLACE", "UPDATE", "DELETE") and names_resolvers(sql):
        return Shape(DDL, sql)
    if verb in ("INSERT", "REPLACE", "UPDATE", "DELETE"):
        return Shape(CHANGE, sql, rows=returning, inserts=verb in ("INSERT", "REPLACE"))
    if verb in ("ALTER", "ANALYZE", "REINDEX"):
        return Shape(DDL, sql, alters=verb == "ALTER")
    if verb in ("CREATE", "DROP", "PRAGMA"):
        words = list(islice(tokens(sql, at), _HEAD))
        if verb == "CREATE":
            return _shape_of_create(sql, words)
        return _shape_of_drop(sql, words) if verb == "DROP" else _shape_of_pragma(sql, words)
    if verb in VERBS:
        control = control_of(sql, at)
        if control is None:
            return Shape(REFUSED, sql, refusal=("ProgrammingError", f"syntax error in {verb}", ""))
        return Shape(REFUSED, sql, refusal=_CONTROL, control=control)
    if verb in _REFUSED:
        name, hint = _REFUSED[verb]
        return Shape(REFUSED, sql, refusal=("NotSupportedError", f"{name} is not supported", hint))
    return Shape(READ, sql, rows=True)  # no verb of SQLite's: the reader will say what is wrong with it


def _verb_of_with(sql: str, at: int) -> str:
    """The verb behind the common table expressions: `WITH [RECURSIVE] name [(columns)] AS [..] (..), ...`.

    A table may be called `replace`, so the first verb outside of parentheses is not always it.
    """
    _, _, _, at = next(tokens(sql, at))
    expect_name, place = True, 0
    while token := next(tokens(sql, at), None):
        kind, text, _, at = token
        place += 1
        marks = kind not in (NAME, STRING)
        if marks and text == "(":
            at = find_closing(sql, at)
        elif marks and text == ")":
            break
        elif marks and text == ",":
            expect_name = True
        elif expect_name:
            expect_name = place == 1 and text == "RECURSIVE"
        elif kind == WORD and text in _VERBS:
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
    schema, name, at = _qualified(words, 1)
    name = name.lower()
    argument = at < len(words)
    if name == "table_list":
        table = unquoted(*words[at + 1][:2]) if len(words) > at + 1 else ""
        return Shape(READ, table_list(schema, table), rows=True, replaced=True)
    if name in ARGUMENT_READS or (name in BARE_READS and not argument):
        return Shape(READ, sql, rows=True, setting=name if name in SETTINGS else "")
    if name in REPLICATED:
        return Shape(DDL if argument else READ, sql, rows=not argument)
    signs = "".join(text for _, text, _, _ in (words[at : at + 1] + words[at + 2 :]))
    value = unquoted(*words[at + 1][:2]) if signs in ("=", "()") and len(words) > at + 1 else ""
    if name in SETTINGS and value:
        return Shape(SETTING, sql, setting=name, on=is_on(value))
    answer = in_force(name, value) if value else ""
    if answer:
        return Shape(READ, answer, rows=True, replaced=True)
    return Shape(REFUSED, sql, refusal=refusal_of_pragma(name))
