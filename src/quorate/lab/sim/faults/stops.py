"""A process that is not scheduled for a while, and one that an operator stops in order."""

from typing import TYPE_CHECKING

from quorate.lab.sim.campaigns.rows import EVERY_US, Row
from quorate.lab.sim.faults.fault import Dial, Fault, or_zero
from quorate.lab.sim.scenarios.dials import SECOND

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults


def pause(faults: "Faults") -> None:
    """A node stands still."""
    running = [host.number for host in faults.hosts.values() if host.running]
    if running:
        host = faults.hosts[faults.pick(running)]
        host.pause()
        faults.ends(host.resume)


def drain(faults: "Faults") -> None:
    """A node is told to stop, as by an operator; one that takes too long is killed."""
    running = [host.number for host in faults.hosts.values() if host.running]
    if running:
        host = faults.hosts[faults.pick(running)]
        faults.world.mark("drain")
        host.drain()
        faults.ends(faults.restart, host)


PAUSE = Fault(
    dials=(Dial("pause_us", or_zero(400_000, 4 * SECOND)),),
    mark="pause",
    strike=pause,
    rows=(Row("pause", "pause", {"pause_us": EVERY_US}),),
)
DRAIN = Fault(
    dials=(Dial("drain_us", or_zero(SECOND, 4 * SECOND, 0.4)),),
    mark="drain",
    strike=drain,
    rows=(Row("drain", "drain", {"drain_us": EVERY_US}),),
)
