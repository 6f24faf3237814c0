"""Ranges of the integer keys that SQLite allots: each leader has its own, so that rows which two leaders add while they
do not hear each other have different keys.

A range is 2^40 keys. Range 0 has the keys of rows that were there before; the last ends at 2^53, up to which a
JavaScript number is exact. A leader whose disk was wiped or restored takes another range: it does not know which keys
of the old one it has told its clients.
"""

RANGE_BITS = 40
RANGES = 1 << 53 - RANGE_BITS
"""So many there are."""


def keys_of(number: int) -> range:
    """The keys of one range. Raises ValueError."""
    if not 0 <= number < RANGES:
        raise ValueError(f"there are {RANGES} ranges of keys, and {number} is none of them")
    first = number << RANGE_BITS
    return range(max(1, first), first + (1 << RANGE_BITS))


def next_key(number: int, highest: int | None) -> int | None:
    """The key behind the highest that there is in this range; None: the range is used up."""
    keys = keys_of(number)
    if highest is None:
        return keys.start
    return highest + 1 if highest + 1 in keys else None
