"""Wall clocks that jump, or jump to and fro for a while, or run at another speed."""

from typing import TYPE_CHECKING

from quorate.lab.sim.campaigns.rows import EVERY_US, Row
from quorate.lab.sim.faults.fault import Dial, Fault, or_zero
from quorate.lab.sim.scenarios.dials import SECOND

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults


def clock_jump(faults: "Faults") -> None:
    """The wall clock of one machine is set."""
    host = faults.rng.choice(list(faults.hosts.values()))
    host.clock.jump(faults.rng.choice((-1, 1)) * faults.rng.randint(1, 300 * SECOND))
    faults.world.mark("clock jump")


def strobe(faults: "Faults") -> None:
    """It is set to and fro."""
    host = faults.rng.choice(list(faults.hosts.values()))
    away, period_us = faults.rng.randint(1, 200 * SECOND), faults.rng.randint(1_000, SECOND)
    faults.world.mark("clock strobe")
    for times in range(16):
        faults.world.after(times * period_us, host.clock.jump, away if times % 2 else -away)


CLOCK_JUMP = Fault(
    dials=(Dial("clock_jump_us", or_zero(SECOND, 4 * SECOND, 0.3)),),
    mark="clock jump",
    strike=clock_jump,
    rows=(Row("wall clock jumps by up to 300 s", "clock jump", {"clock_jump_us": EVERY_US}),),
)
STROBE = Fault(
    dials=(Dial("strobe_us", or_zero(SECOND, 4 * SECOND, 0.2)),),
    mark="clock strobe",
    strike=strobe,
    rows=(Row("wall clock to and fro", "clock strobe", {"strobe_us": EVERY_US}),),
)
DRIFT = Fault(
    dials=(Dial("drift_ppm", or_zero(1, 20_000)), Dial("wall_offset_us", or_zero(1, 100 * SECOND))),
    mark="ok",
    expected=False,
    rows=(
        Row("clocks that drift by up to 2 %, 100 s apart", "ok", {"drift_ppm": 20_000, "wall_offset_us": 100 * SECOND}),
    ),
)
