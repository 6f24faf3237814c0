"""Faults at the worst moment: somebody who sees every step, as the invariants do, and cuts links at that instant.

What needs several coincidences comes by chance once in thousands of seeds. Here it is sought:

- Figure 8 of the Raft paper (`Dials.figure_eight_us`). (1) A leader and one other are cut off, and have an entry that
  nobody else has; (2) a rival is elected, and is cut off before it has said a word, while the first two are back;
  (3) one of them is elected, and a majority gets that entry: as soon as it has it on disk, and not yet the new leader's
  own first entry, that leader is heard no more; (4) the rival is back, with as many others as it needs to be elected
  again. It then replaces the entry, on a majority.
- A leader that changes members is left alone with the newcomers, and the others with each other
  (`Dials.cut_on_change`): whoever lets the new voters decide without the old has two majorities.
- A leader that has just appended the members without itself is cut off for a moment (`Dials.cut_on_leaving`): it alone
  has that entry, and must lead again though it is no member by it, or nobody leads.

All of these are cuts of links, which any configuration must survive.
"""

from collections.abc import Iterable
from typing import Any

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import LogWrite, WriteEntries
from quorate.core.kernel import CATALOG_GROUP, Effect, Event, Note
from quorate.core.quorum import majority
from quorate.core.recovered import Recovered
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.replications.single_leader.invariants import Invariants
from quorate.lab.sim.scenarios.dials import MILLISECOND, Dials

Links = list[tuple[NodeId, NodeId]]

SETUP_US = 1_500 * MILLISECOND
"""Until then callers make their tables: whoever loses those can show nothing more."""
STAGE_US = 1_000 * MILLISECOND
"""How long each of the cuts of figure 8 lasts, unless the next stage comes before."""
CHANGE_US = 20 * MILLISECOND
"""So soon after a leader has begun to change members it is cut off."""


