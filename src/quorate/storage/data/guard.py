"""The authorizer of every connection that runs users' SQL: what a statement may not touch.

SQLite calls it while a statement is prepared, never while it runs, so it costs nothing on the hot path. Our
own statements run with `watching` off; those of users, and everything their triggers and views reach, with it on.
"""

from typing import TYPE_CHECKING

import apsw

from quorate.sql.classify import RESOLVERS
from quorate.sql.pragmas import REPLICATED, pragma_reads, refusal_of_pragma

if TYPE_CHECKING:
    from quorate.storage.execution.callbacks import Callbacks

CONFLICTS = "quorate_conflicts"
"""The table of a database with several leaders that lists conflicts, and in which they are resolved."""
TABLES = (
    "quorate_applied", "quorate_window", "quorate_controls", "quorate_versioned", "quorate_rows", "quorate_discarded",
    "quorate_resolvers", "quorate_resolving", "quorate_schema", "quorate_replica", "quorate_states", "quorate_hashes",
)  # fmt: skip
"""What a replica keeps in its data file beside what a program made."""
RESERVED = "quorate_"
"""Names that begin so belong to the replica itself."""

Refusal = tuple[str, str, str]
"""Error class, message, hint."""

MODULES = frozenset({"fts3", "fts4", "fts5", "fts5vocab", "rtree", "rtree_i32", "geopoly"})
"""Virtual tables that keep everything in ordinary tables, which is what makes them travel."""

_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "edit", "readfile", "writefile"})
_TEMP_SCHEMA = frozenset({"sqlite_temp_schema", "sqlite_temp_master"})
_STATISTICS = frozenset({"sqlite_stat1", "sqlite_stat3", "sqlite_stat4"})

_TRANSACTION: Refusal = (
    "NotSupportedError",
    "transaction control is not supported",
    "use connection.batch() for several statements at once, or transaction() on an embedded database",
)
_ATTACH: Refusal = (
    "NotSupportedError",
    "ATTACH and DETACH are not supported",
    "a connection sees one database; open another connection for another database",
)
_TEMP: Refusal = (
    "NotSupportedError",
    "temporary objects are not supported",
    "they would exist on one replica only; use an ordinary table",
)

_ALWAYS: dict[int, Refusal] = {
    apsw.SQLITE_TRANSACTION: _TRANSACTION,
    apsw.SQLITE_SAVEPOINT: _TRANSACTION,
    apsw.SQLITE_ATTACH: _ATTACH,
    apsw.SQLITE_DETACH: _ATTACH,
    apsw.SQLITE_CREATE_TEMP_TABLE: _TEMP,
    apsw.SQLITE_CREATE_TEMP_INDEX: _TEMP,
    apsw.SQLITE_CREATE_TEMP_TRIGGER: _TEMP,
    apsw.SQLITE_CREATE_TEMP_VIEW: _TEMP,
    apsw.SQLITE_DROP_TEMP_TABLE: _TEMP,
    apsw.SQLITE_DROP_TEMP_INDEX: _TEMP,
    apsw.SQLITE_DROP_TEMP_TRIGGER: _TEMP,
    apsw.SQLITE_DROP_TEMP_VIEW: _TEMP,
}
_ROWS = frozenset({apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE})
_NAMES = frozenset(
    {
        apsw.SQLITE_CREATE_TABLE, apsw.SQLITE_CREATE_INDEX, apsw.SQLITE_CREATE_TRIGGER, apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_CREATE_VTABLE, apsw.SQLITE_ALTER_TABLE, apsw.SQLITE_DROP_TABLE, apsw.SQLITE_DROP_INDEX,
        apsw.SQLITE_DROP_TRIGGER, apsw.SQLITE_DROP_VIEW, apsw.SQLITE_DROP_VTABLE,
    }
)  # fmt: skip

