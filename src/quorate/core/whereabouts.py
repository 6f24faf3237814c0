"""Members that say they are elsewhere than the catalog has them.

A node names its address in the greeting of each connection that it makes. One that came back with another address is
dialled there at once, by everybody whom it greets; the catalog's leader writes it down, and so clients and nodes that
are away learn of it.
"""

from typing import TYPE_CHECKING

from quorate.core import certifying, proposals
from quorate.core.bounds import NodeId
from quorate.core.kernel import CATALOG_DATABASE, Connect, Located, Note, Now
from quorate.core.recovered import Member
from quorate.core.requests import Run
from quorate.core.statements import Statement, Token

if TYPE_CHECKING:
    from quorate.core.node import Node

MOVE = """UPDATE members SET address = ?1 WHERE node = ?2
          AND NOT EXISTS (SELECT 1 FROM members WHERE address = ?1)"""
"""An address belongs to one member: who takes over another's waits until that one has said where it is."""


def on_located(node: "Node", now: Now, event: Located) -> None:
    """A node says where it can be reached."""
    certifying.on_located(node, now, event)
    member = node.directory.members.get(event.peer)
    known = "" if member is None else member.address
    stranger = member is None and node.directory.read and event.peer != node.me
    if not event.address or stranger or (event.address == known and event.peer not in node.moved):
        return
    node.moved[event.peer] = event.address
    if event.peer != node.me:
        node.emit(Connect(event.peer, event.address))
    write(node, now)


def after_catalog(node: "Node", before: dict[NodeId, Member]) -> None:
    """The catalog was read: dial those whose address it has changed."""
    for member in node.directory.members.values():
        if node.moved.get(member.node) == member.address:
            del node.moved[member.node]
        elif member.node in before and before[member.node].address != member.address and member.node != node.me:
            node.emit(Connect(member.node, node.moved.get(member.node, member.address)))


def write(node: "Node", now: Now) -> None:
    """Write down the first that has moved, if this node leads the catalog and writes nothing else by itself."""
    if not node.moved or not node.holds_catalog or not node.catalog.leads_ready or not node.directory.catalog.members:
        return
    if any(proposal.id == proposals.NOBODY_ASKED for proposal in node.proposals.values()):
        return
    members = node.directory.members
    taken = {member.address for member in members.values()}
    for peer, address in node.moved.items():
        if peer in members and address not in taken:
            node.emit(Note("moved", {"node": peer, "was": members[peer].address, "address": address}))
            statement = Statement(MOVE, ((address, peer),))
            token = Token(f"moved/{node.me}/{node.boot}/{node.proposal_count}", 0)
            run = Run(CATALOG_DATABASE, (statement,), token=token)
            proposals.begin(node, now, proposals.Proposal(proposals.NOBODY_ASKED), run)
            return
