"""Whether a row's state that a caller sends who asks again is one that a node may have told."""

from typing import Any

import msgspec

from quorate.core.statements import VALUE_TYPES
from quorate.core.versions.dots import covers
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.resolvers import INT_MAX, Resolver, Spec
from quorate.core.versions.row import ALIVE, DEATH, LOST, LOST_TO_DELETE, Name, Row


def told(state: bytes, spec: Spec) -> Row | None:
    """The row's state that a caller sends who asks again; None: no node has told him that."""
    try:
        row = decode_row(state)
        sound = bool(row.context) and all(map(_is_stamp, row.context.values())) and encode_row(row) == state
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError, AttributeError, OverflowError):
        return None
    return (
        row if sound and all(_fits(row, name, how, value, spec) for name, (how, value) in row.entries.items()) else None
    )


def _fits(row: Row, name: Name, how: Any, value: Any, spec: Spec) -> bool:
    """Whether a write may have left that entry."""
    column, stamp, origin, _ = name
    if column not in range(DEATH, len(spec.columns)) or how not in (ALIVE, LOST, LOST_TO_DELETE):
        return False
    if not (_is_stamp(stamp) and _is_stamp(origin) and covers(row.context, (stamp, origin))):
        return False
    if column < 0 or spec.columns[column] is not Resolver.COUNTER:
        return isinstance(value, VALUE_TYPES)
    numbers = value if isinstance(value, tuple) and len(value) == 3 else (value,)
    return all(type(number) is int for number in numbers)


def _is_stamp(number: Any) -> bool:
    return type(number) is int and 0 < number <= INT_MAX
