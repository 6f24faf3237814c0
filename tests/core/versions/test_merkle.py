"""The hash tree finds what differs, and sends little for it."""

from random import Random

import pytest

from quorate.core.versions.merkle import DEPTH, FAN_OUT, LEAVES, Tree, children_of, hash_of, leaf_of

HASH_BYTES = 8


def filled(rows: dict[bytes, bytes]) -> Tree:
    tree = Tree()
    for key, state in rows.items():
        tree.change(leaf_of("t", key), 0, hash_of("t", key, state))
    return tree


def compared(mine: Tree, theirs: Tree) -> tuple[set[int], int]:
    """The leaves that differ, and how many bytes of hashes were sent to find them."""
    sent = 0
    nodes: tuple[int, ...] = (0,)
    for level in range(DEPTH + 1):
        nodes = children_of(nodes) if level else nodes
        sent += HASH_BYTES * len(nodes)
        pairs = zip(nodes, mine.hashes(level, nodes), theirs.hashes(level, nodes), strict=True)
        nodes = tuple([node for node, one, other in pairs if one != other])
    return set(nodes), sent


def test_the_order_of_writes_does_not_matter() -> None:
    rows = {bytes([number]): b"state" for number in range(100)}
    backwards = dict(reversed(rows.items()))
    assert filled(rows).root == filled(backwards).root != 0


def test_a_row_that_is_taken_back_leaves_nothing() -> None:
    tree = Tree()
    state = hash_of("t", b"k", b"state")
    tree.change(leaf_of("t", b"k"), 0, state)
    tree.change(leaf_of("t", b"k"), state, 0)
    assert tree.root == 0
    assert not any(tree._levels)


@pytest.mark.parametrize(("differences", "bytes_most"), [(0, 8), (1, 648), (10, 5_000 * 1.2), (100, 38_000 * 1.2)])
def test_few_bytes_find_few_differences(differences: int, bytes_most: float) -> None:
    rng = Random(1)
    rows = {rng.randbytes(8): b"state" for _ in range(20_000)}
    others = rows | dict.fromkeys(rng.sample(sorted(rows), differences), b"other")
    leaves, sent = compared(filled(rows), filled(others))
    assert leaves == {leaf_of("t", key) for key in rows if rows[key] != others[key]}
    assert sent <= bytes_most


def test_leaves_are_within_bounds_and_tables_apart() -> None:
    assert LEAVES == FAN_OUT**5
    assert all(0 <= leaf_of("t", bytes([number])) < LEAVES for number in range(256))
    assert leaf_of("t", b"k") != leaf_of("u", b"k")
    assert hash_of("t", b"ab", b"c") != hash_of("t", b"a", b"bc")
