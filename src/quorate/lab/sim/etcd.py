"""A model of etcd: one store of keys that is always right, and a way to it that is not.

It may be away from everybody or from one node, its answers are late, and may be lost when what was asked has happened.
A permit runs out when its node did not keep it alive for so long: dead, paused, or cut off from etcd.
"""

from typing import TYPE_CHECKING

from msgspec import Struct

from quorate.core.bounds import GroupId, NodeId
from quorate.core.permits import AskPermit, Denied, DropPermit, Permitted, PermitUnavailable
from quorate.core.quorum import majority
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.scenarios.dials import MILLISECOND, Dials

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host

LEASE_US = 400 * MILLISECOND
KEEP_US = 100 * MILLISECOND
TIMEOUT_US = 200 * MILLISECOND


class _Key(Struct):
    host: "Host"
    life: int
    revision: int
    kept_us: int
    given_up: bool = False
    """Nobody keeps it alive any more: it was given back, or never heard of, while etcd could not be reached."""


class Etcd:
    """Gives each group's permit to one node at a time."""

    def __init__(self, world: World, dials: Dials) -> None:
        self._world = world
        self._dials = dials
        self._rng = world.rng("etcd")
        self._revision = 1
        self._keys: dict[GroupId, _Key] = {}
        self._away = False
        self._cut: NodeId = 0
        self._healed = False
        self._beside = 0 if dials.lasting else self._rng.randint(1, dials.nodes)
        """It stands beside this node: who is cut off from there reaches neither. 0: apart, and reached by all, as what
        stays must leave a majority that can work, and an etcd too."""

    def begin(self) -> None:
        """Live, and misbehave, from now on, if this run has an etcd."""
        if self._dials.settings.has_etcd:
            self._world.after(KEEP_US, self._keep)
            if self._dials.etcd_outage_us:
                self._world.after(self._rng.randint(1, 2 * self._dials.etcd_outage_us), self._outage)

    def heal(self) -> None:
        """The faults are over."""
        self._healed = True
        self._away, self._cut = False, 0

    def _outage(self) -> None:
        if self._healed:
            return
        self._away = self._rng.random() < 0.5
        self._cut = 0 if self._away else self._rng.randint(1, self._dials.nodes)
        self._world.mark("etcd outage")
        self._world.mark("etcd: away" if self._away else "etcd: cut off from one node")
        self._world.after(self._rng.randint(1, 2 * self._dials.fault_lasts_us), self._return)

    def _return(self) -> None:
        self._away, self._cut = False, 0
        self._world.after(self._rng.randint(1, 2 * self._dials.etcd_outage_us), self._outage)

    def _reaches(self, host: "Host") -> bool:
        if self._away or self._cut == host.number:
            return False
        cut = host.network.is_cut
        if self._dials.etcd_spread:
            seen = [node for node in range(1, self._dials.nodes + 1) if not cut(host.number, node)]
            return len(seen) >= majority(self._dials.nodes)
        return not cut(host.number, self._beside)

    def _keep(self) -> None:
        """Every node keeps its permits alive, if it can; those that were not kept run out."""
        now_us = self._world.now_us
        for group, key in list(self._keys.items()):
            alive = key.host.running and key.host.life == key.life and not key.given_up
            if alive and self._reaches(key.host):
                key.kept_us = now_us
            elif now_us - key.kept_us > LEASE_US and not self._away:
                del self._keys[group]
                self._world.mark("etcd: a permit ran out")
                if _leads(key, group):
                    self._world.mark("etcd: a leader's permit ran out")
        self._world.after(KEEP_US, self._keep)

    def ask(self, host: "Host", effect: AskPermit) -> None:
        """The question travels, is answered at one moment, and the answer travels back, or does not."""
        self._world.after(self._rng.randint(100, 3_000), self._decide, host, host.life, effect)

    def _decide(self, host: "Host", life: int, effect: AskPermit) -> None:
        lost = PermitUnavailable(effect.group, effect.number, "no answer")
        if not self._reaches(host):
            self._world.mark("etcd: away when asked")
            self._world.after(TIMEOUT_US, self._answer, host, life, lost)
            return
        key = self._keys.get(effect.group)
        if key is not None and key.host is not host:
            self._world.mark("etcd: denied")
            denied = Denied(effect.group, effect.number, key.host.number)
            self._world.after(self._rng.randint(100, 3_000), self._answer, host, life, denied)
            return
        self._revision += 1 if key is None else 2
        self._keys[effect.group] = _Key(host, life, self._revision, self._world.now_us)
        if not self._healed and self._rng.random() < self._dials.etcd_lost_answer:
            self._keys[effect.group].given_up = True
            self._world.mark("etcd: answer lost")
            self._world.after(TIMEOUT_US, self._answer, host, life, lost)
            return
        given = Permitted(effect.group, effect.number, self._revision)
        self._world.after(self._rng.randint(100, 3_000), self._answer, host, life, given)

    def _answer(self, host: "Host", life: int, event: Permitted | Denied | PermitUnavailable) -> None:
        if host.life == life:
            host.feed(event)

    def drop(self, host: "Host", effect: DropPermit) -> None:
        """Giving back may fail like everything else; nobody waits for it. Then its lease must run out."""
        key = self._keys.get(effect.group)
        if key is not None and key.host is host and key.revision == effect.epoch:
            key.given_up = True
            if self._reaches(host):
                del self._keys[effect.group]


def _leads(key: _Key, number: GroupId) -> bool:
    """Whether who has, or had, this permit still takes itself for the leader."""
    core = key.host.core
    group = None if core is None else core.groups.get(number)
    return key.host.life == key.life and group is not None and group.leads
