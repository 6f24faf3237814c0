"""Which row a statement is about, told from its text alone: the values that it gives for columns of one table.

Only what is plain counts: VALUES of one row, or a WHERE that is a conjunction of terms. A term `column = value` names a
value where that is a literal or a parameter.
"""

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from quorate.sql.inserting import insert_of
from quorate.sql.tokens import NAME, NUMBER, STRING, VARIABLE, WORD, Token, tokens, unquoted

_NAMES = (WORD, NAME)
_BEHIND_WHERE = frozenset({"GROUP", "ORDER", "LIMIT", "RETURNING", "WINDOW", "HAVING"})
_LOOSE = frozenset({"OR", "BETWEEN", "CASE", "UNION", "EXCEPT", "INTERSECT"})
"""Words in a WHERE, outside of parentheses, with which its terms cannot be told apart by AND."""


class Operand(Struct, frozen=True):
    """A literal, or a parameter."""

    text: str
    place: int = 0
    """Of a parameter: its number, from 1."""


class Keyed(Struct, frozen=True):
    """What a statement says of one row."""

    table: str
    """In lower case."""
    values: dict[str, Operand]
    """By column, in lower case."""
    listed: tuple[Operand | None, ...] = ()
    """Of an INSERT that names no columns: what it has for each; None: an expression."""
    alone: bool = True
    """It reads no other table, and has no other SELECT within."""


@lru_cache(maxsize=1024)
def keyed_of(sql: str) -> Keyed | None:
    """What the text says; None: it is about no single table, or is none of the statements that can be about a row."""
    every = list(tokens(sql))
    if not every:
        return None
    places = _places(every)
    words = [text if kind == WORD else "" for kind, text, _, _ in every]
    alone = words.count("SELECT") == (words[0] == "SELECT") and "WITH" not in words
    if words[0] in ("INSERT", "REPLACE"):
        return _insert(sql, every, places, alone)
    at = {"UPDATE": 1, "DELETE": 2, "SELECT": _find(every, 0, "FROM") + 1}.get(words[0], 0)
    if words[0] == "UPDATE" and words[1:2] == ["OR"]:
        at = 3
    if not at or (words[0] == "DELETE" and words[1:2] != ["FROM"]):
        return None
    table, at = _table(every, at)
    if words[at : at + 1] == ["AS"]:
        at += 2
    elif at < len(every) and every[at][0] in _NAMES and words[at] not in ("WHERE", "SET", "INDEXED", "NOT"):
        at += 1
    if words[0] == "UPDATE":
        alone = alone and _find(every, at, "FROM") < 0
        at = _find(every, at, "WHERE")
    if not table or at < 0 or words[at : at + 1] != ["WHERE"]:
        return Keyed(table, {}, alone=alone) if table else None
    return Keyed(table, _terms(every, places, at + 1), alone=alone)


def _places(every: Sequence[Token]) -> dict[int, int]:
    """The number of each parameter, by the offset of its token, as SQLite counts them."""
    places: dict[int, int] = {}
    named: dict[str, int] = {}
    last = 0
    for kind, text, start, _ in every:
        if kind == VARIABLE:
            if text == "?":
                number = last + 1
            elif text[0] == "?":
                number = int(text[1:])
            else:
                number = named.setdefault(text, last + 1)
            last = max(last, number)
            places[start] = number
    return places


def _find(every: Sequence[Token], at: int, word: str) -> int:
    """Where this word stands outside of parentheses; -1: nowhere."""
    depth = 0
    for place in range(at, len(every)):
        kind, text, _, _ = every[place]
        if kind == WORD and text == word and not depth:
            return place
        depth += (text == "(") - (text == ")") if kind not in (NAME, STRING) else 0
    return -1


def _table(every: Sequence[Token], at: int) -> tuple[str, int]:
    """The table that is named here, in `main`, and the place behind; empty: none is."""
    names: list[str] = []
    while at < len(every) and every[at][0] in (*_NAMES, STRING):
        names.append(unquoted(*every[at][:2]))
        at += 1
        if at >= len(every) or every[at][1] != ".":
            break
        at += 1
    right = len(names) == 1 or (len(names) == 2 and names[0].lower() == "main")
    return (names[-1].lower() if right else ""), at


def _terms(every: Sequence[Token], places: dict[int, int], at: int) -> dict[str, Operand]:
    values: dict[str, Operand] = {}
    term: list[Token] = []
    depth = 0
    for token in [*every[at:], (WORD, "LIMIT", 0, 0)]:
        kind, text, _, _ = token
        if kind == WORD and not depth:
            if text in _LOOSE:
                return {}
            if text == "AND" or text in _BEHIND_WHERE:
                _add(values, term, places)
                term = []
                if text != "AND":
                    return values
                continue
        if kind not in (NAME, STRING):
            if text == ";" and not depth:
                continue
            depth += (text == "(") - (text == ")")
        term.append(token)
    return values


def _add(values: dict[str, Operand], term: list[Token], places: dict[int, int]) -> None:
    """One term, if it is `column = value` or the other way round."""
    signs = [at for at, (kind, text, _, _) in enumerate(term) if text == "=" and kind not in (NAME, STRING)]
    if not signs or signs != list(range(signs[0], signs[0] + len(signs))) or len(signs) > 2:
        return
    left, right = term[: signs[0]], term[signs[-1] + 1 :]
    for name, value in ((left, right), (right, left)):
        column, found = _column(name), _operand(value, places)
        if column and found is not None:
            values.setdefault(column, found)
            return


def _column(term: Sequence[Token]) -> str:
    names = term[-1:] if len(term) in (3, 5) and all(each[1] == "." for each in term[1::2]) else term
    return unquoted(*names[0][:2]).lower() if len(names) == 1 and names[0][0] in _NAMES else ""


def _operand(term: Sequence[Token], places: dict[int, int]) -> Operand | None:
    text = "".join([each[1] for each in term])
    if len(term) == 2 and term[0][1] == "-" and term[1][0] == NUMBER:
        return Operand(text)
    if len(term) != 1:
        return None
    kind, _, start, _ = term[0]
    if kind == VARIABLE:
        return Operand(text, places[start])
    return Operand(text) if kind in (NUMBER, STRING) or text == "NULL" else None


def _insert(sql: str, every: Sequence[Token], places: dict[int, int], alone: bool) -> Keyed | None:
    insert = insert_of(sql)
    if insert is None or len(insert.rows_at) != 1:
        return None
    found: list[Operand | None] = []
    term: list[Token] = []
    depth = 0
    for token in [each for each in every if each[2] >= insert.rows_at[0]]:
        kind, text, _, _ = token
        sign = text if kind not in (NAME, STRING) else ""
        if not depth and sign in (",", ")"):
            found.append(_operand(term, places))
            term = []
            if sign == ")":
                break
            continue
        depth += (sign == "(") - (sign == ")")
        term.append(token)
    if insert.columns is None:
        return Keyed(insert.table.lower(), {}, tuple(found), alone)
    named = zip(insert.columns, found, strict=False)
    return Keyed(insert.table.lower(), {column: each for column, each in named if each is not None}, alone=alone)
