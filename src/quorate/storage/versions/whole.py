"""Everything that the versioned tables of one data file hold, in parts, for a sibling that cannot be brought forward by
entries: it is new, or was away for too long, or has lost its disk. It merges them, and keeps what it wrote itself."""

from collections.abc import Iterator

import apsw
import msgspec
from msgspec import Struct

from quorate.core.bounds import GroupId
from quorate.core.entries import Position
from quorate.core.streams import Cursor
from quorate.core.versions.resolvers import ByGroup
from quorate.storage.data.connection import INTERNAL
from quorate.storage.interface import Divergent
from quorate.storage.versions.base import Base
from quorate.storage.versions.delta import Discarded, Stretch, TableRows, delta_of
from quorate.storage.versions.within import Versions


class Part(Struct, frozen=True, array_like=True):
    """As much as travels at once."""

    schemas: list[bytes]
    """All changes of the schema, in order."""
    records: list[bytes]
    """What is remembered of requests."""
    changes: bytes
    """A delta."""
    stretch: Stretch | None = None
    """There are no other rows in this one."""


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Part)


def decode_part(encoded: bytes) -> Part:
    """Raises Divergent when the bytes are none."""
    try:
        return _decoder.decode(encoded)
    except msgspec.MsgspecError as error:
        raise Divergent(f"a part of a whole state cannot be read: {error}") from error


def whole_of(
    connection: apsw.Connection, group: GroupId, position: Position, bytes_max: int
) -> tuple[tuple[bytes, ...], tuple[Cursor, ...]]:
    """The parts of this group's data file, which stands at `position`, and how far each leader's log is merged in them,
    its own too."""
    parts = tuple(parts_of(connection, bytes_max))
    return parts, (Cursor(group, position, position), *Base(connection, create=False).streams())


def parts_of(connection: apsw.Connection, bytes_max: int) -> Iterator[bytes]:
    """Each of about so many bytes. The caller holds a read transaction."""
    base = Base(connection, create=False)
    versions = Versions(connection, 0, ByGroup(), base=base)
    records = connection.execute("SELECT records FROM main.quorate_window ORDER BY entry", prepare_flags=INTERNAL)
    floor, highest = base.remembered("floor", {}), max(versions.seen.values(), default=0)
    schemas, remembered = base.schemas(), [bytes(blob) for (blob,) in records]
    for rows, stretch in _chunks(base, versions, bytes_max):
        yield _encode(Part(schemas, remembered, delta_of(highest, {}, {}, floor, [rows]), stretch))
        schemas, remembered = [], []
    final = [
        Discarded(number, key, (stamp, origin), record)
        for number, key, stamp, origin, record in base.discarded()
    ]  # fmt: skip
    yield _encode(Part(schemas, remembered, delta_of(highest, {}, dict(versions.seen), floor, [], final)))


def _chunks(base: Base, versions: Versions, bytes_max: int) -> Iterator[tuple[TableRows, Stretch]]:
    for table in versions.tables.values():
        rows: list[tuple[bytes, bytes]] = []
        size, after = 0, b""
        for key, state in base.all_rows(table.number):
            rows.append((key, state))
            size += len(key) + len(state)
            if size >= bytes_max:
                yield TableRows(table.number, rows), Stretch(table.number, after, key)
                rows, size, after = [], 0, key
        yield TableRows(table.number, rows), Stretch(table.number, after, None)
