"""Outages of a real etcd under load, with `failover = etcd`: what goes on, what waits, and what comes after.

docs/failover.md and the promises say: while etcd is away leaders go on, and writes with them; nobody new is elected. A
killed leader's permit runs out first, then another leads. After an outage a leader is found. No epoch ever has two.
Each kind of round holds one of these against what the nodes do:

- *the leader lives*: etcd goes, for longer than a permit lasts. The same node must lead the same epoch, and orders must
  be acknowledged without a long pause. Then etcd comes back.
- *the leader is killed*: with etcd up. Another must lead.
- *the leader is killed while etcd is away*: nobody may lead, no new order may be acknowledged, and the status must say
  that etcd gives no permit. In every other such round the killed node comes back meanwhile, and must not lead either.
  Then etcd comes back, and a leader must be found.
- *etcd made anew*: it has lost everything; its revisions are far below the group's epoch. Then the leader is killed.
"""

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from quorate.core.ack_policy import ETCD
from quorate.lab.nemesis.campaign import CALM_S_MAX, Campaign, Round, first_new_order
from quorate.lab.nemesis.etcd import Etcd, installed
from quorate.lab.nemesis.figures import Spread, spread
from quorate.lab.nemesis.leaders import LeaderWatch, WatchedReport
from quorate.lab.nemesis.periods import machine
from quorate.lab.nemesis.trial import Trial, TrialFailed, wait_until
from quorate.lab.nemesis.workload import Customers, now_us
from quorate.runtime.cluster import LocalCluster

LIVES = "the leader lives"
DIES = "the leader is killed, etcd is there"
DIES_ALONE = "the leader is killed while etcd is away"
ANEW = "etcd made anew, then the leader is killed"
KILL, STOP, NOTHING = "kill -9", "SIGSTOP", ""
TURNS = ((LIVES, KILL), (DIES_ALONE, KILL), (DIES, NOTHING), (LIVES, STOP), (DIES_ALONE, STOP), (ANEW, KILL))
"""(what happens, what is done to etcd), one after the other."""
AWAY_S = (3.0, 5.0)
"""How long etcd is away: longer than a permit lasts, which is two seconds."""
SILENCE_MS_MAX = 2_000.0
"""A longer silence while etcd is away and the leader lives: writes have not gone on."""
NO_PERMIT_TIMEOUT_S = 30.0
NO_PERMIT = "etcd gives no permit"


class Outage(Struct, frozen=True):
    """One round."""

    number: int
    what: str
    harm: str
    """What was done to etcd."""
    node: str
    """Who led."""
    away_ms: float
    """How long etcd was away."""
    orders_away: int
    """Acknowledged in that time; of those that began after the leader's death, where it died."""
    silence_ms: float
    """The longest time without an acknowledged order while etcd was away and the leader lived."""
    first_write_ms: float
    """From the leader's death, or from etcd's return where it was away then, to the first new acknowledged order."""
    epochs: tuple[int, int]
    """The leader's before and after."""


class Row(Struct, frozen=True):
    """All rounds of one kind."""

    what: str
    harm: str
    rounds: int
    leaders_killed: int
    orders_away: int
    silence_ms: Spread
    first_write_ms: Spread


class OutageReport(WatchedReport, frozen=True, kw_only=True):
    """All outages and what came of them."""

    outages: tuple[Outage, ...]
    rows: tuple[Row, ...]

    def shows_nothing(self) -> list[str]:
        """See `WatchedReport`."""
        why = [] if any(each.harm for each in self.outages) else ["etcd was never away"]
        return why if any(each.what != LIVES for each in self.outages) else [*why, "no leader was killed"]


