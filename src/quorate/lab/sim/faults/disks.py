"""Disks that are slow or full, fail once, or are gone for good."""

from typing import TYPE_CHECKING

from quorate.lab.sim.campaigns.rows import EVERY_US, Row
from quorate.lab.sim.faults.fault import Dial, Fault, or_zero, part_or_zero
from quorate.lab.sim.scenarios.dials import SECOND

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults


def slow_disk(faults: "Faults") -> None:
    """Everything that the log's disk does takes many times as long."""
    host = faults.rng.choice(list(faults.hosts.values()))
    host.disk.slow(faults.rng.choice((5, 20, 100, 10_000)))
    faults.world.mark("slow disk")
    faults.ends(host.disk.quicken)


def full_disk(faults: "Faults") -> None:
    """No room for a while."""
    host = faults.hosts[faults.pick(list(faults.hosts))]
    host.fill_disk(full=True)

    def room() -> None:
        host.fill_disk(full=False)

    faults.ends(room)


def fsync_error(faults: "Faults") -> None:
    """The node will stop as soon as it syncs; somebody starts it again a while after that."""
    host = faults.hosts[faults.pick(list(faults.hosts))]
    lasts_us = faults.lasts_us()

    def back() -> None:
        if not faults.over and not host.alive:
            faults.restart(host)

    host.disk.fail_next_fsync(lambda: faults.world.after(lasts_us, back))


def read_error(faults: "Faults") -> None:
    """The disk cannot be read, once: the node will stop, and somebody starts it again."""
    host = faults.hosts[faults.pick(list(faults.hosts))]
    host.store.log.read_error = True
    faults.ends(faults.restart, host)


def may_lose_disk(faults: "Faults") -> None:
    """At some time, perhaps."""

    def lose() -> None:
        if not faults.over:
            faults.lost = faults.victim
            faults.world.mark("lost disk")
            faults.hosts[faults.lost].crash()
            faults.hint(faults.lost, reachable=False)

    if faults.victim and faults.rng.random() < faults.dials.lost_disk:
        faults.world.after(faults.rng.randint(0, faults.dials.safety_us), lose)


SLOW_DISK = Fault(
    dials=(Dial("slow_disk_us", or_zero(SECOND, 4 * SECOND, 0.3)),),
    mark="slow disk",
    strike=slow_disk,
    rows=(Row("slow disk, 5 to 10,000 times", "slow disk", {"slow_disk_us": EVERY_US}),),
)
FULL_DISK = Fault(
    dials=(Dial("full_disk_us", or_zero(SECOND, 4 * SECOND, 0.3)),),
    mark="disk full",
    strike=full_disk,
    rows=(Row("disk full, then room", "disk full", {"full_disk_us": EVERY_US}),),
)
FSYNC_ERROR = Fault(
    dials=(Dial("fsync_error_us", or_zero(SECOND, 4 * SECOND, 0.3)),),
    mark="fsync error",
    strike=fsync_error,
    rows=(Row("fsync fails once", "fsync error", {"fsync_error_us": EVERY_US}),),
)
READ_ERROR = Fault(
    dials=(Dial("read_error_us", or_zero(SECOND, 4 * SECOND, 0.3)),),
    mark="read error",
    strike=read_error,
    rows=(Row("read error", "read error", {"read_error_us": EVERY_US}),),
)
LOST_DISK = Fault(
    dials=(Dial("lost_disk", part_or_zero(1.0, 0.1)),),
    mark="lost disk",
    begin=may_lose_disk,
    one_node=True,
    expected=False,
    rows=(Row("a disk is lost for good (one node)", "lost disk", {"lost_disk": 1.0}, spare=True),),
)
