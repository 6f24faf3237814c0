"""The bytes of a versioned row: equal states have equal bytes, and a row that one write made is hardly larger than its
values.

    [[stamp, origin], [value ...]]                         one insert wrote all of it
    [dots, [value ...], owners, others, context]           anything else

`dots` lists the writes (stamp, origin, stamp ...). `owners` has a byte for each column: which of them wrote its only
value; NOT_ALONE: its entries are among the `others`, each (column, write, part, how far, value). `context` has what
was seen beyond `dots`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from quorate.core.versions.clock import Stamp
from quorate.core.versions.dots import Context, Dot, Origin, flat, unflat
from quorate.core.versions.row import ALIVE, LIFE, Entry, Name, Row

NOT_ALONE = 255
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Any])


def encode_inserted(dot: Dot, values: Any) -> bytes:
    """The state of a row that this write has made, for columns without sets."""
    return _encoder.encode((dot, values))


def encode_row(row: Row) -> bytes:
    """The bytes of a state."""
    names = sorted(row.entries)
    writes = sorted({(name[1], name[2]) for name in names})
    width = 1 + max([name[0] for name in names], default=-1)
    if len(writes) == 1 and _is_inserted(row, names, writes[0], width):
        return _encoder.encode((writes[0], [row.entries[name][1] for name in names[1:]]))
    places = {dot: place for place, dot in enumerate(writes)}
    alone = _alone(names, row.entries, places)
    owners, values = bytearray([NOT_ALONE]) * width, [None] * width
    others: list[Any] = []
    for name in names:
        how, value = row.entries[name]
        place = places[name[1], name[2]]
        if alone.get(name[0]):
            owners[name[0]], values[name[0]] = place, value
        else:
            others.append((name[0], place, name[3], how, value))
    seen: dict[Origin, Stamp] = {origin: stamp for stamp, origin in writes}  # the highest comes last
    beyond = {origin: stamp for origin, stamp in row.context.items() if stamp > seen.get(origin, 0)}
    dots = [number for dot in writes for number in dot]
    return _encoder.encode((dots, values, bytes(owners), others, flat(beyond)))


def looks_back(row: Row) -> bool:
    """Whether its context says more than its entries: something that only the floor will forget."""
    seen = {name[2]: name[1] for name in sorted(row.entries, key=_by_stamp)}
    return any(stamp > seen.get(origin, 0) for origin, stamp in row.context.items())


def _by_stamp(name: Name) -> Stamp:
    return name[1]


def _is_inserted(row: Row, names: list[Name], dot: Dot, width: int) -> bool:
    if any(stamp > (dot[0] if origin == dot[1] else 0) for origin, stamp in row.context.items()):
        return False
    whole = len(names) == width + 1 and names[0][0] == LIFE
    return whole and all(
        name[0] == place and name[3] == 0 and row.entries[name][0] == ALIVE for place, name in enumerate(names, LIFE)
    )


def _alone(names: list[Name], entries: dict[Name, Entry], places: dict[Dot, int]) -> dict[int, bool]:
    """Columns with a single, ordinary entry."""
    alone: dict[int, bool] = {}
    for name in names:
        column, stamp, origin, part = name
        ordinary = column >= 0 and part == 0 and entries[name][0] == ALIVE and places[stamp, origin] < NOT_ALONE
        alone[column] = ordinary and column not in alone
    return alone


def decode_row(encoded: bytes) -> Row:
    """The state of which these are the bytes."""
    found = _decoder.decode(encoded)
    if len(found) == 2:
        (stamp, origin), values = found
        entries: dict[Name, Entry] = {(LIFE, stamp, origin, 0): (ALIVE, None)}
        for column, value in enumerate(values):
            entries[column, stamp, origin, 0] = ALIVE, value
        return Row({origin: stamp}, entries)
    dots, values, owners, others, beyond = found
    writes = list(zip(dots[::2], dots[1::2], strict=True))
    entries = {}
    for column, owner in enumerate(owners):
        if owner != NOT_ALONE:
            entries[column, *writes[owner], 0] = ALIVE, _value(values[column])
    for column, place, part, how, value in others:
        entries[column, *writes[place], part] = how, _value(value)
    context = {origin: stamp for stamp, origin in writes} | unflat(beyond)
    return Row(context, entries)


class Calm(Struct):
    """A state in which nothing is concurrent: one life, and one value in each column. Most are, and need no look at
    each entry."""

    writes: list[Dot]
    born: int
    """The insert among the writes."""
    owners: bytes
    """For each column, its write."""
    values: list[Any]
    context: dict[Origin, Stamp]
    looks_back: bool

    @property
    def is_inserted(self) -> bool:
        """One insert has made all of it."""
        return len(self.writes) == 1 and not self.looks_back


def calm_of(encoded: bytes) -> Calm | None:
    """The state of which these are the bytes, if it is calm. Not for tables with counters or sets, unless one insert
    has made it."""
    found = _decoder.decode(encoded)
    if len(found) == 2:
        (stamp, origin), values = found
        return Calm([(stamp, origin)], 0, bytes(len(values)), values, {origin: stamp}, looks_back=False)
    dots, values, owners, others, beyond = found
    if len(others) != 1 or others[0][0] != LIFE or NOT_ALONE in owners:
        return None
    writes = list(zip(dots[::2], dots[1::2], strict=True))
    context = {origin: stamp for stamp, origin in writes}
    if beyond:
        context |= unflat(beyond)
    return Calm(writes, others[0][1], owners, values, context, looks_back=bool(beyond))


def encode_updated(calm: Calm, dot: Dot, changed: Mapping[int, Any], floor: Context) -> tuple[bytes, bool]:
    """The bytes of a calm state after a write of these columns, and whether it looks back beyond the floor: what
    `row.update`, `row.trimmed` and `encode_row` make of it, unless it is a counter or a set."""
    values = list(calm.values)
    owning = [calm.writes[owner] for owner in calm.owners]
    for column, value in changed.items():
        values[column], owning[column] = value, dot
    born = calm.writes[calm.born]
    writes = sorted({born, *owning})
    places = {each: place for place, each in enumerate(writes)}
    seen = {origin: stamp for stamp, origin in writes}
    beyond = {
        origin: stamp
        for origin, stamp in calm.context.items()
        if stamp > seen.get(origin, 0) and stamp > floor.get(origin, 0)
    }
    dots = [number for each in writes for number in each]
    others = ((LIFE, places[born], 0, ALIVE, None),)
    owners = bytes([places[each] for each in owning])
    return _encoder.encode((dots, values, owners, others, flat(beyond))), bool(beyond)


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
