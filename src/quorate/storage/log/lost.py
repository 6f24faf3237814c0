"""`lost.db`: the tails of logs that were lost at a failover, kept so that a person can replay them.

An ordinary SQLite database in the node's folder, synced at each commit. An entry is named by its group, epoch and
index, which never name two: keeping it again changes nothing. `entries` has each with its place, its time and its
payload as it was in the log (what it changed, `storage.rows.payload`), `requests` the tokens of its callers
and what they were told.
"""

from collections.abc import Iterable
from contextlib import suppress

import apsw

from quorate.core.bounds import GroupId
from quorate.core.entries import DATA, EXECUTED, Entry
from quorate.core.requests import LostAsk, LostEntry, LostReport
from quorate.core.statements import BOUND
from quorate.storage import disk
from quorate.storage.interface import Divergent
from quorate.storage.log.group import LogDamaged, NodeLog
from quorate.storage.rows.payload import Record, decode_batch, decode_records

KEPT, BEGUN, REPLAYED = "kept", "begun", "replayed"
READ_BYTES = 4 << 20

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries(grp INTEGER NOT NULL, epoch INTEGER NOT NULL, idx INTEGER NOT NULL,
  database TEXT NOT NULL, wall_us INTEGER NOT NULL, saved_us INTEGER NOT NULL, payload BLOB NOT NULL,
  state TEXT NOT NULL DEFAULT 'kept', seen INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(grp, epoch, idx))
  STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests(grp INTEGER NOT NULL, epoch INTEGER NOT NULL, idx INTEGER NOT NULL,
  number INTEGER NOT NULL, token TEXT NOT NULL, outcome BLOB NOT NULL, PRIMARY KEY(grp, epoch, idx, number))
  STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps(grp INTEGER NOT NULL, database TEXT NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, saved_us INTEGER NOT NULL, PRIMARY KEY(grp, first, last)) STRICT, WITHOUT ROWID;
