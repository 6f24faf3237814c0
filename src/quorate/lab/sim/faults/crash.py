"""Machines and processes die, also in the middle of a step."""

from typing import TYPE_CHECKING

from quorate.lab.sim.campaigns.rows import EVERY_US, Row
from quorate.lab.sim.faults.fault import Dial, Fault, one_of, or_zero, part_or_zero
from quorate.lab.sim.scenarios.dials import SECOND

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults


def crash(faults: "Faults") -> None:
    """One, a minority, a majority, or all; sometimes in the middle of a step."""
    alive = [host.number for host in faults.hosts.values() if host.alive]
    if not alive:
        return
    nodes = len(faults.hosts)
    count = faults.rng.choice((1, 1, 1, max(1, (nodes - 1) // 2), nodes // 2 + 1, nodes))
    victims = [faults.pick(alive)]
    rest = [number for number in alive if number not in victims]
    faults.rng.shuffle(rest)
    victims += rest[: count - 1]
    for number in victims:
        host = faults.hosts[number]
        if faults.rng.random() < faults.dials.torn_step:
            host.crash_within_a_step()
        else:
            host.crash()
        faults.hint(number, reachable=False)
        faults.ends(faults.restart, host)


CRASH = Fault(
    dials=(
        Dial("crash_us", or_zero(400_000, 4 * SECOND, 0.7)),
        Dial("torn_step", part_or_zero(1.0)),
        Dial("keep_pending", part_or_zero(1.0)),
        Dial("lose_unsynced", part_or_zero(1.0, 0.7)),
        Dial("leaders_first", one_of(0.0, 0.5, 0.9)),
    ),
    mark="crash",
    strike=crash,
    rows=(
        Row("crash of one node, some, or all", "crash", {"crash_us": EVERY_US, "torn_step": 0.0}),
        Row("crash within a step", "torn step", {"crash_us": EVERY_US, "torn_step": 1.0}),
        Row(
            "power failure: unsynced writes are gone",
            "writes forgotten",
            {"crash_us": EVERY_US, "lose_unsynced": 1.0, "fsync_us": 10_000, "keep_pending": 0.2},
        ),
    ),
)
