"""Who says that it leads, asked of every node again and again: one epoch has one leader, or something is broken."""

from quorate.lab.nemesis.trial import DATABASE, Trial
from quorate.lab.nemesis.workload import Threads
from quorate.runtime import probe

EVERY_S = 0.05
"""Between two rounds of questions."""
ANSWER_S = 0.5


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
        for address in self._trial.cluster.addresses:
            report = probe.status(address, ANSWER_S)
            for group in report.groups if report is not None else ():
                if report is not None and group.database == DATABASE:
                    self.looks += 1
                    if group.role == "leader":
                        self.led.setdefault(group.epoch, set()).add(report.name)
