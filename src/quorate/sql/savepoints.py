"""Savepoints of a transaction, as its client writes them down: `SAVEPOINT "name"`, and so on."""

import re

SAVEPOINT, RELEASE, ROLLBACK_TO = "SAVEPOINT", "RELEASE", "ROLLBACK TO"
_TEXT = re.compile(r'(SAVEPOINT|RELEASE|ROLLBACK TO) "((?:[^"]|"")*)"')


def savepoint_of(sql: str) -> tuple[str, str] | None:
    """What a text in exactly this form does, and the name in lower case; None for any other text."""
    found = _TEXT.fullmatch(sql)
    return None if found is None else (found[1], found[2].replace('""', '"').lower())
