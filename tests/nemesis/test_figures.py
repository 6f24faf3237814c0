"""Percentiles by nearest rank."""

from quorate.lab.nemesis.figures import Spread, spread


def test_nothing_measured() -> None:
    assert spread([]) == Spread(0, 0.0, 0.0, 0.0, 0.0)


def test_one_value_is_every_percentile() -> None:
    assert spread([7.0]) == Spread(1, 7.0, 7.0, 7.0, 7.0)


def test_fifty_rounds_give_the_worst_as_their_p99() -> None:
    """With 50 values, the smallest that 99 % do not exceed is the largest."""
    assert spread([float(each) for each in range(50, 0, -1)]) == Spread(50, 25.0, 45.0, 50.0, 50.0)


def test_hundred_values() -> None:
    assert spread([float(each) for each in range(1, 101)]) == Spread(100, 50.0, 90.0, 99.0, 100.0)
