"""One versioned row: what writes make of it, and how two replicas' states of it become one.

A row is a context (which writes of this row have been seen) and entries. An entry is what one write left in one
column, and is known by that column and the write's dot. Two more columns say whether the row is there: each insert
leaves an entry in LIFE, each delete one in DEATH.

Each entry goes one way only:

    not seen  ->  alive  ->  lost  ->  gone

It is lost when a later write went over it that had not shown it, and gone when a write replaced it that had; gone and
not seen are told apart by the context. To merge two states is to take for each entry whichever is further, so it is
commutative, associative and idempotent, whatever is shown.

That a context may stand for "all lower stamps too" needs whole states: what travels is always the row's whole state,
never an entry by itself.

A delete takes the lives that its author had seen. So it wins over each update that it did not know of, and a row comes
back only by an insert that no delete has seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from quorate.core.versions.clock import Stamp
from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import NOTHING_SEEN, Context, Dot, Origin, covers, includes, joined
from quorate.core.versions.resolvers import (
    CHOOSING,
    SHOWING_ONE,
    AnyResolver,
    Resolver,
    Sibling,
    Spec,
    chosen,
    clamped,
    concatenated,
    members_of,
    resolved,
    set_of,
)

LIFE, DEATH = -1, -2
ALIVE, LOST, LOST_TO_DELETE = range(3)
"""How far an entry is; gone is not to be there."""
Name = tuple[int, Stamp, Origin, int]
"""Column, dot, and a number where one write leaves several entries in one cell."""
Entry = tuple[int, Any]
"""How far it is, and its value. A counter's value is the origin's total in the life that the entry's own write began,
or else (stamp and origin of the life, total). A set has an entry for each member, and one for being a set (part 0)."""


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""In the place of a value: no write has left one, so that the column's default is shown."""


class Row(Struct):
    """The state of one row. The functions here make new ones and change none."""

    context: dict[Origin, Stamp]
    entries: dict[Name, Entry]


def empty() -> Row:
    """A row of which nothing is known."""
    return Row({}, {})


def merge(mine: Row, theirs: Row, my_floor: Context = NOTHING_SEEN, their_floor: Context = NOTHING_SEEN) -> Row:
    """Both states as one. What lies below a floor and is not there is gone."""
    entries: dict[Name, Entry] = {}
    for name, entry in mine.entries.items():
        other = theirs.entries.get(name)
        if other is not None:
            entries[name] = entry if entry[0] >= other[0] else other
        elif not _seen(theirs, their_floor, name):
            entries[name] = entry
    news = [name for name in theirs.entries if name not in mine.entries and not _seen(mine, my_floor, name)]
    entries |= {name: theirs.entries[name] for name in news}
    return Row(joined(mine.context, theirs.context), entries)


def _seen(row: Row, floor: Context, name: Name) -> bool:
    dot = name[1], name[2]
    return covers(row.context, dot) or covers(floor, dot)


# ---------------------------------------------------------------------- what is there


def entries_of(row: Row, column: int) -> list[tuple[Name, Entry]]:
    """The entries of one column, in the order of their dots."""
    return sorted([each for each in row.entries.items() if each[0][0] == column], key=_by_name)


def _by_name(each: tuple[Name, Entry]) -> Name:
    return each[0]


def siblings_of(row: Row, column: int) -> list[tuple[Name, Any]]:
    """The entries of one column that are alive, with their values."""
    return [(name, value) for name, (how, value) in entries_of(row, column) if how == ALIVE]


def lives_of(row: Row) -> list[Dot]:
    """The inserts by which the row is there."""
    return [(name[1], name[2]) for name, _ in siblings_of(row, LIFE)]


def deaths_of(row: Row) -> list[Dot]:
    """The deletes that no insert has seen."""
    return [(name[1], name[2]) for name, _ in siblings_of(row, DEATH)]


def is_live(row: Row) -> bool:
    """Whether it is there. It may still be hidden because another row holds a unique value."""
    return any(name[0] == LIFE for name in row.entries)


