"""What became of the rows of one table: the images that the transaction found, beside what is there now."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw

from quorate.storage.rows.payload import Rows, Update, array_header, decode_row, encode
from quorate.storage.rows.table import Row, Table

PRESENT = b""
"""In the place of an image: the row was there, and what it held is not known."""

How = tuple[tuple[int, ...], bool]
"""Columns that got new values, and whether the old ones travel too."""
Parts = list[tuple[int, bytes]]
"""Rows as encoded arrays, and how many are in each: rows as objects would take much more memory."""
_NOTHING = Raw(array_header(0))


class Difference:
    """Made of the rows that are there now, some at a time."""

    __slots__ = ("_came", "_grow", "_images", "_known", "_stayed", "_table", "_updated")

    def __init__(self, table: Table, images: dict[Any, bytes | None], grow: Callable[[int], None]) -> None:
        """`images`: see `capture.Touched`. `grow` is told of each part's size (bytes)."""
        self._table = table
        self._images = images
        self._grow = grow
        self._came: Parts = []
        self._updated: dict[How, Parts] = {}
        self._stayed: set[Any] = set()
        self._known: set[Any] = set()
        """Keys WITHOUT ROWID of rows that were added: keys that differ as values may find the same row."""

    def add(self, rows: Sequence[Row]) -> None:
        """Rows that are there, of those that were touched."""
        table, images, stayed, known = self._table, self._images, self._stayed, self._known
        place = table.rowid_place
        came: list[Row] = []
        updated: dict[How, list[Row]] = {}
        for row in rows:
            if place is not None:
                key = row[place]
            else:
                key = table.key_of(row)
                if key in known:
                    continue
                known.add(key)
            image = images.get(key)
            change = None if image is None else _change_of(table, key, image, row)
            if change is None:
                came.append(row)
                continue
            stayed.add(key)
            how, values = change
            if how in updated:
                updated[how].append(values)
            elif how[0]:
                updated[how] = [values]
        if came:
            self._came.append(self._packed(came))
        for how, changed in updated.items():
            part = self._packed(changed)
            if how in self._updated:
                self._updated[how].append(part)
            else:
                self._updated[how] = [part]

    def _packed(self, rows: list[Row]) -> tuple[int, bytes]:
        part = encode(rows)
        self._grow(len(part))
        return len(rows), part

    def rows(self) -> Rows | None:
        """All of it; None: every row is as it was."""
        table, images, stayed = self._table, self._images, self._stayed
        deleted = _NOTHING
        if len(stayed) < len(images):
            gone = [old or encode((key,)) for key, old in images.items() if old is not None and key not in stayed]
            self._grow(sum([len(row) for row in gone]))
            deleted = Raw(array_header(len(gone)) + b"".join(gone)) if gone else _NOTHING
        updated: list[Update] = []
        for (columns, compared), parts in self._updated.items():
            updated.append(Update(columns, compared, _joined(parts)))
        came = _joined(self._came) if self._came else _NOTHING
        if deleted is _NOTHING and came is _NOTHING and not updated:
            return None
        return Rows(table.name, table.width, table.identity, table.found_by, deleted, updated, came)


def _joined(parts: Parts) -> Raw:
    if len(parts) == 1:
        return Raw(parts[0][1])
    count = sum([rows for rows, _ in parts])
    return Raw(array_header(count) + b"".join([part[len(array_header(rows)) :] for rows, part in parts]))


def _change_of(table: Table, key: Any, image: bytes, row: Row) -> tuple[How, Row] | None:
    """How a row that was there became this one, and the values that `Table.update` takes. None: the old row must go
    before any other row may come."""
    unique = table.unique
    new = row[1:] if table.hidden_rowid else row
    if not image:
        if not unique <= set(() if table.hidden_rowid else table.key):
            return None
        columns = tuple([place for place in range(len(new)) if place not in unique])
        return (columns, False), (*[new[place] for place in columns], key)
    old = decode_row(image)
    if table.hidden_rowid:
        del old[0]
    places, is_now, was = differing(old, new)
    if not unique.isdisjoint(places):
        return None
    values = is_now
    if table.without_rowid:
        values += key
    else:
        values.append(key)
    values += was
    for place in table.travelling:
        values.append(old[place])
    return (tuple(places), True), values


def differing(old: Row, new: Row) -> tuple[list[int], list[Any], list[Any]]:
    """The places where two rows differ by value or by type (1 is not 1.0 here, and 0.0 is not -0.0), what the new one
    has there, and what the old one had."""
    places: list[int] = []
    is_now: list[Any] = []
    was: list[Any] = []
    for place, one in enumerate(old):
        other = new[place]
        kind = one.__class__
        if one != other or kind is not other.__class__ or (not one and kind is float and str(one) != str(other)):
            places.append(place)
            is_now.append(other)
            was.append(one)
    return places, is_now, was


def differ(one: Any, other: Any) -> bool:
    """The same of two values."""
    return bool(differing((one,), (other,))[0])
