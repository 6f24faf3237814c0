"""A hash tree over the rows of a replica (Merkle 1987), by which two replicas find where they differ.

Rows lie in leaves by a hash of their keys. A leaf's hash is the exclusive or of those of its rows, and a node's of
those of its children, so that a write changes one number on each level, in whatever order writes come. Nodes without
rows are not kept, and have the hash 0.
"""

from collections.abc import Sequence
from hashlib import blake2b

FAN_OUT_BITS = 4
FAN_OUT = 1 << FAN_OUT_BITS
DEPTH = 5
"""Levels below the root: 16^5 leaves."""
LEAVES = FAN_OUT**DEPTH


def leaf_of(table: str, key: bytes) -> int:
    """The leaf in which this row lies."""
    return int.from_bytes(_digest(table, key), "big") >> 64 - FAN_OUT_BITS * DEPTH


def hash_of(table: str, key: bytes, state: bytes) -> int:
    """Of a row with this state, in 63 bits; 0: of no row."""
    return int.from_bytes(_digest(table, key, state), "big") >> 1 if state else 0


def _digest(table: str, *parts: bytes) -> bytes:
    digest = blake2b(table.encode(), digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


class Tree:
    """The hashes of all nodes, by level and number."""

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: list[dict[int, int]] = [{} for _ in range(DEPTH + 1)]

    @property
    def root(self) -> int:
        """Equal for replicas that hold the same, and else most likely not."""
        return self._levels[0].get(0, 0)

    def change(self, leaf: int, before: int, after: int) -> None:
        """A row of this leaf had one hash and has another."""
        node = leaf
        for level in range(DEPTH, -1, -1):
            hashes = self._levels[level]
            changed = hashes.get(node, 0) ^ before ^ after
            if changed:
                hashes[node] = changed
            else:
                hashes.pop(node, None)
            node >>= FAN_OUT_BITS

    def hashes(self, level: int, nodes: Sequence[int]) -> tuple[int, ...]:
        """Of these nodes of a level; 0 is the root's."""
        known = self._levels[level]
        return tuple([known.get(node, 0) for node in nodes])


def children_of(nodes: Sequence[int]) -> tuple[int, ...]:
    """The nodes below these, on the next level."""
    return tuple([(node << FAN_OUT_BITS) + child for node in nodes for child in range(FAN_OUT)])
