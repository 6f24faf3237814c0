"""Swizzle-clog, after FoundationDB: links are clogged one after another, and freed in another order."""

from typing import TYPE_CHECKING

from quorate.lab.sim.campaigns.rows import EVERY_US, Row
from quorate.lab.sim.faults.fault import Dial, Fault, or_zero
from quorate.lab.sim.scenarios.dials import SECOND

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults


def swizzle(faults: "Faults") -> None:
    """Clog some links one after another, free them in another order."""
    links = [(one, other) for one in faults.hosts for other in faults.hosts if one != other]
    if not links:
        return
    chosen = faults.rng.sample(links, faults.rng.randint(1, len(links)))
    faults.world.mark("swizzle")
    at_us = 0
    for link in chosen:
        at_us += faults.rng.randint(0, SECOND // 10)
        faults.world.after(at_us, _clog, faults, link)
    faults.rng.shuffle(chosen)
    at_us += faults.rng.randint(0, faults.dials.fault_lasts_us)
    for link in chosen:
        at_us += faults.rng.randint(0, SECOND // 10)
        faults.world.after(at_us, faults.network.unclog, link)


def _clog(faults: "Faults", link: tuple[int, int]) -> None:
    if not faults.over:
        faults.network.clog(link)


SWIZZLE = Fault(
    dials=(Dial("swizzle_us", or_zero(SECOND, 4 * SECOND, 0.3)),),
    mark="swizzle",
    strike=swizzle,
    needs_between_nodes=True,
    rows=(Row("swizzle-clog", "swizzle", {"swizzle_us": EVERY_US}),),
)
