"""The replica's own two tables in its data file: where it stands, and what it remembers of requests."""

import functools
from pathlib import Path
from typing import Any

import apsw
from msgspec import structs

from quorate.core.ack_policy import (
    ACCEPTED,
    ASYNC,
    NOTHING_SAID,
    AcksFact,
    Leadership,
    mark_of,
    read_entry,
    read_noop,
    read_rule,
)
from quorate.core.formats import DATA_FILE
from quorate.core.kernel import ACKS, MEMBERS, NOOP, ORIGIN, Entry, Position
from quorate.storage.connection import INTERNAL, PAGE_BYTES
from quorate.storage.files import SYSTEM, Files, told_apart
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


def standing_of(path: Path, files: Files = SYSTEM) -> tuple[Position, AcksFact]:
    """Where a data file stands that nobody has open, and what it says of acks. Leaves everything as it is.

    Raises Divergent, DiskIsFull or Broken.
    """
    if files.size(path) == 0:  # an empty database; its log, if there is one, belongs to something that is gone
        return ORIGIN, NOTHING_SAID
    connection = open_closed(path, files)
    try:
        return _read_applied(connection)[0], read_acks(connection)
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


ACKS_TABLE = (
    "CREATE TABLE IF NOT EXISTS main.quorate_acks(entry INTEGER PRIMARY KEY, epoch INTEGER NOT NULL,"
    " leader INTEGER NOT NULL, acks TEXT NOT NULL, mark INTEGER NOT NULL) STRICT"
)
"""Each change of the ack policy, and what `AcksFact.leaderships` are for: where each epoch began, without a text, or
with `accepted` when somebody accepted a loss. Made when the first such entry is applied."""


MEMBERS_TABLE = (
    "CREATE TABLE IF NOT EXISTS main.quorate_members(id INTEGER PRIMARY KEY CHECK(id = 1), entry INTEGER NOT NULL,"
    " configuration BLOB NOT NULL) STRICT"
)
"""The members that the log named last. Made when the first such entry is applied: a group that has the voters with
which it began has none."""


def read_acks(connection: apsw.Connection) -> AcksFact:
    """What the file says of acks and members."""
    find = "SELECT 1 FROM main.sqlite_schema WHERE name = 'quorate_acks'"
    fact = NOTHING_SAID
    if connection.execute(find, can_cache=False, prepare_flags=INTERNAL).fetchall():
        sql = "SELECT epoch, entry, leader, acks, mark FROM main.quorate_acks ORDER BY entry"
        rows: Any = connection.execute(sql, can_cache=False, prepare_flags=INTERNAL)
        for epoch, entry, leader, acks, mark in rows:
            fact = _told(fact, Leadership(epoch, entry, leader, mark=mark), acks)
    find = "SELECT 1 FROM main.sqlite_schema WHERE name = 'quorate_members'"
    if connection.execute(find, can_cache=False, prepare_flags=INTERNAL).fetchall():
        sql = "SELECT entry, configuration FROM main.quorate_members"
        named: Any = connection.execute(sql, can_cache=False, prepare_flags=INTERNAL)
        for entry, configuration in named:
            fact = structs.replace(fact, members=configuration, members_since=entry)
    return fact


def _told(fact: AcksFact, leadership: Leadership, acks: str) -> AcksFact:
    if not acks or acks == ACCEPTED:
        leadership = structs.replace(leadership, loses=acks == ACCEPTED or is_async(fact.rule))
        return structs.replace(fact, leaderships=(*fact.leaderships, leadership))
    leaderships = (*fact.leaderships, leadership) if fact.leaderships or read_rule(acks).traces else ()
    return structs.replace(fact, rule=acks, since=leadership.index, leaderships=leaderships)


def is_async(text: str) -> bool:
    """Whether this is an asynchronous rule (empty: none was named)."""
    return bool(text) and read_rule(text).kind == ASYNC


def says(fact: AcksFact, entry: Entry) -> tuple[Leadership, str] | None:
    """What an entry without changes has to say of acks, beside what is known: who led, and a rule if it names one."""
    if entry.kind == ACKS:
        rule, leader = read_entry(entry.payload)
        return Leadership(entry.epoch, entry.index, leader), rule.text
    if entry.kind == NOOP and (is_async(fact.rule) or fact.leaderships or entry.payload):
        leader, accepted = read_noop(entry.payload)
        leadership = Leadership(entry.epoch, entry.index, leader, mark=mark_of(entry.payload))
        return leadership, ACCEPTED if accepted else ""
    return None


def with_entry(fact: AcksFact, entry: Entry) -> AcksFact:
    """What is known of acks and members behind this entry."""
    if entry.kind == MEMBERS:
        return structs.replace(fact, members=entry.payload, members_since=entry.index)
    said = says(fact, entry)
    return fact if said is None else _told(fact, *said)


def note_entry(connection: apsw.Connection, fact: AcksFact, entry: Entry) -> AcksFact:
    """An entry without changes is applied: write down what it says of acks or members; what the file now says."""
    if entry.kind == MEMBERS:
        connection.execute(MEMBERS_TABLE, can_cache=False, prepare_flags=INTERNAL)
        sql = "INSERT OR REPLACE INTO main.quorate_members VALUES (1, ?, ?)"
        connection.execute(sql, (entry.index, entry.payload), prepare_flags=INTERNAL)
    said = says(fact, entry)
    if said is not None:
        leadership, acks = said
        if not (fact.since or fact.leaderships):
            connection.execute(ACKS_TABLE, can_cache=False, prepare_flags=INTERNAL)
        sql = "INSERT OR REPLACE INTO main.quorate_acks VALUES (?, ?, ?, ?, ?)"
        connection.execute(
            sql, (leadership.index, leadership.epoch, leadership.leader, acks, leadership.mark), prepare_flags=INTERNAL
        )
    return with_entry(fact, entry)


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
