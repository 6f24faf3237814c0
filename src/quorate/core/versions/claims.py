"""Unique values claimed by several rows: which of the rows are shown.

Rows are taken in the order of their first insert; each is shown unless one that is shown already holds one of its
unique values. So the earlier row keeps a value, a row that loses one is hidden as a whole, and comes back when what
it lost against goes. All replicas that hold the same rows choose alike, whatever arrived when.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from quorate.core.versions.dots import Dot

Value = tuple[int, bytes]
"""A unique index's number, and the encoded value that the row claims in it."""


class Claim(Struct, frozen=True):
    """A live row, and the unique values that it claims. A NULL claims nothing."""

    key: bytes
    born: Dot
    """Its earliest insert that no delete has seen."""
    values: tuple[Value, ...]


def lost(claims: Iterable[Claim]) -> dict[bytes, tuple[tuple[Value, bytes], ...]]:
    """The rows that are hidden: for each, every value it lost, and the key of the row that holds it."""
    holders: dict[Value, bytes] = {}
    hidden: dict[bytes, tuple[tuple[Value, bytes], ...]] = {}
    for claim in sorted(claims, key=_order):
        against = tuple([(value, holders[value]) for value in claim.values if value in holders])
        if against:
            hidden[claim.key] = against
        else:
            holders |= dict.fromkeys(claim.values, claim.key)
    return hidden


def _order(claim: Claim) -> Any:
    return claim.born, claim.key
