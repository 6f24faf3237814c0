"""What a column shows when concurrent writes have left several values, and what a write replaces.

Four kinds of resolvers differ in what becomes of the values that are not shown:
- last-write-wins and priority choose one. The others are losers: listed, and forgotten when all members have seen it.
- keep shows the newest, and keeps the others until the application resolves them.
- custom: shows what a function makes of all. They are listed and kept until a write replaces them.
- merge: computes one value out of all, so nothing loses.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from quorate.core.versions import custom
from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import Dot, Origin, group_of

INT_MAX = (1 << 63) - 1
SEPARATOR = "\n"
"""Between the texts that merge:concat puts together."""


class Resolver(Enum):
    """The names under which users choose one."""

    LAST_WRITE_WINS = "last-write-wins"
    PRIORITY = "priority"
    KEEP = "keep"
    CONCAT = "merge:concat"
    SET = "merge:set"
    COUNTER = "merge:counter"
    MAX = "merge:max"
    MIN = "merge:min"


AnyResolver = Resolver | Custom
CHOOSING: frozenset[AnyResolver] = frozenset({Resolver.LAST_WRITE_WINS, Resolver.PRIORITY})
"""Those that choose one value, and discard the others."""
SHOWING_ONE = CHOOSING | {Resolver.KEEP}
"""Those that show one of the values as it is."""


class ByGroup(Mapping[Origin, int]):
    """Ranks for `priority` of origins that are leaders of groups: the first group has the last word."""

    def __getitem__(self, origin: Origin) -> int:
        return group_of(origin)

    def __iter__(self) -> Iterator[Origin]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Spec(Struct, frozen=True):
    """How the rows of one table are merged. It must be the same on every replica."""

    columns: tuple[AnyResolver, ...]
    """For each column beside the key."""
    ranks: Mapping[Origin, int] = {}
    """For `priority`: the lowest wins; an origin that is not there comes last."""
    by_row: bool = False
    """Each write counts for all columns: a CHECK would not hold for a row put together from two."""


def resolver_named(name: str, known: Sequence[Custom] = ()) -> AnyResolver:
    """The resolver of this name. `known`: those of programs. Raises ValueError, which names them all."""
    if name.startswith(custom.PREFIX):
        return custom.named(name, known)
    for each in Resolver:
        if each.value == name:
            return each
    names = [*[each.value for each in Resolver], "custom:MODULE:FUNCTION"]
    raise ValueError(f"{name!r} is no resolver; there are " + ", ".join(names))


Sibling = tuple[Dot, Any]
"""One of the values of a cell, with the write that it is of."""


def chosen(resolver: AnyResolver, siblings: Sequence[Sibling], ranks: Mapping[Origin, int]) -> Sibling:
    """The sibling that is shown; of at least one. For the resolvers of SHOWING_ONE, and max and min."""
    if len(siblings) == 1:
        return siblings[0]
    if resolver is Resolver.PRIORITY:
        lowest = len(ranks) + max(ranks.values(), default=0)
        return max(siblings, key=lambda each: (-ranks.get(each[0][1], lowest + 1), each[0]))
    if resolver is Resolver.MAX:
        return max(siblings, key=lambda each: (*in_order(each[1]), each[0]))
    if resolver is Resolver.MIN:
        known = [each for each in siblings if each[1] is not None] or siblings
        return min(known, key=lambda each: (*in_order(each[1]), each[0]))
    return max(siblings, key=lambda each: each[0])


def in_order(value: Any) -> tuple[int, Any]:
    """A key that sorts values as SQLite does: NULL, numbers, texts, blobs."""
    if value is None:
        return 0, 0
    if isinstance(value, str):
        return 2, value.encode("utf-8", "surrogatepass")
    return (3, bytes(value)) if isinstance(value, bytes) else (1, value) if not _is_raw(value) else (2, value.data)


def _is_raw(value: Any) -> bool:
    """A text that is not UTF-8."""
    return isinstance(value, msgspec.msgpack.Ext)


def concatenated(siblings: Sequence[Sibling]) -> Any:
    """The different values in the order of their writes."""
    values: list[Any] = []
    for _, value in sorted(siblings, key=lambda each: each[0]):
        if value is not None and value not in values:
            values.append(value)
    if len(values) < 2:
        return values[0] if values else None
    return SEPARATOR.join([_text(value) for value in values])


def resolved(resolver: Custom, siblings: Sequence[Sibling]) -> Any:
    """What a program's own resolver makes of the different values, in the order of their writes."""
    values: list[Any] = []
    for _, value in sorted(siblings, key=lambda each: each[0]):
        if not any(type(each) is type(value) and each == value for each in values):
            values.append(value)
    if any(_is_raw(value) for value in values):
        return values[-1]
    return custom.folded(resolver.function, values)


def _text(value: Any) -> str:
    if _is_raw(value):
        return str(value.data.hex())
    return value.hex() if isinstance(value, bytes) else str(value)


def clamped(total: int) -> int:
    """A counter's value: it stays at the ends of what SQLite can hold, and counts on beyond them."""
    return max(-INT_MAX - 1, min(INT_MAX, total))


def members_of(text: Any) -> tuple[str, ...]:
    """The members of a set, each as canonical JSON, in order. Raises ValueError: it is no JSON array."""
    try:
        found = msgspec.json.decode(text if isinstance(text, str) else b"")
    except msgspec.DecodeError as error:
        raise ValueError("a column that is merged as a set holds a JSON array") from error
    if not isinstance(found, list):
        raise ValueError("a column that is merged as a set holds a JSON array")
    return tuple(sorted({msgspec.json.encode(each, order="sorted").decode() for each in found}))


def set_of(members: Sequence[str]) -> str:
    """The JSON array that shows these members."""
    return "[" + ",".join(sorted(set(members))) + "]"
