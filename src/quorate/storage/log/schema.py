"""The tables of `log.db`. A newer release may add some: an older one leaves alone what it does not know."""

from quorate.core.bounds import INDEX_BITS, ORIGIN_BITS, GroupId

INDEX_MASK = (1 << INDEX_BITS) - 1
KEY_BITS = ORIGIN_BITS + INDEX_BITS
"""An entry's key is its group, its origin and its index in one integer, because SQLite appends those fastest. So far
every group has one log, whose origin is 0."""


def first_key(group: GroupId) -> int:
    """Of a group's log: the key of index 0, whose other bits are the index."""
    return group << KEY_BITS


SCHEMA = """
CREATE TABLE IF NOT EXISTS entries(key INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, kind INTEGER NOT NULL,
  payload BLOB NOT NULL, hash BLOB NOT NULL, sequence INTEGER, turn BLOB) STRICT;
CREATE TABLE IF NOT EXISTS groups(grp INTEGER PRIMARY KEY, database TEXT NOT NULL, partition INTEGER NOT NULL,
  replication TEXT NOT NULL, voters TEXT NOT NULL, epoch INTEGER NOT NULL, vote INTEGER NOT NULL,
  base_epoch INTEGER NOT NULL, base_index INTEGER NOT NULL, base_hash BLOB NOT NULL, generation INTEGER NOT NULL,
  snapshot INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS turn(id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL,
  hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS ends(grp INTEGER PRIMARY KEY, idx INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS dropped(grp INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT;
INSERT OR IGNORE INTO turn VALUES (1, 0, zeroblob(16));
"""
VIEW = (
    f"CREATE VIEW IF NOT EXISTS log AS SELECT key >> {KEY_BITS} AS grp,"  # noqa: S608 - constants
    f" key >> {INDEX_BITS} & {(1 << ORIGIN_BITS) - 1} AS origin, key & {INDEX_MASK} AS idx,"
    " epoch, kind, length(payload) AS bytes, hash FROM entries"
)
"""For people who look into the file."""


INSERT_ENTRY = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)"
DELETE_ENTRIES = "DELETE FROM entries WHERE key BETWEEN ? AND ?"
READ_ENTRIES = "SELECT key, epoch, kind, payload, hash FROM entries WHERE key BETWEEN ? AND ? ORDER BY key"
NEWEST_ENTRY = (
    "SELECT key, epoch, hash, sequence, turn FROM entries WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1"
)
UPDATE_TURN = "UPDATE turn SET sequence = ?, hash = ? WHERE id = 1"
UPDATE_BASE = "UPDATE groups SET base_epoch = ?, base_index = ?, base_hash = ? WHERE grp = ?"
