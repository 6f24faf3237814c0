"""Who was told to lead, or permitted? An observer of what `failover = manual` and `etcd` forbid, and of what *accept
loss* allows.

*Leads by order*: where a group's log says `manual`, a replica leads only if it was told to in this life: by a person,
by a leader that hands over, or because it handed over itself and nobody came, or its node was taken out. *Leads by
permit*: where it says `etcd`, it was told so, or etcd gave it a permit for exactly this epoch, in this life. An epoch
that begins with an accepted loss was ordered so, and a majority of the disks has the vote for its leader (or has gone
on to a later epoch).
"""

from collections.abc import Callable
from typing import Any

from quorate.core.ack_policy import ETCD, MANUAL, read_noop
from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import NOOP
from quorate.core.permits import Permitted
from quorate.core.requests import Failover
from quorate.core.single_leader.messages import TimeoutNow
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.replications.single_leader.tails import Tails

BY_ORDER = "leads by order"
BY_PERMIT = "leads by permit"

Disks = dict[tuple[NodeId, GroupId], Any]


class ByHand:
    """Remembers what each life of each node was told."""

    def __init__(self, world: World, tails: Tails, disks: Disks, broken: Callable[[str, str], None]) -> None:
        self._world = world
        self._tails = tails
        self._disks = disks
        """What each node has on disk of each group (`invariants.OnDisk`)."""
        self._broken = broken
        self._told: dict[tuple[NodeId, int, str | GroupId], bool] = {}
        """(node, life, database or group) -> whether a loss was accepted."""
        self._permits: set[tuple[NodeId, int, GroupId, int]] = set()
        """(node, life, group, epoch) of each permit that was given."""

    def asked(self, host: Host, request: Failover) -> None:
        """A person tells a node that a database is to be led by somebody else."""
        key = (host.number, host.life, request.database)
        self._told[key] = self._told.get(key, False) or request.accept_loss

    def handed_over(self, host: Host, message: TimeoutNow) -> None:
        """A node was told to stand, or has told another, and may stand again when that one does not."""
        self._told.setdefault((host.number, host.life, message.group), False)

    def permitted(self, host: Host, permit: Permitted) -> None:
        """An etcd gave a permit."""
        self._permits.add((host.number, host.life, permit.group, permit.epoch))

    def leads(self, host: Host, number: GroupId, group: Any) -> None:
        """This replica has just been elected."""
        told = [self._told.get((host.number, host.life, name)) for name in (group.database, number)]
        before = (group.election.noop - 1, group.log.epoch_at(group.election.noop - 1) or 0)
        failover = self._tails.rule_of(number, before).failover
        if failover == ETCD and len(group.voters) > 1:
            self._check_permit(host, number, group, told=told != [None, None])
        if failover == MANUAL and len(group.voters) > 1:
            self._world.mark("led by order")
            if told == [None, None] and not group.host.removed:
                text = f"node {host.number} leads group {number} in epoch {group.election.epoch}"
                self._broken(BY_ORDER, f"{text}, and nobody has told it to")
        noop = group.log.slice(group.election.noop, group.election.noop)
        if noop and noop[0].kind == NOOP and read_noop(noop[0].payload)[1]:
            self._check_loss(host, number, group, accepted=True in told)

    def _check_permit(self, host: Host, number: GroupId, group: Any, *, told: bool) -> None:
        if (host.number, host.life, number, group.election.epoch) in self._permits:
            self._world.mark("led by permit")
        elif not told and not group.host.removed:
            text = f"node {host.number} leads group {number} in epoch {group.election.epoch}, and has no permit for it"
            self._broken(BY_PERMIT, text)

    def _check_loss(self, host: Host, number: GroupId, group: Any, *, accepted: bool) -> None:
        what = f"node {host.number} leads group {number} in epoch {group.election.epoch} with an accepted loss"
        if not accepted:
            self._broken(BY_ORDER, f"{what}, and nobody has accepted it")
        votes = 0
        for voter in group.voters:
            disk = self._disks.get((voter, number))
            if disk is not None:
                votes += disk.epoch > group.election.epoch or (disk.epoch, disk.vote) == (
                    group.election.epoch,
                    host.number,
                )
        if votes < len(group.voters) // 2 + 1:
            self._broken("election safety", f"{what} and {votes} votes of {len(group.voters)}")
