"""Adding, removing and replacing members: one write to the catalog, or why it cannot be.

The catalog says who the members are and where each database is wanted; the leaders of the groups bring that about, one
entry of their logs at a time (`single_leader.members`). What cannot work is refused here, before anything is written.
Each is decided on all that the catalog's log holds, and has a number: two that were decided on the same state would
collide on it, and one of them fail as a whole.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from quorate.core.bounds import NodeId
from quorate.core.catalog import MEMBERS_SCHEMA, PartitionRow
from quorate.core.directory import CHANGE_UNDER_WAY
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.membership import Configuration
from quorate.core.options import LEADERLESS, Unfit
from quorate.core.recovered import Member
from quorate.core.requests import AddMember, MemberChange, Refused, RemoveMember, Run
from quorate.core.roster import is_current, members_change
from quorate.core.statements import Statement, Token

if TYPE_CHECKING:
    from quorate.core.node import Node

CATALOG_VOTERS = 5
"""So many members vote on the catalog at the most; the others have copies of it."""

NODES_MAX = (1 << 63) - 1


class _No(Exception):
    """The change cannot be made."""

    def __init__(self, error: str, message: str, hint: str = "", *, retryable: bool = False) -> None:
        super().__init__(message)
        self.refused = Refused(error, message, hint, retryable)


class Plan(Struct):
    """What is to become of the placement of one database."""

    row: PartitionRow
    nodes: tuple[NodeId, ...]


def write_for(node: "Node", body: MemberChange) -> Run | Refused | None:
    """The write that makes this change, why it cannot be made, or None when it was made already under this token."""
    if body.token.id in node.directory.catalog.tokens:
        return None
    if not is_current(node) or (members_change(node) and not _is_dead(node, body)):
        return CHANGE_UNDER_WAY
    try:
        return _add(node, body) if isinstance(body, AddMember) else _take_out(node, body)
    except _No as no:
        return no.refused


def _is_dead(node: "Node", body: MemberChange) -> bool:
    """Whether it takes out somebody who is dead: without that, a change that waits for him would never end."""
    return not isinstance(body, AddMember) and body.node in node.directory.members and not _lives(node, body.node)


def _add(node: "Node", body: AddMember) -> Run:
    directory = node.directory
    _check_new(node, body)
    plans: list[Plan] = []
    for name in body.databases:
        rows = directory.groups_for(name)
        if not rows:
            names = ", ".join(known.name for known in directory.catalog.databases)
            raise _No("UnknownDatabase", f"there is no database {name!r}", f"there are: {names}")
        _refuse_leaderless(node, name)
        if len(rows) > 1:
            hint = "add the member without it; it can take another's place with `quorate member replace`"
            raise _No("NotSupportedError", f"the leaders of {name} are those with which it was created", hint)
        plans.append(Plan(rows[0], tuple(sorted((*rows[0].nodes, body.node)))))
    voters = _catalog_voters(node)
    if len(voters) < CATALOG_VOTERS:
        voters = (*voters, body.node)
    member = Statement("INSERT INTO members VALUES (?, ?, ?)", ((body.node, body.name, body.address),))
    return _write(node, body, f"add {body.name}", [member], plans, voters, [])


def _refuse_leaderless(node: "Node", database: str) -> None:
    """Raises _No: the replicas of this database are those with which it was created."""
    if node.directory.replications[database] == LEADERLESS:
        hint = f"save what it holds, drop {database}, and create it anew on the nodes that stay"
        raise _No("NotSupportedError", f"the replicas of {database}, which has no leader, stay where they are", hint)


def _check_new(node: "Node", body: AddMember) -> None:
    """Raises _No when this node cannot become a member."""
    removed = node.directory.removed.get(body.node)
    if removed is not None:
        raise _No(
            "NodeRemoved",
            f"{removed.name} was taken out of this cluster, and an id is never used twice",
            "make a new folder with `quorate init --join`, and add that node",
        )
    if not 0 < body.node <= NODES_MAX or not body.name or not body.address:
        raise _No("ProgrammingError", "a member needs an id, a name and an address")
    for member in node.directory.members.values():
        if member.node == body.node:
            raise _No("AlreadyMember", f"{member.name} is a member already")
        if member.name == body.name:
            hint = "give the new node a name of its own"
            raise _No("AlreadyMember", f"there is another member called {member.name}, at {member.address}", hint)
        if member.address == body.address:
            hint = f"if {member.name} is gone for good, `quorate member replace {member.name} ADDRESS`"
            raise _No("AlreadyMember", f"{member.name} is the member at {member.address}", hint)


def _take_out(node: "Node", body: MemberChange) -> Run:
    """Remove or replace: everything that the node holds is wanted elsewhere."""
    assert not isinstance(body, AddMember)
    directory = node.directory
    leaves = _known(node, body.node)
    successor = 0 if isinstance(body, RemoveMember) else _known(node, body.successor).node
    if successor == leaves.node:
        raise _No("ProgrammingError", f"{leaves.name} cannot take its own place")
    if len(directory.members) == 1:
        raise _No("LastVoter", f"{leaves.name} is the only member", "add another first")
    load = {each: 0 for each in sorted(directory.members) if each != leaves.node and _lives(node, each)}
    for row in directory.catalog.partitions:
        for each in row.nodes:
            if each in load:
                load[each] += 1
    held = [row for row in directory.catalog.partitions if leaves.node in row.nodes]
    for row in held:
        _refuse_leaderless(node, row.database)
    plans = [_without(node, row, leaves, successor, load) for row in held]
    voters = _catalog_without(node, leaves.node, successor, load)
    _check_majority(node, "the catalog", _catalog_voters(node), voters)
    words = f"replace {leaves.name} by {directory.name_of(successor)}" if successor else f"remove {leaves.name}"
    last = [
        Statement("DELETE FROM members WHERE node = ?", ((leaves.node,),)),
        Statement("INSERT INTO removed VALUES (?, ?, ?)", ((leaves.node, leaves.name, leaves.address),)),
    ]
    return _write(node, body, words, [], plans, voters, last)


def _known(node: "Node", number: NodeId) -> Member:
    member = node.directory.members.get(number)
    if member is not None:
        return member
    if number in node.directory.removed:
        raise _No("UnknownNode", f"{node.directory.name_of(number)} was taken out of this cluster before")
    names = ", ".join(sorted(each.name for each in node.directory.members.values()))
    raise _No("UnknownNode", f"node {number} is not a member of this cluster", f"there are: {names}")


def _without(node: "Node", row: PartitionRow, leaves: Member, successor: NodeId, load: dict[NodeId, int]) -> Plan:
    """Where a database goes that `leaves` holds a replica of. Raises _No."""
    rest = tuple(each for each in row.nodes if each != leaves.node)
    holders = {each for known in node.directory.groups_for(row.database) for each in known.nodes}
    free = [each for each in load if each not in holders]
    if successor and successor in holders and successor not in row.nodes:
        message = f"{node.directory.name_of(successor)} holds {row.database} under another of its leaders"
        raise _No("ProgrammingError", message, "name a member that does not")
    if successor and successor not in row.nodes:
        rest = (*rest, successor)
    elif free:
        other = min(free, key=lambda each: (load[each], each))
        load[other] += 1
        rest = (*rest, other)
    if not rest:
        raise _No("LastVoter", f"{leaves.name} holds the only replica of {row.database}", "add another member first")
    options = node.directory.options[row.database]
    try:
        options.check_replicas(len(rest))
    except Unfit as error:
        hint = f"{error.hint}; change it with `quorate alter`, or add a member first"
        raise _No("OperationalError", f"{row.database} could not keep its promise: {error}", hint) from error
    if options.needs_all:
        away = [node.directory.name_of(each) for each in rest if not _lives(node, each)]
        if away:
            message = f"{row.database} needs every replica, and {', '.join(away)} would hold up its writes"
            hint = "bring it back first, or let it need fewer with `quorate alter`"
            raise _No("OperationalError", message, hint, retryable=True)
    _check_majority(node, row.database, row.nodes, rest)
    return Plan(row, tuple(sorted(rest)))


def _check_majority(node: "Node", what: str, before: tuple[NodeId, ...], after: tuple[NodeId, ...]) -> None:
    """While voters change a majority of both sets is needed, so both must have one now. Raises _No."""
    for voters, when in ((before, "has"), (after, "would have")):
        living = [each for each in voters if _lives(node, each)]
        if not Configuration(voters).majority_of(living):
            away = ", ".join(node.directory.name_of(each) for each in voters if each not in living)
            message = f"{what} {when} no majority of live voters: {away} cannot be heard"
            raise _No("NoMajority", message, "bring it back, then ask again", retryable=True)


def _lives(node: "Node", number: NodeId) -> bool:
    return number == node.me or node.liveness.alive().get(number, False)


def _catalog_voters(node: "Node") -> tuple[NodeId, ...]:
    """Who votes on the catalog, or is to."""
    return node.directory.catalog.voters or node.catalog.configuration.voters


def _catalog_without(node: "Node", leaves: NodeId, successor: NodeId, living: Iterable[NodeId]) -> tuple[NodeId, ...]:
    """The voters of the catalog when a member goes: another takes its place if there is one."""
    before = _catalog_voters(node)
    if leaves not in before:
        return before
    rest = tuple(each for each in before if each != leaves)
    free = [each for each in (successor, *living) if each and each not in before]
    return (*rest, *free[:1])


def _write(
    node: "Node",
    body: MemberChange,
    words: str,
    first: list[Statement],
    plans: list[Plan],
    voters: tuple[NodeId, ...],
    last: list[Statement],
) -> Run:
    catalog = node.directory.catalog
    statements = [] if catalog.changes else [Statement(sql) for sql in MEMBERS_SCHEMA]
    statements.append(
        Statement("INSERT INTO member_changes VALUES (?, ?, ?)", ((catalog.changes + 1, words, body.token.id),))
    )
    statements += first
    for plan in plans:
        row = plan.row
        if not row.began:
            began = tuple((row.group, each) for each in row.nodes)
            statements.append(Statement("INSERT INTO beginnings VALUES (?, ?)", began, many=True))
        gone = tuple((row.group, each) for each in row.nodes if each not in plan.nodes)
        come = tuple((row.group, each) for each in plan.nodes if each not in row.nodes)
        if gone:
            statements.append(Statement("DELETE FROM replicas WHERE partition = ? AND node = ?", gone, many=True))
        if come:
            statements.append(Statement("INSERT INTO replicas VALUES (?, ?)", come, many=True))
    statements.append(Statement("DELETE FROM catalog_voters"))
    rows = tuple((each,) for each in voters)
    statements.append(Statement("INSERT INTO catalog_voters VALUES (?)", rows, many=True))
    statements += last
    # Another number, another token: what failed under this one has to be decided anew.
    token = Token(f"{body.token.id}/{catalog.changes + 1}", body.token.seen)
    return Run(CATALOG_DATABASE, tuple(statements), token=token)