_CHANGES_SCHEMA = _NAMES | {apsw.SQLITE_ANALYZE, apsw.SQLITE_REINDEX}
_SCHEMA_TABLES = frozenset({"sqlite_schema", "sqlite_master"})
MORE: Refusal = (
    "ProgrammingError",
    "the statement would change more than its text says",
    "begin the text with the verb itself",
)


class Guard:
    """One connection's authorizer. `refusal` says why the last statement was refused."""

    __slots__ = ("altering", "analyzing", "callbacks", "keeps_schema", "refusal", "watching")

    def __init__(self) -> None:
        self.watching = False
        self.keeps_schema = False
        """The statement changes no schema, as far as its text says. The role that it needs was told from that, so it
        must not."""
        self.analyzing = False
        """ANALYZE itself may write the statistics that nobody else may."""
        self.altering = False
        """ALTER TABLE looks at temporary triggers too."""
        self.refusal: Refusal | None = None
        self.callbacks: Callbacks | None = None
        """What the program has defined, and no schema may contain."""

    def __call__(
        self, operation: int, one: str | None, two: str | None, database: str | None, source: str | None
    ) -> int:
        if not self.watching:
            return apsw.SQLITE_OK
        refusal = self._refuse(operation, one, two, database)
        if refusal is None and self.keeps_schema and _changes_schema(operation, one or "", two, source):
            refusal = MORE
        if refusal is None:
            return apsw.SQLITE_OK
        self.refusal = refusal
        return apsw.SQLITE_DENY

    def _refuse(self, operation: int, one: str | None, two: str | None, database: str | None) -> Refusal | None:
        if operation == apsw.SQLITE_READ:
            return _TEMP if one in _TEMP_SCHEMA and not self.altering else None
        if operation in _ALWAYS:
            return _ALWAYS[operation]
        if operation in _ROWS:
            return self._refuse_rows(one or "", database)
        if operation in _NAMES:
            return _refuse_names(operation, one or "", two or "")
        if operation == apsw.SQLITE_FUNCTION and (two or "").lower() in _FUNCTIONS:
            return "NotSupportedError", f"the function {two} is not supported", "extensions cannot be loaded"
        if operation == apsw.SQLITE_PRAGMA and not _pragma_allowed((one or "").lower(), two):
            return refusal_of_pragma(one or "")
        return None

    def _refuse_rows(self, table: str, database: str | None) -> Refusal | None:
        if database == "temp":
            return None if self.altering and table in _TEMP_SCHEMA else _TEMP
        name = table.lower()
        if name.startswith(RESERVED) and name not in (CONFLICTS, RESOLVERS):
            return "ProgrammingError", f"{table} belongs to the replica itself", "it may be read but not written"
        if name in _STATISTICS and not self.analyzing:
            return "NotSupportedError", f"{table} cannot be written directly", "run ANALYZE, which is replicated"
        return None


def _changes_schema(operation: int, one: str, two: str | None, source: str | None) -> bool:
    """Whether this changes the schema, or what counts as it; `source`: the trigger or view that does it."""
    if operation in _ROWS:
        return (source is None and one.lower() == RESOLVERS) or one.lower() in _SCHEMA_TABLES
    return operation in _CHANGES_SCHEMA or (
        operation == apsw.SQLITE_PRAGMA and two is not None and one.lower() in REPLICATED
    )


def _pragma_allowed(name: str, argument: str | None) -> bool:
    return name in REPLICATED or pragma_reads(name, argument)


def _refuse_names(operation: int, one: str, two: str) -> Refusal | None:
    if one.lower().startswith(RESERVED) or two.lower().startswith(RESERVED):
        hint = f"names that begin with {RESERVED} are reserved"
        own = one if one.lower().startswith(RESERVED) else two
        return "ProgrammingError", f"{own} belongs to the replica itself", hint
    if operation == apsw.SQLITE_CREATE_VTABLE and two.lower() not in MODULES:
        hint = "virtual tables that travel: " + ", ".join(sorted(MODULES))
        return "NotSupportedError", f"virtual tables of module {two} are not supported", hint
    return None
