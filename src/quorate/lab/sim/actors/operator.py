"""Somebody who looks after the cluster: has its replicas compared now and then, and once more at the end.

The judge is called *verify*. A replica whose file was edited (`BadStore.edit_data`) must not be found equal, and must
be rebuilt before the run ends; the others must never be found wrong (*sound disk* sees to that).
"""

from typing import Any

import msgspec

from quorate.core.bounds import GroupId
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.requests import Answer, Verify
from quorate.core.verdicts import AWAY, EQUAL, VerifyReport
from quorate.lab.sim.actors.actor import SimCluster
from quorate.lab.sim.actors.asking import Asker
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import MILLISECOND

VERIFY = "verify"
NUMBER = -1_000
PATIENCE_US = 2_000 * MILLISECOND

_report = msgspec.msgpack.Decoder(VerifyReport)


class Operator(Asker):
    """Asks for one comparison at a time."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster, NUMBER, "operator", PATIENCE_US)
        self._left: list[str] | None = None
        """At the end: the databases that were not found equal yet."""
        self._dead = 0

    def begin(self) -> None:
        """Look after the cluster from now on, if this run has an operator."""
        if self._dials.verify_us:
            self._world.after(self._rng.randint(1, 2 * self._dials.verify_us), self._look)

    def _look(self) -> None:
        if self._left is None:
            if self._body is None:
                self._world.mark("comparison asked for")
                self._ask(Verify(self._rng.choice(self._names())))
            self._world.after(self._rng.randint(1, 2 * self._dials.verify_us), self._look)

    def _names(self) -> list[str]:
        return [CATALOG_DATABASE, *(one.name for one in self._databases if one.ready)]

    def done(self, dead: int) -> bool:
        """In the liveness phase: whether every database has been found equal since it began, on every live node.
        Raises Violation for an edited file that nobody has found."""
        if not self._dials.verify_us:
            return True
        if self._left is None:
            self._left, self._dead = self._names(), dead
            self._ask(Verify(self._left[0]))
        if self._left:
            return False
        for host in self._hosts.values():
            if unseen := sorted(host.store.edited & self._held(host)):
                raise Violation(VERIFY, f"groups {unseen} of node {host.number} were edited, unseen")
        return True

    def _answered(self, body: Any, answer: Answer) -> None:
        del body
        self._take(_report.decode(answer.outcome))

    def _take(self, report: VerifyReport) -> None:
        self._world.mark(f"verify: {report.verdict}")
        if self._left is None:
            return
        for each in report.replicas:
            host = self._hosts[each.node]
            if each.verdict == EQUAL and host.alive and report.group in host.store.edited:
                text = f"node {each.node} edited its replica of group {report.group}, and verify found it equal"
                raise Violation(VERIFY, text)
            if each.verdict == EQUAL:
                host.store.lied_to.discard(report.group)  # then it is, and whoever looks from outside must find so too
        away = {each.node for each in report.replicas if each.verdict == AWAY}
        good = all(each.verdict == EQUAL for each in report.replicas if each.node not in away)
        if report.database in self._left and good and away <= {self._dead}:
            self._left.remove(report.database)
        if self._left:
            self._world.after(50 * MILLISECOND, self._ask_left)

    def _ask_left(self) -> None:
        if self._left and self._body is None:
            self._ask(Verify(self._left[0]))

    def _held(self, host: Host) -> set[GroupId]:
        """The groups of which this node has a replica that takes itself for whole, and that belongs to them: as the
        leader says, for one that was taken out may not have heard of it."""
        held = set()
        for number, group in host.core.groups.items() if host.core is not None else ():
            leader = self._leader(number)
            if leader is not None and leader.configuration.includes(host.number) and not group.repair.damaged:
                held.add(number)
        return held

    def _leader(self, number: GroupId) -> Any:
        """The replica that leads, in the latest epoch."""
        groups = [host.core.groups[number] for host in self._hosts.values() if host.core and number in host.core.groups]
        leaders = [group for group in groups if group.leads]
        return max(leaders, key=lambda group: group.election.epoch, default=None)
