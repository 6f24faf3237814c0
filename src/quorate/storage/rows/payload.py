"""The bytes of an entry in the row format: what a batch changed, and what its callers were told.

An entry is an ordered list of segments with the hash of the schema they were made under. All of it is
msgpack; the format's number comes first so that a later version can tell.
"""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import msgspec
from msgspec import Raw, Struct

from quorate.core.formats import PAYLOAD
from quorate.core.requests import Cancelled, Done, Expired, WriteOutcome
from quorate.core.statements import Failed, Result, Value
from quorate.storage.interface import Divergent

FORMAT = PAYLOAD.highest
OUTCOME_MAX = 64 * 1024
"""Larger outcomes are remembered without their rows (bytes)."""


class Update(Struct, frozen=True, array_like=True):
    """Rows of one table that got new values in the same columns."""

    columns: tuple[int, ...]
    compared: bool
    """The old values travel too."""
    rows: Sequence[Any]
    """For each: the new values; the rowid, or the key of a table WITHOUT ROWID; if `compared`, the old values, and the
    values of a declared key beside a hidden rowid."""


class Rows(Struct, frozen=True, array_like=True):
    """What became of the rows of one table.

    A row is the tuple of its values: the hidden rowid first, where there is one, then the columns that an INSERT may
    name, in the table's order. Text that is not UTF-8 is an extension of msgpack (`table.NOT_UTF8`).
    """

    table: str
    width: int
    """Values of a row."""
    key: tuple[int, ...]
    """Those of them that are the primary key; (0,) when the rowid alone tells rows apart."""
    found_by: int
    """Values that find a row of an update: one rowid, or all of a key."""
    deleted: Sequence[Any]
    """Rows as they were; those whose values could not be seen are their rowid alone."""
    updated: Sequence[Update]
    inserted: Sequence[Any]


class Changes(Struct, frozen=True, array_like=True, tag=1):
    """What became of rows. The deletions of all tables come first, so that no row that comes finds its rowid or a
    unique value taken."""

    tables: Sequence[Rows]


class Ddl(Struct, frozen=True, array_like=True, tag=2):
    """A statement that changes the schema; every replica runs its text."""

    sql: str
    legacy: int = 0
    """How an ALTER TABLE renames: 0, as it should; 1, without a look at what refers to the table
    (`PRAGMA legacy_alter_table`); 2, the same, but foreign keys follow since they were on."""


class Sequences(Struct, frozen=True, array_like=True, tag=3):
    """What `sqlite_sequence` holds for some tables, so that AUTOINCREMENT never repeats an id: a table's name, and
    (rowid, number) of each of its rows, of which there is one unless a user wrote into it."""

    values: tuple[tuple[Value, tuple[tuple[int, Value], ...]], ...]


class Delta(Struct, frozen=True, array_like=True, tag=4):
    """What became of versioned rows (`storage.versions.delta`), in place of `Changes`."""

    changes: bytes


class Versioned(Struct, frozen=True, array_like=True):
    """A versioned table, as it is from some change of the schema on."""

    number: int
    """By which deltas know it; never given to another."""
    name: str
    """Empty: it was dropped."""
    columns: tuple[str, ...]
    """By number; empty, where one was dropped."""
    resolvers: dict[str, str]


class Chosen(Struct, frozen=True, array_like=True):
    """The resolver of a column, of a table that may come later."""

    table: str
    column: str
    resolver: str


class Schema(Struct, frozen=True, array_like=True, tag=5):
    """A change of the schema of a database with several leaders, in place of `Ddl`."""

    serial: int
    """All leaders carry these out in this order, each once."""
    sql: str
    """Empty: only the tables change, that is their resolvers."""
    legacy: int
    tables: tuple[Versioned, ...]
    chosen: tuple[Chosen, ...]
    """The resolvers of all columns for which one was chosen, from here on."""


Segment = Changes | Ddl | Sequences | Delta | Schema

Record = tuple[str, bytes]
"""A request's token and its encoded outcome, as it will be remembered."""


class Batch(Struct, frozen=True, array_like=True):
    """What one entry carries."""

    format: int
    schema: bytes
    """Hash of the schema before the first segment."""
    timestamp_us: int
    """The leader's wall clock."""
    segments: tuple[Segment, ...]
    records: Raw
    """Encoded tuple of `Record`s; it goes into the data file as it is."""


