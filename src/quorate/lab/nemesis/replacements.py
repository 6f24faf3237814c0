"""Replacements under load: a node goes for good, and a new one with an empty folder takes its place.

Half of those that go are killed with `kill -9` and lose their folder; the others live until they are out, and are then
stopped. Half of them lead. Each round makes a folder as `quorate init --join` does, starts the node, and asks with
`Cluster.replace_member`, as `quorate member replace` does. When that returns the new node must have what was committed
and vote, in the store and in the catalog. After a few rounds no node is left that founded the cluster; the clients, who
were told of the founders only, must have followed.
"""

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

import quorate
from quorate.lab.nemesis.campaign import CALM_S_MAX, Campaign, Round, first_new_order
from quorate.lab.nemesis.figures import Spread, spread
from quorate.lab.nemesis.leaders import LeaderWatch, WatchedReport
from quorate.lab.nemesis.periods import machine
from quorate.lab.nemesis.trial import Trial, TrialFailed, wait_until
from quorate.lab.nemesis.workload import Customers, now_us
from quorate.runtime.cluster import LocalCluster

KILLED = "killed, folder lost"
ALIVE = "taken away alive"
TURNS = ((KILLED, True), (ALIVE, True), (KILLED, False), (ALIVE, False))
"""(how it goes, whether it leads), one after the other."""
CHANGE_TIMEOUT_S = 60.0


class Replacement(Struct, frozen=True):
    """One node that went, and the one that came."""

    number: int
    how: str
    old: str
    new: str
    led: bool
    """Did the old one lead?"""
    copied: bool
    """Had the leader's log lost its beginning, so that the new node needed a copy of the data file?"""
    took_ms: float
    """From the command to its answer: the new node has what was committed and votes, and the old one is out."""
    whole_ms: float
    """From the kill, or from the beginning of the new folder, to that answer."""
    silence_ms: float
    """The longest time without an acknowledged order, from then until the first order that began after the answer."""
    orders: int
    """Acknowledged in that time."""
    not_done: int
    """Orders that were refused or whose answer was lost in that time."""


class Row(Struct, frozen=True):
    """All rounds of one kind."""

    how: str
    led: bool
    rounds: int
    copied: int
    took_ms: Spread
    whole_ms: Spread
    silence_ms: Spread
    orders: int
    not_done: int


class ReplacementReport(WatchedReport, frozen=True, kw_only=True):
    """All replacements and what they cost. A request that fails is counted, and is no broken promise."""

    replacements: tuple[Replacement, ...]
    rows: tuple[Row, ...]
    founders_left: int
    """Nodes that founded the cluster and belong to it still."""

    def shows_nothing(self) -> list[str]:
        """See `WatchedReport`."""
        why = [f"no order during round {each.number}" for each in self.replacements if not each.orders]
        return why if any(each.led for each in self.replacements) else [*why, "no leader was replaced"]


