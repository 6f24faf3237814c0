"""The bytes in which replicas tell each other about versioned rows: whole states of rows, and what the sender had seen.

A delta may be what one transaction changed, or everything that a replica holds; it is merged in the same way."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from quorate.core.versions.clock import Stamp
from quorate.core.versions.dots import Context, Dot
from quorate.storage.interface import Divergent


class TableRows(Struct, frozen=True, array_like=True):
    """Rows of one table: key and state of each."""

    table: int
    """Its number, which is the same on every replica."""
    rows: list[tuple[bytes, bytes]]


class Discarded(Struct, frozen=True, array_like=True):
    """A conflict that is final: nothing else tells of it any more."""

    table: int
    key: bytes
    loser: Dot
    record: bytes


class Delta(Struct, frozen=True, array_like=True):
    """What is sent."""

    highest: Stamp
    """No stamp in it is higher."""
    after: Context
    """What the sender had seen before it. A receiver that has not seen as much may merge it, but has seen no more
    for it."""
    seen: Context
    """What a receiver has seen that has merged it after `after`."""
    floor: Context
    tables: list[TableRows]
    discarded: list[Discarded]


class Stretch(Struct, frozen=True, array_like=True):
    """A stretch of one table, in the order of keys."""

    table: int
    after: bytes
    """The keys behind this one; all are behind the empty one."""
    through: bytes | None
    """Up to this one; None: to the end."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Delta)


def delta_of(
    highest: Stamp,
    after: Context,
    seen: Context,
    floor: Context,
    tables: list[TableRows],
    discarded: Sequence[Discarded] = (),
) -> bytes:
    """The bytes of a delta."""
    after, seen, floor = [dict(sorted(each.items())) for each in (after, seen, floor)]
    return _encoder.encode(Delta(highest, after, seen, floor, tables, list(discarded)))


def decode_delta(encoded: bytes) -> Delta:
    """Raises Divergent when the bytes are no delta."""
    try:
        return _decoder.decode(encoded)
    except msgspec.MsgspecError as error:
        raise Divergent(f"changes of versioned rows cannot be read: {error}") from error
