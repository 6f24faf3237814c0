"""How connections to a data file are opened, and the modes a writing connection can be in."""

from collections.abc import Callable

import apsw

from quorate.core import limits
from quorate.storage.data import functions
from quorate.storage.data.guard import Guard
from quorate.storage.interface import Broken

SQLITE_MINIMUM = (3, 51, 3)
"""Before it, resetting the write-ahead log could corrupt a file that two connections use."""

INTERNAL = apsw.SQLITE_PREPARE_PERSISTENT
"""Our own statements are prepared with this flag. It keeps them apart from users' statements of the same text in
apsw's cache, so that what was prepared unwatched is never run for a user."""

NO_ROWID = -(1 << 63)
"""What the last rowid of a connection is set to while no row was added: 0 is a rowid like others."""

LEAD, FOLLOW, LOAD = range(3)
"""Triggers, foreign keys and CHECK on; all off, applying what others ran; an import checks CHECK alone."""

_STATEMENTS = 128
"""Prepared statements that each connection keeps. Looking for one passes all the others: with room for 256, a commit of
one row spent 1 % of its instructions on that."""

PAGE_BYTES = 2048
"""Of new files. A batch of small changes all over a table writes one page for each, three times over on the way to
three disks: pages of half of SQLite's usual size halve that, and still hold rows and keys of common sizes whole."""

_WRITER_PRAGMAS = (
    f"PRAGMA page_size={PAGE_BYTES}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cache_size=-16384",
    "PRAGMA temp_store=MEMORY",
)
_READER_PRAGMAS = ("PRAGMA query_only=ON", "PRAGMA cache_size=-8192", "PRAGMA temp_store=MEMORY")


_LIMITS = (
    (apsw.SQLITE_LIMIT_LENGTH, limits.COMPUTED_BYTES_MAX),
    (apsw.SQLITE_LIMIT_SQL_LENGTH, 4 * limits.SQL_BYTES_MAX),  # ours repeat the names of a statement's columns
    (apsw.SQLITE_LIMIT_VARIABLE_NUMBER, limits.PARAMETERS_MAX),
    (apsw.SQLITE_LIMIT_COLUMN, limits.COLUMNS_MAX),
    (apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, limits.PATTERN_BYTES_MAX),
    (apsw.SQLITE_LIMIT_EXPR_DEPTH, limits.EXPRESSION_DEPTH_MAX),
    (apsw.SQLITE_LIMIT_COMPOUND_SELECT, limits.COMPOUND_MAX),
    (apsw.SQLITE_LIMIT_TRIGGER_DEPTH, limits.TRIGGER_DEPTH_MAX),
)


def check_sqlite() -> None:
    """Refuse a SQLite that cannot be trusted with these files. Raises Broken."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SQLITE_MINIMUM:
        wanted = ".".join(map(str, SQLITE_MINIMUM))
        raise Broken(f"SQLite {apsw.sqlite_lib_version()} is too old: {wanted} or newer is needed")


def open_writer(path: str, guard: Guard, vfs: str | None = None) -> apsw.Connection:
    """The one connection that writes and checkpoints. It starts in FOLLOW mode."""
    connection = apsw.Connection(
        path,
        statementcachesize=_STATEMENTS,
        vfs="memdb" if path.startswith("file:/quorate-memory-") else vfs,
        flags=_FLAGS,
    )
    for pragma in _WRITER_PRAGMAS:
        connection.execute(pragma, can_cache=False)
    set_mode(connection, FOLLOW)
    _prepare(connection, guard)
    return connection


def open_reader(path: str, guard: Guard, vfs: str | None = None) -> apsw.Connection:
    """A connection that cannot write and leaves the write-ahead log alone when it closes."""
    connection = apsw.Connection(
        path, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX, vfs=vfs, statementcachesize=_STATEMENTS
    )
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)  # it enforces nothing here, but says the truth when asked
    connection.wal_autocheckpoint(0)
    for pragma in _READER_PRAGMAS:
        connection.execute(pragma, can_cache=False)
    _prepare(connection, guard)
    return connection


def open_checkpointer(path: str, vfs: str | None = None) -> apsw.Connection:
    """A connection that only ever folds the write-ahead log into the file."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.wal_autocheckpoint(0)
    connection.execute("PRAGMA synchronous=NORMAL").fetchall()
    return connection


_FLAGS = (
    apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_NOMUTEX
)  # fmt: skip


def _prepare(connection: apsw.Connection, guard: Guard) -> None:
    connection.set_busy_timeout(5000)
    for what, most in _LIMITS:
        connection.limit(what, most)
    functions.install(connection)
    connection.authorizer = guard


def limit_rows(connection: apsw.Connection, bytes_max: int) -> None:
    """What one value or row may have from here on: callers' writes ROW_BYTES_MAX, all else COMPUTED_BYTES_MAX."""
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, bytes_max)


def set_mode(connection: apsw.Connection, mode: int) -> None:
    """Switch triggers, foreign keys and CHECK. Works inside a transaction, where PRAGMA foreign_keys does nothing."""
    enabled = int(mode == LEAD)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, enabled)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, enabled)
    connection.execute(f"PRAGMA ignore_check_constraints={int(mode == FOLLOW)}", prepare_flags=INTERNAL)


def isolate_counters(connection: apsw.Connection, base: Callable[[], int]) -> None:
    """Make `changes()` and `total_changes()` count from `base()`, the connection's total when the current request
    began, so that one caller of a batch does not see another's; and `last_insert_rowid()` say 0 before its first."""

    def changes(*_: object) -> int:
        return connection.changes() if connection.total_changes() != base() else 0

    def total_changes(*_: object) -> int:
        return connection.total_changes() - base()

    def last_insert_rowid(*_: object) -> int:
        rowid = connection.last_insert_rowid()
        return 0 if rowid == NO_ROWID else rowid

    for name, function in (
        ("changes", changes),
        ("total_changes", total_changes),
        ("last_insert_rowid", last_insert_rowid),
    ):
        connection.create_scalar_function(name, function, 0, flags=apsw.SQLITE_INNOCUOUS)
