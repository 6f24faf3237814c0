"""What time-outs that are too short and too long do: the same networks under fixed times and under measured ones.

Each cell is one cluster of three nodes, twice. First nothing at all goes wrong: every election is a needless one. Then
the leader's process is stopped, as by SIGSTOP, so that it only falls silent: how long does nothing succeed?
"""

from typing import Any

from msgspec import Struct

from quorate.core.node import Node
from quorate.core.settings import Settings
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.run import Plan, Run
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.stores.model import ModelStore

SETTLED_US = 10 * SECOND
"""Until then leaders are found and the tables are made."""
MINUTE_US = 60 * SECOND
STOPPED_US = 30 * SECOND


class Network(Struct, frozen=True):
    """A row: how messages travel between any two machines."""

    name: str
    delay_us: int
    tail_us: int = 0
    """Mean of an exponential part."""
    loss: float = 0.0

    @property
    def patience_us(self) -> int:
        """How long a caller waits before it asks another node: some round trips."""
        return 200 * MILLISECOND + 8 * self.delay_us + 10 * self.tail_us


NETWORKS = (
    Network("one rack: 0.25 ms", 250, 50),
    Network("two regions: 40 ms", 40 * MILLISECOND, 2 * MILLISECOND),
    Network("around the world: 150 ms", 150 * MILLISECOND, 10 * MILLISECOND),
    Network("uneven: 5 ms, and 60 ms more on average", 5 * MILLISECOND, 60 * MILLISECOND),
    Network("lossy: 0.25 ms, 40 % lost", 250, 50, 0.4),
)

_BRIEF: dict[str, Any] = {
    "heartbeat_us": 50 * MILLISECOND, "suspect_us": 150 * MILLISECOND, "election_us": 50 * MILLISECOND,
}  # fmt: skip

TIMES: dict[str, Settings] = {
    "fixed 150 ms": Settings(**_BRIEF, suspect_max_us=150 * MILLISECOND),
    "fixed 600 ms": Settings(suspect_max_us=600 * MILLISECOND),
    "fixed 10 s": Settings(suspect_us=10 * SECOND, suspect_max_us=10 * SECOND, election_us=2 * SECOND),
    "measured, from 150 ms": Settings(**_BRIEF),
    "measured (default)": Settings(),
}


class Cell(Struct):
    """What one network and one choice of times came to."""

    elections: float = 0.0
    """A minute, while nothing is wrong."""
    away: float = 0.0
    """Percent of that minute in which nothing succeeded for more than a second."""
    failover_us: int = 0
    """The longest time without a success, after the leader was stopped."""

    def text(self) -> str:
        """As it stands in the table."""
        return f"{self.elections:.1f} / {self.away:.0f} % / {self.failover_us / SECOND:.1f} s"


class Watched(Run):
    """A run that is looked at for a while."""

    def look(self, *, stop: bool) -> tuple[int, int, int]:
        """As `minute` says."""
        for host in self.hosts.values():
            self._start(host)
        for client in self.clients:
            self.world.at(client.number * 50 * MILLISECOND, client.begin)
        self.world.run(SETTLED_US)
        before = self.world.marks.get("elections", 0)
        if stop:
            host = self._leader()
            host.pause()
            self.world.after(STOPPED_US, host.resume)
        succeeded, last_us, away_us, longest_us = self.world.marks.get("ok", 0), self.world.now_us, 0, 0
        while self.world.now_us < SETTLED_US + (STOPPED_US if stop else MINUTE_US):
            self.world.run(self.world.now_us + 10 * MILLISECOND)
            if self.world.marks.get("ok", 0) > succeeded:
                succeeded, last_us = self.world.marks["ok"], self.world.now_us
            elif self.world.now_us - last_us > SECOND:
                away_us += 10 * MILLISECOND
            longest_us = max(longest_us, self.world.now_us - last_us)
        return self.world.marks.get("elections", 0) - before, away_us, longest_us

    def _leader(self) -> Host:
        """Who leads the newest epoch of `main`; any node while nobody does."""
        led = {
            group.election.epoch: host
            for host in self.hosts.values()
            if host.core is not None
            for group in host.core.groups.values()
            if group.database == "main" and group.leads
        }
        return led[max(led)] if led else self.hosts[1]


def cell_of(network: Network, settings: Settings, seeds: int) -> Cell:
    """Run one cell: the means over the seeds, and the worst failover."""
    cell = Cell()
    for seed in range(seeds):
        calm, stopped = (minute(network, settings, seed, stop=stop) for stop in (False, True))
        cell.elections += calm[0] / seeds
        cell.away += 100 * calm[1] / MINUTE_US / seeds
        cell.failover_us = max(cell.failover_us, stopped[2])
    return cell


def minute(network: Network, settings: Settings, seed: int, *, stop: bool) -> tuple[int, int, int]:
    """Elections, microseconds within gaps of more than a second, and the longest gap: of a minute in which nothing is
    wrong, or of half a minute in which the leader is stopped."""
    dials = Dials(
        clients=4, delay_us=network.delay_us, tail_us=network.tail_us, loss=network.loss, hints=0.0,
        patience_us=network.patience_us, think_us=40 * MILLISECOND, wander=0.2, repeat=0.0, attempts=1000,
        settings=settings,
    )  # fmt: skip
    run = Watched(seed, dials, Plan(f"timeouts/{network.name}", Node, ModelStore))
    try:
        return run.look(stop=stop)
    finally:
        run.close()


def lines(cells: dict[tuple[str, str], Cell]) -> list[str]:
    """A table in Markdown."""
    head = ["| network, one way | " + " | ".join(TIMES) + " |", "|---" * (1 + len(TIMES)) + "|"]
    rows = [
        f"| {network.name} | " + " | ".join(cells[network.name, times].text() for times in TIMES) + " |"
        for network in NETWORKS
        if (network.name, next(iter(TIMES))) in cells
    ]
    return head + rows