class Replacements(Campaign):
    """In a round of the account, `first_write_ms` is the longest silence, `catch_up_ms` how long the change took."""

    def __init__(self, trial: Trial, seed: int, told: Callable[[Replacement], None] = lambda _: None) -> None:
        super().__init__(trial, seed)
        self.replaced: list[Replacement] = []
        self._told = told
        self._made = len(trial.cluster.names)
        """How many nodes there have been."""

    def _round(self, number: int, customers: Customers) -> Round:
        rng = random.Random(f"{self.seed}/{number}")
        cluster, trial = self.trial.cluster, self.trial
        how, leads = TURNS[(number - 1) % len(TURNS)]
        leader = trial.leader()
        old = leader if leads else rng.choice([name for name in cluster.names if name != leader])
        scan, refused = len(customers.acknowledged), _not_done(customers)
        copied = self._log_is_cut(leader)
        begun = now_us()
        if how == KILLED:
            trial.kill(old)
            shutil.rmtree(cluster.folder / old)
        self._made += 1
        new = f"n{self._made}"
        place = cluster.join(new)
        asked = now_us()
        with quorate.Cluster(cluster.url) as known:
            known.replace_member(old, place.address, timeout=CHANGE_TIMEOUT_S)
        answered = now_us()
        self._went(old, how)
        self._votes(new)
        first_new_order(customers, answered, answered, scan, f"round {number}: {new} took the place of {old}")
        written = now_us()
        done = Replacement(
            number, how, old, new, old == leader, copied, (answered - asked) / 1000, (answered - begun) / 1000,
            customers.silence_ms(scan, begun, written), len(customers.answered_between(scan, begun, written)),
            _not_done(customers) - refused,
        )  # fmt: skip
        self.replaced.append(done)
        self._told(done)
        customers.settle()  # while the database remembers what it is asked about
        time.sleep(rng.random() * CALM_S_MAX)
        return Round(number, how, old, done.led, done.silence_ms, done.took_ms)

    def _log_is_cut(self, leader: str) -> bool:
        replica = self.trial.replica(leader)
        return replica is not None and replica.first > 1

    def _went(self, old: str, how: str) -> None:
        """A node that lives hears that it is out, and is stopped. Raises TrialFailed when it does not hear it."""
        cluster = self.trial.cluster
        if how == KILLED:
            if cluster.running(old):
                raise TrialFailed(f"{old} was killed and runs")
        else:
            wait_until(
                lambda: bool((report := cluster.status(old)) and report.removed), 30.0, f"{old} does not hear it is out"
            )
        cluster.forget(old)

    def _votes(self, new: str) -> None:
        """Raises TrialFailed when the voters are not just those that live, among them the new node."""
        cluster = self.trial.cluster
        reports = [cluster.status(name) for name in cluster.names]
        known = {report.node for report in reports if report is not None}
        leading = self.trial.replica(self.trial.leader())
        mine = self.trial.replica(new)
        if leading is None or mine is None or set(leading.voters) != known or leading.voters_next:
            raise TrialFailed(f"{new} took a place and does not vote: {leading}")


def _not_done(customers: Customers) -> int:
    return len(customers.not_done) + len(customers.unclear)


def rows_of(replaced: list[Replacement]) -> tuple[Row, ...]:
    """A row for each kind."""
    rows = []
    for how, led in TURNS:
        mine = [each for each in replaced if (each.how, each.led) == (how, led)]
        took, whole = spread([each.took_ms for each in mine]), spread([each.whole_ms for each in mine])
        silence, copied = spread([each.silence_ms for each in mine]), sum(each.copied for each in mine)
        orders, not_done = sum(each.orders for each in mine), sum(each.not_done for each in mine)
        rows.append(Row(how, led, len(mine), copied, took, whole, silence, orders, not_done))
    return tuple(rows)


def run_replacements(
    count: int, nodes: int, seed: int, told: Callable[[Replacement], None] = lambda _: None, folder: Path | None = None
) -> ReplacementReport:
    """So many replacements on a fresh cluster; in a temporary folder, or in `folder`, which is kept.

    Raises TrialFailed, runtime.cluster.NotReady, and what `Cluster.replace_member` raises.
    """
    what = machine()
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-nemesis-")))
        cluster = stack.enter_context(LocalCluster.start(nodes, place / "cluster"))
        founders = set(cluster.names)
        trial = Trial(cluster)
        campaign = Replacements(trial, seed, told)
        watch = LeaderWatch(trial)
        watch.start()
        try:
            account = campaign.run(count)
        finally:
            watch.stop()
        return ReplacementReport(
            replacements=tuple(campaign.replaced), rows=rows_of(campaign.replaced), nodes=nodes, account=account,
            founders_left=len(founders & set(cluster.names)), two_leaders=tuple(watch.doubled()), looks=watch.looks,
            machine=what,
        )  # fmt: skip
