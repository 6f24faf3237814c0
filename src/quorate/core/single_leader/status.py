"""A replica as a picture for people."""

from quorate.core.ack_policy import ETCD, MANUAL
from quorate.core.options import SingleLeaderOptions
from quorate.core.requests import GroupStatus, ReplicaStatus
from quorate.core.single_leader import members, permits, reads
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group


def status(group: Group) -> GroupStatus:
    """The replica as it is now; what its followers have, if it leads."""
    replicas: list[ReplicaStatus] = []
    if group.election.role == LEADER:
        replicas.append(ReplicaStatus(group.me, group.commit.persisted, "leader"))
        replicas += [ReplicaStatus(peer, each.matched, each.state) for peer, each in group.progress.items()]
    wanted = group.host.wanted_members(group.group)
    decides = MANUAL if group.rules.by_hand else ETCD if group.rules.by_permit else group.rules.committed.failover
    return GroupStatus(
        group.group,
        group.database,
        group.partition,
        "damaged" if group.repair.damaged else group.election.role,
        group.election.leader,
        group.election.epoch,
        group.log.last.index,
        group.commit.committed,
        group.apply.applied.index,
        group.log.base.index + 1,
        _options(group, str(group.rules.committed), decides),
        tuple(replicas),
        group.verifying.equal_at,
        group.repair.damaged or group.repair.mended,
        _options(group, str(group.rules.newest), group.rules.newest.failover) if group.rules.coming else {},
        group.configuration.voters,
        group.configuration.learners,
        group.configuration.following,
        wanted.voters if wanted is not None and members.wants_others(group) else (),
        group.log.last.epoch,
        permits.missing(group),
        reads.age_us(group),
        speaks=group.election.role == LEADER and not group.repair.damaged,
        damaged=bool(group.repair.damaged),
    )


def _options(group: Group, acks: str, failover: str) -> dict[str, str]:
    """Those that the log names, and all others as the catalog has them."""
    wanted = group.host.wanted_options(group.database) or SingleLeaderOptions()
    return wanted.spelt | {"acks": acks, "failover": failover}
