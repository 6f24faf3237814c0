"""Links that are cut: the partitions of Jepsen (halves, one alone, a ring of overlapping majorities, a bridge) and
one-way ones."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quorate.lab.sim.actors.lasting import partial_connectivity
from quorate.lab.sim.campaigns.rows import EVERY_US, Row
from quorate.lab.sim.faults.fault import Dial, Fault, or_zero
from quorate.lab.sim.scenarios.dials import SECOND

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults

Links = list[tuple[int, int]]


def partition(faults: "Faults") -> None:
    """Cut some links, of one of the shapes below."""
    if len(faults.hosts) < 2:
        return
    numbers = list(faults.hosts)
    faults.rng.shuffle(numbers)
    shape = faults.rng.choice(
        (_halves, _one_alone, _one_alone, _one_way, _bridge, _ring, _partial, _minority_third, _majority_apart)
    )
    cut_in_two = faults.dials.halves > 0 and faults.rng.random() < faults.dials.halves
    shape = _halves if cut_in_two else shape
    if shape is _one_alone or cut_in_two:
        victim = faults.pick(sorted(numbers))
        numbers.remove(victim)
        numbers.insert(0, victim)
    links = shape(numbers, faults.rng)
    faults.network.cut(links)
    faults.world.mark("partition")
    faults.world.record(0, f"partition {shape.__name__}", links)
    for source, target in links:
        if faults.rng.random() < faults.dials.hints:
            faults.hosts[target].hint(source, reachable=False)
    faults.ends(mend, faults, links)


def mend(faults: "Faults", links: Links) -> None:
    """They carry again, and some of their ends notice."""
    faults.network.mend(links)
    faults.world.record(0, "mended", links)
    for source, target in links:
        if faults.rng.random() < faults.dials.hints:
            faults.hosts[target].hint(source, reachable=True)


def between(left: Sequence[int], right: Sequence[int]) -> Links:
    """The links between these and those, both ways."""
    return [link for one in left for other in right for link in ((one, other), (other, one))]


def _halves(numbers: list[int], _rng: random.Random) -> Links:
    middle = len(numbers) // 2
    return between(numbers[:middle], numbers[middle:])


def _one_alone(numbers: list[int], _rng: random.Random) -> Links:
    return between(numbers[:1], numbers[1:])


def _one_way(numbers: list[int], rng: random.Random) -> Links:
    """The first few are heard by nobody, or hear nobody, but not both."""
    some = numbers[: rng.randint(1, len(numbers) - 1)]
    rest = [number for number in numbers if number not in some]
    if rng.random() < 0.5:
        some, rest = rest, some
    return [(one, other) for one in some for other in rest]


def _bridge(numbers: list[int], _rng: random.Random) -> Links:
    """Two halves that see each other only through one node in the middle."""
    middle = len(numbers) // 2
    return between(numbers[:middle], numbers[middle + 1 :])


def _partial(numbers: list[int], _rng: random.Random) -> Links:
    """Cloudflare's of 2020: some that all see each other, and others that see only one of those."""
    return partial_connectivity(numbers)


def _minority_third(numbers: list[int], _rng: random.Random) -> Links:
    """At most a third is cut off from the rest."""
    some = max(1, len(numbers) // 3)
    return between(numbers[:some], numbers[some:])


def _majority_apart(numbers: list[int], _rng: random.Random) -> Links:
    """Nobody of a majority sees anybody: there can be no leader."""
    apart = numbers[: len(numbers) // 2 + 1]
    return [(one, other) for one in numbers for other in numbers if one != other and (one in apart or other in apart)]


def _ring(numbers: list[int], _rng: random.Random) -> Links:
    """Everybody sees only two neighbours: overlapping majorities of five nodes, all different."""
    count = len(numbers)
    links: Links = []
    for place, one in enumerate(numbers):
        neighbours = {numbers[place - 1], numbers[(place + 1) % count]}
        links += [(one, other) for other in numbers if other != one and other not in neighbours]
    return links


PARTITION = Fault(
    dials=(Dial("partition_us", or_zero(400_000, 4 * SECOND, 0.6)), Dial("halves")),
    mark="partition",
    strike=partition,
    needs_between_nodes=True,
    rows=(Row("partition: halves, one, ring, bridge, one-way, partial", "partition", {"partition_us": EVERY_US}),),
)
