"""What a replica without a leader asks of its data file beside `Apply`, and what it hears: states of rows, and the hash
tree over all of them (`core.versions.merkle`). Every store performs them; `core.kernel` does not list them before users
can choose such a replication.

Like every effect they are performed in order: what was asked to be applied before is seen. Each carries whom it is for
(`to`) and that one's number, and comes back with them.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from quorate.core.bounds import GroupId, NodeId, Small, Stamped

RowKey = tuple[str, bytes]
"""A table, and an encoded primary key."""
RowState = tuple[str, bytes, bytes]
"""The same and the row's encoded state."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[RowState, ...]).decode


def encode_rows(rows: Iterable[RowState]) -> bytes:
    """What an entry of the log carries."""
    return _encode(tuple(rows))


def decode_rows(payload: bytes) -> tuple[RowState, ...]:
    """The rows of an entry."""
    return _decode(payload)


class ReadRows(Struct, frozen=True):
    """Read the states of these rows -> `RowsRead`."""

    group: GroupId
    to: NodeId
    number: int
    keys: tuple[RowKey, ...]


class RowsRead(Struct, frozen=True):
    """The states of these rows, in the order in which they were asked for; empty: nothing is known of the row."""

    group: GroupId
    to: NodeId
    number: int
    keys: tuple[RowKey, ...]
    states: tuple[bytes, ...]


class ReadRoot(Struct, frozen=True):
    """Read the hash of everything -> `RootRead`."""

    group: GroupId
    to: NodeId
    number: int


class RootRead(Struct, frozen=True):
    """The hash of everything."""

    group: GroupId
    to: NodeId
    number: int
    hash: int


class CompareTree(Struct, frozen=True):
    """Compare hashes of another replica's tree, of nodes of one level -> `TreeCompared`."""

    group: GroupId
    to: NodeId
    number: int
    level: Small
    nodes: tuple[Small, ...]
    hashes: tuple[Stamped, ...]
    nodes_max: int
    """Of those that differ: the others are left out."""
    bytes_max: int
    """Of rows: leaves beyond are left out, but for the first."""


class TreeCompared(Struct, frozen=True):
    """The nodes whose hashes are others here, and for each the hashes of its children; of leaves instead the rows."""

    group: GroupId
    to: NodeId
    number: int
    level: Small
    nodes: tuple[Small, ...]
    children: tuple[int, ...] = ()
    rows: tuple[RowState, ...] = ()


class ReadLeaves(Struct, frozen=True):
    """Read the states of all rows of these leaves -> `LeavesRead`."""

    group: GroupId
    to: NodeId
    number: int
    leaves: tuple[Small, ...]


class LeavesRead(Struct, frozen=True):
    """They are these."""

    group: GroupId
    to: NodeId
    number: int
    leaves: tuple[Small, ...]
    rows: tuple[RowState, ...]


RowEffect = ReadRows | ReadRoot | CompareTree | ReadLeaves
RowEvent = RowsRead | RootRead | TreeCompared | LeavesRead
