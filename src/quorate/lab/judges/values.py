"""Values as histories show them: equal only when their types are equal too.

To Python 1, 1.0 and True are one value; to a system under test they are three. `typed` and `freeze` replace truth
values by TRUE and FALSE and floating-point numbers by `Real`, which equal nothing of another type. A map and a set of
pairs stay different when they are frozen.
"""

from collections.abc import Hashable
from typing import Any


class Truth:
    """true or false; equal to itself and to the bool that it stands for, and to no number."""

    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value

    def __bool__(self) -> bool:
        return self.value

    def __eq__(self, other: object) -> bool:
        return other is self or other is self.value

    def __hash__(self) -> int:
        return hash(("truth", self.value))

    def __repr__(self) -> str:
        return repr(self.value)


TRUE, FALSE = Truth(value=True), Truth(value=False)


class Real(float):
    """A floating-point number: equal to no integer, and NaN to itself."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, float):
            return False
        return float.__eq__(self, other) or (float.__ne__(self, self) and float.__ne__(other, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(("real", repr(self + 0.0)))


class Map(frozenset[tuple[Hashable, Hashable]]):
    """A map, hashable; unlike a set of the same pairs."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Map) and frozenset.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(("map", frozenset.__hash__(self)))

    def __repr__(self) -> str:
        return "{" + ", ".join(sorted(f"{key!r}: {value!r}" for key, value in self)) + "}"


_PLAIN = {int, str, type(None), Truth, Real}


def typed(value: Any) -> Any:
    """The same value with truth values and floating-point numbers that know their type; itself where it has none."""
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind is list:
        return value if set(map(type, value)) <= _PLAIN else [typed(each) for each in value]
    if kind is dict:
        return {freeze(key): typed(each) for key, each in value.items()}
    if kind is tuple:
        return tuple([typed(each) for each in value])
    return freeze(value)


def freeze(value: Any) -> Hashable:
    """The same value, typed and hashable: lists become tuples, sets frozensets, dicts `Map`s."""
    kind = value.__class__
    if kind in _PLAIN:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return TRUE if value else FALSE
    if isinstance(value, float):
        return Real(value)
    if isinstance(value, list | tuple):
        return tuple([freeze(item) for item in value])
    if isinstance(value, dict):
        return Map((freeze(key), freeze(each)) for key, each in value.items())
    if isinstance(value, set | frozenset) and kind is not Map:
        return frozenset(freeze(item) for item in value)
    return value  # type: ignore[no-any-return]


def elements(value: Any) -> list[Any] | None:
    """The members of a list or a set; None when it is neither."""
    return list(value) if isinstance(value, list | tuple | set | frozenset) and value.__class__ is not Map else None
