"""A program's own resolver: a function of two values, which says what is shown instead of both.

It is folded over the siblings of a cell in the order of their stamps, so replicas that hold the same show the same
whatever it does. The laws (`laws.py`) make what is shown independent of clocks, and of who has merged what with what
before. The file that it is in is pinned by a hash: replicas with different functions would show different rows.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from quorate.core.statements import VALUE_TYPES

PREFIX = "custom:"
PIN = "#"
"""Between a resolver's name and the hash of its file, as a database keeps it."""

Function = Callable[[Any, Any], Any]


class Custom(Struct, frozen=True):
    """A function of a module that the node's configuration lists."""

    name: str
    """module:function"""
    pin: str
    """A hash of the module's file."""
    function: Function

    @property
    def value(self) -> str:
        """The name under which users choose it, with its pin."""
        return f"{PREFIX}{self.name}{PIN}{self.pin}"


class Unsuitable(ValueError):
    """The function has raised something, or has returned what SQLite cannot hold."""


class NoFunction(ValueError):
    """The configuration lists no such function, or its file is another."""


def called(function: Function, one: Any, other: Any) -> Any:
    """What it makes of two values. Raises Unsuitable."""
    try:
        found = function(one, other)
    except Exception as error:
        raise Unsuitable(f"{type(error).__name__}: {error}") from error
    if type(found) not in VALUE_TYPES or repr(found) == "nan":
        raise Unsuitable(f"it returns {found!r:.80}, which SQLite cannot hold")
    if type(found) is int and not -(1 << 63) <= found < 1 << 63:
        raise Unsuitable("it returns an integer beyond 64 bits")
    return found


def folded(function: Function, values: Sequence[Any]) -> Any:
    """What it makes of several different values; of at least one. Where it fails: the last."""
    try:
        result = values[0]
        for each in values[1:]:
            result = called(function, result, each)
    except Unsuitable:
        return values[-1]
    return result


def named(name: str, known: Sequence[Custom]) -> Custom:
    """The resolver of this name, `custom:` included, with or without a pin. Raises NoFunction."""
    wanted, _, pin = name.removeprefix(PREFIX).partition(PIN)
    for each in known:
        if each.name == wanted:
            if pin and pin != each.pin:
                raise NoFunction(f"this node has another file of it, {each.pin}")
            return each
    listed = ", ".join([each.name for each in known]) or "none"
    raise NoFunction(f"this node's configuration (resolvers) does not list {wanted}; it lists: {listed}")
