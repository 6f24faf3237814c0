"""Who says that it leads, asked of every node again and again: one epoch has one leader, or something is broken."""

from msgspec import Struct

from quorate.lab.nemesis.campaign import Report
from quorate.lab.nemesis.trial import DATABASE, Trial
from quorate.lab.nemesis.workload import Threads
from quorate.runtime import probe

EVERY_S = 0.05
"""Between two rounds of questions."""
ANSWER_S = 0.5


class WatchedReport(Struct, frozen=True, kw_only=True):
    """A campaign during which somebody asked who leads."""

    nodes: int
    account: Report
    unlike_promised: tuple[str, ...] = ()
    """What a round found that is not as promised."""
    two_leaders: tuple[str, ...]
    """Epochs in which two nodes said that they lead."""
    looks: int
    """How often a node was asked whether it leads, and answered."""
    machine: str

    def shows_nothing(self) -> list[str]:
        """Why the rounds were in vain."""
        raise NotImplementedError

    @property
    def vacuous(self) -> tuple[str, ...]:
        """Why the campaign has shown nothing."""
        unheard = [] if self.looks else ["nobody was heard to say who leads"]
        return (*self.shows_nothing(), *unheard)

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is not as promised."""
        balance = () if self.account.passed else ("an account does not balance",)
        return (*self.unlike_promised, *self.two_leaders, *balance)

    @property
    def passed(self) -> bool:
        return not self.wrong and not self.vacuous


class LeaderWatch:
    """Asks while it runs. The questions are reads of what a node says of itself; they do not go through any log."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._threads = Threads()
        self.led: dict[int, set[str]] = {}
        """epoch -> the nodes that said that they lead in it."""
        self.looks = 0
        """Answers that were heard."""

    def start(self) -> None:
        self._threads.start(self._watch, "leaders")

    def stop(self) -> None:
        self._threads.stop()

    @property
    def newest(self) -> int:
        """The highest epoch in which anybody was seen to lead."""
        return max(tuple(self.led), default=0)

    def doubled(self) -> list[str]:
        """Epochs that had two leaders, as sentences."""
        return [
            f"epoch {epoch} was led by {' and '.join(sorted(who))}" for epoch, who in self.led.items() if len(who) > 1
        ]

    def _watch(self) -> None:
        while not self._threads.stopping.wait(EVERY_S):
            self.look()

    def look(self) -> None:
        """Ask every node once."""
        cluster = self._trial.cluster
        for address in cluster.addresses:
            report = probe.status(address, ANSWER_S, probe.believing(cluster.ca))
            for group in report.groups if report is not None else ():
                if report is not None and group.database == DATABASE:
                    self.looks += 1
                    if group.speaks:
                        self.led.setdefault(group.epoch, set()).add(report.name)
