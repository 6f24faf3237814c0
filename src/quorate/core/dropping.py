"""Dropping a database: what the catalog says once, every node that ever held a replica carries out for good.

1. The catalog's leader writes one entry: the database's rows go, and its group is listed as dropped.
2. A node that reads so, from the log or from a copy of the catalog, closes the group: callers are sent away, timers
   end, and it takes no message of the group any more.
3. It writes down that the group was dropped (`DropGroup`). From then on nothing brings it back on this node: no
   message, no vote, no older state of the catalog after a power failure. Nodes that never held it write it down too.
4. It deletes the files. A start finishes what a crash left of that.

Once a majority of those who held the group have come to 3, nothing can be acknowledged in it, nor read from it with a
confirmation; then the caller hears that it is done. The catalog, not the group itself, decides: so a database can be
dropped whose majority is lost. Its name is free with the first step. A group's number is never used twice, so a new
database of that name has nothing in common with the old one.
"""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from quorate.core.bounds import GroupId
from quorate.core.dropped import DropReplica, ReplicaDropped
from quorate.core.entries import DropGroup
from quorate.core.kernel import Note, Now, SnapshotOpened, SnapshotRead

if TYPE_CHECKING:
    from quorate.core.node import Node


class Dropping:
    """Which groups this node has closed, and how far each has come."""

    def __init__(self, dropped: Iterable[GroupId]) -> None:
        self.closed: set[GroupId] = set(dropped)
        """It is on the disk that they were dropped."""
        self.known: set[GroupId] = set(self.closed)
        """The same, and those for which that is being written."""
        self.writing: deque[tuple[int, tuple[GroupId, ...]]] = deque()
        self.files: dict[GroupId, None] = {}
        """Groups whose files could not be deleted yet."""


def close(node: "Node", now: Now, dropped: Iterable[GroupId]) -> None:
    """These groups were dropped: close those that are not closed yet, and write that down."""
    known = node.dropping.known
    fresh = tuple(number for number in dropped if number not in known)
    if not fresh:
        return
    known.update(fresh)
    for number in fresh:
        group = node.groups.get(number)
        if group is not None:
            node.emit(Note("dropped", {"group": number, "database": group.database}))
            group.close(now)
            node.let_go(number)
    sequence = node.persist(fresh[0], tuple(DropGroup(number) for number in fresh))
    node.dropping.writing.append((sequence, fresh))


def on_persisted(node: "Node", sequence: int) -> None:
    """Everything up to this `Persist` is on the disk."""
    state = node.dropping
    while state.writing and state.writing[0][0] <= sequence:
        for number in state.writing.popleft()[1]:
            state.closed.add(number)
            node.emit(DropReplica(number))


def on_dropped(node: "Node", _now: Now, event: ReplicaDropped) -> None:
    """The files are gone, or will be tried again."""
    node.touched = ()
    if event.gone:
        node.dropping.files.pop(event.group, None)
    else:
        node.dropping.files[event.group] = None


def on_late(node: "Node", now: Now, event: Any) -> None:
    """Storage tells something of a group that is not held any more: only callers who fetch a copy wait for it."""
    node.touched = ()
    if type(event) is SnapshotOpened and event.id:
        node.copies.on_opened(now, event)
    elif type(event) is SnapshotRead and event.id:
        node.copies.on_read(event)


def tick(node: "Node") -> None:
    """A heartbeat's worth of time has passed: try again."""
    files, node.dropping.files = node.dropping.files, {}
    for number in files:
        node.emit(DropReplica(number))
