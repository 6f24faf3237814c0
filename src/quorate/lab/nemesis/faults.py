"""The faults of a campaign on real processes: each strikes, lasts for a while, and ends; and each shows that it
struck.
"""

import random
from collections.abc import Callable

from msgspec import Struct

from quorate.lab.nemesis import place
from quorate.lab.nemesis.proxy import Harm, Link, Proxies
from quorate.lab.nemesis.trial import Trial, is_stopped, wait_until

LEADER_SHARE = 0.7
"""How often the leader is harmed, and not a node chosen blindly."""
CALM = "calm"
"""A period in which nothing goes wrong."""

EVERYBODY = (CALM, "kill -9 of all", "delay", "connections break")
"""Faults that single nobody out."""

SHIFT_S_MAX = 288
"""Seconds by which a clock is shifted at most: as far as Jepsen's clock bumps go."""


class Struck(Struct, frozen=True):
    """What was done to whom."""

    fault: str
    node: str
    led: bool


class Faults:
    """What can be done to this cluster. One fault at a time."""

    def __init__(
        self, trial: Trial, proxies: Proxies, seed: int, volume: place.Volume | str, small: str, clock: str = ""
    ) -> None:
        """`small` is the node whose folder lies on `volume`; `clock` a library that shifts clocks."""
        self.trial = trial
        self.proxies = proxies
        self._rng = random.Random(f"{seed}/faults")
        self._volume = volume
        self._small = small
        self._clock = clock
        self.evidence: dict[str, int] = {}
        """For each fault: how often there was proof that it struck."""
        self.skipped: dict[str, str] = {}
        """What cannot be done here, and why."""
        self._end: Callable[[], None] = _nothing
        self._kinds: dict[str, Callable[[str], None]] = {
            "kill -9": self._kill,
            "kill -9 of all": self._kill_all,
            "SIGSTOP": self._stop,
            "partition": self._alone,
            "one-way cut, not heard": self._mute,
            "one-way cut, hears nobody": self._deaf,
            "connections refused": self._refused,
            "delay": self._delay,
            "slow link": self._slow,
            "connections break": self._breaking,
            "full disk": self._full,
            "clock shift": self._shift,
        }
        if isinstance(volume, str):
            self.skipped["full disk"] = volume
        if not clock:
            self.skipped["clock shift"] = "libfaketime is not installed"

    @property
    def names(self) -> list[str]:
        """What can be done here."""
        return [name for name in self._kinds if name not in self.skipped]

    def deck(self) -> list[str]:
        """Every fault once, and a quarter of calm, shuffled."""
        names = self.names
        names += [CALM] * -(-len(names) // 3)
        self._rng.shuffle(names)
        return names

    def strike(self, fault: str) -> Struck:
        """Do it. Raises TrialFailed."""
        leader = self.trial.leader()
        names = self.trial.cluster.names
        node = leader if self._rng.random() < LEADER_SHARE else self._rng.choice(names)
        if fault == "full disk":
            node = self._small
        self._end = _nothing
        if fault != CALM:
            self._kinds[fault](node)
        return Struck(fault, "" if fault in EVERYBODY else node, node == leader)

    def end(self) -> None:
        """It is over."""
        action, self._end = self._end, _nothing
        action()

    def _felt(self, fault: str, times: int = 1) -> None:
        self.evidence[fault] = self.evidence.get(fault, 0) + times

    # ---- processes -------------------------------------------------------------------------------------

    def _kill(self, node: str) -> None:
        self.trial.kill(node)
        self._felt("kill -9", not self.trial.cluster.running(node))
        self._end = lambda: self.trial.restart(node)

    def _kill_all(self, _node: str) -> None:
        for name in self.trial.cluster.names:
            self.trial.kill(name)
        self._felt("kill -9 of all", not any(map(self.trial.cluster.running, self.trial.cluster.names)))
        self._end = self.trial.cluster.start_all

    def _stop(self, node: str) -> None:
        self.trial.pause(node)
        self._felt("SIGSTOP", is_stopped(self.trial.cluster.place(node).pid))
        self._end = lambda: self.trial.resume(node)

    def _shift(self, node: str) -> None:
        """Restarted with another time of day; restarted again with the true one."""
        seconds = self._rng.choice((-1, 1)) * self._rng.randint(1, SHIFT_S_MAX)
        self.trial.kill(node)
        with place.shifted_clock(self._clock, seconds):
            self.trial.restart(node)
        self._felt("clock shift", self._clock in _maps(self.trial.cluster.place(node).pid))

        def back() -> None:
            self.trial.kill(node)
            self.trial.restart(node)

        self._end = back

    # ---- links -----------------------------------------------------------------------------------------

    def _harm(self, fault: str, links: list[Link], harm: Harm) -> None:
        before = self.proxies.felt.get(harm.name, 0)
        self.proxies.harm(links, harm)

        def end() -> None:
            self.proxies.mend(reset=harm.hold and self._rng.random() < 0.5)
            self._felt(fault, self.proxies.felt.get(harm.name, 0) - before)

        self._end = end

    def _others(self, node: str) -> list[str]:
        return [name for name in self.trial.cluster.names if name != node]

    def _alone(self, node: str) -> None:
        links = [link for other in self._others(node) for link in ((node, other), (other, node))]
        self._harm("partition", links, Harm("partition", hold=True))

    def _mute(self, node: str) -> None:
        links = [(node, other) for other in self._others(node)]
        self._harm("one-way cut, not heard", links, Harm("mute", hold=True))

    def _deaf(self, node: str) -> None:
        links = [(other, node) for other in self._others(node)]
        self._harm("one-way cut, hears nobody", links, Harm("deaf", hold=True))

    def _refused(self, node: str) -> None:
        links = [link for other in self._others(node) for link in ((node, other), (other, node))]
        self._harm("connections refused", links, Harm("refused", refuse=True))

    def _all_links(self) -> list[Link]:
        names = self.trial.cluster.names
        return [(one, other) for one in names for other in names if one != other]

    def _delay(self, _node: str) -> None:
        self._harm("delay", self._all_links(), Harm("delay", delay_s=0.05, jitter_s=0.04))

    def _slow(self, node: str) -> None:
        links = [link for other in self._others(node) for link in ((node, other), (other, node))]
        self._harm("slow link", links, Harm("slow", bytes_per_s=60_000.0))

    def _breaking(self, _node: str) -> None:
        self._harm("connections break", self._all_links(), Harm("breaking", break_chance=0.01))

    # ---- the disk --------------------------------------------------------------------------------------

    def _full(self, node: str) -> None:
        volume = self._volume
        assert isinstance(volume, place.Volume), "full disks are only dealt where there is a small file system"

        def end() -> None:
            try:
                self._felt("full disk", self._is_behind(node))
            finally:
                volume.empty()

        self._end = end
        wait_until(volume.fill, 5.0, "the small file system does not fill")

    def _is_behind(self, node: str) -> bool:
        """A node without room falls behind those who go on."""
        mine, leading = self.trial.replica(node), self.trial.replica(self.trial.leader())
        return mine is not None and leading is not None and mine.applied < leading.committed


def _nothing() -> None:
    return None


def _maps(pid: int) -> str:
    """What a process has mapped: its libraries are named there."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            return maps.read()
    except OSError:
        return ""
