"""The tables of `log.db`. A newer release may add some: an older one leaves alone what it does not know."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries(key INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, kind INTEGER NOT NULL,
  payload BLOB NOT NULL, hash BLOB NOT NULL, sequence INTEGER, turn BLOB) STRICT;
CREATE TABLE IF NOT EXISTS groups(grp INTEGER PRIMARY KEY, database TEXT NOT NULL, partition INTEGER NOT NULL,
  voters TEXT NOT NULL, epoch INTEGER NOT NULL, vote INTEGER NOT NULL, base_epoch INTEGER NOT NULL,
  base_index INTEGER NOT NULL, base_hash BLOB NOT NULL, generation INTEGER NOT NULL, snapshot INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS turn(id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL,
  hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS ends(grp INTEGER PRIMARY KEY, idx INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS dropped(grp INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT;
CREATE VIEW IF NOT EXISTS log AS SELECT key >> 40 AS grp, key & 1099511627775 AS idx, epoch, kind,
  length(payload) AS bytes, hash FROM entries;
INSERT OR IGNORE INTO turn VALUES (1, 0, zeroblob(16));
"""

INSERT_ENTRY = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)"
DELETE_ENTRIES = "DELETE FROM entries WHERE key BETWEEN ? AND ?"
READ_ENTRIES = "SELECT key, epoch, kind, payload, hash FROM entries WHERE key BETWEEN ? AND ? ORDER BY key"
NEWEST_ENTRY = (
    "SELECT key, epoch, hash, sequence, turn FROM entries WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1"
)
UPDATE_TURN = "UPDATE turn SET sequence = ?, hash = ? WHERE id = 1"
UPDATE_BASE = "UPDATE groups SET base_epoch = ?, base_index = ?, base_hash = ? WHERE grp = ?"
