"""Those who act on a simulated cluster beside its clients: what they are given, and when they are asked.

An actor that a run does not want does nothing. Each is listed once, in `run.ACTORS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.operations import Database, Operations


@dataclass(frozen=True, slots=True)
class SimCluster:
    """What an actor may see and touch."""

    world: World
    dials: Dials
    network: Network
    hosts: dict[int, Host]
    databases: list[Database]
    operations: Operations
    leaders: Mapping[tuple[int, int], int]
    """Who led each group in each epoch, as the observer has seen it."""
    new_host: Callable[[], Host]
    """A machine with an empty disk, which has been told of those who are members now."""


class Actor:
    """Somebody who acts. All that may be asked of it does nothing here."""

    def __init__(self, cluster: SimCluster) -> None:
        self._world, self._dials, self._network = cluster.world, cluster.dials, cluster.network
        self._hosts, self._databases = cluster.hosts, cluster.databases

    def begin(self) -> None:
        """The run begins: act from now on, if this run wants it."""

    def judge(self) -> None:
        """At the end of the safety phase. Raises Violation."""

    def end(self) -> None:
        """The liveness phase begins: ask for nothing new."""

    def done(self, dead: int) -> bool:
        """In the liveness phase, again and again: whether all that it asked for has come about. `dead`: the node that
        stays dead, or 0. Raises Violation."""
        del dead
        return True

    def unfinished(self) -> str | None:
        """What is still to be done; None when nothing is."""
        return None
