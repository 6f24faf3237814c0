"""The end of a dropped group's files: the effect and the event (`core.dropping`)."""

from msgspec import Struct

from quorate.core.bounds import GroupId


class DropReplica(Struct, frozen=True):
    """`DropGroup` of this group is durable: delete its data file and whatever else is kept of it -> `ReplicaDropped`.
    A store that starts does so by itself."""

    group: GroupId


class ReplicaDropped(Struct, frozen=True):
    """The files of a dropped group are gone, or cannot be deleted yet: somebody still reads them."""

    group: GroupId
    gone: bool
