"""Statements that begin and end transactions and savepoints, as text: what `connection.commit()` and its like do."""

import re
from itertools import islice

from msgspec import Struct

from quorate.sql.tokens import NAME, STRING, WORD, quoted, tokens, unquoted

BEGIN, COMMIT, ROLLBACK = "BEGIN", "COMMIT", "ROLLBACK"
SAVEPOINT, RELEASE, ROLLBACK_TO = "SAVEPOINT", "RELEASE", "ROLLBACK TO"
VERBS = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"})
_MODES = ("DEFERRED", "IMMEDIATE", "EXCLUSIVE")
_LONGEST = 6
_PLAIN = re.compile(r'(SAVEPOINT|RELEASE|ROLLBACK TO) "((?:[^"]|"")*)"')


class Control(Struct, frozen=True):
    """One such statement."""

    word: str
    name: str = ""
    """Of the savepoint, in lower case; of BEGIN how: `deferred`, `immediate` or `exclusive`."""

    @property
    def sql(self) -> str:
        """The same as text, in the one form that `savepoint_of` reads."""
        return f"{self.word} {quoted(self.name)}"


def control_of(sql: str, at: int = 0) -> Control | None:
    """What the statement at this place does to a transaction; None when SQLite would not understand it."""
    found = list(islice(tokens(sql, at), _LONGEST + 1))
    while found and found[-1][1] == ";":
        found.pop()
    words = [text for _, text, _, _ in found]
    verb, rest = words[0], words[1:]
    if verb == BEGIN:
        mode = rest.pop(0) if rest and rest[0] in _MODES else _MODES[0]
        return Control(BEGIN, mode.lower()) if rest in ([], ["TRANSACTION"]) else None
    if verb in (COMMIT, "END") or (verb == ROLLBACK and "TO" not in rest):
        word = ROLLBACK if verb == ROLLBACK else COMMIT
        return Control(word) if rest in ([], ["TRANSACTION"]) else None
    word, before = verb, rest[:-1]
    if verb == ROLLBACK:
        word = ROLLBACK_TO
        before = before[1:] if before[:1] == ["TRANSACTION"] else before
        if before[:1] != ["TO"]:
            return None
        before = before[1:]
    if before not in ([], ["SAVEPOINT"] if verb != SAVEPOINT else []) or not rest:
        return None
    kind, text = found[-1][:2]
    if kind not in (WORD, NAME, STRING):
        return None
    return Control(word, unquoted(kind, text).lower())


def savepoint_of(sql: str) -> tuple[str, str] | None:
    """What a text in exactly the form of `Control.sql` does to a savepoint, and its name in lower case; None for any
    other text."""
    found = _PLAIN.fullmatch(sql)
    return None if found is None else (found[1], found[2].replace('""', '"').lower())
