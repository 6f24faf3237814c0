"""Somebody who says which node is to lead: planned failovers, to a node or to whichever is ready, one at a time.

A failover that was answered as done must be true: the node that it names led in that epoch (*true answer*). Where
nothing else happens (`Dials.smooth`) no caller may be told that its request was not done, or that nobody knows (*no
failed request*).
"""

from collections.abc import Collection
from typing import Any

import msgspec

from quorate.core.ack_policy import AUTO
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.requests import Answer, Failover, FailoverReport, Refused
from quorate.lab.sim.actors.actor import SimCluster
from quorate.lab.sim.actors.asking import Asker
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import MILLISECOND
from quorate.lab.sim.workloads.ledger import TRUE_ANSWER

NUMBER = -1_002
NO_FAILED_REQUEST = "no failed request"
NOT_ANSWERS = ("told unsure", "unsure", "told not done")
PATIENCE_US = 700 * MILLISECOND
ATTEMPTS = 6
FINDS_THE_BEST = 0.7
"""How often it looks for the node that has most, where nobody leads, before it names one."""

_report = msgspec.msgpack.Decoder(FailoverReport)


class Chooser(Asker):
    """Asks for one failover at a time."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster, NUMBER, "chooser", PATIENCE_US)
        self._ledger = cluster.operations.ledger
        self._leaders = cluster.leaders
        self._attempts = 0
        self._refused: set[str] = set()
        """Nodes that said they cannot lead: the others are asked first."""
        self._closing = False
        """The liveness phase: nothing new is asked for."""

    def begin(self) -> None:
        """Choose now and then from now on, if this run has somebody who does."""
        if self._dials.failover_us:
            self._world.after(self._rng.randint(1, 2 * self._dials.failover_us), self._choose)

    def judge(self) -> None:
        """At the end of the safety phase. Raises Violation."""
        for mark in NOT_ANSWERS if self._dials.smooth else ():
            if times := self._world.marks.get(mark):
                text = f"{times} times a caller met {mark!r}, and nothing but planned failovers happened"
                raise Violation(NO_FAILED_REQUEST, text)

    def _choose(self) -> None:
        if self._closing:
            return
        ready = [one.name for one in self._databases if one.ready]
        if self._body is None and ready:
            waiting = [name for name in ready if self._most_advanced(name)]
            name = self._rng.choice(waiting or [CATALOG_DATABASE, *(3 * ready)])
            accepts = name != CATALOG_DATABASE and self._rng.random() < self._dials.accept_loss
            knows = not accepts and self._rng.random() < FINDS_THE_BEST  # who has most may be who is cut off
            to = self._most_advanced(name) if knows else ""
            if accepts:
                name = ready[-1]  # made in the run, with a replica on every node: the one that may be narrow
                to = self._rng.choice(self._holders(name))
            self._begin(name, to or self._rng.choice(("", *self._nodes())), accepts=accepts)
        self._world.after(self._rng.randint(1, 2 * self._dials.failover_us), self._choose)

    def _begin(self, name: str, to: str, *, accepts: bool) -> None:
        if accepts:
            for database in self._databases:
                if database.name == name:
                    database.given_up = True
                    self._ledger.loose.add(name)
        self._attempts = 0
        self._world.mark("failover")
        self._ask(Failover(name, to, accepts))

    def _most_advanced(self, name: str, but: Collection[str] = ()) -> str:
        """As somebody sees who asks every node for its status: where nobody leads, the node that has most. `but`: who
        has refused."""
        found: list[tuple[int, int, int]] = []
        for host in self._hosts.values():
            for group in host.core.groups.values() if host.core is not None and host.running else ():
                if group.database == name:
                    if group.leads:
                        return ""
                    if not group.repair.damaged and group.votes_here and f"n{host.number}" not in but:
                        found.append((group.log.last.epoch, group.log.last.index, host.number))
        return f"n{max(found)[2]}" if found else ""

    def end(self) -> None:
        self._closing = True

    def done(self, dead: int) -> bool:
        """In the liveness phase: whether somebody leads everything, or nobody has to be told to."""
        del dead
        if not self._dials.by_hand and self._dials.decides == AUTO:
            return True
        if self._body is None:
            for database in self._databases:
                # also where whoever made it does not know that it is there
                to = self._most_advanced(database.name, self._refused) or self._most_advanced(database.name)
                if to in self._refused:
                    self._refused.clear()  # all of them have
                if to and self._by_hand(database.name):
                    self._begin(database.name, to, accepts=False)
                    return False
        return self._body is None

    def _by_hand(self, name: str) -> bool:
        groups = [group for host in self._hosts.values() if host.core for group in host.core.groups.values()]
        return any(group.database == name and group.rules.by_hand for group in groups)

    def _holders(self, name: str) -> list[str]:
        """The nodes that answer and have a replica of it."""
        found = []
        for host in self._hosts.values():
            groups = host.core.groups.values() if host.core is not None and host.running else ()
            if any(group.database == name for group in groups):
                found.append(f"n{host.number}")
        return found or self._nodes()

    def _nodes(self) -> list[str]:
        return [f"n{number}" for number in self._hosts]

    def _ask(self, body: Any) -> None:
        self._attempts += 1
        super()._ask(body)

    def _is_tired(self) -> bool:
        tired = self._attempts >= ATTEMPTS
        if tired:
            self._world.mark("failover: given up")
        return tired

    def _answered(self, body: Any, answer: Answer) -> None:
        self._check(body, _report.decode(answer.outcome))
        self._world.mark("failover: done")

    def _is_over(self, refused: Refused) -> bool:
        if not refused.retryable:
            self._world.record(NUMBER, "failover refused", refused.message)
            self._world.mark("failover: refused")
            self._refused.add(self._body.to)
        return not refused.retryable

    def _check(self, asked: Failover, said: FailoverReport) -> None:
        """The answer names the node that was asked for, and that node led in that epoch."""
        if asked.to not in ("", said.leader):
            raise Violation(TRUE_ANSWER, f"{asked.to} was to lead {asked.database}, and {said.leader} is said to")
        led = self._leaders.get((said.group, said.epoch))
        if led is not None and f"n{led}" != said.leader:
            raise Violation(TRUE_ANSWER, f"n{led} led group {said.group} in epoch {said.epoch}, not {said.leader}")
