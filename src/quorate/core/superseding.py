"""Which life of a node speaks: the others remember its newest, on their disks.

A node whose folder was put back from an older copy does not know what it acknowledged and whom it voted for since the
copy was made. With another such node, or with one that was away, it could elect a leader that lacks what was committed.
Each start of a node is a life: a number that counts the starts of this folder (`boot`), and the time of the start,
which tells two lives with the same number apart. Whoever hears another life than the newest it knew of says which that
was (`Superseded`), and listens to nothing else of a node that is not newer. A node whose folder does not know the life
that it is told of takes all its replicas for damaged, as if its disk had forgotten their ends: it neither votes nor is
counted until each is a whole copy again. It goes on as a life that is newer than all the others know.

A folder may also have forgotten that it held a replica at all: (1) it is copied; (2) a database is created, and this
node acknowledges its entries; (3) the copy is put back. An empty replica that votes does as much harm as an old one. So
while what a node knows of the catalog is in doubt, every replica that it makes anew begins as damaged; and its copy of
the catalog is whole only once the groups that it names are on this disk, as such.

Where nobody is reached who knows a later life there is nothing to go by (docs/disks.md).
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from msgspec import structs

from quorate.core.bounds import GroupId, NodeId
from quorate.core.kernel import CATALOG_GROUP, Condemn, Effect, Note, Now, OpenReplica
from quorate.core.lives import PeerLife, RaiseBoot, RememberLife
from quorate.core.messages import Superseded
from quorate.core.recovered import RecoveredGroup
from quorate.core.replica import Replica

if TYPE_CHECKING:
    from quorate.core.node import Node

BOOT_LEAP = 1 << 24
"""No life is believed that is so many starts ahead of the newest that is known: nobody could go on from the highest."""

IN_DOUBT = "this folder may have forgotten a replica of this group: its catalog was damaged, or put back from a copy"


class Lives:
    """Which lives of other nodes were heard here, and the newest of each."""

    def __init__(self, me: NodeId, known: Iterable[PeerLife], emit: Callable[[Effect], None]) -> None:
        self.me = me
        self.own: dict[int, int] = {}
        """Of this folder: by boot, when each life began that others may have heard of."""
        self.newest: dict[NodeId, PeerLife] = {}
        self.heard: dict[NodeId, dict[int, int]] = {}
        """Of every other node: by boot, when each life began that was heard here."""
        for life in sorted(known):
            if life.node == me:
                self.own[life.boot] = life.begun_us
            else:
                self._hear(life)
        self.old: set[NodeId] = set()
        """Nodes of which an earlier life was heard last: nothing that it says is believed."""
        self._emit = emit

    def _hear(self, life: PeerLife) -> None:
        self.newest[life.node] = life
        self.heard.setdefault(life.node, {})[life.boot] = life.begun_us

    def forgot(self, lives: Iterable[PeerLife]) -> bool:
        """Whether one of the nodes that named these lives as their last ones has a folder that was put back from an
        older copy, as far as can be told here: it does not know a life that was heard, or began one later than a life
        with a higher number."""
        named: dict[NodeId, dict[int, int]] = {}
        for life in lives:
            named.setdefault(life.node, {})[life.boot] = life.begun_us
        for node, known in named.items():
            first, last = min(known), max(known)
            for boot, begun_us in self.heard.get(node, {}).items():
                if first <= boot <= last and known.get(boot) != begun_us:
                    return True
                if boot > last and begun_us < known[last]:
                    return True
        return False

    def live(self, boot: int, begun_us: int) -> None:
        """This life is about to be heard by others: note it before."""
        if self.own.get(boot) != begun_us:
            self.own[boot] = begun_us
            self._emit(RememberLife(PeerLife(self.me, boot, begun_us)))

    def was_lived(self, boot: int, begun_us: int) -> bool:
        """Whether this folder knows of that life of this node, or knows nothing that old."""
        return boot < min(self.own, default=boot + 1) or self.own.get(boot) == begun_us

    def is_newest(self, life: PeerLife) -> bool:
        """Whether no later life of this node is known, nor another with the same number."""
        known = self.newest.get(life.node)
        if known is not None and life.boot > known.boot + BOOT_LEAP:
            return False
        if known is None or life.boot > known.boot:
            self._hear(life)
            self._emit(RememberLife(life))
        elif life != known:
            self.old.add(life.node)
            return False
        self.old.discard(life.node)
        return True


def doubt(node: "Node", voters: tuple[NodeId, ...]) -> str:
    """Why a replica that is made now is not taken for new; empty when it is."""
    catalog = node.groups.get(CATALOG_GROUP)
    others = set(voters) - {node.me}
    return IN_DOUBT if catalog is not None and catalog.log_damaged and others else ""


def doubted(found: Iterable[RecoveredGroup]) -> list[RecoveredGroup]:
    """What this disk holds, as a node starts; it may have died before an empty replica was noted to be in doubt."""
    groups = list(found)
    if not any(group.group == CATALOG_GROUP and group.damaged and not group.log_intact for group in groups):
        return groups
    return [
        structs.replace(group, damaged=IN_DOUBT)
        if group.last == 0 and not group.damaged and len(group.voters) > 1
        else group
        for group in groups
    ]


def opening(group: Replica) -> list[Effect]:
    """How a replica is opened whose log is on the disk."""
    opened: list[Effect] = [OpenReplica(group.group)]
    return [*opened, Condemn(group.group, IN_DOUBT, log=True)] if group.damaged == IN_DOUBT else opened


def holds_all(node: "Node", group: GroupId) -> bool:
    """Whether this is no copy of the catalog; or one of which nothing is left to be read, and every group that was made
    while it was in doubt is durably held."""
    if group != CATALOG_GROUP:
        return True
    return not node.catalog_reads and not any(
        each.damaged == IN_DOUBT and each.unwritten for each in node.groups.values()
    )


def on_superseded(node: "Node", now: Now, sender: NodeId, message: Superseded) -> None:
    """Another node remembers a later life of this one: what was acknowledged and promised in it is not known here."""
    liveness = node.liveness
    if (message.boot, message.begun_us) != (node.boot, liveness.begun_us):
        return  # said of an earlier life
    if liveness.lives.was_lived(message.known, message.known_begun_us) or message.known > node.boot + BOOT_LEAP:
        return
    reason = (
        f"an older copy of this folder was put back: {node.name_of(sender)} remembers a life that it does not know"
        f" (boot {message.known}); the others rebuild the replica, and if they cannot, put a new node in its place"
        " (`quorate member replace`)"
    )
    node.emit(Note("superseded", {"boot": node.boot, "known": message.known, "by": sender}))
    node.boot = liveness.boot = max(message.known, node.boot) + 1
    node.emit(RaiseBoot(node.boot))
    liveness.lives.own.clear()  # whatever others remember of before is settled with this
    for group in node.groups.values():
        group.distrust(now, reason)
    liveness.beat(now)
