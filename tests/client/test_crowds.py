"""What a connection remembers of functions that lost to others."""

from collections.abc import Callable
from functools import partial

from quorate.client.attempts import HOLDS_AFTER
from quorate.client.crowds import CALLS_MAX, CALLS_MIN, Crowd, Crowds


def call(crowd: Crowd, loses: int) -> int:
    """One call which would lose so often; how many attempts did."""
    holds_after = crowd.holds_after
    lost = min(loses, holds_after)
    crowd.ended(holds_after, lost)
    return lost


def test_who_has_lost_need_not_lose_again() -> None:
    crowd = Crowd()
    assert call(crowd, 9) == HOLDS_AFTER
    assert [call(crowd, 9) for _ in range(CALLS_MIN)] == [0] * CALLS_MIN


def test_one_tries_without_and_loses_once_and_the_next_time_is_longer() -> None:
    crowd = Crowd()
    lost = [call(crowd, 9) for _ in range(1 + CALLS_MIN + 1 + 2 * CALLS_MIN + 1)]
    tries = [number for number, times in enumerate(lost) if times]
    assert tries == [0, 1 + CALLS_MIN, 2 + 3 * CALLS_MIN]
    assert [lost[number] for number in tries] == [HOLDS_AFTER, 1, 1]


def test_nobody_holds_for_ever() -> None:
    crowd = Crowd()
    lost = [call(crowd, 9) for _ in range(20 * CALLS_MAX)]
    assert lost[-10 * (CALLS_MAX + 1) :].count(1) == 10


def test_it_is_forgotten_when_nobody_else_comes() -> None:
    crowd = Crowd()
    for _ in range(1 + CALLS_MIN):
        call(crowd, 9)
    assert crowd.holds_after == 1
    call(crowd, 0)
    assert crowd.holds_after == HOLDS_AFTER


def made() -> Callable[[], None]:
    def function() -> None:
        pass

    return function


def test_functions_are_known_by_their_code() -> None:
    crowds = Crowds()
    assert crowds.of(made()) is crowds.of(made())
    assert crowds.of(made()) is not crowds.of(made)
    assert crowds.of(partial(made)) is not crowds.of(partial(made)), "nobody knows what it runs"
    first = crowds.of(made())
    for number in range(300):
        crowds.of(eval(f"lambda: {number}"))
    assert crowds.of(made()) is not first, "no more are remembered than there is room for"
