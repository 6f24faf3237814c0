"""What a replica without a leader asks of its data file beside `Apply`, and what it hears: states of rows, and the hash
tree over all of them (`core.versions.merkle`).

Like every effect they are performed in order: what was asked to be applied before is seen. Each carries whom it is for
(`to`) and that one's number, and comes back with them.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from quorate.core.bounds import Count, GroupId, NodeId, Small, Stamped
from quorate.core.statements import Statement

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


def encode_change(number: int, sql: str) -> bytes:
    """A change of the schema, as an entry of the log carries it. They are numbered from 1 in each database."""
    return _encode((number, sql))


_change = msgspec.msgpack.Decoder(tuple[int, str]).decode


def decode_change(payload: bytes) -> tuple[int, str]:
    """Its number and its text."""
    return _change(payload)


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


class ReadSchema(Struct, frozen=True):
    """Read how far the schema was changed -> `SchemaRead`."""

    group: GroupId
    to: NodeId
    number: int


class SchemaRead(Struct, frozen=True):
    """This is the last change that was carried out; 0: there was none."""

    group: GroupId
    to: NodeId
    number: int
    serial: Count


WRITES, READS_ROW, READS_TABLES, CHANGES_SCHEMA, IS_REFUSED = "writes", "reads row", "reads tables", "schema", "refused"
"""What a statement is here."""


class PlanStatement(Struct, frozen=True):
    """What is this statement about? -> `StatementPlanned`"""

    group: GroupId
    to: NodeId
    number: int
    statement: Statement
    minted: bytes = b""
    """It is asked again, and this was told."""


class StatementPlanned(Struct, frozen=True):
    """It is about one row, or about tables; or it changes the schema, and can; or it is refused."""

    group: GroupId
    to: NodeId
    number: int
    kind: str
    outcome: bytes = b""
    """Refused: what its caller is told. Asked again: what it is told again."""
    key: RowKey = ("", b"")
    tables: tuple[str, ...] = ()
    """Those that it reads, as the keys of rows name them."""
    state: bytes = b""
    """Asked again: the row's state."""
    serial: Count = 0
    """The last change of the schema that was carried out."""


class RunOnRow(Struct, frozen=True):
    """Run a statement that changes this row where it has this state, and undo it -> `RowRun`"""

    group: GroupId
    to: NodeId
    number: int
    key: RowKey
    state: bytes
    statement: Statement
    stamp: Stamped
    origin: Stamped
    long_us: int
    """It keeps the node from all else, for so long at most; 0: no bound."""


class RowRun(Struct, frozen=True):
    """It would leave the row in this state; empty: it changes nothing."""

    group: GroupId
    to: NodeId
    number: int
    state: bytes
    outcome: bytes
    """What its caller is told when that is stored."""


class ReadOnRows(Struct, frozen=True):
    """Run a statement that reads, where these rows have these states -> `RowsQueried`"""

    group: GroupId
    to: NodeId
    number: int
    rows: tuple[RowState, ...]
    statement: Statement
    long_us: int
    """As in `RunOnRow`."""


class RowsQueried(Struct, frozen=True):
    """It gives this."""

    group: GroupId
    to: NodeId
    number: int
    outcome: bytes


class ReadTables(Struct, frozen=True):
    """Read the states of all rows of these tables -> `TablesRead`"""

    group: GroupId
    to: NodeId
    number: int
    tables: tuple[str, ...]
    rows_max: int
    bytes_max: int


class TablesRead(Struct, frozen=True):
    """They are these; or there are more than may be read."""

    group: GroupId
    to: NodeId
    number: int
    rows: tuple[RowState, ...]
    too_many: bool = False


RowEffect = (
    ReadRows | ReadRoot | CompareTree | ReadLeaves | ReadSchema | PlanStatement | RunOnRow | ReadOnRows | ReadTables
)
RowEvent = (
    RowsRead | RootRead | TreeCompared | LeavesRead | SchemaRead | StatementPlanned | RowRun | RowsQueried | TablesRead
)
