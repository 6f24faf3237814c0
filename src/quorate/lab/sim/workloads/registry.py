"""The workloads that there are (`workload.Workload`), in the order in which they draw and number their clients."""

from quorate.lab.sim.engine.world import World
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.drawn import Drawings
from quorate.lab.sim.workloads.large import Large
from quorate.lab.sim.workloads.runners import Running
from quorate.lab.sim.workloads.shoppers import Shopping
from quorate.lab.sim.workloads.transactors import Transacting
from quorate.lab.sim.workloads.visitors import Visitors
from quorate.lab.sim.workloads.workload import Workload

WORKLOADS: tuple[type[Workload], ...] = (Drawings, Large, Visitors, Transacting, Running, Shopping)


def wanted(world: World, dials: Dials, skip: tuple[str, ...]) -> tuple[Workload, ...]:
    """Those of one run."""
    return tuple([each(world, skip) for each in WORKLOADS if getattr(dials, each.dial.name)])