def life_of(name: Name, value: Any) -> tuple[Dot, int]:
    """The life that a counter's entry counts in, and the total."""
    if isinstance(value, int):
        return (name[1], name[2]), value
    stamp, origin, total = value
    return (stamp, origin), total


def shown(row: Row, spec: Spec) -> list[Any]:
    """The values of a live row, for each column; MISSING where no write has left one."""
    by_column: dict[int, list[tuple[Name, Any]]] = {}
    for name, (how, value) in row.entries.items():
        if how == ALIVE:
            by_column.setdefault(name[0], []).append((name, value))
    return [_shown(row, spec, column, by_column.get(column, [])) for column in range(len(spec.columns))]


def shown_in(row: Row, spec: Spec, column: int) -> Any:
    """The value of one column."""
    return _shown(row, spec, column, siblings_of(row, column))


def _shown(row: Row, spec: Spec, column: int, siblings: list[tuple[Name, Any]]) -> Any:
    if not siblings:
        return MISSING
    resolver = spec.columns[column]
    if resolver is Resolver.COUNTER:
        lives = lives_of(row)
        counted = [life_of(name, value) for name, value in siblings]
        return clamped(sum([total for life, total in counted if life in lives]))
    if resolver is Resolver.SET:
        return set_of([value for name, value in siblings if name[3]])
    values = [((name[1], name[2]), value) for name, value in siblings]
    if isinstance(resolver, Custom):
        return resolved(resolver, values)
    return concatenated(values) if resolver is Resolver.CONCAT else chosen(resolver, values, spec.ranks)[1]


def shown_entry(row: Row, spec: Spec, column: int) -> Sibling | None:
    """The sibling that is shown by a resolver that shows one, or the newest; None: there is none."""
    values = [((name[1], name[2]), value) for name, value in siblings_of(row, column)]
    return chosen(spec.columns[column], values, spec.ranks) if values else None


# ---------------------------------------------------------------------- writes


def insert(row: Row, spec: Spec, dot: Dot, values: Sequence[Any]) -> Row:
    """The row comes, with these values for all columns. Raises ValueError: a value does not suit its resolver."""
    after = _after(row, dot)
    for name, (how, value) in row.entries.items():
        if name[0] < 0:
            del after.entries[name]
        elif how == ALIVE:  # nobody was shown it
            after.entries[name] = LOST_TO_DELETE, value
    after.entries[LIFE, *dot, 0] = ALIVE, None
    for column, value in enumerate(values):
        for part, each in _parts(spec.columns[column], value):
            after.entries[column, *dot, part] = ALIVE, each
    return after


def update(row: Row, spec: Spec, dot: Dot, changed: Mapping[int, Any], *, all_siblings: bool = False) -> Row:
    """These columns of a row that is shown get new values. Raises ValueError: a value does not suit its resolver.

    `all_siblings`: the write replaces all values, as one does that resolves or undoes a conflict.
    """
    after = _after(row, dot)
    if spec.by_row:
        changed = dict(enumerate(shown(row, spec))) | dict(changed)
    for column, value in sorted(changed.items()):
        if value is MISSING:
            continue
        resolver = spec.columns[column]
        if resolver is Resolver.COUNTER:
            _count(after, row, spec, dot, column, value)
        elif resolver is Resolver.SET:
            _change_set(after, row, dot, column, value)
        else:
            _replace(after, row, spec, column, all_siblings=all_siblings)
            after.entries[column, *dot, 0] = ALIVE, value
    return after


def delete(row: Row, spec: Spec, dot: Dot) -> Row:
    """The row goes."""
    after = _after(row, dot)
    for name in row.entries:
        if name[0] < 0:
            del after.entries[name]
    for column in range(len(spec.columns)):
        _replace(after, row, spec, column, all_siblings=False)
    for name, (how, value) in list(after.entries.items()):
        if how == ALIVE:
            after.entries[name] = LOST_TO_DELETE, value
    after.entries[DEATH, *dot, 0] = ALIVE, None
    return after


def _after(row: Row, dot: Dot) -> Row:
    assert not covers(row.context, dot), "a stamp of this origin that is not new"
    return Row({**row.context, dot[1]: dot[0]}, dict(row.entries))


