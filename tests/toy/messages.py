"""What members of a group with a grow-only set tell each other."""

from msgspec import Struct

from quorate.core.bounds import Count, GroupId


class Elements(Struct, frozen=True, array_like=True, tag=60):
    """Add these to your set."""

    group: GroupId
    number: Count
    elements: tuple[str, ...]


class Kept(Struct, frozen=True, array_like=True, tag=61):
    """All of `Elements(number)` is durable here."""

    group: GroupId
    number: Count
