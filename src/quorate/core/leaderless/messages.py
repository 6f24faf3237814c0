"""What replicas of a database without a leader tell each other. Numbers are the asker's own, and come back."""

from msgspec import Struct

from quorate.core.bounds import Count, GroupId, Signed, Small, Stamped
from quorate.core.row_effects import RowKey, RowState


class Store(Struct, frozen=True, array_like=True, tag=80):
    """Merge these states into yours -> `Stored` once they are durable."""

    group: GroupId
    number: Count
    rows: tuple[RowState, ...]


class Stored(Struct, frozen=True, array_like=True, tag=81):
    """All of `Store(number)` is durable here, and seen by whoever reads here from now on."""

    group: GroupId
    number: Count


class RowAsk(Struct, frozen=True, array_like=True, tag=82):
    """Which state has this row? -> `RowReply`"""

    group: GroupId
    number: Count
    key: RowKey


class RowReply(Struct, frozen=True, array_like=True, tag=83):
    """This; empty: none is known."""

    group: GroupId
    number: Count
    state: bytes
    wall_us: Signed
    """What the replica's clock said."""


class Hashes(Struct, frozen=True, array_like=True, tag=84):
    """Of these nodes of my hash tree, all of one level. Whoever has others answers with the level below, or with the
    rows of leaves -> `Hashes`, `Rows` or `Agreed`"""

    group: GroupId
    number: Count
    level: Small
    nodes: tuple[Small, ...]
    hashes: tuple[Stamped, ...]


class Rows(Struct, frozen=True, array_like=True, tag=85):
    """What I hold of these leaves; merge it. With `back`: then send me what you hold otherwise -> `Rows`"""

    group: GroupId
    number: Count
    leaves: tuple[Small, ...]
    rows: tuple[RowState, ...]
    back: bool


class Agreed(Struct, frozen=True, array_like=True, tag=86):
    """My tree is as yours in the nodes that you named, which are of this level."""

    group: GroupId
    number: Count
    level: Small
