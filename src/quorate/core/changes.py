"""What a caller's change of the catalog comes down to: one write, a refusal, or nothing."""

from typing import TYPE_CHECKING

from quorate.core import member_changes, protecting, roster
from quorate.core.ack_policy import ETCD
from quorate.core.auth import changes as auth_changes
from quorate.core.auth.users import UserChange
from quorate.core.catalog import CHANGE_SCHEMA, DROP, FORGET_SCHEMA, SCHEMA_CHANGES
from quorate.core.certificates import RevokeCertificate, SetTls
from quorate.core.directory import CHANGE_UNDER_WAY
from quorate.core.kernel import CATALOG_DATABASE, Now
from quorate.core.options import LEADERLESS
from quorate.core.requests import AlterDatabase, CreateDatabase, DropDatabase, MemberChange, Refused, Run, Upgrade
from quorate.core.row_requests import ChangeSchema
from quorate.core.statements import Statement

if TYPE_CHECKING:
    from quorate.core.node import Node

NO_ETCD = Refused(
    "OperationalError",
    "failover etcd needs an etcd, and none is configured",
    'give every node the key etcd = "HOST:PORT" (docs/failover.md), and start it again',
)

NOT_THE_CATALOG = Refused(
    "ProgrammingError", f"{CATALOG_DATABASE!r} is the catalog of the cluster, and cannot be dropped"
)

Change = (
    CreateDatabase | AlterDatabase | DropDatabase | Upgrade | MemberChange | UserChange | SetTls | RevokeCertificate
    | ChangeSchema
)  # fmt: skip


def write_for(node: "Node", now: Now, body: Change) -> Run | Refused | None:
    """The write that does it, why it cannot be, or None when it is done already. The catalog's leader asks."""
    if isinstance(body, MemberChange):
        return member_changes.write_for(node, body)
    if isinstance(body, UserChange):
        return auth_changes.write_for(node, now, body)
    if isinstance(body, SetTls | RevokeCertificate):
        return protecting.write_for(node, now, body)
    if isinstance(body, DropDatabase):
        return _drop(node, body)
    if isinstance(body, ChangeSchema):
        return _change_schema(node, body)
    if isinstance(body, Upgrade):
        return node.versions.finalization(node.me, node.directory.members.values(), node.liveness.alive(), body)
    if isinstance(body, CreateDatabase) and body.exists_ok and node.directory.groups_for(body.database):
        return None
    changes = node.directory.catalog.changes or any(proposal.members for proposal in node.proposals.values())
    if isinstance(body, CreateDatabase) and changes and not roster.is_current(node):
        return CHANGE_UNDER_WAY  # it would be placed on members that may be out by now
    write = node.directory.creation(body) if isinstance(body, CreateDatabase) else node.directory.alteration(body)
    if isinstance(write, Run) and body.options.get("failover") == ETCD and not node.settings.has_etcd:
        return NO_ETCD
    return write


def _drop(node: "Node", body: DropDatabase) -> Run | Refused:
    """Whether there is such a database is for the write to find out: under the same token it may have dropped it
    before."""
    if body.database == CATALOG_DATABASE:
        return NOT_THE_CATALOG
    changes = node.directory.catalog.changes or any(proposal.members for proposal in node.proposals.values())
    if changes and (not roster.is_current(node) or roster.members_change(node)):
        return CHANGE_UNDER_WAY  # those who hold it are others than the catalog says
    grants = [row for row in node.directory.catalog.users.grants if row.database == body.database]
    statements = [auth_changes.revocation(row) for row in grants]
    if node.directory.catalog.schemas:
        statements.append(Statement(FORGET_SCHEMA, ((body.database,),)))
    statements += [Statement(sql, ((body.database,),)) for sql in DROP]
    return Run(CATALOG_DATABASE, tuple(statements), token=body.token)


def _change_schema(node: "Node", body: ChangeSchema) -> Run | Refused:
    """It takes effect if nobody has changed the schema since its caller had it tried."""
    directory = node.directory
    if not directory.groups_for(body.database):
        names = ", ".join(known.name for known in directory.catalog.databases)
        return Refused("UnknownDatabase", f"there is no database {body.database!r}", f"there are: {names}")
    if directory.replications[body.database] != LEADERLESS:
        return Refused("NotSupportedError", f"the leader of {body.database} changes its schema", "use Run")
    change = Statement(CHANGE_SCHEMA, ((body.after + 1, body.sql, body.database, body.after),))
    return Run(CATALOG_DATABASE, (Statement(SCHEMA_CHANGES), change), token=body.token)
