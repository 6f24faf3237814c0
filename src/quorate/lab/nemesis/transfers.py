"""Planned transfers under load: leadership is handed about, and no caller may meet an error because of it.

Each round asks for a failover to another node and measures how long that took and the longest silence between two
acknowledged orders about that time. At the end the account of the failover campaign is drawn, and on top of it every
request that ended in an error is counted: there may be none.
"""

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

import quorate
from quorate.lab.nemesis.campaign import CALM_S_MAX, Campaign, Report, Round, first_new_order
from quorate.lab.nemesis.figures import Spread, spread
from quorate.lab.nemesis.trial import DATABASE, Trial
from quorate.lab.nemesis.workload import Customers, now_us
from quorate.runtime.cluster import LocalCluster

TRANSFER = "transfer"


class TransferReport(Struct, frozen=True):
    """All transfers and what they cost."""

    transfers: int
    took_ms: Spread
    """From the request to its answer: the other node leads."""
    silence_ms: Spread
    """The longest time between two acknowledged orders about each transfer."""
    failed_requests: int
    """Orders, reads and register operations that ended in an error."""
    account: Report

    @property
    def passed(self) -> bool:
        """No request failed, and nothing that was promised is missing."""
        return self.failed_requests == 0 and self.account.passed


class Transfers(Campaign):
    """Rounds that harm nobody. In a round `first_write_ms` is the longest silence, `catch_up_ms` how long it took."""

    def _round(self, number: int, customers: Customers) -> Round:
        rng = random.Random(f"{self.seed}/{number}")
        leader = self.trial.leader()
        to = rng.choice([name for name in self.trial.cluster.names if name != leader])
        scan = len(customers.acknowledged)
        begun = now_us()
        with quorate.Cluster(self.trial.cluster.url) as cluster:
            report = cluster.failover(DATABASE, to=to)
        ended = now_us()
        first_new_order(customers, ended, ended, scan, f"round {number}: {report.leader} took over")
        times = sorted(told.ended_us for told in customers.acknowledged[max(0, scan - 1) :])
        silence = max((later - earlier for earlier, later in pairwise(times)), default=0)
        done = Round(number, TRANSFER, to, leader == to, silence / 1000, (ended - begun) / 1000)
        self.told(done)
        time.sleep(rng.random() * CALM_S_MAX)
        return done


def run_transfers(
    count: int, nodes: int, seed: int, told: Callable[[Round], None] = lambda _: None, folder: Path | None = None
) -> TransferReport:
    """So many transfers on a fresh cluster; in a temporary folder, or in `folder`, which is kept.

    Raises TrialFailed, runtime.cluster.NotReady, and what `Cluster.failover` raises.
    """
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-nemesis-")))
        cluster = stack.enter_context(LocalCluster.start(nodes, place / "cluster"))
        account = Transfers(Trial(cluster), seed, told).run(count)
        return TransferReport(
            count,
            spread([each.catch_up_ms for each in account.rounds]),
            spread([each.first_write_ms for each in account.rounds]),
            account.failed_requests,
            account,
        )
