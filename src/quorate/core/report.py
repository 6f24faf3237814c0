"""What a node knows of itself, its peers and its groups, as a picture for people."""

from typing import TYPE_CHECKING

from msgspec import structs

from quorate.core.formats import RELEASE
from quorate.core.protecting import is_revoked
from quorate.core.recovered import Member
from quorate.core.requests import Leaders, LostReport, MemberStatus, StatusReport, Unknown

if TYPE_CHECKING:
    from quorate.core.node import Node


def report(node: "Node", *, members_only: bool = False, database: str = "") -> StatusReport:
    """The node as it is now; `members_only` without its groups. `database`: with its leaders, if it has several."""
    versions = node.versions
    members = tuple(
        _member(node, member) for member in sorted(node.directory.members.values(), key=lambda member: member.name)
    )
    shown = () if members_only else sorted(node.groups)
    groups = tuple(node.groups[number].status() for number in shown)
    return StatusReport(
        node.identity.cluster,
        node.me,
        node.identity.name,
        node.boot,
        members,
        groups,
        node.disk_full or any(group.lacks_room() for group in node.groups.values()),
        RELEASE,
        versions.version,
        versions.formats.lowest,
        versions.formats.highest,
        node.removed,
        node.directory.catalog.changes,
        () if members_only else tuple(sorted(node.dropping.closed)),
        node.access.mode,
        node.now_us - node.access.fresh_us if node.access.guards and node.access.mode else -1,
        node.access.stale(node.now_us),
        node.directory.catalog.certificates.step,
        node.certificate.serial,
        node.certificate.expires_us,
        is_revoked(node),
        _leaders(node, database),
        len(node.views.kept),
        node.directory.replications.get(database, ""),
    )


def _leaders(node: "Node", database: str) -> tuple[Leaders, ...]:
    rows = node.directory.groups_for(database)
    if len(rows) < 2:
        return ()
    return tuple([Leaders(row.group, tuple([node.address_of(each) for each in row.nodes])) for row in rows])


def _member(node: "Node", member: Member) -> MemberStatus:
    if member.node == node.me:
        return MemberStatus(member.node, member.name, member.address, alive=True, highest=node.versions.formats.highest)
    peer = node.liveness.peers.get(member.node)
    return MemberStatus(
        member.node,
        member.name,
        member.address,
        peer is not None and peer.alive,
        node.versions.highest_of(member.node),
        peer.timing.trip.mean_us if peer is not None else 0,
        peer.timing.suspect_us if peer is not None else 0,
    )


def report_lost(node: "Node", kept: LostReport) -> LostReport:
    """What this node keeps of lost tails, less what has come back into the log since, as when its old leader won after
    all. To that a leader adds whom it knows to be missing."""
    entries = tuple(
        entry
        for entry in kept.entries
        if (group := node.groups.get(entry.group)) is None or not group.keeps(entry.index, entry.epoch)
    )
    members = node.directory.members
    unknown = tuple(
        Unknown(group.group, group.database, epoch, first, who, members[who].name if who in members else "")
        for group in node.groups.values()
        for epoch, first, who in group.unknown_losses()
    )
    return structs.replace(kept, entries=entries, unknown=unknown)
