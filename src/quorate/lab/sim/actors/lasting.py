"""Faults that stay: a cluster that could serve must do so while they last, not only once they have ended.

Each leaves a majority that can work. What would be waited out elsewhere is a promise here: callers get answers
(`progress`), and nobody is elected again and again (`stability`). Cases: the partial connectivity of Cloudflare's
outage of 2020, a leader that nobody can reach but that is heard by all, a leader's disk that never answers again
(hashicorp/raft issue 503), one that has no room (issue 614).
"""

from collections.abc import Callable

from quorate.lab.sim.actors.actor import Actor, SimCluster
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import SECOND

BEGINS_US = 2 * SECOND
SETTLED_US = 6 * SECOND
"""From here on nothing may be missing any more; the safety phase must be longer."""

PROGRESS = "progress"
STABILITY = "stability"
OPERATIONS_LEAST = 5
FROZEN_US = 2 * SECOND


class Lasting(Actor):
    """One such fault of one run, and what is asked of the cluster meanwhile."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster)
        self._rng = cluster.world.rng("lasting")
        self._done = 0
        self._elections = 0

    def begin(self) -> None:
        """Schedule it, if this run has one."""
        if self._dials.lasting:
            self._world.at(BEGINS_US, KINDS[self._dials.lasting], self)
            self._world.at(SETTLED_US, self._look)

    def _look(self) -> None:
        self._done, self._elections = self._successes(), self._world.marks.get("elections", 0)

    def _successes(self) -> int:
        """Operations that succeeded; where a write cannot, reads."""
        return self._world.marks.get("read: ok" if self._dials.lasting == "dead leader" else "ok", 0)

    def judge(self) -> None:
        """At the end of the safety phase. Raises Violation."""
        if not self._dials.lasting or self._world.now_us < SETTLED_US + SECOND:
            return
        done = self._successes() - self._done
        if done < OPERATIONS_LEAST:
            since = (self._world.now_us - SETTLED_US) / SECOND
            raise Violation(PROGRESS, f"{done} operations in {since:.1f} s under {self._dials.lasting}, where all can")
        elections = self._world.marks.get("elections", 0) - self._elections
        if elections:
            raise Violation(STABILITY, f"{elections} elections under {self._dials.lasting}, which changes nothing")

    def _leader(self) -> Host:
        """A node that leads the newest group it can find, or any."""
        leading = [
            (number, host)
            for host in self._hosts.values()
            if host.core is not None
            for number, group in host.core.groups.items()
            if group.leads
        ]
        if not leading:
            return self._rng.choice(list(self._hosts.values()))
        return max(leading, key=lambda each: each[0])[1]

    def _begin(self, what: str, links: list[tuple[int, int]]) -> None:
        self._world.mark(f"lasting: {self._dials.lasting}")
        self._world.record(0, what, links)
        self._network.cut(links)

    def partial(self) -> None:
        """Five nodes: three that see each other, and two that see only one of them each (1-2-3, 4-2, 5-3)."""
        groups = {
            number: group for host in self._hosts.values() if host.core for number, group in host.core.groups.items()
        }
        voters = list(groups[max(groups)].voters) if groups else []  # a majority of them must see each other
        numbers = [number for number in self._hosts if number not in voters]
        self._rng.shuffle(numbers)
        self._rng.shuffle(voters)
        numbers = voters + numbers
        self._begin("partial connectivity", partial_connectivity(numbers))

    def deaf_leader(self) -> None:
        """Everybody hears the leader; it hears nobody, its callers excepted."""
        deaf = self._leader().number
        self._begin("the leader goes deaf", [(one, deaf) for one in self._hosts if one != deaf])

    def hung_disk(self) -> None:
        """The leader's disk takes what it is given and never answers."""
        self._begin("the leader's disk hangs", [])
        self._leader().disk.slow(1_000_000_000)

    def full_disk(self) -> None:
        """The leader's disk has no room."""
        self._begin("the leader's disk is full", [])
        self._leader().fill_disk(full=True)

    def long_links(self) -> None:
        """Nothing is harmed: the dials have every message take longer than the least times allow."""
        self._begin("links are long", [])

    def large_entries(self) -> None:
        """Nothing is harmed: the dials have callers write so much at a time that a disk is long at it."""
        self._begin("entries are large", [])

    def frozen(self) -> None:
        """All machines are stopped for some seconds, again and again, as when they live on one that is suspended.
        Nobody may hold the time in which it did not run against the others."""
        self._begin("all are frozen", [])
        self._world.at(SETTLED_US, self._freeze)

    def _freeze(self) -> None:
        if self._world.now_us + 2 * FROZEN_US < self._dials.safety_us:
            self._world.mark("frozen")
            for host in self._hosts.values():
                host.pause()
            self._world.after(FROZEN_US, self._thaw)

    def _thaw(self) -> None:
        for host in self._hosts.values():
            host.resume()
        self._world.after(FROZEN_US // 2, self._freeze)

    def dead_leader(self) -> None:
        """The leader's machine is gone, while the database asks every disk to hold a write: another must lead, and
        serve reads, and no write may be acknowledged."""
        self._begin("the leader dies", [])
        self._leader().crash()


KINDS: dict[str, Callable[[Lasting], None]] = {
    "partial": Lasting.partial,
    "deaf leader": Lasting.deaf_leader,
    "hung disk": Lasting.hung_disk,
    "full disk": Lasting.full_disk,
    "dead leader": Lasting.dead_leader,
    "long links": Lasting.long_links,
    "large entries": Lasting.large_entries,
    "frozen": Lasting.frozen,
}
CUT_OR_BROKEN = ("deaf leader", "full disk", "hung disk", "partial")
"""Those of them that leave a majority to work around what is wrong."""


def partial_connectivity(numbers: list[int]) -> list[tuple[int, int]]:
    """The links that are cut. With three nodes: a chain."""
    middle = numbers[: max(2, len(numbers) - 2)]
    connected = {frozenset((one, other)) for one in middle for other in middle}
    for place, outer in enumerate(numbers[len(middle) :]):
        connected.add(frozenset((outer, middle[-1 - place])))
    return [
        (one, other)
        for one in numbers
        for other in numbers
        if one != other and frozenset((one, other)) not in connected
    ]
