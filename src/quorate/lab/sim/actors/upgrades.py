"""A rolling upgrade: nodes that are stopped and started with a newer release, and back, until somebody finalizes.

The older release is the real node; the newer one is the same node, told that it reads the next format too. The judge
*formats* sees to it that no node ever finds its folder of a format that it cannot read, and that the cluster's number
is not raised while any member, away or not, is of the older release; at the end every live node must have heard of it
and raised its folder. (Messages that the older release does not know are kept back by the transport, as a real one
does.)
"""

from typing import Any

from quorate.core.formats import HERE, Range
from quorate.core.requests import Answer, Ask, NotLeader, Refused, ReplyBody, Told, Upgrade
from quorate.core.statements import Token
from quorate.lab.sim.actors.actor import Actor, SimCluster
from quorate.lab.sim.engine.host import FORMATS, Host
from quorate.lab.sim.engine.network import node_at
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import MILLISECOND
from quorate.wire import codec

OLD = HERE
NEW = Range(HERE.highest, HERE.highest + 1)
NUMBER = -1_001
PATIENCE_US = 1_000 * MILLISECOND


class Upgrader(Actor):
    """Does what a person with two releases would do, in a hurry."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster)
        self._rng = cluster.world.rng("upgrades")
        self._asks = 0
        self._asked = False
        """Somebody has asked for the end of the upgrade: from here on no node goes back."""
        self._finalized = False
        self._closing = False
        self._dead = 0
        self._refused = False
        self._network.join(NUMBER, self._receive)
        if self._dials.upgrade_us:
            for host in self._hosts.values():
                host.formats = OLD
                host.world.at(0, self._watch, host)

    def begin(self) -> None:
        if self._dials.upgrade_us:
            self._later(self._act)

    def _later(self, action: Any) -> None:
        self._world.after(self._rng.randint(1, 2 * self._dials.upgrade_us), action)

    def _act(self) -> None:
        """Some node gets another release, or somebody tries to finalize."""
        if self._closing or self._finalized:
            return
        host = self._hosts[self._rng.choice(sorted(self._hosts))]
        older = [each for each in self._hosts.values() if each.formats == OLD]
        early = older and self._world.now_us < self._dials.safety_us // 2
        if self._rng.random() < (0.03 if early else 0.5):
            self._asked = True
            self._ask()
        elif host.formats == OLD:
            self._swap(host, NEW)
        elif not self._asked and self._rng.random() < 0.4:
            self._swap(host, OLD)
        self._later(self._act)

    def _swap(self, host: Host, formats: Range) -> None:
        """Stop the node, and start it with the other release."""
        self._world.mark("upgrade" if formats == NEW else "downgrade")
        self._world.record(host.number, f"stopped for a release that reads {formats}", None)
        if host.alive:
            host.crash(orderly=self._rng.random() < 0.5)
        host.formats = formats
        away_us = self._rng.choice((50, 50, 3_000)) * MILLISECOND
        self._world.after(self._rng.randint(0, away_us), self._start, host)

    def _start(self, host: Host) -> None:
        if not host.alive and host.number != self._dead:
            host.start()

    def _watch(self, host: Host) -> None:
        """Look at the node's folder now and then."""
        if host.store.identity.format != OLD.highest:
            self._raised(host, host.store.identity.format)
        else:
            self._world.after(5 * MILLISECOND, self._watch, host)

    def _raised(self, host: Host, number: int) -> None:
        """A node raises its folder: by then everybody must be able to follow."""
        older = sorted(each.number for each in self._hosts.values() if number not in each.formats)
        if older:
            raise Violation(FORMATS, f"node {host.number} writes format {number}, and nodes {older} cannot read it")

    def _ask(self, target: int = 0) -> None:
        self._asks += 1
        target = target or self._rng.choice(sorted(self._hosts))
        body = Upgrade(NEW.highest, Token(f"upgrade-{self._asks}", 0))
        self._network.send(NUMBER, target, codec.encode(Ask(self._asks, body)))
        self._world.after(PATIENCE_US, self._silent, self._asks)

    def _silent(self, asked: int) -> None:
        if asked == self._asks and self._closing and not self._finalized and not self._refused:
            self._ask()

    def _receive(self, _source: int, payload: bytes) -> None:
        told: Told = codec.decode_told(payload)
        body: ReplyBody = told.body
        if isinstance(body, Answer):
            self._finalized = True
            self._world.mark("upgrade: finalized")
            self._raised(self._hosts[1], NEW.highest)
        elif isinstance(body, Refused) and not body.retryable:
            self._world.mark("upgrade: refused")
            self._refused = self._closing and f"n{self._dead} is away" in body.message
        elif isinstance(body, NotLeader) and body.leader and told.id == self._asks:
            target = node_at(body.leader)
            self._world.after(20 * MILLISECOND, self._again, told.id, target)

    def _again(self, asked: int, target: int) -> None:
        if asked == self._asks and not self._finalized:
            self._ask(target)

    def done(self, dead: int) -> bool:
        """In the liveness phase: every live node gets the newer release, and the upgrade ends; or is refused, with
        the name of the node that stays dead."""
        if not self._dials.upgrade_us:
            return True
        if not self._closing:
            self._closing, self._dead = True, dead
            for host in self._hosts.values():
                if host.formats == OLD and host.number != dead:
                    self._swap(host, NEW)
            self._ask()
        raised = all(
            host.core is not None
            and host.core.versions.version == NEW.highest
            and host.store.identity.format == NEW.highest
            for host in self._hosts.values()
            if host.number != dead
        )
        return raised or self._refused
