"""What replicas of a database without a leader tell each other. Numbers are the asker's own, and come back."""

from quorate.core.bounds import Count, Signed, Small, Stamped
from quorate.core.messages import GroupMessage
from quorate.core.row_effects import RowKey, RowState


class Store(GroupMessage, frozen=True, array_like=True, tag=80):
    """Merge these states into yours -> `Stored` once they are durable."""

    number: Count
    rows: tuple[RowState, ...]


class Stored(GroupMessage, frozen=True, array_like=True, tag=81):
    """All of `Store(number)` is durable here, and seen by whoever reads here from now on."""

    number: Count


class RowAsk(GroupMessage, frozen=True, array_like=True, tag=82):
    """Which state has this row? -> `RowReply`"""

    number: Count
    key: RowKey


class RowReply(GroupMessage, frozen=True, array_like=True, tag=83):
    """This; empty: none is known."""

    number: Count
    state: bytes
    wall_us: Signed
    """What the replica's clock said."""


class Hashes(GroupMessage, frozen=True, array_like=True, tag=84):
    """Of these nodes of my hash tree, all of one level. Whoever has others answers with the level below, or with the
    rows of leaves -> `Hashes`, `Rows` or `Agreed`"""

    number: Count
    level: Small
    nodes: tuple[Small, ...]
    hashes: tuple[Stamped, ...]


class Rows(GroupMessage, frozen=True, array_like=True, tag=85):
    """What I hold of these leaves; merge it. With `back`: then send me what you hold otherwise -> `Rows`"""

    number: Count
    leaves: tuple[Small, ...]
    rows: tuple[RowState, ...]
    back: bool


class Agreed(GroupMessage, frozen=True, array_like=True, tag=86):
    """My tree is as yours in the nodes that you named, which are of this level."""

    number: Count
    level: Small


class TablesAsk(GroupMessage, frozen=True, array_like=True, tag=87):
    """Which rows have these tables? -> `TablesReply`"""

    number: Count
    tables: tuple[str, ...]


class TablesReply(GroupMessage, frozen=True, array_like=True, tag=88):
    """These; or they are too many to be sent."""

    number: Count
    rows: tuple[RowState, ...]
    too_many: bool = False