class Packed(Sequence[Any]):
    """Rows that are decoded when they are looked at. To decode a million at once would keep every other thread waiting
    for a second."""

    def __init__(self, rows: list[Raw]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return map(_row.decode, self._rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "Packed": ...
    def __getitem__(self, index: int | slice) -> Any:
        return Packed(self._rows[index]) if isinstance(index, slice) else _row.decode(self._rows[index])


class _PackedUpdate(Struct, array_like=True):
    columns: tuple[int, ...]
    compared: bool
    rows: list[Raw]


class _PackedRows(Struct, array_like=True):
    table: str
    width: int
    key: tuple[int, ...]
    found_by: int
    deleted: list[Raw]
    updated: list[_PackedUpdate]
    inserted: list[Raw]


class _PackedChanges(Struct, array_like=True, tag=1):
    tables: list[_PackedRows]


class _PackedBatch(Struct, array_like=True):
    format: int
    schema: bytes
    timestamp_us: int
    segments: tuple[_PackedChanges | Ddl | Sequences | Delta | Schema, ...]
    records: Raw


def _packed(segment: _PackedChanges | Ddl | Sequences | Delta | Schema) -> Segment:
    if not isinstance(segment, _PackedChanges):
        return segment
    tables: list[Rows] = []
    for each in segment.tables:
        updated = [Update(one.columns, one.compared, Packed(one.rows)) for one in each.updated]
        deleted, inserted = Packed(each.deleted), Packed(each.inserted)
        tables.append(Rows(each.table, each.width, each.key, each.found_by, deleted, updated, inserted))
    return Changes(tables)


PACKED_BYTES = 1 << 18
"""From this size on the rows of a payload stay packed."""

_encoder = msgspec.msgpack.Encoder()
_batch = msgspec.msgpack.Decoder(Batch)
_packed_batch = msgspec.msgpack.Decoder(_PackedBatch)
_row = msgspec.msgpack.Decoder(list[Any])
_records = msgspec.msgpack.Decoder(tuple[Record, ...])
_outcome: msgspec.msgpack.Decoder[WriteOutcome] = msgspec.msgpack.Decoder(WriteOutcome)

encode = _encoder.encode
EXPIRED = encode(Expired())
CANCELLED = encode(Cancelled())

_plain: dict[tuple[int, int | None], bytes] = {}
"""Encoded outcomes of single statements without rows, by row count and last rowid; most are alike."""


_AFTER_ROWS = encode(Done((Result((), [], -1),))).partition(encode(()) * 2)[2]
"""What follows the rows in the encoded outcome of a read."""


def around_rows(columns: tuple[tuple[str, str | None], ...]) -> tuple[bytes, bytes]:
    """What comes before and after the encoded rows in the outcome of a single read with these columns."""
    whole = encode(Done((Result(columns, [], -1),)))
    return whole[: -len(_AFTER_ROWS) - 1], _AFTER_ROWS


def encode_records(records: list[Record]) -> bytes:
    return encode(records)


def array_header(count: int) -> bytes:
    """How an array of so many elements begins."""
    if count < 16:
        return bytes((0x90 | count,))
    return b"\xdc" + count.to_bytes(2, "big") if count < 1 << 16 else b"\xdd" + count.to_bytes(4, "big")


def decode_row(image: bytes) -> list[Any]:
    """The values of an encoded row."""
    return _row.decode(image)


def decode_records(blob: bytes) -> tuple[Record, ...]:
    """Raises Divergent when the bytes are not what `encode_records` makes."""
    try:
        return _records.decode(blob)
    except msgspec.MsgspecError as error:
        raise Divergent(f"the records of an entry cannot be read: {error}") from error


def decode_batch(payload: bytes) -> Batch:
    """Raises Divergent when the bytes are no batch, or one of a format that is not known here."""
    try:
        if len(payload) < PACKED_BYTES:
            batch = _batch.decode(payload)
        else:
            found = _packed_batch.decode(payload)
            segments = tuple([_packed(segment) for segment in found.segments])
            batch = Batch(found.format, found.schema, found.timestamp_us, segments, found.records)
    except msgspec.MsgspecError as error:
        raise Divergent(f"the payload of an entry cannot be read: {error}") from error
    if batch.format not in PAYLOAD:
        raise Divergent(f"the payload has format {batch.format}, and {PAYLOAD} is known here")
    return batch


def decode_outcome(outcome: bytes) -> WriteOutcome:
    """Raises msgspec.MsgspecError."""
    return _outcome.decode(outcome)


def encode_done(results: list[Result]) -> tuple[bytes, bytes]:
    """The outcome for the caller, and the one that is remembered: without its rows when it is too large."""
    if len(results) == 1 and not results[0].columns:
        result = results[0]
        key = (result.rowcount, result.lastrowid)
        known = _plain.get(key)
        if known is None:
            known = encode(Done((result,)))
            if result.lastrowid is None and len(_plain) < 4096:
                _plain[key] = known
        return known, known
    full = encode(Done(tuple(results)))
    if len(full) <= OUTCOME_MAX:
        return full, full
    bare = tuple(Result(result.columns, [], result.rowcount, result.lastrowid) for result in results)
    short = encode(Done(bare, truncated=True))
    if len(short) > OUTCOME_MAX:  # thousands of statements in one request
        short = encode(Done((), truncated=True))
    return full, short


def encode_failed(failed: Failed) -> bytes:
    """A failure, with its message cut so that it fits."""
    if len(failed.message) > 4096:
        failed = Failed(
            failed.error, failed.message[:4096] + "...", failed.hint, failed.sqlite_errorname, failed.statement
        )
    return encode(failed)
