"""Arithmetic on measured values. Pure."""

from collections.abc import Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """By nearest rank: the smallest value that at least `share` (0 to 1) of all do not exceed; 0.0 for no values.

    `ordered` is sorted ascending.
    """
    if not ordered:
        return 0.0
    rank = -(-len(ordered) * share // 1)  # ceiling
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle; 0.0 for no values."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours ÷ theirs, round by round; rounds in which theirs is 0 are left out.

    The rounds were run in turn (ours, theirs, ours, theirs), so that a machine that is slower for a minute is
    slower for both sides of a pair.
    """
    return [a / b for a, b in zip(ours, theirs, strict=False) if b]


def significant(value: float, digits: int = 3) -> float:
    """Rounded to so many significant digits; more would be noise."""
    return float(f"{value:.{digits}g}")
