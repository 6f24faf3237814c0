"""Named deadlines: the next one is always the earliest that holds, whatever was moved or cancelled meanwhile."""

import random

import pytest

from quorate.core.timers import Timers


@pytest.mark.parametrize("seed", range(20))
def test_the_next_deadline_is_the_earliest_that_holds(seed: int) -> None:
    rng = random.Random(seed)
    timers = Timers()
    wanted: dict[str, int] = {}
    taken = 0
    for now_us in range(400):
        name = rng.choice("abcdef")
        if rng.random() < 0.3:
            timers.cancel(name)
            wanted.pop(name, None)
        else:
            wanted[name] = now_us + rng.randint(0, 9)
            timers.set(name, wanted[name])
        assert timers.next_us == min(wanted.values(), default=None)
        if rng.random() < 0.3:
            due = timers.due(now_us)
            assert sorted(map(str, due)) == sorted(each for each in wanted if wanted[each] <= now_us)
            assert [wanted[str(each)] for each in due] == sorted(wanted[str(each)] for each in due)
            taken += len(due)
            for each in due:
                del wanted[str(each)]
            assert timers.next_us == min(wanted.values(), default=None)
    assert taken > 20


def test_a_deadline_that_was_moved_away_and_back_comes_once() -> None:
    timers = Timers()
    timers.set("a", 5)
    timers.set("b", 5)
    timers.set("a", 7)
    timers.set("a", 5)
    assert sorted(map(str, timers.due(5))) == ["a", "b"]
    assert timers.next_us is None
    assert timers.due(100) == []