class Outages(Campaign):
    """The rounds, on a cluster whose store has `failover = etcd`."""

    def __init__(self, trial: Trial, etcd: Etcd, watch: LeaderWatch, seed: int, told: Callable[[Outage], None]) -> None:
        super().__init__(trial, seed)
        self.etcd = etcd
        self.watch = watch
        self.outages: list[Outage] = []
        self.unlike_promised: list[str] = []
        self._told = told

    def _round(self, number: int, customers: Customers) -> Round:
        rng = random.Random(f"{self.seed}/{number}")
        what, harm = TURNS[(number - 1) % len(TURNS)]
        run = {LIVES: self._lives, DIES: self._dies, DIES_ALONE: self._dies_alone, ANEW: self._anew}[what]
        leader = self.trial.leader()
        before = self._epoch(leader)
        away_ms, orders, silence_ms, first_write_ms = run(number, harm, leader, customers, rng)
        self._wait_all_well()
        after = self._epoch(self.trial.leader())
        if what != LIVES and after <= before:
            self._unlike(number, f"the epoch was {before}, the leader died, and it is {after}")
        done = Outage(number, what, harm, leader, away_ms, orders, silence_ms, first_write_ms, (before, after))
        self.outages.append(done)
        self._told(done)
        customers.settle()  # while the database remembers what it is asked about
        time.sleep(rng.random() * CALM_S_MAX)
        return Round(number, what, leader, what != LIVES, first_write_ms, 0.0)

    def _unlike(self, number: int, what: str) -> None:
        self.unlike_promised.append(f"round {number}: {what}")

    def _epoch(self, name: str) -> int:
        replica = self.trial.replica(name)
        if replica is None:
            raise TrialFailed(f"{name} does not say in which epoch it leads")
        return replica.epoch

    def _wait_all_well(self) -> None:
        for name in self.trial.cluster.names:
            self.trial.wait_caught_up(name)

    # ---- the four kinds --------------------------------------------------------------------------------

    def _lives(
        self, number: int, harm: str, leader: str, customers: Customers, rng: random.Random
    ) -> tuple[float, int, float, float]:
        epoch, scan = self._epoch(leader), len(customers.acknowledged)
        begun = self._take_etcd_away(harm)
        time.sleep(rng.uniform(*AWAY_S))
        still, ended = self.trial.leader(), now_us()
        if (still, self._epoch(still)) != (leader, epoch):
            self._unlike(number, f"{leader} led epoch {epoch}; while etcd was away {still} took over")
        silence, orders = customers.silence_ms(scan, begun, ended), customers.answered_between(scan, begun, ended)
        if silence > SILENCE_MS_MAX:
            self._unlike(number, f"etcd was away, the leader lived, and writes paused for {silence:.0f} ms")
        self._bring_etcd_back(harm)
        return (ended - begun) / 1000, len(orders), silence, 0.0

    def _dies(
        self, number: int, _harm: str, leader: str, customers: Customers, rng: random.Random
    ) -> tuple[float, int, float, float]:
        scan = len(customers.acknowledged)
        moment, gone = self.trial.kill(leader)
        first = first_new_order(customers, moment, gone, scan, f"round {number}: {DIES}")
        time.sleep(rng.random() * CALM_S_MAX)
        self.trial.restart(leader)
        return 0.0, 0, 0.0, first

    def _dies_alone(
        self, number: int, harm: str, leader: str, customers: Customers, rng: random.Random
    ) -> tuple[float, int, float, float]:
        epoch, scan = self._epoch(leader), len(customers.acknowledged)
        away = self._take_etcd_away(harm)
        _, gone = self.trial.kill(leader)
        until = now_us() + rng.uniform(*AWAY_S) * 1_000_000
        wait_until(self._told_of_no_permit, NO_PERMIT_TIMEOUT_S, "no node says that etcd gives no permit")
        comes_back = (number - 1) // len(TURNS) % 2 == 0
        if comes_back:
            self.trial.restart(leader)
        time.sleep(max(0.0, (until - now_us()) / 1_000_000))
        led = self.watch.newest
        back = now_us()
        new = [told for told in customers.acknowledged[scan:] if told.begun_us >= gone and told.ended_us < back]
        if new or led > epoch:
            self._unlike(number, f"etcd was away and epoch {led} began after {epoch}; {len(new)} new orders")
        self._bring_etcd_back(harm)
        first = first_new_order(customers, back, back, scan, f"round {number}: {DIES_ALONE}")
        if not comes_back:
            self.trial.restart(leader)
        return (back - away) / 1000, len(new), 0.0, first

    def _anew(
        self, number: int, _harm: str, leader: str, customers: Customers, rng: random.Random
    ) -> tuple[float, int, float, float]:
        scan, begun = len(customers.acknowledged), now_us()
        self.etcd.make_anew()
        ended = now_us()
        silence, orders = customers.silence_ms(scan, begun, ended), customers.answered_between(scan, begun, ended)
        _, _, _, first = self._dies(number, NOTHING, leader, customers, rng)
        return (ended - begun) / 1000, len(orders), silence, first

    # ---- parts of them ---------------------------------------------------------------------------------

    def _take_etcd_away(self, harm: str) -> int:
        """When it was certainly gone (microseconds). Raises TrialFailed when it is not."""
        if harm == KILL:
            self.etcd.kill()
            if self.etcd.listens():
                raise TrialFailed("etcd was killed and listens")
        else:
            self.etcd.pause()
        return now_us()

    def _bring_etcd_back(self, harm: str) -> None:
        if harm == KILL:
            self.etcd.start()
        else:
            self.etcd.resume()

    def _told_of_no_permit(self) -> bool:
        replicas = [self.trial.replica(name) for name in self.trial.cluster.names if self.trial.cluster.running(name)]
        return any(each is not None and NO_PERMIT in each.permit for each in replicas)


def rows_of(outages: list[Outage]) -> tuple[Row, ...]:
    """A row for each kind."""
    rows = []
    for what, harm in TURNS:
        mine = [each for each in outages if (each.what, each.harm) == (what, harm)]
        silences = spread([each.silence_ms for each in mine if each.silence_ms])
        first_writes = spread([each.first_write_ms for each in mine if each.first_write_ms])
        killed, orders = len(mine) if what != LIVES else 0, sum(each.orders_away for each in mine)
        rows.append(Row(what, harm, len(mine), killed, orders, silences, first_writes))
    return tuple(rows)


def run_outages(
    count: int, nodes: int, seed: int, told: Callable[[Outage], None] = lambda _: None, folder: Path | None = None
) -> OutageReport:
    """So many rounds on a fresh cluster and an etcd of its own; in a temporary folder, or in `folder`, which is kept.

    Raises TrialFailed (also where no etcd is installed) and runtime.cluster.NotReady.
    """
    if not installed():
        raise TrialFailed("no etcd is installed here (Debian: apt-get install etcd-server)")
    what = machine()
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-nemesis-")))
        etcd = stack.enter_context(Etcd(place / "etcd"))
        cluster = stack.enter_context(LocalCluster.start(nodes, place / "cluster", options={"etcd": etcd.address}))
        trial = Trial(cluster, ETCD)
        watch = LeaderWatch(trial)
        campaign = Outages(trial, etcd, watch, seed, told)
        watch.start()
        try:
            account = campaign.run(count)
        finally:
            watch.stop()
        return OutageReport(
            outages=tuple(campaign.outages), rows=rows_of(campaign.outages), nodes=nodes, account=account,
            unlike_promised=tuple(campaign.unlike_promised), two_leaders=tuple(watch.doubled()), looks=watch.looks,
            machine=what,
        )  # fmt: skip
