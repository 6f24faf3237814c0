"""Faults, each kind at random times of its own: crash, pause, partition, swizzle-clog, slow and full disks,
clock jumps. Each ends after a while; `end_all` ends the rest.

Partitions are those of Jepsen (halves, one alone, a ring of overlapping majorities, a bridge) and one-way
ones; swizzle-clog is FoundationDB's (links are clogged one after another and freed in another order).
"""

import random
from collections.abc import Callable, Collection, Sequence

from quorate.core.single_leader.messages import StandNow, VoteReply
from quorate.lab.sim.dials import SECOND, Dials
from quorate.lab.sim.host import Host
from quorate.lab.sim.lasting import partial_connectivity
from quorate.lab.sim.network import Network
from quorate.lab.sim.old_copies import OldCopies, UnseenCopies
from quorate.lab.sim.store import BadStore
from quorate.lab.sim.unfit import Unfit
from quorate.lab.sim.world import World

Links = list[tuple[int, int]]


class Faults:
    """Everything that goes wrong on purpose."""

    def __init__(
        self, world: World, dials: Dials, network: Network, hosts: dict[int, Host], skip: Collection[int] = ()
    ) -> None:
        self._world = world
        self._dials = dials
        self._network = network
        self._hosts = hosts
        self._dice = world.dice("faults")
        self._times = world.dice("fault times")
        self._skip = skip
        self._unfit = Unfit(world, hosts)
        self.struck = 0
        """How many faults have begun, skipped ones included. Each has dice of its own, so that leaving one out (as
        the shrinker does) changes no other."""
        self._over = False
        harm = (
            dials.damage,
            dials.flip_log_us,
            dials.flip_data_us,
            dials.edit_us,
            dials.lie_us,
            dials.lost_disk,
            dials.old_copy_us,
        )
        self.victim = self._dice.choice(list(hosts)) if any(harm) and len(hosts) >= 3 else 0
        """The budget: the only node whose disk may lie or be lost. Two of three could lose what was counted."""
        self.lost = 0
        """The node whose disk is gone for good."""
        self._copies = (UnseenCopies if dials.old_copy_unseen else OldCopies)(world, network, hosts)

    def begin(self) -> None:
        """Schedule the first fault of every kind that this run has."""
        kinds: list[tuple[int, Callable[[], None]]] = [
            (self._dials.crash_us, self._crash),
            (self._dials.pause_us, self._pause),
            (self._dials.partition_us, self._partition),
            (self._dials.swizzle_us, self._swizzle),
            (self._dials.slow_disk_us, self._slow_disk),
            (self._dials.full_disk_us, self._full_disk),
            (self._dials.clock_jump_us, self._clock_jump),
            (self._dials.drain_us, self._drain),
            (self._dials.fsync_error_us, self._fsync_error),
            (self._dials.read_error_us, self._read_error),
            (self._dials.strobe_us, self._strobe),
            (self._dials.flip_log_us, self._flip_log),
            (self._dials.flip_data_us, self._flip_data),
            (self._dials.edit_us, self._edit_data),
            (self._dials.lie_us, self._lie),
            (self._dials.old_copy_us, self._old_copy),
            (self._dials.unfit_us, self._unfit_nodes),
        ]
        if self._dials.unfit_us:
            self._unfit.begin()
        for mean_us, fault in kinds:
            if mean_us:
                self._later(mean_us, fault)
        if self.victim and self._dice.random() < self._dials.lost_disk:
            self._world.after(self._dice.randint(0, self._dials.safety_us), self._lose_disk)
        if self._dials.crash_on_vote:
            for host in self._hosts.values():
                host.when_sent[VoteReply] = self._voted
        if self._dials.cut_on_handover:
            for host in self._hosts.values():
                host.when_sent[StandNow] = self._handed_over

    def _later(self, mean_us: int, fault: Callable[[], None]) -> None:
        self._world.after(1 + int(self._times.expovariate(1.0) * mean_us), self._strike, mean_us, fault)

    def _strike(self, mean_us: int, fault: Callable[[], None]) -> None:
        if self._over:
            return
        self.struck += 1
        if self.struck not in self._skip:
            self._dice = self._world.dice(f"fault/{self.struck}")
            fault()
        self._later(mean_us, fault)

    def _ends(self, action: Callable[..., None], *arguments: object) -> None:
        """Call this when the fault is over, unless everything is mended before."""

        def end() -> None:
            if not self._over:
                action(*arguments)

        self._world.after(1 + int(self._dice.expovariate(1.0) * self._dials.fault_lasts_us), end)

    def end_all(self, dead: int = 0) -> None:
        """The liveness phase: heal, resume, restart everything but one node that stays `dead`."""
        self._over = True
        self._network.heal()
        self._unfit.end()
        for host in self._hosts.values():
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
        for host in self._hosts.values():
            self._hint(host.number, reachable=True)

    # ---- whom ------------------------------------------------------------------------------------------

    def leaders(self) -> list[int]:
        """Nodes that believe to lead something."""
        return [
            host.number
            for host in self._hosts.values()
            if host.core is not None and any(group.role == "leader" for group in host.core.groups.values())
        ]

    def _victim(self, among: Sequence[int]) -> int:
        leaders = [number for number in self.leaders() if number in among]
        if leaders and self._dice.random() < self._dials.leaders_first:
            return self._dice.choice(leaders)
        return self._dice.choice(among)

    # ---- what ------------------------------------------------------------------------------------------

    def _crash(self) -> None:
        """One, a minority, a majority, or all; sometimes in the middle of a step."""
        alive = [host.number for host in self._hosts.values() if host.alive]
        if not alive:
            return
        nodes = len(self._hosts)
        count = self._dice.choice((1, 1, 1, max(1, (nodes - 1) // 2), nodes // 2 + 1, nodes))
        victims = [self._victim(alive)]
        rest = [number for number in alive if number not in victims]
        self._dice.shuffle(rest)
        victims += rest[: count - 1]
        for number in victims:
            host = self._hosts[number]
            if self._dice.random() < self._dials.torn_step:
                host.crash_within_a_step()
            else:
                host.crash()
            self._hint(number, reachable=False)
            self._ends(self._restart, host)

    def _voted(self, host: Host) -> None:
        """Die right after voting, and be back before the election is over."""
        if not self._over and self._dice.random() < self._dials.crash_on_vote:
            self._world.after(self._dice.randint(0, 2_000), self._blink, host, host.life)

    def _handed_over(self, host: Host) -> None:
        """Be cut off from all others right after telling one of them to stand."""
        if not self._over and self._dice.random() < self._dials.cut_on_handover:
            links = _between([host.number], [number for number in self._hosts if number != host.number])
            self._network.cut(links)
            self._world.mark("cut off after handing over")
            self._ends(self._mend, links)

    def _blink(self, host: Host, life: int) -> None:
        if not self._over and host.life == life:
            self._world.mark("crash after a vote")
            host.crash()
            self._world.after(self._dice.randint(0, 5_000), self._restart_if_dead, host)

    def reborn(self, host: Host) -> None:
        """What it said before arrives when it lives anew."""
        if self._dials.echo and not self._over and self._dice.random() < self._dials.echo:
            self._network.echo(host.number)

    def _restart_if_dead(self, host: Host) -> None:
        if not host.alive and host.number != self.lost:
            host.start()

    def _restart_if_dead_still(self, host: Host) -> None:
        if not self._over and not host.alive:
            self._restart(host)

    def _restart(self, host: Host) -> None:
        if host.number == self.lost:
            return
        if host.alive:
            host.crash()  # it was to die in a step that never came
        if host.number == self.victim and self._dice.random() < self._dials.damage:
            host.damage()
        host.start()
        self._hint(host.number, reachable=True)

    def _drain(self) -> None:
        """A node is told to stop, as by an operator; one that takes too long is killed."""
        running = [host.number for host in self._hosts.values() if host.running]
        if running:
            host = self._hosts[self._victim(running)]
            self._world.mark("drain")
            host.drain()
            self._ends(self._restart, host)

    def _pause(self) -> None:
        running = [host.number for host in self._hosts.values() if host.running]
        if running:
            host = self._hosts[self._victim(running)]
            host.pause()
            self._ends(host.resume)

    def _partition(self) -> None:
        if len(self._hosts) < 2:
            return
        numbers = list(self._hosts)
        self._dice.shuffle(numbers)
        shape = self._dice.choice(
            (_halves, _one_alone, _one_alone, _one_way, _bridge, _ring, _partial, _minority_third, _majority_apart)
        )
        cut_in_two = self._dials.halves > 0 and self._dice.random() < self._dials.halves
        shape = _halves if cut_in_two else shape
        if shape is _one_alone or cut_in_two:
            victim = self._victim(sorted(numbers))
            numbers.remove(victim)
            numbers.insert(0, victim)
        links = shape(numbers, self._dice)
        self._network.cut(links)
        self._world.mark("partition")
        self._world.record(0, f"partition {shape.__name__}", links)
        for source, target in links:
            if self._dice.random() < self._dials.hints:
                self._hosts[target].hint(source, reachable=False)
        self._ends(self._mend, links)

    def _mend(self, links: Links) -> None:
        self._network.mend(links)
        self._world.record(0, "mended", links)
        for source, target in links:
            if self._dice.random() < self._dials.hints:
                self._hosts[target].hint(source, reachable=True)

    def _swizzle(self) -> None:
        """Clog some links one after another, free them in another order."""
        links = [(one, other) for one in self._hosts for other in self._hosts if one != other]
        if not links:
            return
        chosen = self._dice.sample(links, self._dice.randint(1, len(links)))
        self._world.mark("swizzle")
        at_us = 0
        for link in chosen:
            at_us += self._dice.randint(0, SECOND // 10)
            self._world.after(at_us, self._clog, link)
        self._dice.shuffle(chosen)
        at_us += self._dice.randint(0, self._dials.fault_lasts_us)
        for link in chosen:
            at_us += self._dice.randint(0, SECOND // 10)
            self._world.after(at_us, self._network.unclog, link)

    def _clog(self, link: tuple[int, int]) -> None:
        if not self._over:
            self._network.clog(link)

    def _slow_disk(self) -> None:
        host = self._dice.choice(list(self._hosts.values()))
        host.disk.slow(self._dice.choice((5, 20, 100, 10_000)))
        self._world.mark("slow disk")
        self._ends(host.disk.quicken)

    def _fsync_error(self) -> None:
        """The node will stop as soon as it syncs; somebody starts it again a while after that."""
        host = self._hosts[self._victim(list(self._hosts))]
        lasts_us = 1 + int(self._dice.expovariate(1.0) * self._dials.fault_lasts_us)
        host.disk.fail_next_fsync(lambda: self._world.after(lasts_us, self._restart_if_dead_still, host))

    def _read_error(self) -> None:
        """The disk cannot be read, once: the node will stop, and somebody starts it again."""
        host = self._hosts[self._victim(list(self._hosts))]
        host.store.log.read_error = True
        self._ends(self._restart, host)

    def _flip_log(self) -> None:
        if self.victim:
            self._hosts[self.victim].harm("flip in the log", self._hosts[self.victim].store.flip_log)

    def _flip_data(self) -> None:
        if self.victim:
            self._hosts[self.victim].harm("flip in a data file", self._hosts[self.victim].store.flip_data)

    def _edit_data(self) -> None:
        if self.victim:
            store = self._hosts[self.victim].store
            if isinstance(store, BadStore):
                store.sends_no_copies = self._dials.members_us > 0
            self._hosts[self.victim].harm("edit of a data file", self._hosts[self.victim].store.edit_data)

    def _old_copy(self) -> None:
        if self.victim:
            self._copies.strike(self.victim, self._dice, self._ends, self._restart)

    def _unfit_nodes(self) -> None:
        self._unfit.strike(1 + int(self._dice.expovariate(1.0) * self._dials.fault_lasts_us))

    def _lie(self) -> None:
        """What is on the disk is not what was written."""
        if not self.victim:
            return
        host = self._hosts[self.victim]
        told = host.store.lie(self._dice)
        if told is not None:
            what, groups = told
            self._world.record(host.number, what, groups)
            self._world.mark("lying disk")
            self._world.mark(f"lying disk: {what.partition(' in ')[0]}")
            for group in groups:
                host.observer.flipped(host, group)

    def _lose_disk(self) -> None:
        if not self._over:
            self.lost = self.victim
            self._world.mark("lost disk")
            self._hosts[self.lost].crash()
            self._hint(self.lost, reachable=False)

    def _full_disk(self) -> None:
        host = self._hosts[self._victim(list(self._hosts))]
        host.fill_disk(full=True)

        def room() -> None:
            host.fill_disk(full=False)

        self._ends(room)

    def _clock_jump(self) -> None:
        host = self._dice.choice(list(self._hosts.values()))
        host.clock.jump(self._dice.choice((-1, 1)) * self._dice.randint(1, 300 * SECOND))
        self._world.mark("clock jump")

    def _strobe(self) -> None:
        host = self._dice.choice(list(self._hosts.values()))
        away, period_us = self._dice.randint(1, 200 * SECOND), self._dice.randint(1_000, SECOND)
        self._world.mark("clock strobe")
        for times in range(16):
            self._world.after(times * period_us, host.clock.jump, away if times % 2 else -away)

    def _hint(self, number: int, *, reachable: bool) -> None:
        for host in self._hosts.values():
            if host.number != number and self._dice.random() < self._dials.hints:
                host.hint(number, reachable=reachable)


def _between(left: Sequence[int], right: Sequence[int]) -> Links:
    return [link for one in left for other in right for link in ((one, other), (other, one))]


def _halves(numbers: list[int], _dice: random.Random) -> Links:
    middle = len(numbers) // 2
    return _between(numbers[:middle], numbers[middle:])


def _one_alone(numbers: list[int], _dice: random.Random) -> Links:
    return _between(numbers[:1], numbers[1:])


def _one_way(numbers: list[int], dice: random.Random) -> Links:
    """The first few are heard by nobody, or hear nobody, but not both."""
    some = numbers[: dice.randint(1, len(numbers) - 1)]
    rest = [number for number in numbers if number not in some]
    if dice.random() < 0.5:
        some, rest = rest, some
    return [(one, other) for one in some for other in rest]


def _bridge(numbers: list[int], _dice: random.Random) -> Links:
    """Two halves that see each other only through one node in the middle."""
    middle = len(numbers) // 2
    return _between(numbers[:middle], numbers[middle + 1 :])


def _partial(numbers: list[int], _dice: random.Random) -> Links:
    """Cloudflare's of 2020: some that all see each other, and others that see only one of those."""
    return partial_connectivity(numbers)


def _minority_third(numbers: list[int], _dice: random.Random) -> Links:
    """At most a third is cut off from the rest."""
    some = max(1, len(numbers) // 3)
    return _between(numbers[:some], numbers[some:])


def _majority_apart(numbers: list[int], _dice: random.Random) -> Links:
    """Nobody of a majority sees anybody: there can be no leader."""
    apart = numbers[: len(numbers) // 2 + 1]
    return [(one, other) for one in numbers for other in numbers if one != other and (one in apart or other in apart)]


def _ring(numbers: list[int], _dice: random.Random) -> Links:
    """Everybody sees only two neighbours: overlapping majorities of five nodes, all different."""
    count = len(numbers)
    links: Links = []
    for place, one in enumerate(numbers):
        neighbours = {numbers[place - 1], numbers[(place + 1) % count]}
        links += [(one, other) for other in numbers if other != one and other not in neighbours]
    return links
