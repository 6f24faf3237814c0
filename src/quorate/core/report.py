"""What a node knows of itself, its peers and its groups, as a picture for people."""

from typing import TYPE_CHECKING

from quorate.core.formats import RELEASE
from quorate.core.requests import GroupStatus, MemberStatus, ReplicaStatus, StatusReport
from quorate.core.single_leader.state import LEADER, Group

if TYPE_CHECKING:
    from quorate.core.node import Node


def report(node: "Node") -> StatusReport:
    """The node as it is now."""
    alive, versions = node.liveness.alive(), node.versions
    members = tuple(
        MemberStatus(
            member.node,
            member.name,
            member.address,
            member.node == node.me or alive.get(member.node, False),
            versions.formats.highest if member.node == node.me else versions.highest_of(member.node),
        )
        for member in sorted(node.directory.members.values(), key=lambda member: member.name)
    )
    groups = tuple(_group(node, node.groups[number]) for number in sorted(node.groups))
    return StatusReport(
        node.identity.cluster,
        node.me,
        node.identity.name,
        node.identity.boot,
        members,
        groups,
        node.disk_full,
        RELEASE,
        versions.version,
        versions.formats.lowest,
        versions.formats.highest,
    )


def _group(node: "Node", group: Group) -> GroupStatus:
    replicas: list[ReplicaStatus] = []
    if group.role == LEADER:
        replicas.append(ReplicaStatus(node.me, group.persisted, "leader"))
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
        node.directory.acks.get(group.database, "majority"),
        tuple(replicas),
        group.verifying.equal_at,
        group.damaged or group.mended,
    )
