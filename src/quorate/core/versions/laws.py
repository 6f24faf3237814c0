"""The laws that a program's own resolver must keep, tried on samples: commutative, associative, idempotent, and the
same each time. One that breaks them would show what depends on clocks, or on who has merged what with what before.

A function may raise for values that it does not understand, if it does so in both orders.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, product
from random import Random
from typing import Any

from quorate.core.versions.custom import Function, Unsuitable, called

ORDERS = 1_000
"""Random orders, groupings and repetitions that are tried."""
PAIRS_MAX = 2_500
TOGETHER_MAX = 6
"""Values in one of them."""


def broken(name: str, function: Function, samples: Sequence[Any], rng: Random, orders: int = ORDERS) -> str:
    """The first counterexample as a sentence; empty: there is none."""
    for one, other in pairs(samples):
        found = _broken_by(name, function, one, other)
        if found:
            return found
    known = [each for each in samples if any(_or_none(function, each, other) is not None for other in samples)]
    if not known:
        return f"{name} has no answer for any two samples: {answer(function, samples[0], samples[-1])}"
    for _ in range(orders):  # first, for what they find is easier to read
        found = _broken_triple(name, function, [rng.choice(known) for _ in range(3)])
        if found:
            return found
    for _ in range(orders):
        found = _broken_order(function, rng.choices(known, k=rng.randint(2, TOGETHER_MAX)), rng)
        if found:
            return found
    return ""


def pairs(samples: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Any two samples, in an order that is always the same."""
    return islice(product(samples, samples), PAIRS_MAX)


def answer(function: Function, one: Any, other: Any) -> str:
    """What it makes of two values, as text: two that SQLite would tell apart are different texts."""
    try:
        return repr(called(function, one, other))
    except Unsuitable as error:
        return f"{error}"


def _or_none(function: Function, one: Any, other: Any) -> tuple[Any] | None:
    try:
        return (called(function, one, other),)
    except Unsuitable:
        return None


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


def _broken_by(name: str, function: Function, one: Any, other: Any) -> str:
    found, again, turned = (_or_none(function, *each) for each in ((one, other), (one, other), (other, one)))
    told = f"{name}({one!r}, {other!r}) is {answer(function, one, other)}"
    if (found is None) != (turned is None) or (found and turned and not _same(found[0], turned[0])):
        return f"not commutative: {told}, and {name}({other!r}, {one!r}) is {answer(function, other, one)}"
    if found is None:
        return ""
    if again is None or not _same(found[0], again[0]):
        return f"not deterministic: {told}, and another time something else"
    for each in (other, found[0]):
        repeated = _or_none(function, found[0], each)
        if repeated is None or not _same(repeated[0], found[0]):
            more = f"{name}({found[0]!r}, {each!r}) is {answer(function, found[0], each)}"
            return f"not idempotent: {told}, and with {each!r} again: {more}"
    return ""


def _broken_triple(name: str, function: Function, three: Sequence[Any]) -> str:
    one, two, last = three
    left, right = _or_none(function, one, two), _or_none(function, two, last)
    if left is None or right is None:
        return ""
    first, second = _or_none(function, left[0], last), _or_none(function, one, right[0])
    if first is not None and second is not None and _same(first[0], second[0]):
        return ""
    if first is None and second is None:
        return ""
    return (
        f"not associative: {name}({name}({one!r}, {two!r}), {last!r}) is {answer(function, left[0], last)},"
        f" and {name}({one!r}, {name}({two!r}, {last!r})) is {answer(function, one, right[0])}"
    )


def _broken_order(function: Function, values: list[Any], rng: Random) -> str:
    expected = _reduced(function, values)
    shuffled = values + rng.choices(values, k=2)
    rng.shuffle(shuffled)
    found = _grouped(function, shuffled, rng)
    if expected is None or found is None or _same(expected[0], found[0]):
        return ""
    return f"not the same in every order: of {values!r} it makes {expected[0]!r}, and of {shuffled!r} {found[0]!r}"


def _reduced(function: Function, values: Sequence[Any]) -> tuple[Any] | None:
    result: tuple[Any] | None = (values[0],)
    for each in values[1:]:
        result = _or_none(function, result[0], each) if result is not None else None
    return result


def _grouped(function: Function, values: list[Any], rng: Random) -> tuple[Any] | None:
    """Neighbours are put together in any order."""
    left = list(values)
    while len(left) > 1:
        at = rng.randrange(len(left) - 1)
        found = _or_none(function, left[at], left[at + 1])
        if found is None:
            return None
        left[at : at + 2] = found
    return (left[0],)
