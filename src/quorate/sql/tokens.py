"""SQLite's lexical rules, as far as telling statements apart needs them.

Source: SQLite's `tokenize.c` and "How SQLite tokenizes" in its documentation of the language. Comments and
blanks are dropped; text inside quotes is one token; an unterminated quote or comment runs to the end.
"""

import re
from collections.abc import Iterator

WORD, NAME, STRING, NUMBER, VARIABLE, PUNCTUATION = range(6)
"""A bare identifier or keyword; a quoted identifier; a string or blob; a number; a parameter; the rest."""

Token = tuple[int, str, int, int]
"""Kind, text (keywords and bare identifiers in upper case), first offset, offset behind it."""

_LEXICON = re.compile(
    r"""
      (?P<blank>   [ \t\n\f\r\ufeff]+ | --[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<string>  [xX]?'(?:[^']|'')*(?:'|\Z) )
    | (?P<name>    "(?:[^"]|"")*(?:"|\Z) | `(?:[^`]|``)*(?:`|\Z) | \[[^\]]*(?:\]|\Z) )
    | (?P<word>    [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
    | (?P<number>  (?:[0-9]|\.[0-9])[0-9A-Za-z_.]* )
    | (?P<variable>\?[0-9]* | [@:\#$](?:[A-Za-z0-9_$\x80-\U0010ffff]|::)+ )
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


def tokens(sql: str) -> Iterator[Token]:
    """The significant tokens of a text, in order. Never fails: what is no token is punctuation."""
    for match in _LEXICON.finditer(sql):
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
