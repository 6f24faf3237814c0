"""The core hears when nobody waits any more for a write that runs."""

from typing import cast

from quorate.core.executing import CallerLeft
from quorate.runtime.running import RunningWrites
from quorate.transport.interface import Caller


class Client:
    def __init__(self) -> None:
        self.gone: set[int] = set()

    def waits_for(self, ask: int) -> bool:
        return ask not in self.gone


def test_who_leaves_ends_what_runs_for_him_and_nothing_else() -> None:
    told: list[CallerLeft] = []
    running = RunningWrites(told.append)
    one, other = cast("Caller", Client()), cast("Caller", Client())
    running.begun(10, 1, one, 1)
    running.begun(11, 2, one, 2)
    running.begun(12, 3, other, 1)
    running.left(one, 2)
    assert told == [CallerLeft(2, 11)]
    running.answered(11)
    running.left(one)
    assert told == [CallerLeft(2, 11), CallerLeft(1, 10)]
    running.answered(10)
    running.left(one)
    assert len(told) == 2


def test_what_begins_for_one_that_has_left_is_ended_at_once() -> None:
    told: list[CallerLeft] = []
    client = Client()
    client.gone.add(7)
    running = RunningWrites(told.append)
    running.begun(3, 1, cast("Caller", client), 7)
    assert told == [CallerLeft(1, 3)]
    running.left(cast("Caller", client))
    assert len(told) == 1
