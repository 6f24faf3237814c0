"""Percentiles, medians and ratios of measured values."""

from bench.figures import median, percentile, ratios, significant


def test_percentiles_are_values_that_were_measured() -> None:
    ordered = [float(each) for each in range(1, 101)]
    assert percentile(ordered, 0.50) == 50.0
    assert percentile(ordered, 0.99) == 99.0
    assert percentile(ordered, 1.0) == 100.0
    assert percentile([7.0], 0.01) == 7.0
    assert percentile([1.0, 2.0, 3.0], 0.5) == 2.0


def test_nothing_measured() -> None:
    assert percentile([], 0.99) == 0.0
    assert median([]) == 0.0
    assert ratios([], []) == []


def test_the_median_of_an_even_number_lies_between_the_middle_two() -> None:
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5
    assert median([9.0, 1.0, 5.0]) == 5.0


def test_ratios_pair_neighbouring_rounds() -> None:
    """A machine that is half as fast in the second round changes neither ratio."""
    assert ratios([200.0, 100.0], [100.0, 50.0]) == [2.0, 2.0]
    assert ratios([1.0, 4.0], [0.0, 2.0]) == [2.0]


def test_significant_digits() -> None:
    assert significant(1234.5) == 1230.0
    assert significant(0.0123456) == 0.0123
