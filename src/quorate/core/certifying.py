"""Which members have certificates: each says so in its greeting, and the catalog's leader writes it down."""

from typing import TYPE_CHECKING

from quorate.core import proposals
from quorate.core.certificates import ACCEPTED
from quorate.core.kernel import CATALOG_DATABASE, Located, Now
from quorate.core.requests import Run
from quorate.core.statements import Statement, Token

if TYPE_CHECKING:
    from quorate.core.node import Node

CERTIFY = "INSERT OR IGNORE INTO certified VALUES (?)"


def on_located(node: "Node", now: Now, event: Located) -> None:
    """A node has said in its greeting whether it has a certificate."""
    if event.certified:
        node.certified.add(event.peer)
        write(node, now)
    else:
        node.certified.discard(event.peer)


def write(node: "Node", now: Now) -> None:
    """Write down who has a certificate, if this node leads the catalog and writes nothing else by itself."""
    known = node.directory.catalog.certificates
    if known.step != ACCEPTED or not node.holds_catalog or not node.catalog.leads_ready:
        return
    missing = tuple((peer,) for peer in node.directory.members if peer in node.certified - {*known.certified})
    if missing and all(proposal.id != proposals.NOBODY_ASKED for proposal in node.proposals.values()):
        token = Token(f"certified/{node.me}/{node.boot}/{node.proposal_count}", 0)
        run = Run(CATALOG_DATABASE, (Statement(CERTIFY, missing, many=True),), token=token)
        proposals.begin(node, now, proposals.Proposal(proposals.NOBODY_ASKED), run)
