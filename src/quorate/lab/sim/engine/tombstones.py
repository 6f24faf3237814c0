"""What a node has written down as dropped stays dropped: no later write makes room for it, no later life finds it."""

from collections.abc import Callable, Iterable

from quorate.core.bounds import GroupId, NodeId
from quorate.core.recovered import Recovered

DROPPED = "dropped"


class Tombstones:
    """The groups that each node has closed for good."""

    def __init__(self, broken: Callable[[str, str], None]) -> None:
        self._broken = broken
        self._closed: dict[NodeId, set[GroupId]] = {}

    def wrote(self, node: NodeId, group: GroupId) -> None:
        """It is on this node's disk that the group was dropped."""
        self._closed.setdefault(node, set()).add(group)

    def made(self, node: NodeId, group: GroupId) -> None:
        """The node has made room for a group."""
        if group in self._closed.get(node, ()):
            self._broken(DROPPED, f"node {node} makes room for group {group}, which it has closed for good")

    def started(self, recovered: Recovered) -> None:
        """A new life: it knows what was dropped, and holds none of it."""
        node = recovered.identity.node
        closed = self._closed.get(node, set())
        if back := sorted(closed & {found.group for found in recovered.groups}):
            self._broken(DROPPED, f"node {node} starts with groups {back}, which it has closed for good")
        if unknown := sorted(closed - set(recovered.dropped)):
            self._broken(DROPPED, f"node {node} starts and does not know that it has closed groups {unknown}")

    def put_back(self, node: NodeId, dropped: Iterable[GroupId]) -> None:
        """Its disk is an older one, on which these had been dropped."""
        self._closed[node] = set(dropped)
