"""A reader for EDN, the notation in which Jepsen writes histories down.

Keywords and symbols become texts without their colon, `nil` becomes None, vectors and lists become lists,
sets frozensets, maps dicts, and a tagged value the value behind its tag (as in `#:space{}`). Commas are
blanks; comments and `#_` discards are passed over. Where something must be hashable (a map's key, a set's
element) lists become tuples and dicts `Map`s.
"""

import re
from collections.abc import Iterator
from typing import Any

from quorate.lab.judges.history import HistoryError
from quorate.lab.judges.values import FALSE, TRUE, Real, freeze

_TOKEN = re.compile(
    r"""
    (?:[\s,]+|;[^\n]*)*                              # blanks and comments
    (?: (?P<open>\#\{|[\[({])
    | (?P<close>[\])}])
    | "(?P<text>(?:[^"\\]|\\.)*)"
    | (?P<discard>\#_)
    | (?P<special>\#\#-?\w+)
    | \#(?P<tag>:{0,2}[A-Za-z][^\s,;"()\[\]{}]*|::(?=\{))
    | (?P<quote>[\^'`~@])
    | \\(?P<letter>u[0-9a-fA-F]{4}|o[0-7]{1,3}|[A-Za-z]+|.)
    | (?P<atom>[^\s,;"()\[\]{}^`~@\\]+)
    | (?P<bad>.)
    | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CODE = re.compile(r"(?:u[0-9a-fA-F]{4}|o[0-7]{1,3})\Z")
_INTEGER = re.compile(r"[+-]?\d+N?\Z")
_FLOAT = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?M?\Z")
_RATIO = re.compile(r"[+-]?\d+/\d+\Z")
_LETTERS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WORDS: dict[str, Any] = {"nil": None, "true": TRUE, "false": FALSE}
_SPECIALS = {"##Inf": Real("inf"), "##-Inf": Real("-inf"), "##NaN": Real("nan")}
_DIGITS_MAX = 4_000
_CLOSING = {"[": "]", "(": ")", "{": "}", "#{": "}"}


class _Collection:
    """A vector, list, set or map that is still open."""

    __slots__ = ("items", "opening", "pending")

    def __init__(self, opening: str) -> None:
        self.opening = opening
        self.items: list[Any] = []
        self.pending: list[str] = []
        """What waits for the next value: "#_" to drop it, "^" to drop it and mean the one after, "#" a tag."""

    def add(self, value: Any) -> None:
        """One more value, unless something before it asked for it to be dropped."""
        while self.pending and self.pending[-1] == "#":
            self.pending.pop()
        if self.pending:
            self.pending.pop()
            return
        self.items.append(value)

    def value(self) -> Any:
        """What the collection is, now that it is closed. Raises HistoryError."""
        if self.opening == "#{":
            return frozenset(freeze(item) for item in self.items)
        if self.opening == "{":
            if len(self.items) % 2:
                raise HistoryError("a map with a key and no value")
            return {freeze(key): value for key, value in zip(self.items[::2], self.items[1::2], strict=True)}
        return self.items


def read_all(text: str) -> Iterator[Any]:
    """Every value of the text, one after another. Raises HistoryError."""
    stack = [_Collection("")]
    top = stack[0]
    atoms: dict[str, Any] = {}
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup
        if kind is None:
            continue
        piece = found[kind]
        if kind == "atom":
            if piece not in atoms:
                atoms[piece] = _scalar(kind, piece)
            if top.pending:
                top.add(atoms[piece])
            else:
                top.items.append(atoms[piece])
        elif kind == "open":
            top = _Collection(piece)
            stack.append(top)
        elif kind == "close":
            if len(stack) == 1 or _CLOSING[top.opening] != piece:
                raise HistoryError(f"{piece!r} closes nothing at character {found.start(kind)}")
            closed = stack.pop()
            top = stack[-1]
            top.add(closed.value())
        elif kind in {"discard", "tag", "quote"}:
            if piece not in "'`~@":
                top.pending.append("#_" if kind in {"discard", "quote"} else "#")
        elif kind == "bad":
            place = found.start(kind)
            raise HistoryError(f"not EDN at character {place}: {text[place : place + 20]!r}")
        else:
            top.add(_scalar(kind, piece))
        if len(stack) == 1 and top.items:
            yield from top.items
            top.items.clear()
    if len(stack) > 1:
        raise HistoryError(f"the text ends inside {top.opening!r}")


def _scalar(kind: str, piece: str) -> Any:
    if kind == "text":
        return _whole(_ESCAPE.sub(_escaped, piece)) if "\\" in piece else piece
    if kind == "special":
        return _SPECIALS.get(piece, piece)
    if kind == "letter":
        code = _CODE.match(piece)
        if code:
            return _whole(chr(int(piece[1:], 16 if piece[0] == "u" else 8)))
        return _LETTERS.get(piece, piece)
    if piece[0] == ":":
        return piece[1:]
    if piece in _WORDS:
        return _WORDS[piece]
    if len(piece) > _DIGITS_MAX:
        raise HistoryError(f"a number or name of {len(piece):,} characters: {piece[:20]!r}...")
    if _INTEGER.match(piece):
        return int(piece.rstrip("N"))
    if _FLOAT.match(piece):
        return Real(piece.rstrip("M"))
    if _RATIO.match(piece):
        above, below = piece.split("/")
        try:
            return Real(int(above) / int(below))
        except (OverflowError, ZeroDivisionError):
            return piece
    return piece


def _whole(text: str) -> str:
    """Halves of a character beyond 16 bits become that character, and lone halves a replacement."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _escaped(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)
