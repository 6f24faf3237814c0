"""The settings of SQLite's that one request, or one held transaction, runs under: those of `sql.pragmas.SETTINGS`.

A migration rebuilds a table: it makes a new one, copies the rows, drops the old one and renames. With foreign keys on,
dropping the old table deletes its rows first, and with them the rows that refer to them; so a migration switches
foreign keys off. Here that holds for its transaction alone, and what it leaves is looked at before it is committed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from quorate.core.statements import Failed, Result
from quorate.sql.classify import Shape
from quorate.storage.data.connection import INTERNAL
from quorate.storage.execution.running import NOTHING
from quorate.storage.failures import RefusedError

_DEFERRING, _LEGACY = "defer_foreign_keys", "legacy_alter_table"
AS_IT_SHOULD, UNSEEN, FOLLOWED = range(3)
"""How ALTER TABLE renames (`payload.Ddl.legacy`)."""


class Pragmas:
    """What differs from what is always in force, on the writing connection."""

    __slots__ = ("_connection", "_set", "begun", "enforced", "used")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._set: set[str] = set()
        self.begun = False
        """A statement has run that is no setting."""
        self.enforced = True
        """Foreign keys are on."""
        self.used = False
        """What is done must be looked at before it is committed."""

    def run(self, shape: Shape) -> Result:
        """Carry out a SETTING. Raises RefusedError."""
        name, on = shape.setting, shape.on
        if name == "foreign_keys":
            self._enforce(on)
        elif on:
            self.used = True
            self._set.add(name)
            self._switch(name, on=True)
        elif name in self._set:
            self._set.discard(name)
            if name != _DEFERRING:  # SQLite would forget what was violated; it stays deferred, and is looked at
                self._switch(name, on=False)
        return NOTHING

    def _enforce(self, on: bool) -> None:
        if on == self.enforced or (on and self.begun):
            return  # as in SQLite, it would come too late; it is on again at the end
        if self.begun:
            raise RefusedError(
                "ProgrammingError",
                "PRAGMA foreign_keys = OFF has no effect inside a transaction",
                "give it before the transaction begins, or as the first statement of a batch",
            )
        self.enforced = on
        self.used = True
        self._connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, int(on))

    @property
    def legacy(self) -> int:
        """How ALTER TABLE renames now."""
        if _LEGACY not in self._set:
            return AS_IT_SHOULD
        return FOLLOWED if self.enforced else UNSEEN

    def problem(self) -> Failed | None:
        """What `PRAGMA foreign_key_check` finds, if anything. Raises what apsw raises."""
        found = self._connection.execute("PRAGMA main.foreign_key_check", prepare_flags=INTERNAL)
        first = next(iter(found), None)
        if first is None:
            return None
        found.close(force=True)
        table, rowid, parent, _ = first
        row = "a row" if rowid is None else f"the row {rowid}"
        message = f"FOREIGN KEY constraint failed: {row} of {table} refers to a row that {parent} does not have"
        hint = "PRAGMA foreign_key_check lists what is there already; what was changed is undone"
        return Failed("IntegrityError", message, hint, "SQLITE_CONSTRAINT_FOREIGNKEY")

    def reset(self) -> None:
        """The transaction or request is over: everything is as always."""
        self.begun = False
        if not self.used:
            return
        self.used = False
        if not self.enforced:
            self.enforced = True
            self._connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
        self._set.clear()
        for name in (_DEFERRING, _LEGACY):
            self._switch(name, on=False)

    def _switch(self, name: str, *, on: bool) -> None:
        self._connection.execute(f"PRAGMA {name}={int(on)}", prepare_flags=INTERNAL)


@contextmanager
def renaming(connection: apsw.Connection, legacy: int) -> Iterator[None]:
    """Rename as the leader did, where triggers and foreign keys are off otherwise."""
    if not legacy:
        yield
        return
    before = connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, -1)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, int(legacy == FOLLOWED))
    connection.execute(f"PRAGMA {_LEGACY}=1", prepare_flags=INTERNAL)
    try:
        yield
    finally:
        connection.execute(f"PRAGMA {_LEGACY}=0", prepare_flags=INTERNAL)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, before)
