"""The replica's own two tables in its data file: where it stands, and what it remembers of requests."""

import functools
from pathlib import Path
from typing import Any

import apsw

from quorate.core.entries import ORIGIN, Entry, Position
from quorate.core.formats import DATA_FILE
from quorate.storage.data.connection import INTERNAL, PAGE_BYTES
from quorate.storage.data.window import Window
from quorate.storage.files import SYSTEM, Files, told_apart
from quorate.storage.interface import Divergent
from quorate.storage.rows.payload import decode_records

FORMAT = DATA_FILE.highest
SCHEMA = (
    (
        "CREATE TABLE quorate_applied(id INTEGER PRIMARY KEY CHECK(id = 1), format INTEGER NOT NULL,"
        " epoch INTEGER NOT NULL, entry INTEGER NOT NULL, floor INTEGER NOT NULL) STRICT"
    ),
    "CREATE TABLE quorate_window(entry INTEGER PRIMARY KEY, records BLOB NOT NULL) STRICT",
    f"INSERT INTO quorate_applied VALUES (1, {FORMAT}, 0, 0, 0)",  # noqa: S608 - a constant
)


UNFINISHED = ".new"
"""What the name of a data file ends in until it is complete."""
_VERSIONS = slice(18, 20)
"""In the header of a database file: the versions that may write and read it, 2 for those that know WAL."""


@functools.cache
def _empty() -> bytes:
    """The bytes of a data file at ORIGIN."""
    connection = apsw.Connection(":memory:")
    try:
        for sql in (f"PRAGMA page_size={PAGE_BYTES}", *SCHEMA):
            connection.execute(sql).fetchall()
        image = bytearray(connection.serialize("main"))
    finally:
        connection.close()
    image[_VERSIONS] = b"\x02\x02"
    return bytes(image)


def create(path: Path, files: Files = SYSTEM) -> None:
    """Write an empty data file, durably, under its name only when it is complete. The name itself is durable no
    later than the first checkpoint, which is when the file is first relied upon. Raises DiskIsFull or Broken.

    SQLite would do the same with four files and a dozen syncs: 13 ms instead of 0.3.
    """
    beside = path.with_name(path.name + UNFINISHED)
    files.remove(beside)
    with told_apart(f"writing {beside.name}"):
        files.append(beside, _empty())
    files.sync(beside)
    files.replace(beside, path)


def open_closed(path: Path, files: Files = SYSTEM) -> apsw.Connection:
    """Open a data file that nobody has open, to read it and leave everything as it is."""
    beside = path.with_name(path.name + "-wal")
    if files.size(beside) > 0:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=files.vfs)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return connection
    # Nothing but the file: no need for a log of its own, nor an index of it.
    name = f"{path.absolute().as_uri()}?immutable=1"
    return apsw.Connection(name, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs=files.vfs)


def standing_of(path: Path, files: Files = SYSTEM) -> tuple[Position, tuple[Entry, ...]]:
    """Where a data file stands that nobody has open, and the control entries it keeps. Leaves everything as it is.

    Raises Divergent, DiskIsFull or Broken.
    """
    if files.size(path) == 0:  # an empty database; its log, if there is one, belongs to something that is gone
        return ORIGIN, ()
    connection = open_closed(path, files)
    try:
        return _read_applied(connection)[0], read_controls(connection)
    finally:
        connection.close()


def open_tables(connection: apsw.Connection) -> tuple[Position, int]:
    """Create the tables in an empty file, or read where a replica stands: its position and its window's floor.

    Raises Divergent when the file is something else or of a format that is not known here.
    """
    names = [name for (name,) in connection.execute("SELECT name FROM main.sqlite_schema LIMIT 3", can_cache=False)]
    if not names:
        connection.execute("BEGIN IMMEDIATE")
        for sql in SCHEMA:
            connection.execute(sql, can_cache=False)
        connection.execute("COMMIT")
        return ORIGIN, 0
    return _read_applied(connection)


