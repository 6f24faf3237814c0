"""The log's file: chained, trimmed little by little, latched when the disk breaks."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from quorate.core.entries import (
    DATA,
    CreateGroup,
    Entry,
    LogWrite,
    Position,
    SwitchGeneration,
    TrimLog,
    WriteEntries,
    WriteHardState,
)
from quorate.core.options import SINGLE_LEADER
from quorate.storage.interface import Broken, DiskIsFull
from quorate.storage.log.drops import SWEEP_ENTRIES
from quorate.storage.log.group import LogDamaged
from quorate.storage.log.log import SqliteLog
from quorate.storage.log.schema import first_key
from quorate.storage.log.wal import WAL_BYTES
from tests.contracts.stores import CREATE, GROUP, blobs, noop, noops


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    made = SqliteLog(path)
    made.commit((CREATE,))
    yield made
    made.close()


def stored(log: SqliteLog) -> int:
    return len(log._connection.execute("SELECT key FROM entries").fetchall())


def change(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql).fetchall()
    connection.close()


def test_each_turn_counts_up_and_changes_the_running_hash(log: SqliteLog) -> None:
    seen = {(log.sequence, log.hash)}
    for index in range(1, 6):
        log.commit((noops(index, index),))
        seen.add((log.sequence, log.hash))
    assert [sequence for sequence, _ in sorted(seen)] == [1, 2, 3, 4, 5, 6]
    assert len({digest for _, digest in seen}) == 6


def test_the_same_turns_give_the_same_hashes(log: SqliteLog, tmp_path: Path) -> None:
    other = SqliteLog(tmp_path / "other.db")
    other.commit((CREATE,))
    for each in (log, other):
        each.commit((noops(1, 3), WriteHardState(GROUP, 1, 2)))
        each.commit((noops(2, 2, 2),))
    assert (log.sequence, log.hash) == (other.sequence, other.hash)
    assert log.groups == other.groups
    other.close()


def test_reopening_finds_the_same_state(log: SqliteLog, path: Path) -> None:
    log.commit((noops(1, 900), WriteHardState(GROUP, 4, 9)))
    log.commit((TrimLog(GROUP, Position(1, 600)),))
    state, sequence, digest = log.groups, log.sequence, log.hash
    log.close()
    again = SqliteLog(path)
    assert again.groups == state
    assert (again.sequence, again.hash) == (sequence, digest)
    again.close()


def test_the_newest_turn_is_found_whatever_it_wrote_last(log: SqliteLog, path: Path) -> None:
    rng = random.Random(7)
    groups = (GROUP, GROUP + 1, GROUP + 2)
    for group in groups[1:]:
        log.commit((CreateGroup(group, "more", 0, SINGLE_LEADER, (1,)),))
    epochs = dict.fromkeys(groups, 1)

    def some_write() -> LogWrite:
        group = rng.choice(groups)
        known = log.groups[group]
        first, last = known.base.index + 1, known.last.index
        what = rng.choice(("append", "append", "overwrite", "trim", "switch", "state"))
        if what == "state":
            return WriteHardState(group, known.epoch + 1, rng.randrange(3))
        if what == "trim" and last >= first:
            through = rng.randint(first, last)
            return TrimLog(group, Position(log.epoch_at(group, through) or 0, through))
        if what == "switch":
            return SwitchGeneration(group, rng.randrange(1, 1 << 30), Position(epochs[group], last + rng.randint(0, 3)))
        start = rng.randint(first, last + 1) if what == "overwrite" else last + 1
        epochs[group] += 1
        count = rng.choice((1, 1, 2, 300))
        return WriteEntries(group, tuple(Entry(start + n, epochs[group], DATA, b"x") for n in range(count)))

    for _ in range(300):
        writes = [some_write()]
        # A second write of the turn is of another group, as `some_write` looks at what was committed.
        if (other := some_write()).group != writes[0].group:
            writes.append(other)
        log.commit(writes)
        expected = log.sequence, log.hash, log.groups.copy()
        log._stale = True
        log.refresh()
        assert (log.sequence, log.hash, log.groups) == expected


def test_trimmed_entries_leave_the_file_a_few_at_a_time(log: SqliteLog) -> None:
    log.commit((noops(1, 1000),))
    log.commit((TrimLog(GROUP, Position(1, 900)),))
    assert stored(log) == 1000 - SWEEP_ENTRIES
    assert log.read(GROUP, 1, 1000, 1) == ()
    for index in range(1001, 1011):
        log.commit((noops(index, index),))
    assert stored(log) == 110
    assert log.groups[GROUP].forgotten == 0


def test_a_generation_switch_empties_the_file_of_the_group(log: SqliteLog) -> None:
    log.commit((noops(1, 1000), TrimLog(GROUP, Position(1, 900))))
    log.commit((SwitchGeneration(GROUP, 5, Position(3, 950)),))
    assert stored(log) == 0
    log.commit((noops(951, 952, 3),))
    assert [entry.index for entry in log.read(GROUP, 951, 999, 1 << 20)] == [951, 952]


def test_the_same_switch_repeated_changes_nothing(log: SqliteLog) -> None:
    switch = SwitchGeneration(GROUP, 5, Position(3, 950))
    log.commit((switch,))
    log.commit((noops(951, 951, 3),))
    log.commit((switch,))
    assert log.groups[GROUP].generation == 1
    assert log.groups[GROUP].last.index == 951


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET payload = CAST('other' AS BLOB) WHERE key & 255 = 5",
        "UPDATE entries SET epoch = 2 WHERE key & 255 = 5",
        "UPDATE entries SET kind = 9 WHERE key & 255 = 5",
        "UPDATE entries SET hash = zeroblob(16) WHERE key & 255 = 5",
        "DELETE FROM entries WHERE key & 255 = 5",
    ],
)
def test_an_entry_that_was_changed_is_noticed_when_read(log: SqliteLog, path: Path, sql: str) -> None:
    log.commit((blobs(1, 9, 100),))
    log.close()
    change(path, sql)
    again = SqliteLog(path)
    with pytest.raises(LogDamaged, match="entry 5 of group 1"):
        again.read(GROUP, 1, 9, 1 << 20)
    again.close()


def test_an_entry_moved_from_another_log_is_noticed(log: SqliteLog, path: Path) -> None:
    log.commit((blobs(1, 3, 10),))
    log.commit((WriteEntries(GROUP, (noop(4), noop(5))),))
    log.close()
    prefix = first_key(GROUP)
    change(path, f"UPDATE entries SET (payload, hash) = (SELECT payload, hash FROM entries WHERE key = {prefix + 2})"
                 f" WHERE key = {prefix + 3}")  # fmt: skip
    again = SqliteLog(path)
    with pytest.raises(LogDamaged, match="entry 3"):
        again.read(GROUP, 1, 5, 1 << 20)
    assert len(again.read(GROUP, 1, 2, 1 << 20)) == 2
    again.close()


def test_no_room_changes_nothing_and_can_be_repeated(log: SqliteLog) -> None:
    log.commit((blobs(1, 3, 100),))
    pages = log._connection.execute("PRAGMA page_count").fetchall()[0][0]
    log._connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    before = (log.sequence, log.hash, repr(log.groups))
    big = blobs(3, 9, 9000, 2)
    for _ in range(3):
        with pytest.raises(DiskIsFull):
            log.commit((WriteHardState(GROUP, 8, 8), big))
        assert (log.sequence, log.hash, repr(log.groups)) == before
        assert len(log.read(GROUP, 1, 9, 1 << 20)) == 3
    log._connection.execute("PRAGMA max_page_count = 1000000").fetchall()
    log.commit((WriteHardState(GROUP, 8, 8), big))
    assert log.groups[GROUP].last == Position(2, 9)
    assert log.groups[GROUP].epoch == 8


def test_the_write_ahead_log_is_folded_in_and_used_again(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db", pages=50)
    log.commit((CREATE,))
    beside = log.path.with_name("log.db-wal")
    for index in range(1, 200):
        log.commit((blobs(index, index, 3000),))
    assert beside.stat().st_size < 120 * 4200
    assert log.path.stat().st_size > 100 * 3000
    log.close()


def test_after_an_assertion_the_log_takes_nothing_more(log: SqliteLog) -> None:
    log.commit((noops(1, 2),))
    with pytest.raises(AssertionError):
        log.commit((noops(3, 3), noops(9, 9)))
    with pytest.raises(Broken):
        log.commit((noops(3, 3),))
    assert stored(log) == 2


def test_an_interrupted_turn_did_not_happen(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.commit((noops(1, 2),))
    before = (log.sequence, log.hash, repr(log.groups))

    def interrupted(_log: SqliteLog, _write: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setitem(SqliteLog.WRITERS, WriteHardState, interrupted)
    with pytest.raises(KeyboardInterrupt):
        log.commit((noops(2, 9, 3), WriteHardState(GROUP, 1, 1)))
    log.refresh()
    assert (log.sequence, log.hash, repr(log.groups)) == before
    log.commit((noops(3, 3),))
    assert stored(log) == 3


def test_a_closed_log_is_one_file_that_any_sqlite_opens(log: SqliteLog, path: Path) -> None:
    log.commit((blobs(1, 5, 7),))
    log.close()
    assert [each.name for each in path.parent.iterdir()] == ["log.db"]
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT grp, origin, idx, epoch, kind, bytes FROM log ORDER BY idx").fetchall()
    connection.close()
    assert rows == [(GROUP, 0, index, 1, 1, 7) for index in range(1, 6)]


def test_the_wal_is_lengthened_once_and_read_back_all_the_same(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.commit((CreateGroup(1, "main", 0, SINGLE_LEADER, (1,)),))
    for index in range(1, 101):
        log.commit((WriteEntries(1, (Entry(index, 1, DATA, bytes([index]) * 4000),)),))
    length = (tmp_path / "log.db-wal").stat().st_size
    assert length >= WAL_BYTES
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("log.db", "log.db-wal"):  # as a killed process leaves them
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    log.close()
    again = SqliteLog(copy / "log.db")
    assert [entry.payload[0] for entry in again.read(1, 1, 100, 1 << 30)] == list(range(1, 101))
    again.close()


@pytest.mark.parametrize("turns", [1, 12, 60])
def test_nonsense_in_place_of_the_file_is_noticed_whatever_its_wal_holds(
    log: SqliteLog, path: Path, tmp_path: Path, turns: int
) -> None:
    for index in range(1, turns):
        log.commit((WriteEntries(GROUP, (Entry(index, 1, DATA, bytes(300)),)),))
    copy = tmp_path / "copy.db"
    copy.with_name("copy.db-wal").write_bytes(path.with_name("log.db-wal").read_bytes())
    copy.write_bytes(b"this is no database" * 4096)
    with pytest.raises(apsw.NotADBError):
        SqliteLog(copy)
