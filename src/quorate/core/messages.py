"""What nodes tell each other: the groups' messages and the heartbeats of the nodes themselves."""

from msgspec import Struct

from quorate.core.bounds import Boot, Count, Epoch, GroupId, Index, NodeId, Signed, Small
from quorate.core.formats import Spoken
from quorate.core.options import SINGLE_LEADER
from quorate.core.recovered import Member


class GroupMessage(Struct, frozen=True, array_like=True):
    """What members of one group tell each other; each replication has its own kinds (`core.replication`)."""

    group: GroupId


class GroupHeartbeat(Struct, frozen=True, array_like=True):
    """A group of which something is worth saying."""

    group: GroupId
    epoch: Epoch
    committed: Index


class Heartbeat(Struct, frozen=True, array_like=True, tag=20):
    """I am alive, in this life (`boot`). `led` names only groups that I lead and whose epoch or committed
    index this peer has not confirmed, or for which I need a confirmation now; `stepped_down` those that
    I have ceased to lead. Idle groups cost nothing."""

    sequence: Count
    boot: Boot
    led: tuple[GroupHeartbeat, ...] = ()
    stepped_down: tuple[GroupHeartbeat, ...] = ()
    spoken: Spoken = Spoken()
    settled: Signed = 0
    """I have read the catalog's change of members of this number, and what I lead has the members that it wants; -1:
    not yet."""
    begun_us: Signed = 0
    """When this life began, by my clock: tells two lives with the same `boot` apart."""


class HeartbeatReply(Struct, frozen=True, array_like=True, tag=21):
    """Answers exactly one heartbeat. For each group it mentioned: the epoch that I am in."""

    sequence: Count
    boot: Boot
    """The boot of the heartbeat, so that an answer to an earlier life is not taken for one to this."""
    groups: tuple[GroupHeartbeat, ...] = ()


class Wish(Struct, frozen=True, array_like=True):
    """The voters that the catalog wants in a group."""

    group: GroupId
    voters: tuple[NodeId, ...]
    database: str = ""
    partition: Small = 0
    began: tuple[NodeId, ...] = ()
    """The voters with which the group began, if they are not these."""
    replication: str = SINGLE_LEADER


class Removed(Struct, frozen=True, array_like=True, tag=22):
    """You were taken out of the cluster, and are not told any more what the catalog says. As of its change of this
    number, these are the members, and those of the groups that you may still be in: you may be needed until they are
    changed."""

    change: Count
    members: tuple[Member, ...] = ()
    wishes: tuple[Wish, ...] = ()
    dropped: tuple[GroupId, ...] = ()
    """Groups of databases that were dropped."""


class Superseded(Struct, frozen=True, array_like=True, tag=23):
    """The newest life of yours that was known here, before or instead of this one (`core.superseding`). If you never
    lived it, your folder is an older copy."""

    boot: Boot
    begun_us: Signed
    """Of the heartbeat that this answers."""
    known: Boot
    known_begun_us: Signed


SINCE: dict[type, int] = {}
"""Messages that not every release knows, and the format that brought them: they are sent only to who knows them."""

NodeMessage = Heartbeat | HeartbeatReply | Removed | Superseded
Message = GroupMessage | NodeMessage
"""Everything that travels between two nodes."""