def _read_applied(connection: apsw.Connection) -> tuple[Position, int]:
    try:
        rows: list[Any] = connection.execute("SELECT format, epoch, entry, floor FROM main.quorate_applied").fetchall()
    except apsw.SQLError as error:
        raise Divergent("the file is not a replica's data file") from error
    if len(rows) != 1 or rows[0][0] not in DATA_FILE:
        raise Divergent(f"the data file has a format that is not known here: {rows}")
    _, epoch, entry, floor = rows[0]
    return Position(epoch, entry), floor


CONTROLS_TABLE = (
    "CREATE TABLE IF NOT EXISTS main.quorate_controls(entry INTEGER PRIMARY KEY, epoch INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, payload BLOB NOT NULL) STRICT"
)
"""The control entries that were applied, as they were: only the replication understands them. Made for the first that
is not empty; those before it say nothing."""


def read_controls(connection: apsw.Connection) -> tuple[Entry, ...]:
    """The control entries that the file keeps."""
    find = "SELECT 1 FROM main.sqlite_schema WHERE name = 'quorate_controls'"
    if not connection.execute(find, can_cache=False, prepare_flags=INTERNAL).fetchall():
        return ()
    sql = "SELECT entry, epoch, kind, payload FROM main.quorate_controls ORDER BY entry"
    rows: Any = connection.execute(sql, can_cache=False, prepare_flags=INTERNAL)
    return tuple(Entry(*row) for row in rows)


def with_control(kept: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
    """What is kept of control entries behind this one."""
    return (*kept, entry) if kept or entry.payload else kept


def keep_control(connection: apsw.Connection, kept: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
    """A control entry is applied, where the file keeps these: keep it too; what the file keeps now."""
    following = with_control(kept, entry)
    if following is not kept:
        if not kept:
            connection.execute(CONTROLS_TABLE, can_cache=False, prepare_flags=INTERNAL)
        sql = "INSERT OR REPLACE INTO main.quorate_controls VALUES (?, ?, ?, ?)"
        connection.execute(sql, (entry.index, entry.epoch, entry.kind, entry.payload), prepare_flags=INTERNAL)
    return following


def load_window(connection: apsw.Connection, floor: int) -> Window:
    """Rebuild the window from its blobs. Raises Divergent."""
    window = Window(floor)
    rows: Any = connection.execute(
        "SELECT entry, records FROM main.quorate_window ORDER BY entry", prepare_flags=INTERNAL
    )
    for entry, records in rows:
        window.add(entry, (token for token, _ in decode_records(records)), len(records))
    return window


def remembered(connection: apsw.Connection, entry: int, token: str) -> bytes:
    """The outcome that an entry recorded for a token. Raises Divergent when it did not."""
    sql = "SELECT records FROM main.quorate_window WHERE entry = ?"
    rows: list[Any] = connection.execute(sql, (entry,), prepare_flags=INTERNAL).fetchall()
    for (records,) in rows:
        for name, outcome in reversed(decode_records(records)):  # the last word of this entry
            if name == token:
                return outcome
    raise Divergent(f"the window has lost what entry {entry} recorded")


def write_records(connection: apsw.Connection, window: Window, entry: int, tokens: list[str], records: bytes) -> None:
    """Remember an entry's records, in the file and in the window, and forget the oldest beyond its bounds."""
    sql = "INSERT INTO main.quorate_window(entry, records) VALUES (?, ?)"
    connection.execute(sql, (entry, records), prepare_flags=INTERNAL)
    floor = window.add(entry, tokens, len(records))
    if floor is not None:
        sql = "DELETE FROM main.quorate_window WHERE entry <= ?"
        connection.execute(sql, (floor,), prepare_flags=INTERNAL)


def write_applied(connection: apsw.Connection, position: Position, floor: int) -> None:
    sql = "UPDATE main.quorate_applied SET epoch = ?, entry = ?, floor = ?"
    connection.execute(sql, (position.epoch, position.index, floor), prepare_flags=INTERNAL)
