"""Conflicts: which writes are not shown, or are shown though something is wrong with them, and why.

A record is a function of what a replica holds, as the visible rows are: it appears when the other write arrives, and
is withdrawn when a write arrives that had replaced the loser. It is final when the floor has passed the loser: then no
such write can arrive any more.

Classes are told apart by dots and contexts, and never by which write arrived first, so that all replicas agree.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from msgspec import Struct

from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import Context, Dot, covers
from quorate.core.versions.resolvers import SHOWING_ONE, Resolver, Spec
from quorate.core.versions.row import (
    ALIVE,
    DEATH,
    LIFE,
    LOST_TO_DELETE,
    Row,
    deaths_of,
    life_of,
    lives_of,
    shown_entry,
    shown_in,
)


class Conflict(Enum):
    """The twelve classes. The names of PostgreSQL and its relatives, where they have one, are in docs/versions.md."""

    INSERT_INSERT = "insert/insert"
    UPDATE_UPDATE = "update/update"
    UPDATE_DELETE = "update/delete"
    DELETE_UPDATE = "delete/update"
    DELETE_DELETE = "delete/delete"
    INSERT_TOMBSTONE = "insert/tombstone"
    MISSING_ROW = "missing row"
    UNIQUE = "unique"
    MULTIPLE_UNIQUE = "multiple unique"
    FOREIGN_KEY = "foreign key"
    CHECK = "check"
    SCHEMA = "schema"


class Record(Struct, frozen=True):
    """What became of one write in one row."""

    conflict: Conflict
    loser: Dot
    winner: Dot | None
    """What is shown instead; None: several writes, or one that has been replaced since."""
    cells: tuple[tuple[int, Any, Any], ...]
    """Column, the loser's value, and what is shown."""
    is_discard: bool = False
    """The write is not shown, and will be forgotten when the record is final. `keep` and `custom:` discard nothing."""


def records(row: Row, spec: Spec) -> list[Record]:
    """The conflicts within one row, in the order of the writes that lose."""
    if _is_calm(row, spec):
        return []
    lives, deaths = lives_of(row), deaths_of(row)
    found: dict[Dot, list[tuple[int, Any, int]]] = {}
    for (column, stamp, origin, part), (how, value) in sorted(row.entries.items(), key=_by_name):
        if column >= 0 and _loses(row, spec, column, (stamp, origin), part, how, value, lives):
            found.setdefault((stamp, origin), []).append((column, value, how))
    listed = [_record(row, spec, loser, cells, lives, deaths) for loser, cells in sorted(found.items())]
    if len(deaths) > 1 and not lives:
        listed += [Record(Conflict.DELETE_DELETE, each, deaths[-1], ()) for each in deaths[:-1]]
    if deaths and lives:
        listed += [Record(Conflict.INSERT_TOMBSTONE, each, lives[-1], ()) for each in deaths]
    return listed


def _is_calm(row: Row, spec: Spec) -> bool:
    """A look at most rows is enough: each column has one value."""
    columns = [name[0] for name in row.entries]
    if len(set(columns)) < len(columns) or LIFE not in columns or DEATH in columns:
        return False
    if Resolver.COUNTER in spec.columns or max(columns) >= len(spec.columns):
        return False
    return all(how == ALIVE for how, _ in row.entries.values())


def _by_name(each: Any) -> Any:
    return each[0]


def _loses(row: Row, spec: Spec, column: int, dot: Dot, part: int, how: int, value: Any, lives: list[Dot]) -> bool:
    if how != ALIVE:
        return True
    if column >= len(spec.columns):
        return True
    resolver = spec.columns[column]
    if not lives:
        return not (resolver is Resolver.SET and part == 0)
    if resolver is Resolver.COUNTER:
        return life_of((column, *dot, part), value)[0] not in lives
    if resolver not in SHOWING_ONE and not isinstance(resolver, Custom):
        return False
    winner = shown_entry(row, spec, column)
    return winner is not None and winner[0] != dot


def _record(
    row: Row, spec: Spec, loser: Dot, cells: list[tuple[int, Any, int]], lives: list[Dot], deaths: list[Dot]
) -> Record:
    known = [cell for cell in cells if cell[0] < len(spec.columns)]
    told = tuple([(column, value, _shown(row, spec, column, lives)) for column, value, _ in cells])
    if not known:
        return Record(Conflict.SCHEMA, loser, None, told)
    if not lives and not deaths:
        return Record(Conflict.MISSING_ROW, loser, None, told, is_discard=True)
    if not lives or any(how == LOST_TO_DELETE or spec.columns[at] is Resolver.COUNTER for at, _, how in known):
        winner = deaths[-1] if deaths and not lives else None
        later = winner is None or loser < winner
        conflict = Conflict.UPDATE_DELETE if later else Conflict.DELETE_UPDATE
        return Record(conflict, loser, winner, told, is_discard=True)
    found = [each for each in [shown_entry(row, spec, column) for column, _, _ in known] if each is not None]
    winner = max([dot for dot, _ in found], default=None)
    keeps = all(
        spec.columns[column] is Resolver.KEEP or isinstance(spec.columns[column], Custom) for column, _, _ in known
    )
    conflict = Conflict.INSERT_INSERT if loser in lives and len(lives) > 1 else Conflict.UPDATE_UPDATE
    return Record(conflict, loser, winner, told, not keeps)


def _shown(row: Row, spec: Spec, column: int, lives: list[Dot]) -> Any:
    if not lives or column >= len(spec.columns):
        return None
    return shown_in(row, spec, column)


def is_final(record: Record, floor: Context) -> bool:
    """Whether no write can arrive any more that had replaced the loser."""
    return covers(floor, record.loser) and (record.winner is None or covers(floor, record.winner))


def discards(listed: Iterable[Record]) -> int:
    """How many writes are not shown."""
    return sum([1 for each in listed if each.is_discard])
