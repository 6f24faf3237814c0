"""What a core and its driver say to each other about permits to stand (`failover = etcd`).

A permit is a key that a real etcd creates only if nobody has it; the revision at which it was created is the epoch that
its holder may stand for. `single_leader.permits` decides; drivers only ask, keep alive and give back.
"""

from msgspec import Struct

from quorate.core.bounds import GroupId, NodeId


class AskPermit(Struct, frozen=True):
    """Ask for the permit to stand in this group, in place of one that this node may have already, and keep it alive
    until `DropPermit` or the end of this life -> `Permitted`, `Denied` or `PermitUnavailable`, exactly one, soon."""

    group: GroupId
    number: int
    """Comes back with the answer."""


class DropPermit(Struct, frozen=True):
    """Give this permit back, if it can be; it runs out by itself otherwise."""

    group: GroupId
    epoch: int


class Permitted(Struct, frozen=True):
    """This node has the permit, and no other has it while it is kept alive."""

    group: GroupId
    number: int
    epoch: int
    """The revision at which the key was created: no other permit has or will have it."""


class Denied(Struct, frozen=True):
    """Another node has the permit."""

    group: GroupId
    number: int
    holder: NodeId


class PermitUnavailable(Struct, frozen=True):
    """Nobody knows: etcd did not answer, or not in time. The permit may have been given; it runs out."""

    group: GroupId
    number: int
    reason: str
