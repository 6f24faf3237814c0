"""The bytes of a versioned row: equal states have equal bytes, and a row that one write made is hardly larger than its
values.

    [[stamp, origin], [value ...]]                         one insert wrote all of it
    [dots, [value ...], owners, others, context]           anything else

`dots` lists the writes (stamp, origin, stamp ...). `owners` has a byte for each column: which of them wrote its only
value; NOT_ALONE: its entries are among the `others`, each (column, write, part, how far, value). `context` has what
was seen beyond `dots`.
"""

from typing import Any

import msgspec

from quorate.core.versions.clock import Stamp
from quorate.core.versions.dots import Dot, Origin, flat, unflat
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


def plain_of(encoded: bytes) -> tuple[Dot, list[Any]] | None:
    """The write and the values of a row that one insert has made; None: there is more to it."""
    found = _decoder.decode(encoded)
    return (tuple(found[0]), found[1]) if len(found) == 2 else None


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