"""

INSERT = (
    "INSERT OR IGNORE INTO entries(grp, epoch, idx, database, wall_us, saved_us, payload) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
COLUMNS = (
    "SELECT grp, epoch, idx, database, wall_us, saved_us, length(payload), state,"
    " (SELECT count(*) FROM requests AS each"
    " WHERE (each.grp, each.epoch, each.idx) = (entries.grp, entries.epoch, entries.idx))"
)
LIST = f"{COLUMNS} FROM entries WHERE database = ?1 OR ?1 = '' ORDER BY grp, epoch, idx"
SHOW = f"{COLUMNS}, seen, payload FROM entries WHERE (grp, epoch, idx) = (?, ?, ?)"


class LostTails:
    """The open file."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute(SCHEMA)

    def _execute(self, sql: str, bindings: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(sql, bindings).fetchall()
        except apsw.Error as error:
            raise disk.translated(error, self._connection, "keeping what was lost") from error

    def save(self, group: GroupId, database: str, entries: Iterable[Entry], gap: tuple[int, int], saved_us: int) -> int:
        """Keep entries, durably, all or none; how many of them have changes. `gap`: the first and last index of what
        was lost as well, and can no longer be read (last below first: nothing). Raises DiskIsFull or Broken."""
        self._execute("BEGIN IMMEDIATE")
        try:
            count = 0
            for entry in entries:
                if entry.kind == DATA:
                    self._save(group, database, entry, saved_us)
                    count += 1
            if gap[1] >= gap[0]:
                self._execute("INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, ?, ?)", (group, database, *gap, saved_us))
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                with suppress(apsw.Error):
                    self._connection.execute("ROLLBACK")
            raise
        return count

    def _save(self, group: GroupId, database: str, entry: Entry, saved_us: int) -> None:
        key = (group, entry.epoch, entry.index)
        wall_us = 0
        records: tuple[Record, ...] = ()
        with suppress(Divergent):  # of a format that is not known here: its bytes are kept all the same
            batch = decode_batch(entry.payload)
            wall_us = batch.timestamp_us
            records = tuple(each for each in decode_records(bytes(batch.records)) if BOUND not in each[0])
        self._execute(INSERT, (*key, database, wall_us, saved_us, entry.payload))
        for number, (token, outcome) in enumerate(records):
            self._execute("INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?, ?)", (*key, number, token, outcome))

    def answer(self, question: LostAsk) -> LostReport:
        """List what is kept, or show one entry, or note how far its replay is."""
        if question.index:
            return self._one(question)
        rows = self._execute(LIST, (question.database,))
        gaps = self._execute(
            "SELECT grp, database, first, last FROM gaps WHERE database = ?1 OR ?1 = '' ORDER BY grp, first",
            (question.database,),
        )
        return LostReport(tuple(LostEntry(*row) for row in rows), gaps=tuple(gaps))  # type: ignore[arg-type]

    def _one(self, question: LostAsk) -> LostReport:
        key = (question.group, question.epoch, question.index)
        place = "WHERE (grp, epoch, idx) = (?, ?, ?)"
        if question.state == BEGUN:
            sql = f"UPDATE entries SET state = 'begun', seen = ? {place} AND state = 'kept'"  # noqa: S608
            self._execute(sql, (question.seen, *key))
        elif question.state == REPLAYED:
            self._execute(f"UPDATE entries SET state = 'replayed' {place}", key)  # noqa: S608
        for *row, seen, payload in self._execute(SHOW, key):
            return LostReport((LostEntry(*row),), payload=payload, seen=seen)  # type: ignore[arg-type]
        return LostReport()

    def forget(self, group: GroupId) -> None:
        """The group's database was dropped, and so is what it lost. Raises DiskIsFull or Broken."""
        for table in ("entries", "requests", "gaps"):
            self._execute(f"DELETE FROM {table} WHERE grp = ?", (group,))  # noqa: S608

    def abandon(self) -> None:
        """Let go of the file without writing to it."""
        self._connection.close()

    def close(self) -> None:
        """Close the file; nothing is left beside it, unless the disk has failed."""
        try:
            disk.close_orderly(self._connection)
        except apsw.Error:  # what was kept is durable in the WAL
            self._connection.close()


def parted_at(log: NodeLog, group: GroupId, ours: Iterable[Entry], theirs: Iterable[Entry], through: int) -> int:
    """The first index at which our log, whose data file keeps the control entries `ours`, is not the one of a snapshot
    that keeps `theirs` and stands at index `through`; 0 when they never part.

    Logs part where an epoch begins in one of them, with a control entry that the other has not."""
    known = log.groups[group]
    there = {entry.index: entry for entry in theirs}
    here = {entry.index: entry for entry in ours if entry.index <= known.base.index}
    for run in log.epochs(group):
        here[run.index] = log.read(group, run.index, run.index, 1)[0]
    if not (here and there):
        return 0
    begins, ends = max(min(here), min(there)), min(known.last.index, through)
    for index in sorted({*here, *there}):
        if begins <= index <= ends:
            entry = here.get(index)
            if entry is None and index > known.base.index:
                entry = log.read(group, index, index, 1)[0]
            if entry != there.get(index) and not (entry is not None and entry.kind in EXECUTED and index not in there):
                return index
    return 0


def readable(log: NodeLog, group: GroupId, first: int) -> tuple[list[Entry], int]:
    """The entries from `first` on that can still be read, and the first index that cannot (0: all can)."""
    known = log.groups[group]
    entries: list[Entry] = []
    index = max(first, known.base.index + 1)
    while index <= known.last.index:
        try:
            some = log.read(group, index, known.last.index, READ_BYTES)
        except LogDamaged:
            return entries, index
        if not some:
            return entries, index
        entries += some
        index = some[-1].index + 1
    return entries, 0


__all__ = ["BEGUN", "KEPT", "REPLAYED", "LostTails", "parted_at", "readable"]
