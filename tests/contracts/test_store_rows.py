"""What both stores promise of replicas without a leader: states of rows are merged, stay, and are found by hashes."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import cast

import pytest

from quorate.core.entries import DATA, CreateGroup, Entry, Position, WriteEntries
from quorate.core.kernel import Applied, Apply, ApplyFailed, Checkpoint, Checkpointed, Effect, OpenReplica
from quorate.core.options import LEADERLESS
from quorate.core.row_effects import (
    CompareTree,
    LeavesRead,
    ReadLeaves,
    ReadRoot,
    ReadRows,
    RootRead,
    RowEffect,
    RowsRead,
    RowState,
    TreeCompared,
    encode_rows,
)
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.merkle import DEPTH, leaf_of
from quorate.core.versions.resolvers import Resolver, Spec
from quorate.core.versions.row import empty, insert, merge, update
from tests.contracts.stores import GROUP, Disk, T, one

SPEC = Spec((Resolver.LAST_WRITE_WINS,))
INSERTED = insert(empty(), SPEC, (10, 1), ["first"])
ONE, OTHER = (encode_row(update(INSERTED, SPEC, dot, {0: text})) for dot, text in (((20, 1), "a"), ((20, 2), "b")))
BOTH = encode_row(merge(decode_row(ONE), decode_row(OTHER)))


def opened(disk: Disk) -> Disk:
    disk.start()
    disk.store.persist((CreateGroup(GROUP, "carts", 0, LEADERLESS, (11, 12)),))
    one(disk.store, OpenReplica(GROUP), Applied)
    return disk


@pytest.fixture
def other(disk: Disk) -> Iterator[Disk]:
    """Another replica of the same database."""
    made = opened(disk.next_node())
    yield made
    made.stop()


def keep(disk: Disk, *batches: Sequence[RowState]) -> None:
    """Each of these an entry, and all of them applied at once."""
    last = disk.store.log.groups[GROUP].last.index
    entries = tuple([Entry(last + n, 1, DATA, encode_rows(rows)) for n, rows in enumerate(batches, 1)])
    disk.store.persist((WriteEntries(GROUP, entries),))
    one(disk.store, Apply(GROUP, Position(1, entries[-1].index), entries), Applied)


def ask(disk: Disk, effect: RowEffect, kind: type[T]) -> T:
    return one(disk.store, cast(Effect, effect), kind)


def states(disk: Disk, *keys: bytes) -> tuple[bytes, ...]:
    asked = tuple([("t", key) for key in keys])
    found = ask(disk, ReadRows(GROUP, 12, 7, asked), RowsRead)
    assert (found.group, found.to, found.number, found.keys) == (GROUP, 12, 7, asked)
    return found.states


def root(disk: Disk) -> int:
    return ask(disk, ReadRoot(GROUP, 12, 7), RootRead).hash


def test_states_are_merged(disk: Disk) -> None:
    opened(disk)
    assert (states(disk, b"k"), root(disk)) == ((b"",), 0)
    keep(disk, [("t", b"k", ONE)])
    assert states(disk, b"k", b"none") == (ONE, b"")
    keep(disk, [("t", b"k", OTHER), ("u", b"k", ONE)])
    assert states(disk, b"k") == (BOTH,)


def test_the_order_and_the_groups_in_which_states_come_do_not_matter(disk: Disk, other: Disk) -> None:
    opened(disk)
    keep(disk, [("t", b"k", ONE)], [("t", b"l", ONE), ("t", b"k", OTHER)])
    keep(other, [("t", b"k", OTHER), ("t", b"k", ONE), ("t", b"k", ONE)], [("t", b"k", BOTH)])
    assert root(disk) != root(other)
    keep(other, [("t", b"l", ONE)])
    assert root(disk) == root(other) != 0
    assert disk.store.digest(GROUP) == other.store.digest(GROUP)


@pytest.mark.parametrize("checkpointed", [True, False])
def test_they_survive_a_crash(disk: Disk, *, checkpointed: bool) -> None:
    opened(disk)
    keep(disk, [("t", b"k", ONE)])
    if checkpointed:
        one(disk.store, Checkpoint(GROUP), Checkpointed)
    keep(disk, [("t", b"k", OTHER)], [("t", b"l", ONE)])
    known = root(disk)
    found = disk.restart()
    assert (found.replication, found.last) == (LEADERLESS, 3)
    one(disk.store, OpenReplica(GROUP), Applied)
    one(disk.store, Apply(GROUP, Position(1, 3), ()), Applied)
    assert states(disk, b"k", b"l") == (BOTH, ONE)
    assert root(disk) == known


def differing(mine: Disk, theirs: Disk) -> list[RowState]:
    """What `theirs` holds of the leaves that differ, found as two replicas find it."""
    nodes: tuple[int, ...] = (0,)
    hashes: tuple[int, ...] = (root(mine),)
    for level in count():
        told = ask(theirs, CompareTree(GROUP, 11, 1, level, nodes, hashes, 64, 1 << 20), TreeCompared)
        if level == DEPTH:
            return list(told.rows)
        nodes = tuple([node * 16 + child for node in told.nodes for child in range(16)])
        whole = CompareTree(GROUP, 12, 2, level, told.nodes, (-1,) * len(told.nodes), 64, 0)
        hashes = ask(mine, whole, TreeCompared).children
        assert len(told.children) == len(hashes) == len(nodes)
    raise AssertionError


def test_the_tree_finds_what_differs(disk: Disk, other: Disk) -> None:
    opened(disk)
    rows = [("t", b"%d" % number, ONE) for number in range(40)]
    keep(disk, rows)
    keep(other, rows)
    assert differing(disk, other) == []
    keep(other, [("t", b"7", OTHER), ("u", b"new", ONE)])
    assert sorted(differing(disk, other)) == [("t", b"7", BOTH), ("u", b"new", ONE)]


def test_an_answer_stays_within_its_bounds_and_has_one_leaf_at_least(disk: Disk) -> None:
    opened(disk)
    keys = [b"%d" % number for number in range(5)]
    keep(disk, [("t", key, ONE) for key in keys])
    leaves = tuple([leaf_of("t", key) for key in keys])

    def told(nodes_max: int, bytes_max: int) -> TreeCompared:
        return ask(disk, CompareTree(GROUP, 12, 1, DEPTH, leaves, (0,) * 5, nodes_max, bytes_max), TreeCompared)

    assert told(3, 1 << 20).nodes == leaves[:3]
    assert told(5, 2 * len(ONE)).nodes == leaves[:2]
    assert told(5, 0).rows == (("t", keys[0], ONE),)
    found = ask(disk, ReadLeaves(GROUP, 12, 1, leaves[1:3]), LeavesRead)
    assert found.rows == (("t", keys[1], ONE), ("t", keys[2], ONE))


def test_what_is_no_state_is_not_applied(disk: Disk) -> None:
    opened(disk)
    keep(disk, [("t", b"k", ONE)])
    entry = Entry(2, 1, DATA, encode_rows([("t", b"k", b"\xc1")]))
    disk.store.persist((WriteEntries(GROUP, (entry,)),))
    failed = one(disk.store, Apply(GROUP, Position(1, 2), (entry,)), ApplyFailed)
    assert not failed.full
    assert "cannot be applied" in failed.reason