def _parts(resolver: AnyResolver, value: Any) -> Iterator[tuple[int, Any]]:
    """The entries that a first value of a cell makes."""
    if resolver is Resolver.SET:
        yield 0, None
        yield from enumerate(members_of(value), 1)
    else:
        if resolver is Resolver.COUNTER:
            _must_count(value)
        yield 0, value


def _must_count(value: Any) -> None:
    if not isinstance(value, int):
        raise ValueError("a column that is merged as a counter holds an integer")


def _replace(after: Row, row: Row, spec: Spec, column: int, *, all_siblings: bool) -> None:
    """A write goes over a cell: what it showed is gone, and what a resolver that chooses had hidden is lost for
    good: it must not come back when what was chosen over it is replaced."""
    resolver = spec.columns[column]
    everything = all_siblings or resolver not in SHOWING_ONE
    found = shown_entry(row, spec, column) if not everything else None
    lives = lives_of(row)
    for name, (how, value) in entries_of(row, column):
        if resolver is Resolver.COUNTER and life_of(name, value)[0] not in lives:
            after.entries[name] = LOST_TO_DELETE, value
        elif all_siblings or (how == ALIVE and (found is None or found[0] == (name[1], name[2]))):
            del after.entries[name]
        elif how == ALIVE and resolver in CHOOSING:
            after.entries[name] = LOST, value


def _count(after: Row, row: Row, spec: Spec, dot: Dot, column: int, value: Any) -> None:
    """An UPDATE of a counter adds what it changes: each origin keeps its own total."""
    _must_count(value)
    before = shown_in(row, spec, column)
    amount = value - (0 if before is MISSING else before)
    life = max(lives_of(row), default=dot)
    for name, found in siblings_of(row, column):
        begun, total = life_of(name, found)
        if name[2] == dot[1] and begun == life:
            amount += total
            del after.entries[name]
    after.entries[column, *dot, 0] = ALIVE, amount if life == dot else (*life, amount)


def _change_set(after: Row, row: Row, dot: Dot, column: int, value: Any) -> None:
    """Members that are no longer there go, if this write's author has seen them; new ones come."""
    wanted = members_of(value)
    siblings = siblings_of(row, column)
    for name, member in siblings:
        if name[3] and member not in wanted:
            del after.entries[name]
    known = [member for name, member in siblings if name[3]]
    if not any(name[3] == 0 for name, _ in siblings):
        after.entries[column, *dot, 0] = ALIVE, None
    for part, member in enumerate([each for each in wanted if each not in known], 1):
        after.entries[column, *dot, part] = ALIVE, member


# ---------------------------------------------------------------------- the floor


def trimmed(row: Row, spec: Spec, floor: Context) -> Row | None:
    """The state without what nobody needs who has seen the floor: losers, deletes that an insert has overcome, and the
    context below it. None: the row is deleted, and nothing older than its delete can arrive any more.

    Losers are listed (`conflicts.records`) before they are trimmed.
    """
    live = is_live(row)
    if not live and includes(floor, row.context):
        return None
    entries = {name: entry for name, entry in row.entries.items() if not _is_settled(row, spec, floor, name, live)}
    context = {origin: stamp for origin, stamp in row.context.items() if stamp > floor.get(origin, 0)}
    return Row(context, entries)


def _is_settled(row: Row, spec: Spec, floor: Context, name: Name, live: bool) -> bool:
    if not covers(floor, (name[1], name[2])):
        return False
    how, value = row.entries[name]
    column = name[0]
    if column < 0:
        return column == DEATH and live
    if how != ALIVE:
        return True
    if not live or column >= len(spec.columns):
        return not live and all(covers(floor, death) for death in deaths_of(row))
    if spec.columns[column] is Resolver.COUNTER:
        return life_of(name, value)[0] not in lives_of(row)
    if spec.columns[column] not in CHOOSING:
        return False
    winner = shown_entry(row, spec, column)
    assert winner is not None
    return winner[0] != (name[1], name[2]) and covers(floor, winner[0])
