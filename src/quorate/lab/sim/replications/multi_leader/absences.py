"""A leader of several that is away for longer than it is waited for: its group is dead, or cut off from the others and
still takes writes."""

from typing import TYPE_CHECKING

from quorate.core.multi_leader.stability import PATIENCE
from quorate.core.options import MULTI_LEADER, MultiLeaderOptions
from quorate.lab.sim.faults.fault import Dial, Fault
from quorate.lab.sim.faults.partition import between, mend

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults

CUT_OFF = 0.7
"""Chance that it is cut off."""


def absence(faults: "Faults") -> None:
    """One group is away, unless one is already. The others forget what it has not heard, and it comes back."""
    groups = _groups(faults)
    if len(groups) < 2 or faults.absent:
        return
    nodes = faults.rng.choice(groups)
    others = [number for number in faults.hosts if number not in nodes]
    lasts_us = int(_waited_for_us(faults) * (1.2 + faults.rng.random()))
    faults.absent = tuple(nodes)
    if faults.rng.random() < CUT_OFF:
        links = between(nodes, others)
        faults.network.cut(links)
        faults.world.mark("absence: cut off")
        faults.world.after(lasts_us, _returns, faults, links)
    else:
        for number in nodes:
            faults.hosts[number].crash()
        faults.world.mark("absence: dead")
        faults.world.after(lasts_us, _returns, faults, [])
    faults.world.mark("absence")
    faults.world.record(0, "absence", nodes)


def _returns(faults: "Faults", links: list[tuple[int, int]]) -> None:
    if faults.over:
        return
    mend(faults, links)
    for number in faults.absent:
        if not links:
            faults.restart(faults.hosts[number])
    faults.absent = ()


def _groups(faults: "Faults") -> list[list[int]]:
    """The nodes of each leader's group."""
    groups: dict[int, list[int]] = {}
    for host in faults.hosts.values():
        for number, group in host.core.groups.items() if host.core is not None else ():
            if group.replication == MULTI_LEADER:
                groups.setdefault(number, []).append(host.number)
    return [groups[number] for number in sorted(groups)]


def _waited_for_us(faults: "Faults") -> int:
    dials = faults.dials
    wanted_us = MultiLeaderOptions(forget_after=dials.forget_after).forget_after_us
    return max(wanted_us, PATIENCE * dials.settings.suspect_max_us)


ABSENCE = Fault(
    dials=(Dial("absence_us"),),
    mark="absence",
    strike=absence,
    needs_between_nodes=True,
    expected=False,
)
