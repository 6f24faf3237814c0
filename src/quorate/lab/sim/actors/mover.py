"""Somebody who changes the members: adds nodes, takes them out, replaces dead and living ones, a majority one after the
other. A node whose disk is lost comes back as a new node and is put in the place of the old.

At the end every change that was answered must have been carried out: each group has exactly the voters that the catalog
wants, its leader is one of them, and nothing is joint any more.
"""

from collections.abc import Callable
from typing import Any

from quorate.core.bounds import GroupId
from quorate.core.kernel import CATALOG_GROUP
from quorate.core.requests import AddMember, Answer, MemberChange, Refused, RemoveMember, ReplaceMember
from quorate.core.statements import Token
from quorate.lab.sim.actors.actor import SimCluster
from quorate.lab.sim.actors.asking import Asker
from quorate.lab.sim.engine.network import member_of
from quorate.lab.sim.replications.registry import PROBES
from quorate.lab.sim.scenarios.dials import MILLISECOND

NUMBER = -1_003
PATIENCE_US = 700 * MILLISECOND
LEAST = 3
MOST = 6
"""Members that a cluster has when it is left to this."""


class Mover(Asker):
    """One change at a time, asked for again until it is answered; the next as soon as it pleases."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster, NUMBER, "members", PATIENCE_US)
        self._make_host = cluster.new_host
        self._left: list[Callable[[], MemberChange | None]] = []
        """What follows, one as soon as the other is answered."""
        self._closing = False
        self.members = set(self._hosts)
        """As far as it was answered."""
        self._made = 0

    def begin(self) -> None:
        """Change the members from now on, if this run does that."""
        if self._dials.members_us:
            self._later()

    def _later(self) -> None:
        self._world.after(self._rng.randint(1, 2 * self._dials.members_us), self._act)

    def _act(self) -> None:
        if self._closing:
            return
        if self._body is None and not self._left:
            gone = sorted(node for node in self.members if self._hosts[node].gone)
            if gone:
                self._ask(RemoveMember(gone[0], self._token()))
                self._later()
                return
            many = len(self.members)
            chances: list[Callable[[], list[Callable[[], MemberChange | None]]]] = [lambda: [self._replace]]
            if many > LEAST:
                chances.append(lambda: [self._remove])
            if many < MOST:
                chances.append(lambda: [self._add])
            if self._rng.random() < 0.3:
                chances.append(lambda: [self._replace] * (many // 2 + 1))
            self._left = self._rng.choice(chances)()
            self._next()
        self._later()

    def _next(self) -> None:
        while self._body is None and self._left and not self._closing:
            body = self._left.pop(0)()
            if body is not None:
                self._ask(body)

    # ---- what -------------------------------------------------------------------------------------------

    def _fresh(self, *, everywhere: bool) -> AddMember | None:
        """A new node, started; and the change that takes it in."""
        if self._made >= self._dials.spares:
            return None
        self._made += 1
        host = self._make_host()
        host.start()
        databases = tuple(one.name for one in self._databases if one.ready) if everywhere else ()
        member = member_of(host.number)
        return AddMember(member.node, member.name, member.address, self._token(), databases)

    def _token(self) -> Token:
        return Token(f"members-{self._rng.getrandbits(60):x}", 0)

    def _add(self) -> MemberChange | None:
        return self._fresh(everywhere=self._rng.random() < self._dials.spread)

    def _remove(self) -> MemberChange | None:
        return RemoveMember(self._rng.choice(sorted(self.members)), self._token())

    def _replace(self) -> MemberChange | None:
        """First the new one comes, then it takes the other's place."""
        old = self._rng.choice(sorted(self.members))
        fresh = self._fresh(everywhere=False)
        if fresh is None:
            return None
        if self._rng.random() < self._dials.wiped and self._may_wipe(old):
            self._world.mark("wiped disk")
            self._world.record(old, "the disk is lost", None)
            self._hosts[old].crash()
            self._hosts[old].gone = True
        self._left.insert(0, lambda: ReplaceMember(old, fresh.node, self._token()))
        return fresh

    def _may_wipe(self, node: int) -> bool:
        """Nothing is promised when more than a minority of the disks of a group are lost: one at a time, of groups
        that have three voters at least, all there."""
        for number in self._groups():
            leader = self._leader(number)
            if leader is None or leader.configuration.joint or leader.membership.coming:
                return False
            voters = leader.configuration.voters
            if len(voters) < LEAST or any(self._hosts[voter].gone for voter in voters):
                return False
        return len([host for host in self._hosts.values() if host.alive]) > LEAST and node in self.members

    # ---- what became of it -----------------------------------------------------------------------------------------

    def _is_over(self, refused: Refused) -> bool:
        self._world.mark(f"members: refused {refused.error}")
        over = not refused.retryable or (refused.error != "NodeRemoved" and self._rng.random() < 0.05)
        if over:
            if refused.error == "UnknownNode" and not isinstance(self._body, AddMember):
                self.members.discard(self._body.node)  # an earlier request did it, whose answer was lost
            self._left.clear()
        return over

    def _answered(self, body: MemberChange, answer: Answer) -> None:
        del answer
        if isinstance(body, AddMember):
            self.members.add(body.node)
            self._world.mark("members: added")
        else:
            self.members.discard(body.node)
            self._world.mark("members: removed" if isinstance(body, RemoveMember) else "members: replaced")
        self._next()

    # ---- the end ----------------------------------------------------------------------------------------

    def _groups(self) -> list[GroupId]:
        return sorted({number for host in self._hosts.values() if host.core for number in host.core.groups})

    def _replicas(self, number: GroupId) -> list[Any]:
        return [
            host.core.groups[number]
            for host in self._hosts.values()
            if host.core is not None and number in host.core.groups
        ]

    def _leader(self, number: GroupId) -> Any:
        found = [group for group in self._replicas(number) if group.leads]
        return max(found, key=lambda group: group.election.epoch, default=None)

    def done(self, dead: int) -> bool:
        """In the liveness phase: no change is asked for any more, and all that were answered are carried out."""
        del dead
        if not self._dials.members_us:
            return True
        if not self._closing:
            self._closing = True
            self._left.clear()
        gone = sorted(node for node in self.members if self._hosts[node].gone)
        if gone and self._body is None:
            self._ask(RemoveMember(gone[0], self._token()))
        return self._body is None and self.unfinished() is None

    def unfinished(self) -> str | None:
        """Which group has not got the members that are wanted; None when all have."""
        catalog = self._leader(CATALOG_GROUP)
        if self._body is not None:
            return f"{self._body} is not answered"
        if catalog is None:
            return "nobody leads the catalog"
        for number in self._groups():
            replicas = self._replicas(number)
            probe, wanted = PROBES[replicas[0].replication], catalog.host.wanted_members(number)
            if why := probe.unfinished(number, replicas, wanted):
                return why
        if catalog.host.directory.catalog.changes:
            self._world.mark("members: all carried out")
        return None
