"""How much a request carries is told without looking at all of it."""

from collections.abc import Iterator
from typing import Any

from quorate.core.requests import Run
from quorate.core.statements import Parameters, Statement
from quorate.core.weights import weight


class Counted(tuple[Parameters, ...]):
    """Sets of parameters that count how many of them were looked at."""

    looked: int = 0

    def __iter__(self) -> Iterator[Any]:
        for each in super().__iter__():
            self.looked += 1
            yield each


def run(sets: tuple[Parameters, ...]) -> Run:
    return Run("main", (Statement("", sets, many=True),))


def test_texts_and_values_count() -> None:
    assert weight(run(((1, "four", b"five5"), {"a": None, "b": "xy"})), 1000) == 64 + 8 + 4 + 5 + 8 + 2


def test_no_more_is_committed_than_is_needed() -> None:
    sets = Counted([("x" * 100,)] * 1000)
    assert 10_000 <= weight(run(sets), 10_000) < 10_200
    assert sets.looked == 100
    empty = Counted([()] * 1000)
    assert weight(run(empty), 8000) >= 8000
    assert empty.looked == 0
    wide = Counted([(1,) * 1000])
    assert weight(run(wide), 8000) >= 8000
