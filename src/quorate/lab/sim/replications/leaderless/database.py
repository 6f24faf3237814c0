"""A database without a leader, as simulated callers know it."""

from quorate.core.leaderless.options import LeaderlessOptions
from quorate.core.leaderless.promises import made
from quorate.core.options import LEADERLESS
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.operations import Database


class Leaderless(Database):
    """What all of them share. `dials.quorums` says n, w, r and how reads repair."""

    replication = LEADERLESS

    def __init__(self, name: str, dials: Dials) -> None:
        super().__init__(name, dials)
        n, w, r, repair = dials.quorums.split("/")
        self.replicas = int(n)
        self.options = {"w": w, "r": r, "repair": repair}
        self.chosen = LeaderlessOptions(w=w, r=r, repair=repair)
        self.keys = []
        self._moment = 0

    @property
    def judges(self) -> frozenset[str]:
        return frozenset({promise.judge for promise in made(self.chosen, self.replicas)})

    def bears(self) -> bool:
        """Whether it works with one node away."""
        quorums = self.chosen.quorums(self.replicas)
        return quorums.write_absences > 0 and quorums.read_absences > 0

    def moment(self) -> int:
        """Later than all before."""
        self._moment += 1
        return self._moment
