"""The judge of sessions over a set that only grows: what it lets pass, and each guarantee broken once."""

import pytest

from quorate.lab.judges.growing import (
    CONSISTENT_PREFIX,
    MONOTONIC_READS,
    MONOTONIC_WRITES,
    READ_YOUR_WRITES,
    WRITES_FOLLOW_READS,
    Acknowledged,
    Growing,
    Seen,
    members,
)


def of(*some: int) -> int:
    return sum(1 << each for each in some)


def test_a_history_in_order_breaks_nothing() -> None:
    growing, writer, reader = Growing(), Seen(), Seen()
    for member in (3, 1, 2):
        growing.adds(writer, member)
        growing.added(writer, member)
    assert growing.reads(reader, of(3)) == ""
    assert growing.reads(writer, of(3, 1, 2)) == ""
    assert growing.reads(reader, of(3, 1)) == ""
    assert members(reader.read) == [1, 3]


def broken(name: str) -> str:
    growing, writer, reader = Growing(), Seen(), Seen()
    growing.adds(writer, 1)
    growing.added(writer, 1)
    if name == READ_YOUR_WRITES:
        return growing.reads(writer, 0)
    if name == MONOTONIC_READS:
        growing.reads(reader, of(1))
        return growing.reads(reader, 0)
    if name == MONOTONIC_WRITES:
        growing.adds(writer, 2)
        return growing.reads(reader, of(2))
    if name == WRITES_FOLLOW_READS:
        growing.reads(reader, of(1))
        growing.adds(reader, 2)
        return growing.reads(Seen(), of(2))
    growing.reads(Seen(), of(5))
    return growing.reads(Seen(), of(6, 7))


@pytest.mark.parametrize(
    "name", [READ_YOUR_WRITES, MONOTONIC_READS, MONOTONIC_WRITES, WRITES_FOLLOW_READS, CONSISTENT_PREFIX]
)
def test_each_guarantee_is_seen_to_be_broken(name: str) -> None:
    assert broken(name).startswith(name)


def test_states_that_part_are_allowed_where_something_may_be_lost() -> None:
    growing = Growing(one_log=False)
    assert growing.reads(Seen(), of(5)) == growing.reads(Seen(), of(6, 7)) == ""


def test_a_session_that_goes_on_elsewhere_has_seen_both() -> None:
    growing, one, other = Growing(), Seen(), Seen()
    growing.reads(one, of(1))
    other.merge(one)
    assert growing.reads(other, 0).startswith(MONOTONIC_READS)


def test_what_was_acknowledged_before_a_time() -> None:
    acknowledged = Acknowledged()
    assert acknowledged.before(10) == 0
    acknowledged.added(1, 10)
    acknowledged.added(2, 20)
    assert [members(acknowledged.before(at)) for at in (10, 11, 20, 21)] == [[], [1], [1], [1, 2]]
