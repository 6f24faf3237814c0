"""Dots and contexts: which write had seen which (dotted version vectors, Preguiça and others 2010).

A dot names one write: its stamp and its origin. An origin is one writer in one life of its disk; its stamps only
grow. A context says what has been seen: for each origin the highest stamp, and with it all lower ones. A write had
seen another if its context covers the other's dot; two writes of which neither had seen the other are concurrent. The
stamps of different origins are never compared for this, so that a wrong clock can not hide a conflict.

An origin must never be used by two lives of a disk. A disk that was restored from a copy would name new writes like
old ones, and what the others hold under these names would win unseen (Riak's issue kv679). `must_mint` says when a
new origin is needed.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from random import Random

from msgspec import Struct

from quorate.core.versions.clock import Stamp

Origin = int
Dot = tuple[Stamp, Origin]
"""In the order of time, and of origins where that is equal: any two replicas order two dots alike."""
Context = Mapping[Origin, Stamp]

ORIGIN_BITS = 62
NOTHING_SEEN: Context = {}


class Order(Enum):
    """How two contexts, or two writes, stand to each other."""

    SAME = "same"
    BEFORE = "before"
    AFTER = "after"
    CONCURRENT = "concurrent"


def covers(context: Context, dot: Dot) -> bool:
    """Whether this write has been seen."""
    return context.get(dot[1], 0) >= dot[0]


def joined(*contexts: Context) -> dict[Origin, Stamp]:
    """What any of them has seen."""
    seen: dict[Origin, Stamp] = {}
    for context in contexts:
        for origin, stamp in context.items():
            if stamp > seen.get(origin, 0):
                seen[origin] = stamp
    return seen


def with_dot(context: Context, dot: Dot) -> dict[Origin, Stamp]:
    """The same, and this write."""
    return joined(context, {dot[1]: dot[0]})


def includes(context: Context, other: Context) -> bool:
    """Whether everything that the other has seen has been seen."""
    return all(context.get(origin, 0) >= stamp for origin, stamp in other.items())


def compared(one: Context, other: Context) -> Order:
    """How they stand to each other."""
    if includes(one, other):
        return Order.SAME if includes(other, one) else Order.AFTER
    return Order.BEFORE if includes(other, one) else Order.CONCURRENT


class Write(Struct, frozen=True, array_like=True):
    """A write as it is judged: its dot, and what its author had seen without it."""

    dot: Dot
    seen: dict[Origin, Stamp]


def writes_compared(one: Write, other: Write) -> Order:
    """Which of two writes had seen the other."""
    if one.dot == other.dot:
        return Order.SAME
    if covers(other.seen, one.dot):
        return Order.BEFORE
    return Order.AFTER if covers(one.seen, other.dot) else Order.CONCURRENT


def floor_of(seen_by_members: Iterable[Context]) -> dict[Origin, Stamp]:
    """What every member has seen. Nothing older can arrive any more, except from who is no member."""
    floor: dict[Origin, Stamp] | None = None
    for seen in seen_by_members:
        if floor is None:
            floor = dict(seen)
        else:
            floor = {origin: min(stamp, seen[origin]) for origin, stamp in floor.items() if origin in seen}
    return floor or {}


def flat(context: Context) -> tuple[int, ...]:
    """Origin, stamp, origin, stamp ..., in the order of origins: equal contexts are encoded alike."""
    return tuple([number for origin in sorted(context) for number in (origin, context[origin])])


def unflat(numbers: Iterable[int]) -> dict[Origin, Stamp]:
    """The context of which `flat` made this."""
    each = iter(numbers)
    return dict(zip(each, each, strict=True))


class Kept(Struct, frozen=True, array_like=True):
    """What a disk remembers of the origin that wrote on it."""

    origin: Origin
    life: int
    """Of the node that it was minted for: counted at each start, and remembered by the other members."""
    ceiling: Stamp


def must_mint(kept: Kept | None, life_known_here: int, life_known_to_others: int, seen_by_others: Context) -> bool:
    """Whether a replica that starts may not write as the origin on its disk.

    `life_known_here` is the node's life as its own file tells it before this start. It has to be told what the other
    members know as soon as it meets one: a whole folder that was restored agrees with itself.
    """
    if kept is None:
        return True  # empty, or wiped
    if kept.life > life_known_here or life_known_to_others > life_known_here:
        return True  # a part of the folder, or all of it, is older than it was
    return seen_by_others.get(kept.origin, 0) > kept.ceiling  # others hold writes that this disk has forgotten


EPOCH_BITS = 40
"""Of an origin that is a leader of a group in one epoch."""


def origin_of(group: int, epoch: int) -> Origin:
    """The origin of what the leader of this group writes in this epoch: no two leaders write in one."""
    return group << EPOCH_BITS | epoch & (1 << EPOCH_BITS) - 1


def group_of(origin: Origin) -> int:
    """The group of such an origin."""
    return origin >> EPOCH_BITS


def mint(rng: Random) -> Origin:
    """A new origin. Two of a million are alike with a probability below 10^-6."""
    return rng.getrandbits(ORIGIN_BITS) | 1
