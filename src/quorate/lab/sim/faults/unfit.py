"""Data files that cannot be brought forward, on a majority of the nodes at once; their logs are sound.

For a while some nodes can apply nothing: an entry that the leader has executed, or anything that they replay after a
crash, is refused as `Divergent` would be. Others are condemned on the spot, as by a comparison. One node of a run, the
keeper, never is; and nobody is while the keeper's log could not be brought forward from the others' logs, for then the
rows would be nowhere.

The judge is called *repair*: in one life a replica is not made whole again more than a few times within ten seconds.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import msgspec

from quorate.core.bounds import GroupId
from quorate.core.kernel import Apply, Condemn, Effect, Event
from quorate.lab.sim.campaigns.rows import CALM, Row
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.faults.fault import Dial, Fault
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults

REPAIR = "repair"
UNFIT = "an entry cannot be applied"
HEALED_MAX = 5
WITHIN_US = 10 * SECOND


class Unfit:
    """The fault. `begin` once, before anything is performed."""

    def __init__(self, world: World, hosts: dict[int, Host]) -> None:
        self._world = world
        self._hosts = hosts
        self._rng = world.rng("unfit")
        self._unfit: set[int] = set()
        self._keeper = 0

    def begin(self) -> None:
        """Stand between every node and its storage from now on."""
        self._keeper = self._rng.choice(sorted(self._hosts))
        for host in self._hosts.values():
            self._stand_before(host)

    def strike(self, lasts_us: int) -> None:
        """Up to all nodes but the keeper are unfit for about so long, or are condemned now."""
        others = [number for number in self._hosts if number != self._keeper]
        self._rng.shuffle(others)
        victims = others[: self._rng.choice((1, len(self._hosts) // 2 + 1, len(others)))]
        if self._rng.random() < 0.5:
            self._unfit.update(victims)
            self._world.after(lasts_us, self._unfit.difference_update, set(victims))
        else:
            for number in victims:
                self._condemn(self._hosts[number])

    def end(self) -> None:
        """Everybody can apply again."""
        self._unfit.clear()

    def _stand_before(self, host: Host) -> None:
        perform = host.store.perform

        def performs(effect: Effect) -> list[Event]:
            if type(effect) is Apply and host.number in self._unfit and self._is_spared(effect.group):
                self._world.mark("cannot be applied")
                host.observer.flipped(host, effect.group)
                return perform(Condemn(effect.group, UNFIT))
            return perform(effect)

        host.store.perform = performs  # type: ignore[method-assign]

    def _condemn(self, host: Host) -> None:
        groups = dict(host.core.groups) if host.core is not None else {}
        for number, group in groups.items():
            if (
                host.core is not None
                and group.apply.opened
                and not group.fetching.switching
                and self._is_spared(number)
            ):
                self._world.mark("condemned")
                host.observer.flipped(host, number)
                for event in host.store.perform(Condemn(number, "condemned by hand")):
                    host.feed(event)

    def _is_spared(self, number: GroupId) -> bool:
        """Whether the keeper's replica is whole, and every log that others have can be followed from where it is."""
        replicas: list[Any] = []
        for host in self._hosts.values():
            if host.core is None or number not in host.core.groups:
                return False
            replicas.append(host.core.groups[number])
        keeper = next(group for group in replicas if group.me == self._keeper)
        whole = not keeper.repair.damaged and keeper.apply.opened and not keeper.fetching.switching
        return whole and all(group.log.base.index <= keeper.commit.persisted for group in replicas)


class Repairs:
    """How often replicas were made whole lately."""

    def __init__(self, world: World, skip: Collection[str]) -> None:
        self._world = world
        self._silent = REPAIR in skip
        self._times: dict[tuple[int, int, GroupId], list[int]] = {}

    def healed(self, host: Host, group: GroupId) -> None:
        """Once more. Raises Violation."""
        times = self._times.setdefault((host.number, host.life, group), [])
        times.append(self._world.now_us)
        recent = [time for time in times if time > self._world.now_us - WITHIN_US]
        if len(recent) > HEALED_MAX and not self._silent:
            text = f"node {host.number} has fetched {len(recent)} copies of group {group} within ten seconds"
            raise Violation(REPAIR, text)


def strike(faults: "Faults") -> None:
    """Some nodes are unfit for a while."""
    faults.unfit.strike(faults.lasts_us())


def begin(faults: "Faults") -> None:
    """Stand between the nodes and their storage, if this is ever to strike."""
    if faults.dials.unfit_us:
        faults.unfit.begin()


UNFIT_NODES = Fault(
    dials=(Dial("unfit_us"),),
    mark="cannot be applied",
    expected=False,
    strike=strike,
    begin=begin,
    rows=(
        Row(
            "data files that an entry cannot be applied to (all nodes but one)",
            "cannot be applied",
            {
                "unfit_us": SECOND,
                "crash_us": 2 * SECOND,
                "fault_lasts_us": 500 * MILLISECOND,
                "settings": msgspec.structs.replace(CALM.settings, log_keep_entries=4_096),
            },
        ),
    ),
)
