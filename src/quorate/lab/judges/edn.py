"""A reader for EDN, the notation in which Jepsen writes histories down.

Keywords and symbols become texts without their colon, `nil` becomes None, vectors and lists become lists,
sets frozensets, maps dicts, and a tagged value the value behind its tag. Commas are blanks; comments and
`#_` discards are passed over. Where something must be hashable (a map's key, a set's element) lists become
tuples and dicts frozensets of pairs.
"""

import re
from collections.abc import Hashable, Iterator
from typing import Any

from quorate.lab.judges.history import HistoryError

_TOKEN = re.compile(
    r"""
    [\s,]+ | ;[^\n]*                                  # blanks and comments
    | (?P<open>\#\{|[\[({])
    | (?P<close>[\])}])
    | "(?P<text>(?:[^"\\]|\\.)*)"
    | (?P<discard>\#_)
    | (?P<special>\#\#-?\w+)
    | \#(?P<tag>[A-Za-z][^\s,;"()\[\]{}]*)
    | (?P<quote>[\^'`~@])
    | \\(?P<letter>[A-Za-z]+\d*|.)
    | (?P<atom>[^\s,;"()\[\]{}^`~@\\]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_INTEGER = re.compile(r"[+-]?\d+N?\Z")
_FLOAT = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?M?\Z")
_RATIO = re.compile(r"[+-]?\d+/\d+\Z")
_LETTERS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WORDS: dict[str, Any] = {"nil": None, "true": True, "false": False}
_SPECIALS = {"##Inf": float("inf"), "##-Inf": float("-inf"), "##NaN": float("nan")}
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
    place, size = 0, len(text)
    scan = _TOKEN.match
    while place < size:
        found = scan(text, place)
        if found is None or found.end() == place:
            raise HistoryError(f"not EDN at character {place}: {text[place : place + 20]!r}")
        place = found.end()
        kind = found.lastgroup
        if kind is None:
            continue
        token = found[kind]
        if kind == "open":
            stack.append(_Collection(token))
        elif kind == "close":
            if len(stack) == 1 or _CLOSING[stack[-1].opening] != token:
                raise HistoryError(f"{token!r} closes nothing at character {place - 1}")
            closed = stack.pop()
            stack[-1].add(closed.value())
        elif kind in {"discard", "tag", "quote"}:
            if token not in "'`~@":
                stack[-1].pending.append("#_" if kind in {"discard", "quote"} else "#")
        else:
            stack[-1].add(_scalar(kind, token))
        if len(stack) == 1 and stack[0].items:
            yield from stack[0].items
            stack[0].items.clear()
    if len(stack) > 1:
        raise HistoryError(f"the text ends inside {stack[-1].opening!r}")


def _scalar(kind: str, token: str) -> Any:
    if kind == "text":
        return _ESCAPE.sub(_escaped, token) if "\\" in token else token
    if kind == "special":
        return _SPECIALS.get(token, token)
    if kind == "letter":
        return _LETTERS.get(token, token)
    if token[0] == ":":
        return token[1:]
    if token in _WORDS:
        return _WORDS[token]
    if _INTEGER.match(token):
        return int(token.rstrip("N"))
    if _FLOAT.match(token):
        return float(token.rstrip("M"))
    if _RATIO.match(token):
        above, below = token.split("/")
        return int(above) / int(below) if int(below) else token
    return token


def _escaped(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)


def freeze(value: Any) -> Hashable:
    """The same value, hashable: lists become tuples, sets frozensets, dicts frozensets of pairs."""
    if isinstance(value, list | tuple):
        return tuple([freeze(item) for item in value])
    if isinstance(value, dict):
        return frozenset((freeze(key), freeze(each)) for key, each in value.items())
    if isinstance(value, set | frozenset):
        return frozenset(freeze(item) for item in value)
    return value  # type: ignore[no-any-return]
