"""Alembic's batch mode rebuilds a table, and with foreign keys on, dropping the old one deletes the rows that refer to
it ON DELETE CASCADE. So migrations run with foreign keys off, as they do on SQLite, and are checked when they commit.
"""

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from quorate.errors import ProgrammingError
from quorate.sql.tokens import quoted

_DROP = re.compile(r"\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:\"((?:[^\"]|\"\")+)\"|(\w+))\s*;?\s*$", re.IGNORECASE)
_PREFIX = "_alembic_tmp_"
_REBUILT = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = {name}"
_CHILDREN = (
    "SELECT m.name FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS k"
    " WHERE m.type = 'table' AND k.\"table\" = {name} COLLATE NOCASE AND k.on_delete <> 'NO ACTION' LIMIT 1"
)


def is_migrating() -> bool:
    """Whether Alembic is running an env.py now."""
    context: Any = sys.modules.get("alembic.context")
    if context is None:
        return False
    try:
        context.get_context()
    except Exception:  # noqa: BLE001 - whatever it says, there is none
        return False
    return True


def check_rebuild(sql: str, rows: Callable[[str], Sequence[Any]]) -> None:
    """Raises ProgrammingError where this would drop a table that batch mode has rebuilt, and with it rows of others."""
    found = _DROP.match(sql)
    if found is None:
        return
    name = found[1].replace('""', '"') if found[1] else found[2]
    if not rows(_REBUILT.format(name=_text(_PREFIX + name))):
        return
    ((on,),) = rows("PRAGMA foreign_keys")
    children = rows(_CHILDREN.format(name=_text(name))) if on else ()
    if children:
        raise ProgrammingError(
            f"to drop {quoted(name)} would delete rows of {quoted(children[0][0])}, which refer to it",
            hint='run connection.exec_driver_sql("PRAGMA foreign_keys = OFF") before the transaction of the migration',
        )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
