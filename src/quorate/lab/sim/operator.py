"""Somebody who looks after the cluster: has its replicas compared now and then, and once more at the end.

The judge is called *verify*. A replica whose file was edited (`BadStore.edit_data`) must not be found equal, and must
be rebuilt before the run ends; the others must never be found wrong (*sound disk* sees to that).
"""

from typing import Any

import msgspec

from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.requests import AWAY, EQUAL, Answer, Ask, NotLeader, ReplyBody, Told, Verify, VerifyReport
from quorate.lab.sim.dials import MILLISECOND, Dials
from quorate.lab.sim.host import Host
from quorate.lab.sim.network import Network
from quorate.lab.sim.operations import Database
from quorate.lab.sim.world import Violation, World
from quorate.wire import codec

VERIFY = "verify"
NUMBER = -1_000
PATIENCE_US = 2_000 * MILLISECOND

_report = msgspec.msgpack.Decoder(VerifyReport)


class Operator:
    """Asks one thing at a time, and asks again until it is answered."""

    def __init__(
        self, world: World, dials: Dials, network: Network, hosts: dict[int, Host], databases: list[Database]
    ) -> None:
        self._world = world
        self._dials = dials
        self._network = network
        self._hosts = hosts
        self._databases = databases
        self._dice = world.dice("operator")
        self._asks = 0
        self._body: Any = None
        """What is being asked; None while nothing is."""
        self._target = 1
        self._left: list[str] | None = None
        """At the end: the databases that were not found equal yet."""
        self._dead = 0
        network.join(NUMBER, self._receive)

    def begin(self) -> None:
        """Look after the cluster from now on, if this run has an operator."""
        if self._dials.verify_us:
            self._world.after(self._dice.randint(1, 2 * self._dials.verify_us), self._look)

    def _look(self) -> None:
        if self._left is None:
            if self._body is None:
                self._ask(Verify(self._dice.choice(self._names())))
            self._world.after(self._dice.randint(1, 2 * self._dials.verify_us), self._look)

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
            if host.alive and host.store.edited:
                raise Violation(VERIFY, f"groups {sorted(host.store.edited)} of node {host.number} were edited, unseen")
        return True

    def _ask(self, body: Any) -> None:
        self._body = body
        self._asks += 1
        payload = codec.encode(Ask(self._asks, body))
        self._network.send(NUMBER, self._target, payload)
        self._world.after(PATIENCE_US, self._silent, self._asks)

    def _silent(self, asked: int) -> None:
        if asked == self._asks and self._body is not None:
            self._target = self._dice.choice(list(self._hosts))
            self._ask(self._body)

    def _receive(self, _source: int, payload: bytes) -> None:
        told: Told = codec.decode_told(payload)
        if told.id != self._asks or self._body is None:
            return
        body: ReplyBody = told.body
        if isinstance(body, Answer):
            self._body = None
            self._take(_report.decode(body.outcome))
            return
        address = body.leader if isinstance(body, NotLeader) else ""
        if address:
            self._target = int(address.removeprefix("node-").partition(":")[0])
        else:
            self._target = self._dice.choice(list(self._hosts))
        self._world.after(20 * MILLISECOND, self._again, told.id)

    def _again(self, asked: int) -> None:
        if asked == self._asks and self._body is not None:
            self._ask(self._body)

    def _take(self, report: VerifyReport) -> None:
        self._world.mark(f"verify: {report.verdict}")
        if self._left is None:
            return
        for each in report.replicas:
            host = self._hosts[each.node]
            if each.verdict == EQUAL and host.alive and report.group in host.store.edited:
                text = f"node {each.node} edited its replica of group {report.group}, and verify found it equal"
                raise Violation(VERIFY, text)
        away = {each.node for each in report.replicas if each.verdict == AWAY}
        good = all(each.verdict == EQUAL for each in report.replicas if each.node not in away)
        if report.database in self._left and good and away <= {self._dead}:
            self._left.remove(report.database)
        if self._left:
            self._world.after(50 * MILLISECOND, self._ask_left)

    def _ask_left(self) -> None:
        if self._left and self._body is None:
            self._ask(Verify(self._left[0]))
