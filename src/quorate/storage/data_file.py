"""The replica's own two tables in its data file: where it stands, and what it remembers of requests."""

from typing import Any

import apsw

from quorate.core.formats import DATA_FILE
from quorate.core.kernel import ORIGIN, Position
from quorate.storage.connection import INTERNAL
from quorate.storage.interface import Divergent
from quorate.storage.payload import decode_records
from quorate.storage.window import Window

FORMAT = DATA_FILE.highest
SCHEMA = (
    (
        "CREATE TABLE quorate_applied(id INTEGER PRIMARY KEY CHECK(id = 1), format INTEGER NOT NULL,"
        " epoch INTEGER NOT NULL, entry INTEGER NOT NULL, floor INTEGER NOT NULL) STRICT"
    ),
    "CREATE TABLE quorate_window(entry INTEGER PRIMARY KEY, records BLOB NOT NULL) STRICT",
    f"INSERT INTO quorate_applied VALUES (1, {FORMAT}, 0, 0, 0)",  # noqa: S608 - a constant
)


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
    try:
        rows: list[Any] = connection.execute("SELECT format, epoch, entry, floor FROM main.quorate_applied").fetchall()
    except apsw.SQLError as error:
        raise Divergent("the file is not a replica's data file") from error
    if len(rows) != 1 or rows[0][0] not in DATA_FILE:
        raise Divergent(f"the data file has a format that is not known here: {rows}")
    _, epoch, entry, floor = rows[0]
    return Position(epoch, entry), floor


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
        for name, outcome in decode_records(records):
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
