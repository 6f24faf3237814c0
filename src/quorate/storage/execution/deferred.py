"""Whether the open transaction violates a deferred foreign key, as its COMMIT would see it.

SQLite counts violations, and COMMIT fails unless the count is 0. Where parent and child compare differently (a key
without a type, children of type INTEGER) a new parent may take away more than its children have added, and the count
falls below 0. What SQLite tells is only whether it is above. So one violation of our own is added, in a temporary
table: a count that was below 0 is not above it then.
"""

import apsw

from quorate.storage.data.connection import INTERNAL

_MAKE = (
    "CREATE TEMP TABLE quorate_orphan"
    "(id INTEGER PRIMARY KEY, parent REFERENCES quorate_orphan DEFERRABLE INITIALLY DEFERRED)"
)
_ADD = "INSERT INTO temp.quorate_orphan VALUES (1, 2)"
_TAKE_AWAY = "DELETE FROM temp.quorate_orphan"


def violated(connection: apsw.Connection, *, deferrable: bool) -> bool:
    """Whether COMMIT would fail. Foreign keys are on; `deferrable`: some may be deferred. When this is true, the
    transaction must go back to where it was not."""
    if connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0]:
        return True
    if not deferrable:
        return False
    try:
        connection.execute(_ADD, prepare_flags=INTERNAL)
    except apsw.SQLError:  # the first time, or what made it was undone
        connection.execute(_MAKE, prepare_flags=INTERNAL)
        connection.execute(_ADD, prepare_flags=INTERNAL)
    if not connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0]:
        return True
    connection.execute(_TAKE_AWAY, prepare_flags=INTERNAL)
    return False
