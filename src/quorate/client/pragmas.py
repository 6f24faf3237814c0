"""The settings that a connection makes before a transaction: `PRAGMA foreign_keys = OFF` and its like.

No node keeps them. The connection does, and each write that it sends begins with them, so that they hold for that
request alone, on whichever node it runs.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from quorate.core.requests import Done
from quorate.core.statements import Result, Statement
from quorate.errors import Error
from quorate.sql.classify import SETTING, Shape, shape_of
from quorate.sql.pragmas import LASTING, SETTINGS


class Pragmas:
    """What one connection has set. Threads share it, as they share the connection."""

    __slots__ = ("_values", "prefix")

    def __init__(self) -> None:
        self._values = dict(SETTINGS)
        self.prefix: tuple[Statement, ...] = ()
        """What a transaction has to begin with."""

    def answered(self, statements: Sequence[Statement]) -> Done | None:
        """What a statement gives that is about a setting alone; None: it is about something else."""
        shape = shape_of(statements[0].sql)
        if not shape.setting or len(statements) != 1 or shape.surplus:
            return None
        if shape.kind == SETTING:
            self._set(shape)
            return Done((Result((), [], -1),))
        return Done((Result(((shape.setting, None),), [(int(self._values[shape.setting]),)], -1),))

    def _set(self, shape: Shape) -> None:
        self._values = {**self._values, shape.setting: shape.on}
        self.prefix = tuple(
            Statement(f"PRAGMA {name} = {int(value)}")
            for name, value in self._values.items()
            if value != SETTINGS[name]
        )

    def begin(self) -> tuple[Statement, ...]:
        """What the transaction begins with that begins now. What holds for one is as always for the next."""
        prefix = self.prefix
        if prefix:
            for name in SETTINGS.keys() - LASTING:
                self._set(Shape(SETTING, "", setting=name, on=SETTINGS[name]))
        return prefix


def without_prefix(done: Done, count: int) -> Done:
    """The results without those of so many settings before them."""
    return replace(done, results=done.results[count:]) if count else done


def shift(error: Error, count: int) -> None:
    """Make the error name the caller's statement, which had so many settings before it."""
    if error.statement >= 0:
        error.statement = max(0, error.statement - count)
