"""What a data file has to be told when siblings of its group write to the same database."""

from msgspec import Struct

from quorate.core.bounds import GroupId
from quorate.core.versions.custom import Custom


class Among(Struct, frozen=True):
    """One group among several."""

    group: GroupId
    custom: tuple[Custom, ...] = ()
    """The resolvers of programs that this node's configuration lists."""
