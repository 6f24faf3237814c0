"""SQLite's lexical rules, as far as telling statements apart needs them.

Source: SQLite's `tokenize.c` and "How SQLite tokenizes" in its documentation of the language. Comments and
blanks are dropped; text inside quotes is one token; an unterminated quote or comment runs to the end.
"""

import re
from collections.abc import Iterator
from functools import reduce

WORD, NAME, STRING, NUMBER, VARIABLE, PUNCTUATION = range(6)
"""A bare identifier or keyword; a quoted identifier; a string or blob; a number; a parameter; the rest."""

Token = tuple[int, str, int, int]
"""Kind, text (keywords and bare identifiers in upper case), first offset, offset behind it."""

_NOT_IN_WORD = r"\x00-#%-/:-@\[-^`{-\x7f"  # what is not ASCII is: said so, the patterns compile ten times faster
_WORD = rf"[^$0-9{_NOT_IN_WORD}][^{_NOT_IN_WORD}]*+"
_STRING = r"'(?:[^']++|'')*+(?:'|\Z)"
_NAME = r'"(?:[^"]++|"")*+(?:"|\Z) | `(?:[^`]++|``)*+(?:`|\Z) | \[[^\]]*+(?:\]|\Z)'
_COMMENT = r"--[^\n]*+ | /\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z)"
_VARIABLE = rf"\?[0-9]*+ | [@:\#$](?:[^{_NOT_IN_WORD}]|::)++"
# Everything that repeats is possessive (`++`, `*+`): nothing has to be remembered in case it must be tried again, so
# that megabytes are passed in one go, in time that grows with them and without memory.
_LEXICON = re.compile(
    rf"""
      (?P<blank>   (?: [ \t\n\f\r\ufeff]++ | {_COMMENT} )++ )
    | (?P<string>  [xX]?{_STRING} )
    | (?P<name>    {_NAME} )
    | (?P<word>    {_WORD} )
    | (?P<number>  (?:[0-9]|\.[0-9])[0-9A-Za-z_.]*+ )
    | (?P<variable>{_VARIABLE} )
    | (?P<mark>    . )
    """,
    re.VERBOSE | re.DOTALL,
)
_KINDS = {
    "string": STRING,
    "name": NAME,
    "word": WORD,
    "number": NUMBER,
    "variable": VARIABLE,
    "mark": PUNCTUATION,
}


def _pieces(stops: str, word: str = _WORD) -> str:
    """What may come before a mark of `stops`, or before a word that `word` does not match."""
    marks = "".join(each for each in "(;)" if each not in stops)
    return rf"""[ \t\n\f\r\ufeff,=+*<>|&%~!.0-9{marks}]++ | {_STRING} | {word} | {_NAME} | {_COMMENT} | {_VARIABLE}
                | \$ | (?![{stops}])[{_NOT_IN_WORD}]"""


def _stretch(pieces: str) -> re.Pattern[str]:
    return re.compile(rf"(?: {pieces} )*+", re.VERBOSE)


_RETURNING = r"[rR][eE][tT][uU][rR][nN][iI][nN][gG]"
_TO_END = _stretch(_pieces(";"))
_TO_RETURNING = _stretch(_pieces(";", rf"(?!{_RETURNING}(?![^{_NOT_IN_WORD}])){_WORD}"))
_BLANKS = rf"(?: [ \t\n\f\r\ufeff]++ | {_COMMENT} )*+"
_TO_BODY_END = _stretch(rf"{_pieces(';')} | ;(?! {_BLANKS} [eE][nN][dD] {_BLANKS} (?: ;|\Z ) )")
_TO_PARENTHESIS = _stretch(reduce(lambda inner, _: rf"{_pieces('()')} | \((?: {inner} )*+\)", range(3), _pieces("()")))
_NOTHING = _stretch(rf"[ \t\n\f\r\ufeff;]++ | {_COMMENT}")
_DEEPEST = 2_500
"""SQLite nests nothing deeper."""


def behind_nothing(sql: str, at: int = 0) -> int:
    """The offset of the first token that is no semicolon; the text's length when there is none."""
    found = _NOTHING.match(sql, at)
    assert found is not None
    return found.end()


def find_end(sql: str, at: int) -> tuple[int, bool]:
    """Where the statement at this place ends (the offset of its semicolon, or the text's length), and whether the word
    RETURNING is in it. Takes no note of the semicolons inside a trigger."""
    returning = False
    pattern = _TO_RETURNING
    while True:
        found = pattern.match(sql, at)
        assert found is not None
        at = found.end()
        if at == len(sql) or sql[at] == ";":
            return at, returning
        returning, pattern = True, _TO_END


def find_trigger_end(sql: str, at: int) -> int:
    """Where a CREATE TRIGGER ends: its body does with `; END`, and nothing else in it can look like that."""
    found = _TO_BODY_END.match(sql, at)
    assert found is not None
    return find_end(sql, min(found.end() + 1, len(sql)))[0]


def find_closing(sql: str, at: int) -> int:
    """The offset behind the parenthesis that closes the one before this place; the text's length if none does."""
    depth = 1
    while depth:
        found = _TO_PARENTHESIS.match(sql, at)
        assert found is not None
        at = found.end()
        if at == len(sql) or depth > _DEEPEST:
            return len(sql)
        depth += 1 if sql[at] == "(" else -1
        at += 1
    return at


def tokens(sql: str, at: int = 0) -> Iterator[Token]:
    """The significant tokens of a text from a place on, in order. Never fails: what is no token is punctuation."""
    for match in _LEXICON.finditer(sql, at):
        group = match.lastgroup
        if group == "blank" or group is None:
            continue
        text = match.group()
        if group == "word" and text.isascii():  # upper() would turn a dotless i into a keyword's letter
            text = text.upper()
        yield _KINDS[group], text, match.start(), match.end()


def unquoted(kind: int, text: str) -> str:
    """The identifier that a token names, without its quotes."""
    if kind == NAME:
        closing = "]" if text[0] == "[" else text[0]
        inner = text[1:-1] if len(text) > 1 and text[-1] == closing else text[1:]
        return inner if closing == "]" else inner.replace(closing * 2, closing)
    if kind == STRING:  # SQLite lets a string stand where only an identifier makes sense
        return text[1:-1].replace("''", "'")
    return text


def quoted(name: str) -> str:
    """An identifier, quoted so that it is nothing else."""
    return '"' + name.replace('"', '""') + '"'
