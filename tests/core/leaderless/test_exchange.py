"""What two replicas give each other of the rows of the same leaves."""

import pytest

from quorate.core.leaderless.exchange import Exchange, differences
from quorate.core.row_effects import RowState
from quorate.core.versions.encoding import encode_row
from quorate.core.versions.row import empty, insert, merge, update
from tests.core.leaderless.cluster import TABLES, Cluster

BASE = insert(empty(), TABLES["t"], (1, 1), ("milk", 1))
MINE = update(BASE, TABLES["t"], (2, 1), {0: "bread"})
THEIRS = update(BASE, TABLES["t"], (2, 2), {1: 7})
BOTH = merge(MINE, THEIRS)


def row(state: object, key: bytes = b"k") -> RowState:
    return "t", key, encode_row(state)  # type: ignore[arg-type]


def test_equal_states_are_not_sent() -> None:
    assert differences((row(BASE),), (row(BASE),)) == ((), ())


def test_who_is_behind_gets_it_and_who_is_ahead_gets_nothing() -> None:
    assert differences((row(MINE),), (row(BASE),)) == ((), (row(MINE),))
    assert differences((row(BASE),), (row(MINE),)) == ((row(MINE),), ())


def test_of_concurrent_states_both_get_the_merged() -> None:
    assert differences((row(MINE),), (row(THEIRS),)) == ((row(BOTH),), (row(BOTH),))


def test_rows_that_one_alone_has() -> None:
    assert differences((row(MINE, b"a"),), (row(THEIRS, b"b"),)) == ((row(THEIRS, b"b"),), (row(MINE, b"a"),))


@pytest.mark.parametrize("beginner", [2, 3])
def test_one_exchange_goes_both_ways(beginner: int) -> None:
    """Whoever begins it."""
    cluster = Cluster()
    cluster.cut = {3}
    cluster.write(1, "milk")
    cluster.deliver()
    exchange: Exchange = cluster[beginner].replica.exchange
    for member in cluster.members.values():
        member.replica.spreading.end()
        member.replica.spreading._open.clear()
    cluster.cut = {1}
    exchange.doubt(5 - beginner)
    cluster.wait(3)
    assert cluster.held() == ["milk"] * 3
    assert 5 - beginner not in exchange.doubted
    assert cluster[2].data.tree.root == cluster[3].data.tree.root


def test_many_differences_take_several_rounds() -> None:
    cluster = Cluster()
    cluster[2].data.rows.clear()
    for number in range(600):
        cluster[1].data._merge(("t", number.to_bytes(2, "big")), encode_row(BASE))
    cluster[1].replica.exchange.doubt(2)
    cluster.take_lines()
    cluster.wait(6)
    assert cluster[2].data.tree.root == cluster[1].data.tree.root
    rows = [line for line in cluster.take_lines() if line.startswith("1 -> 2 Rows")]
    assert 3 <= len(rows) <= 6
