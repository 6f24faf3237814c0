"""What a node says of itself when somebody asks how it is."""

from typing import TYPE_CHECKING

from quorate.core.requests import GroupStatus, MemberStatus, ReplicaStatus, StatusReport
from quorate.core.single_leader.state import LEADER, Group

if TYPE_CHECKING:
    from quorate.core.node import Node


def of_node(node: "Node") -> StatusReport:
    """Members, groups, positions."""
    alive = node.liveness.alive()
    members = tuple(
        MemberStatus(member.node, member.name, member.address, member.node == node.me or alive.get(member.node, False))
        for member in sorted(node.directory.members.values(), key=lambda member: member.name)
    )
    groups = tuple(of_group(node.groups[number]) for number in sorted(node.groups))
    known = node.identity
    return StatusReport(known.cluster, node.me, known.name, known.boot, members, groups, node.disk_full)


def of_group(group: Group) -> GroupStatus:
    """One replica, and as its leader what it knows of the others."""
    replicas: list[ReplicaStatus] = []
    if group.role == LEADER:
        replicas.append(ReplicaStatus(group.me, group.persisted, "leader"))
        replicas += [ReplicaStatus(peer, each.matched, each.state) for peer, each in group.progress.items()]
    return GroupStatus(
        group.group,
        group.database,
        group.partition,
        "damaged" if group.damaged else group.role,
        group.leader,
        group.epoch,
        group.log.last.index,
        group.counted,
        group.applied.index,
        group.log.base.index + 1,
        str(group.rules.counted),
        tuple(replicas),
        str(group.rules.newest) if group.rules.coming else "",
    )
