"""Whom a node knows, and what becomes of one that is a member no more.

A node that was taken out may still be needed: a group that it is in changes its members only with a majority of the
old ones. So it goes on voting and leading until each of its groups has a committed configuration without it, which it
learns from its own log or from whoever it asks for a vote. Callers it sends away at once, with a clear word. It is not
told any more what the catalog says; whoever hears it says that it is out, and what is wanted of its groups.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from quorate.core import dropping
from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import CreateGroup
from quorate.core.kernel import Connect, Disconnect, Note, Now, Send
from quorate.core.messages import Heartbeat, Removed
from quorate.core.requests import Refused

if TYPE_CHECKING:
    from quorate.core.node import Node


def after_catalog(node: "Node", now: Now) -> None:
    """The catalog was read: know its members, forget those that are out, and be out if it says so."""
    directory = node.directory
    dropping.close(node, now, [row.group for row in directory.catalog.dropped])
    for member in directory.members.values():
        node.watch(now, member.node, member.address)
    if directory.removed:
        if node.me in directory.removed:
            be_removed(node)
        forget(node)
    for row in directory.groups_of(node.me):
        if row.group not in node.groups and row.group not in node.dropping.known:
            first = row.began or row.nodes
            voters = first if node.me in first else ()  # on others the group has been for longer
            replication = directory.replications[row.database]
            node.create_group(now, CreateGroup(row.group, row.database, row.number, replication, voters))
    for group in node.groups.values():
        group.on_catalog()


def forget(node: "Node", *, silent: bool = False) -> None:
    """Watch those no more that are out, and in none of the groups that are known here. `silent`: only those that say
    nothing; one that speaks is to be told first."""
    for gone in node.directory.removed:
        peer = node.liveness.peers.get(gone)
        if peer is None or (silent and peer.alive):
            continue
        if not any(gone in group.others for group in node.groups.values()):
            node.liveness.drop(gone)
            node.emit(Disconnect(gone))


def on_message(node: "Node", now: Now, sender: NodeId, message: object) -> None:
    """A stranger speaks, or a node that is out: tell that one so, once for each of its heartbeats, on a link that may
    have to be made."""
    gone = node.directory.removed.get(sender)
    if gone is None:
        _on_stranger(node, now, sender, message)
    elif sender not in node.liveness.peers:
        node.watch(now, sender, gone.address)
    elif type(message) is Heartbeat:
        node.emit(Connect(sender, gone.address))
        if node.understands(sender, Removed):
            node.emit(Send(sender, node.directory.farewell()))


def _on_stranger(node: "Node", now: Now, sender: NodeId, message: object) -> None:
    """A node that is not known here speaks of a group that is: a member of whom our copy of the catalog does not tell
    yet. It must be answered, for we may have to learn of it from itself: (1) a node is away, (2) everybody it knows is
    replaced and switched off, (3) it comes back. Where it can be reached it has said when it made the connection.

    One that is only about to become a member speaks of no group, and is left alone."""
    groups = [each.group for each in message.led] if type(message) is Heartbeat else [getattr(message, "group", None)]
    if any(number in node.groups for number in groups):
        node.watch(now, sender, "")


def on_removed(node: "Node", now: Now, message: Removed) -> None:
    """Somebody says that this node is out. That is for ever, so an old word is as good as a new one. So is a drop, and
    databases are dropped without a change of members."""
    dropping.close(node, now, message.dropped)
    if message.change > max(node.directory.told.change, node.directory.catalog.changes):
        node.directory.told = message
        for member in message.members:  # a group that is led here may have to be handed to them
            node.watch(now, member.node, member.address)
        for wish in message.wishes:  # one that began with us, and of which we never heard, needs us to change
            if node.me in wish.began and wish.group not in node.groups and wish.group not in node.dropping.known:
                room = CreateGroup(wish.group, wish.database, wish.partition, wish.replication, wish.began)
                node.create_group(now, room)
        for number in node.groups:
            node.make_ready(number)
            node.keep_busy(number)
    be_removed(node)


def be_removed(node: "Node") -> None:
    """This node is a member no more."""
    if not node.removed:
        node.removed = True
        node.emit(Note("removed", {"change": node.directory.told.change or node.directory.catalog.changes}))


def refusal(node: "Node") -> Refused:
    """What callers hear from a node that is out."""
    members = [each for each in node.directory.members.values() if each.node != node.me]
    where = ", ".join(member.address for member in members if node.liveness.alive().get(member.node))
    hint = f"connect to {where}" if where else "connect to another member"
    name = node.identity.name
    return Refused("NodeRemoved", f"{name} was taken out of this cluster; stop it and delete its folder", hint, True)  # noqa: FBT003


def voters_of_catalog(node: "Node") -> tuple[NodeId, ...]:
    """With whom this node's replica of the catalog begins: the founders, if it is one of them. One that came later
    begins without a vote and waits to be told."""
    founders = tuple(member.node for member in node.identity.founders)
    return founders if node.me in founders else ()


def is_current(node: "Node") -> bool:
    """Whether what this node, which leads the catalog, knows of it is all that is in its log."""
    return node.catalog.at_rest and not node.proposals and not node.catalog_reads


def tick(node: "Node", now: Now, busy: Iterable[GroupId]) -> None:
    """A heartbeat's worth of time has passed."""
    if node.removed:  # a replica may cease to be out, when the entry that said so is truncated
        for group in node.groups.values():
            if group.unwanted:
                node.keep_busy(group.group)
    dropping.tick(node)
    node.liveness.settled = settled(node, now, busy)
    forget(node, silent=True)


def settled(node: "Node", now: Now, busy: Iterable[GroupId]) -> int:
    """The number of the newest change that is carried out as far as it is this node's to do so; -1: none is. (A group
    that has other members than it should is busy.)"""
    if not all(node.groups[number].is_settled(now) for number in busy):
        return -1
    return max(node.directory.catalog.changes, node.directory.told.change)


def members_change(node: "Node") -> bool:
    """Whether the newest change that this node, which leads the catalog, knows of is still being carried out by
    somebody who lives."""
    newest = node.directory.catalog.changes
    alive = (peer for peer in node.liveness.peers.values() if peer.alive)
    return node.liveness.settled < newest or any(peer.settled < newest for peer in alive)
