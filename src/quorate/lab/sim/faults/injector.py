"""Has faults strike, each kind at random times of its own. Each ends after a while; `end_all` ends the rest."""

from collections.abc import Callable, Collection, Sequence

from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.faults import registry
from quorate.lab.sim.faults.old_copies import OldCopies, UnseenCopies
from quorate.lab.sim.faults.unfit import Unfit
from quorate.lab.sim.scenarios.dials import Dials

Strike = Callable[["Faults"], None]


class Faults:
    """Everything that goes wrong on purpose."""

    def __init__(
        self, world: World, dials: Dials, network: Network, hosts: dict[int, Host], skip: Collection[int] = ()
    ) -> None:
        self.world = world
        self.dials = dials
        self.network = network
        self.hosts = hosts
        self.rng = world.rng("faults")
        self._times = world.rng("fault times")
        self._skip = skip
        self.unfit = Unfit(world, hosts)
        self.struck = 0
        """How many faults have begun, skipped ones included. Each has random numbers of its own, so that leaving one
        out (as the shrinker does) changes no other."""
        self.over = False
        harm = any(getattr(dials, dial) for dial in registry.HARM)
        self.victim = self.rng.choice(list(hosts)) if harm and len(hosts) >= 3 else 0
        """The budget: the only node whose disk may lie or be lost. Two of three could lose what was committed."""
        self.lost = 0
        """The node whose disk is gone for good."""
        self.absent: tuple[int, ...] = ()
        """Those who are away for longer than they are waited for (`absences`)."""
        self.copies = (UnseenCopies if dials.old_copy_unseen else OldCopies)(world, network, hosts)

    def begin(self) -> None:
        """Schedule the first fault of every kind that this run has."""
        for fault in registry.FAULTS:
            mean_us = getattr(self.dials, fault.dial)
            if fault.strike is not None and mean_us:
                self._later(mean_us, fault.strike)
        for fault in registry.FAULTS:
            if fault.begin is not None:
                fault.begin(self)

    def _later(self, mean_us: int, strike: Strike) -> None:
        self.world.after(1 + int(self._times.expovariate(1.0) * mean_us), self._strike, mean_us, strike)

    def _strike(self, mean_us: int, strike: Strike) -> None:
        if self.over:
            return
        self.struck += 1
        if self.struck not in self._skip:
            self.rng = self.world.rng(f"fault/{self.struck}")
            strike(self)
        self._later(mean_us, strike)

    def lasts_us(self) -> int:
        """How long a fault that begins now is to last."""
        return 1 + int(self.rng.expovariate(1.0) * self.dials.fault_lasts_us)

    def ends(self, action: Callable[..., None], *arguments: object) -> None:
        """Call this when the fault is over, unless everything is mended before."""

        def end() -> None:
            if not self.over:
                action(*arguments)

        self.world.after(self.lasts_us(), end)

    def end_all(self, dead: int = 0) -> None:
        """The liveness phase: heal, resume, restart everything but one node that stays `dead`."""
        self.over = True
        self.network.heal()
        self.unfit.end()
        for host in self.hosts.values():
            host.fill_disk(full=False)
            host.disk.heal()
            host.store.log.read_error = False
            if host.number == dead:
                host.crash()
            elif not host.alive or host.draining:
                host.crash()
                host.start()
            else:
                host.cancel_tear()
                host.resume()
        for host in self.hosts.values():
            self.hint(host.number, reachable=True)

    # ---- whom ------------------------------------------------------------------------------------------

    def leaders(self) -> list[int]:
        """Nodes that believe to lead something."""
        return [
            host.number
            for host in self.hosts.values()
            if host.core is not None and any(group.leads for group in host.core.groups.values())
        ]

    def pick(self, among: Sequence[int]) -> int:
        leaders = [number for number in self.leaders() if number in among]
        if leaders and self.rng.random() < self.dials.leaders_first:
            return self.rng.choice(leaders)
        return self.rng.choice(among)

    def reborn(self, host: Host) -> None:
        """What it said before arrives when it lives anew."""
        if self.dials.echo and not self.over and self.rng.random() < self.dials.echo:
            self.network.echo(host.number)

    def restart(self, host: Host) -> None:
        if host.number == self.lost:
            return
        if host.alive:
            host.crash()  # it was to die in a step that never came
        if host.number == self.victim and self.rng.random() < self.dials.damage:
            host.damage()
        host.start()
        self.hint(host.number, reachable=True)

    def hint(self, number: int, *, reachable: bool) -> None:
        for host in self.hosts.values():
            if host.number != number and self.rng.random() < self.dials.hints:
                host.hint(number, reachable=reachable)
