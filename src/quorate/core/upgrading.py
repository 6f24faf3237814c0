"""Which formats the nodes of a cluster read, and which one the cluster writes.

A node that was started with a newer release goes on writing what the cluster's number says, so that it can be
stopped and started with the older release again. Only when every member reads the next number, and somebody says
so (`quorate upgrade --finalize`), is the cluster's number raised, by a write to the catalog; from then on there is
no way back. Nodes hear of it from the catalog or from any heartbeat, and raise their folders.

The number is kept in the catalog's `user_version`, which SQLite has for this purpose and which older releases
replicate without looking at it.
"""

from collections.abc import Callable, Iterable

from quorate.core.bounds import NodeId
from quorate.core.formats import HERE, RELEASE, Range, Spoken, release_of
from quorate.core.kernel import CATALOG_DATABASE, Effect, Halt, Note, RaiseFormat
from quorate.core.messages import SINCE
from quorate.core.recovered import Member
from quorate.core.requests import Refused, Run, Upgrade
from quorate.core.statements import Statement


class Versions:
    """What this node knows of the formats of all nodes and of its cluster."""

    def __init__(self, folder_format: int, formats: Range, emit: Callable[[Effect], None]) -> None:
        self.formats = formats
        self.version = folder_format
        """The cluster's number; the folder had been raised to it when this node started."""
        self.spoken = Spoken(formats.lowest, formats.highest, folder_format)
        """What every heartbeat says of this."""
        self.others: dict[NodeId, Spoken] = {}
        self._emit = emit

    def heard(self, node: NodeId, spoken: Spoken) -> None:
        """A member says what it reads, and what it takes for the cluster's number."""
        self.others[node] = spoken
        if spoken.version > self.version:
            self.learn(spoken.version)

    def learn(self, version: int) -> None:
        """The cluster's number is at least this."""
        if version <= self.version:
            return
        if version not in self.formats:
            reason = f"the cluster was upgraded to format {version}, and this release ({RELEASE}) reads {self.formats}"
            self._emit(Halt(f"{reason}: start this node with {release_of(version)} or later"))
            return
        self._emit(Note("format_raised", {"was": self.version, "format": version}))
        self.version = version
        self.spoken = Spoken(self.formats.lowest, self.formats.highest, version)
        self._emit(RaiseFormat(version, release_of(version).removeprefix("release ")))

    def highest_of(self, node: NodeId) -> int:
        """The newest format that a member reads; 0 when it was not heard."""
        return self.others[node].highest if node in self.others else 0

    def understands(self, node: NodeId, kind: type) -> bool:
        """Whether a message of this kind may be sent to this node."""
        return SINCE.get(kind, 0) <= min(self.formats.highest, self.others.get(node, Spoken()).highest)

    def finalization(
        self, me: NodeId, members: Iterable[Member], alive: dict[NodeId, bool], request: Upgrade
    ) -> Run | Refused | None:
        """The write that raises the cluster's number; why it cannot be; or None when it is that high already."""
        target = request.format
        if target <= self.version:
            return None
        reasons = []
        for member in members:
            formats = self.formats if member.node == me else self.others.get(member.node, Spoken()).formats
            if member.node != me and not alive.get(member.node, False):
                reasons.append(f"{member.name} is away")
            elif target not in formats:
                reasons.append(f"{member.name} reads {formats}")
        if reasons:
            hint = f"every member must run {release_of(target)} or later and be up; then finalize again"
            return Refused("OperationalError", f"not raised to format {target}: {', '.join(reasons)}", hint)
        return Run(CATALOG_DATABASE, (set_version(target),), token=request.token)


def set_version(number: int) -> Statement:
    """How the catalog is told the cluster's number."""
    return Statement(f"PRAGMA user_version = {int(number)}")


__all__ = ["HERE", "Versions", "set_version"]
