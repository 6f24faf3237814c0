"""Small arithmetic on measured times."""

from collections.abc import Sequence

from msgspec import Struct


class Spread(Struct, frozen=True):
    """Some measurements, in milliseconds, described by five numbers. All 0 when there are none."""

    count: int
    p50: float
    p90: float
    p99: float
    worst: float


def spread(milliseconds: Sequence[float]) -> Spread:
    """Percentiles by nearest rank: each is a value that was measured."""
    ordered = sorted(milliseconds)
    if not ordered:
        return Spread(0, 0.0, 0.0, 0.0, 0.0)
    return Spread(len(ordered), rank(ordered, 50), rank(ordered, 90), rank(ordered, 99), ordered[-1])


def rank(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` of all do not exceed."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
