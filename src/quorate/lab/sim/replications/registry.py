"""Each replication's probe, by its name in `core.replication`; and one observer for all of them."""

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from quorate.core.bounds import GroupId
from quorate.core.entries import CreateGroup, LogWrite
from quorate.core.kernel import Deliver, Effect, Event, Persist, Send
from quorate.core.options import MULTI_LEADER, SINGLE_LEADER
from quorate.core.recovered import Recovered
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.engine.observers import Observer
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.replications.multi_leader import probe as multi_leader
from quorate.lab.sim.replications.probe import Probe
from quorate.lab.sim.replications.single_leader.adversary import Adversary
from quorate.lab.sim.replications.single_leader.invariants import Invariants
from quorate.lab.sim.replications.single_leader.probe import PROBE
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.operations import Database

PROBES: dict[str, Probe] = {SINGLE_LEADER: PROBE, MULTI_LEADER: multi_leader.PROBE}


def databases(dials: Dials) -> list[Database]:
    """What clients use; all but `main` they create."""
    return [each for probe in PROBES.values() for each in probe.databases(dials)]


def watchers(
    world: World, dials: Dials, network: Network, skip: tuple[str, ...]
) -> tuple[Invariants, Adversary, Observer]:
    """Those who look on at all that is of no other replication's groups, and whom hosts show what happens."""
    invariants = Invariants(world, skip)
    adversary = Adversary(world, dials, network, invariants)
    return invariants, adversary, _shared(world, adversary if Adversary.is_wanted(dials) else invariants)


def _shared(world: World, first: Observer) -> Observer:
    """Whom hosts show what happens: `first`, who looks at groups with a single leader and at all that is of no group,
    and an observer for each other replication, who looks at its own groups."""
    others = {name: probe.observer(world) for name, probe in PROBES.items() if probe.observer is not None}
    return Shared(first, others) if others else first


class Shared:
    """An observer that shows each of several its own groups."""

    def __init__(self, first: Observer, others: dict[str, Observer]) -> None:
        self._first, self._others = first, others
        self._of: dict[GroupId, Observer] = {}
        """Who looks at a group, where it is not the first."""
        self.damaged, self.flipped = first.damaged, first.flipped
        self.copied, self.put_back = first.copied, first.put_back

    def of(self, kind: type) -> Any:
        """The observer of this kind."""
        return next(each for each in self._all() if isinstance(each, kind))

    def _whose(self, number: object) -> Observer:
        return self._of.get(number, self._first)  # type: ignore[call-overload,no-any-return]

    def _all(self) -> tuple[Observer, ...]:
        return self._first, *self._others.values()

    def started(self, host: Host, recovered: Recovered) -> None:
        """A machine lives."""
        for found in recovered.groups:
            self._know(found.group, found.replication)
        for each in self._all():
            mine = tuple(found for found in recovered.groups if self._whose(found.group) is each)
            each.started(host, structs.replace(recovered, groups=mine))

    def _know(self, number: GroupId, replication: str) -> None:
        if replication in self._others:
            self._of[number] = self._others[replication]

    def after_step(self, host: Host, event: Event, effects: list[Effect], touched: Iterable[Any]) -> None:
        """Show each what is its own."""
        groups = list(touched)
        for group in groups:
            self._know(group.group, group.replication)
        told = event.message if isinstance(event, Deliver) else event
        number = getattr(told, "group", None)
        for each in self._all() if number is None else (self._whose(number),):
            mine = [group for group in groups if self._whose(group.group) is each]
            asked = [made for effect in effects for made in self._share(effect, each)]
            each.after_step(host, event, asked, mine)

    def _share(self, effect: Effect, each: Observer) -> list[Effect]:
        if isinstance(effect, Persist):
            writes = tuple(write for write in effect.writes if self._whose(write.group) is each)
            return [structs.replace(effect, writes=writes)] if writes else []
        said: Any = effect.message if isinstance(effect, Send) else effect
        return [effect] if self._whose(getattr(said, "group", None)) is each else []

    def durable(self, host: Host, writes: tuple[LogWrite, ...]) -> None:
        """These writes are on this node's disk."""
        for write in writes:
            if isinstance(write, CreateGroup):
                self._know(write.group, write.replication)
        for each in self._all():
            if mine := tuple(write for write in writes if self._whose(write.group) is each):
                each.durable(host, mine)

    def sending(self, host: Host, effect: Send) -> None:
        """This leaves now."""
        self._whose(getattr(effect.message, "group", None)).sending(host, effect)
