"""Writes to the catalog that a node makes on somebody's behalf: a caller's, or its own."""

from typing import TYPE_CHECKING, Any

from msgspec import Raw, Struct, msgpack

from quorate.core import routes
from quorate.core.auth.record import line, recorded
from quorate.core.auth.users import CreateUser, Login
from quorate.core.calls import Reply, Request
from quorate.core.changes import write_for
from quorate.core.directory import CHANGE_UNDER_WAY
from quorate.core.kernel import CATALOG_DATABASE, Note, Now
from quorate.core.replica import Replica
from quorate.core.requests import (
    AlterDatabase,
    Answer,
    CreateDatabase,
    Done,
    DropDatabase,
    Failover,
    MemberChange,
    NotLeader,
    Refused,
    Run,
    WriteOutcome,
)
from quorate.core.row_requests import ChangeSchema
from quorate.core.statements import Failed

if TYPE_CHECKING:
    from quorate.core.node import Node

NOBODY_ASKED = -1
SCHEMA_CHANGED = Refused(
    "ChangeUnderWay", "not done: somebody else has changed the schema at the same time", "try it again", retryable=True
)
_outcome: msgpack.Decoder[WriteOutcome] = msgpack.Decoder(WriteOutcome)
_encode = msgpack.Encoder().encode


class Proposal(Struct, frozen=True):
    """Who is told, and what the write's outcome means."""

    id: int
    """The caller's request; NOBODY_ASKED when the node does it for itself."""
    body: Any = None
    """What the caller asked for."""
    login: Login | None = None
    at_us: int = 0
    """When, by the wall clock, if it is to be recorded; 0: it is not."""

    @property
    def members(self) -> bool:
        """It changes the members."""
        return isinstance(self.body, MemberChange)

    def answer(self, reply: Any, names: str) -> Any:
        """What the caller is told when the write has ended so. `names`: of the databases that there are."""
        if not isinstance(reply, Answer) or isinstance(self.body, Failover):
            return reply
        outcome = _outcome.decode(reply.outcome)
        failed = isinstance(outcome, Failed)
        if self.members:
            return CHANGE_UNDER_WAY if failed else reply
        if isinstance(self.body, ChangeSchema):
            return reply if isinstance(outcome, Done) and outcome.results[-1].rowcount else SCHEMA_CHANGED
        if isinstance(self.body, DropDatabase | AlterDatabase) and isinstance(outcome, Done):
            if outcome.results[-1].rowcount or getattr(self.body, "if_exists", False):
                return reply
            name = self.body.database
            return Refused("UnknownDatabase", f"there is no database {name!r}", f"there are: {names}")
        if not isinstance(outcome, Failed) or outcome.error != "IntegrityError":
            return reply
        if isinstance(self.body, CreateDatabase) and self.body.exists_ok:
            return Answer(Raw(_encode(Done(()))), reply.index)
        if isinstance(self.body, AlterDatabase):
            message = f"the options of {self.body.database!r} were changed by somebody else at the same time"
            return Refused(
                "ChangeUnderWay", message, "`quorate databases` shows them; alter it again if it is still right"
            )
        return Refused("DatabaseExists", f"there is a database {getattr(self.body, 'database', '')!r} already")


def on_change(node: "Node", now: Now, request: Request) -> None:
    """A change of the catalog, made for the caller; others than its leader say where to go."""
    number, body = request.id, request.body
    group = routes.group_for(node, number, CATALOG_DATABASE)
    if group is None:
        return
    if not (node.catalog.leads_ready and node.directory.catalog.members):
        node.reply(number, NotLeader(node.catalog.leader_address()))
    elif isinstance(write := write_for(node, now, body), Run):
        if node.access.keeps_record or type(body) is CreateUser:
            write = recorded(write, request.login, body, now)
            begin(node, now, Proposal(number, body, request.login, now.wall_us), write)
        else:
            begin(node, now, Proposal(number, body), write)
    else:
        node.reply(number, write or Answer(Raw(_encode(Done(())))))


def on_failover(node: "Node", now: Now, request: Request, group: Replica) -> None:
    """Hand leadership over, and have it logged where changes are recorded: others lead the catalog, perhaps."""
    number = request.id
    if node.access.keeps_record:
        node.proposal_count += 1
        number = -node.proposal_count
        node.failovers[number] = Proposal(request.id, request.body, request.login, now.wall_us)
    group.on_request(now, number, request.body)


def begin(node: "Node", now: Now, proposal: Proposal, write: Run) -> None:
    """Hand the write to the catalog's group, under a number below every caller's."""
    node.until_us = 0
    node.proposal_count += 1
    number = -node.proposal_count
    node.proposals[number] = proposal
    catalog = node.catalog
    if routes.submit(node, now, catalog, Request(number, write)):
        catalog.joined()


def found(node: "Node", now: Now) -> None:
    """Found the cluster, if nobody has: this node leads an empty catalog."""
    if not any(proposal.id == NOBODY_ASKED for proposal in node.proposals.values()):
        begin(node, now, Proposal(NOBODY_ASKED), node.directory.founding())


def finish(node: "Node", proposal: Proposal, reply: Any) -> None:
    """The write has ended."""
    if proposal.id != NOBODY_ASKED:
        names = ", ".join(row.name for row in node.directory.catalog.databases)
        told = proposal.answer(reply, names)
        if proposal.at_us and isinstance(told, Answer) and (isinstance(proposal.body, Failover) or _is_done(told)):
            node.emit(Note("audit", line(proposal.at_us, proposal.login, proposal.body)))
        node.emit(Reply(proposal.id, told))


def _is_done(told: Answer) -> bool:
    return isinstance(_outcome.decode(told.outcome), Done)