class Adversary:
    """An observer of all hosts, which hands on whatever it sees."""

    def __init__(self, world: World, dials: Dials, network: Network, invariants: Invariants) -> None:
        self._world = world
        self._dials = dials
        self._network = network
        self._invariants = invariants
        self._rng = world.rng("adversary")
        self._hosts: dict[NodeId, Host] = {}
        self._cuts: dict[int, Links] = {}
        """What is cut now."""
        self._numbers = 0
        self._attempt = 0
        """Of figure 8; 0: none is under way."""
        self._attempts = 0
        self._pair: set[NodeId] = set()
        """While (1) lasts: who was cut off."""
        self._rival: NodeId = 0
        """From (2) on."""
        self._over = False
        self.sending = invariants.sending
        self.damaged = invariants.damaged
        self.flipped = invariants.flipped
        self.copied, self.put_back = invariants.copied, invariants.put_back

    @staticmethod
    def is_wanted(dials: Dials) -> bool:
        """Whether this run has one."""
        return bool(dials.figure_eight_us or dials.cut_on_change or dials.cut_on_leaving)

    def begin(self) -> None:
        """Look for the moment from now on, or soon."""
        if self._dials.figure_eight_us:
            self._world.after(SETUP_US, self._later)

    def end(self) -> None:
        """The faults are over."""
        self._over = True

    # ---- what is seen ------------------------------------------------------------------------------------

    def started(self, host: Host, recovered: Recovered) -> None:
        """A machine lives."""
        self._hosts[host.number] = host
        self._invariants.started(host, recovered)

    def after_step(self, host: Host, event: Event, effects: list[Effect], touched: Iterable[Any]) -> None:
        """Look at what the step noted. None of its effects has been performed yet."""
        self._invariants.after_step(host, event, effects, touched)
        for effect in effects:
            if type(effect) is Note and effect.fields.get("group", CATALOG_GROUP) != CATALOG_GROUP and not self._over:
                if effect.name == "became_leader":
                    self._elected(host.number)
                elif effect.name == "members_change":
                    self._changes(host, effect.fields)

    def durable(self, host: Host, writes: tuple[LogWrite, ...]) -> None:
        """These writes are on this node's disk, and nobody has been told yet."""
        self._invariants.durable(host, writes)
        if self._rival and not self._over:
            for group in sorted({write.group for write in writes if type(write) is WriteEntries}):
                for (number, node), epoch in list(self._invariants.leading.items()):
                    if number == group != CATALOG_GROUP and node not in (self._rival, *self._pair) and self._rival:
                        self._silence(self._hosts[node], group, epoch)

    # ---- figure 8 ------------------------------------------------------------------------------------------

    def _later(self) -> None:
        self._attempt, self._pair, self._rival = 0, set(), 0
        self._world.after(1 + int(self._rng.expovariate(1.0) * self._dials.figure_eight_us), self._try)

    def _try(self) -> None:
        """(1) Cut off a leader and one other."""
        leading = [node for number, node in self._invariants.leading if number != CATALOG_GROUP]
        if self._over:
            return
        if not leading:
            self._later()
            return
        leader = self._rng.choice(sorted(leading))
        other = self._rng.choice([each for each in sorted(self._hosts) if each != leader])
        self._attempts += 1
        self._attempt = self._attempts
        self._pair = {leader, other}
        self._world.mark("figure 8: tried")
        self._cut(self._both_ways(self._pair), STAGE_US)
        self._world.after(2 * STAGE_US, self._give_up, self._attempt)

    def _give_up(self, attempt: int) -> None:
        if attempt == self._attempt and not self._over:
            self._mend_all()
            self._later()

    def _elected(self, node: NodeId) -> None:
        """(2) A rival is elected among the others."""
        if self._pair and node not in self._pair:
            self._mend_all()
            self._pair, self._rival = set(), node
            self._cut(self._both_ways({node}), STAGE_US)
            self._world.mark("figure 8: a rival")

    def _silence(self, host: Host, number: GroupId, epoch: int) -> None:
        """(3) If this leader is about to hear that an older entry is on enough disks, let it hear that and say no more;
        (4) the rival is back."""
        group = host.core.groups.get(number) if host.core is not None else None
        if group is None or group.election.epoch != epoch or not group.election.noop:
            return
        older = group.election.noop - 1
        known, theirs = group.log.epoch_at(older), self._newest(self._rival, number)
        if older <= group.commit.committed or known is None or not known < theirs < epoch:
            return
        if not self._is_held(group, older, known) or self._is_held(group, group.election.noop, epoch):
            return
        self._world.mark("figure 8: complete")
        self._mend_all()
        away = [each for each in self._holders(group, group.election.noop, epoch) if each != host.number]
        away += [each for each in group.voters if each not in (host.number, *away, self._rival)]
        away = away[: len(group.voters) - majority(len(group.voters)) - 1]
        self._cut(self._both_ways(set(away)), STAGE_US)
        self._cut([link for link in self._both_ways({host.number}) if link[0] == host.number], STAGE_US)
        self._later()

    def _newest(self, voter: NodeId, group: GroupId) -> int:
        """The epoch of the newest entry on its disk."""
        disk = self._invariants.disks.get((voter, group))
        return max(disk.entries.values(), default=0) if disk is not None else 0

    def _is_held(self, group: Any, index: int, epoch: int) -> bool:
        """Whether a majority has it on disk."""
        return bool(group.majority_of(self._holders(group, index, epoch)))

    def _holders(self, group: Any, index: int, epoch: int) -> list[NodeId]:
        """The voters that have it on disk."""
        holders = []
        for voter in group.voters:
            disk = self._invariants.disks.get((voter, group.group))
            if disk is not None and disk.holds(index, epoch):
                holders.append(voter)
        return holders

    # ---- changes of members --------------------------------------------------------------------------------

    def _changes(self, host: Host, fields: dict[str, Any]) -> None:
        """This leader has just appended other members to its own log."""
        assert host.core is not None
        before = host.core.groups[fields["group"]].membership.committed
        named = {*fields["voters"], *fields["learners"], *fields["following"]}
        fresh = (named - set(before.voters)) & set(self._hosts)
        if self._rng.random() < self._dials.cut_on_change and fresh:
            after_us = self._rng.randint(0, CHANGE_US)
            self._world.after(after_us, self._part, {host.number, *fresh}, "left alone with newcomers")
        if host.number not in named and self._rng.random() < self._dials.cut_on_leaving:
            self._part({host.number}, "cut off as it leaves")

    def _part(self, some: set[NodeId], mark: str) -> None:
        if not self._over:
            self._world.mark(mark)
            self._cut(self._both_ways(some))

    # ---- links ---------------------------------------------------------------------------------------------

    def _both_ways(self, some: set[NodeId]) -> Links:
        """All links between these nodes and the others."""
        rest = [each for each in self._hosts if each not in some]
        return [link for one in sorted(some) for other in rest for link in ((one, other), (other, one))]

    def _cut(self, links: Links, lasts_us: int = 0) -> None:
        self._network.cut(links)
        self._world.record(0, "cut by the adversary", links)
        self._numbers += 1
        self._cuts[self._numbers] = links
        lasts_us = lasts_us or 1 + int(self._rng.expovariate(1.0) * self._dials.fault_lasts_us)
        self._world.after(lasts_us, self._mend, self._numbers)

    def _mend_all(self) -> None:
        for cut in list(self._cuts):
            self._mend(cut)

    def _mend(self, cut: int) -> None:
        links = self._cuts.pop(cut, None)
        if links is not None and not self._over:
            self._network.mend(links)
