"""What both stores promise of read views: one state until the end, in pieces, whoever writes meanwhile."""

from typing import Any

import msgspec

from quorate.core.kernel import Applied, Checkpoint, Checkpointed, Commit
from quorate.core.querying import NO_ROOM
from quorate.core.statements import Failed, Statement
from quorate.core.view_requests import Piece, ViewOutcome
from quorate.core.viewing import FetchView, LetViewGo, PinView, ViewRead
from tests.contracts.stores import GROUP, Disk, begin, one, rows

NUMBERS = Statement("SELECT a FROM t ORDER BY a")
VIEW = 7


def read(disk: Disk, effect: PinView | FetchView) -> Any:
    event = one(disk.store, effect, ViewRead)
    assert not event.why, event
    return msgspec.msgpack.decode(event.outcome, type=ViewOutcome)


def test_a_view_stays_as_it_was_whoever_writes(disk: Disk) -> None:
    writer = begin(disk)
    for number in range(4):
        writer.run("INSERT INTO t VALUES (?, ?)", number, "x")
    first = read(disk, PinView(GROUP, VIEW, NUMBERS, 1))
    assert (first.rows, first.more, first.columns[0][0]) == ([(0,)], True, "a")
    writer.run("DELETE FROM t")
    one(disk.store, Checkpoint(GROUP), Checkpointed)
    assert rows(disk.store) == []
    found = list(first.rows)
    piece: Any = first
    while piece.more:
        piece = read(disk, FetchView(GROUP, VIEW, None, 1))
        found += piece.rows
    assert found == [(0,), (1,), (2,), (3,)]
    assert read(disk, FetchView(GROUP, VIEW, Statement("SELECT count(*) FROM t"), 0)).rows == [(4,)]
    assert disk.store.perform(LetViewGo(GROUP, VIEW)) == []
    assert read(disk, PinView(GROUP, VIEW + 1, NUMBERS, 0)) == Piece(first.columns, [], more=False)


def test_a_statement_that_fails_leaves_the_view_as_it_is(disk: Disk) -> None:
    writer = begin(disk)
    writer.run("INSERT INTO t VALUES (?, ?)", 1, "x")
    failed = read(disk, PinView(GROUP, VIEW, Statement("SELECT none FROM t"), 0))
    assert isinstance(failed, Failed)
    writer.run("INSERT INTO t VALUES (?, ?)", 2, "x")
    assert read(disk, FetchView(GROUP, VIEW, NUMBERS, 0)).rows == [(1,)]
    assert isinstance(read(disk, FetchView(GROUP, VIEW, Statement("DELETE FROM t"), 0)), Failed)
    assert isinstance(read(disk, FetchView(GROUP, VIEW, None, 1)), Failed)


def test_what_is_not_there_is_told(disk: Disk) -> None:
    begin(disk)
    disk.store.log.dropped.add(GROUP)
    assert one(disk.store, PinView(GROUP, VIEW, NUMBERS, 0), ViewRead).why == NO_ROOM
    disk.store.log.dropped.discard(GROUP)


def test_a_view_keeps_the_write_ahead_log_and_its_size_is_told(disk: Disk) -> None:
    """Of a store in memory there is none."""
    writer = begin(disk)
    writer.run("INSERT INTO t VALUES (?, ?)", 0, "x")
    read(disk, PinView(GROUP, VIEW, NUMBERS, 1))
    sizes = []
    for number in range(1, 4):
        position = writer.log("INSERT INTO t VALUES (?, ?)", number, "x" * 20_000)
        sizes.append(one(disk.store, Commit(GROUP, position), Applied).unsynced)
        one(disk.store, Checkpoint(GROUP), Checkpointed)
    assert sizes == sorted(sizes)
    assert disk.folder is None or sizes[-1] - sizes[0] > 40_000
