"""The hybrid logical clock: stamps only grow, across restarts too, and no peer drags it into the future."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.versions.clock import AHEAD_MAX_MS, RESERVE_MS, HybridClock, stamp_at, time_of

NOW = 1_800_000_000_000


def tick(clock: HybridClock, now_ms: int) -> int:
    wanted = clock.wanted(now_ms)
    if wanted is not None:
        clock.raise_ceiling(wanted)
    return clock.tick(now_ms)


def test_a_stamp_tells_the_time() -> None:
    assert time_of(tick(HybridClock(), NOW)) == NOW


def test_stamps_of_one_millisecond_are_counted() -> None:
    clock = HybridClock()
    assert [tick(clock, NOW) - stamp_at(NOW) for _ in range(3)] == [0, 1, 2]


def test_a_peer_too_far_ahead_is_refused_and_forgotten() -> None:
    clock = HybridClock()
    assert clock.observe(stamp_at(NOW + AHEAD_MAX_MS), NOW)
    before = clock.last
    assert not clock.observe(stamp_at(NOW + AHEAD_MAX_MS + 1), NOW)
    assert clock.last == before


def test_no_stamp_above_what_is_durable() -> None:
    clock = HybridClock()
    assert clock.wanted(NOW) == stamp_at(NOW + RESERVE_MS)
    with pytest.raises(AssertionError):
        clock.tick(NOW)


def test_it_asks_for_a_ceiling_seldom() -> None:
    clock, asked = HybridClock(), 0
    for after_ms in range(10_000):
        wanted = clock.wanted(NOW + after_ms)
        if wanted is not None:
            asked += 1
            clock.raise_ceiling(wanted)
        clock.tick(NOW + after_ms)
    assert asked == 4


Step = tuple[str, int]
steps = st.lists(
    st.tuples(st.sampled_from(["tick", "observe", "restart", "wall"]), st.integers(-100_000, 100_000)), max_size=60
)


@given(steps)
def test_stamps_grow_whatever_happens(steps: list[Step]) -> None:
    clock, wall, given_out, highest = HybridClock(), NOW, [0], 0
    for what, amount in steps:
        if what == "tick":
            given_out.append(tick(clock, wall))
            highest = max(highest, given_out[-1])
        elif what == "observe":
            stamp = stamp_at(NOW + amount)
            if clock.observe(stamp, wall):
                assert time_of(stamp) <= wall + AHEAD_MAX_MS
                highest = max(highest, stamp)  # what carried it is stored
                if stamp > given_out[-1]:
                    given_out.append(stamp)
        elif what == "restart":  # nothing but what is durable survives
            clock = HybridClock(clock.ceiling, highest)
        else:
            wall = NOW + amount
    assert given_out == sorted(set(given_out))


@given(st.lists(st.integers(-60_000, 60_000), min_size=2, max_size=30), st.integers(0, 200))
def test_two_clocks_keep_lamports_rule(walls: list[int], ahead: int) -> None:
    """Each message carries a stamp; what is written after it arrived is higher."""
    one, other = HybridClock(ahead_max_ms=200_000), HybridClock(ahead_max_ms=200_000)
    for number, wall in enumerate(walls):
        sender, receiver = (one, other) if number % 2 else (other, one)
        sent = tick(sender, NOW + wall)
        assert receiver.observe(sent, NOW - wall + ahead)
        assert tick(receiver, NOW - wall) > sent
