"""How long writes stop when the leader is killed: from `kill -9` to the first new acknowledged write.

A new write is one that was begun after the process was certainly gone. The customers, the account and the catching
up are those of the failover campaign (`quorate lab nemesis`); here the leader is killed every time, and nothing else.
"""

import time
from collections.abc import Callable
from pathlib import Path

import quorate
from bench.figures import percentile
from bench.results import Sample
from quorate.lab.nemesis.trial import Trial, wait_until
from quorate.lab.nemesis.workload import Customers
from quorate.runtime.cluster import LocalCluster

CUSTOMERS = 8
TIMEOUT_S = 30.0
CALM_S = 0.3
"""Between two rounds, when all nodes are level again."""


def measure(folder: Path, kills: int, told: Callable[[int, float], None]) -> Sample:
    """p50 and p99 of so many kills. Raises TrialFailed."""
    waits: list[float] = []
    with LocalCluster.start(3, folder / "failover") as cluster:
        trial = Trial(cluster)
        trial.open_store()
        with quorate.connect(trial.url, timeout=10.0) as db:
            customers = Customers(db, CUSTOMERS, seed=1)
            customers.start()
            try:
                for number in range(kills):
                    waits.append(_round(trial, customers))
                    told(number + 1, waits[-1])
            finally:
                customers.stop()
    ordered = sorted(waits)
    return Sample(p50_ms=round(percentile(ordered, 0.5), 1), p99_ms=round(percentile(ordered, 0.99), 1))


def _round(trial: Trial, customers: Customers) -> float:
    """Milliseconds."""
    leader = trial.leader()
    scan = len(customers.acknowledged)
    moment, gone = trial.kill(leader)
    found: list[int] = []

    def written() -> bool:
        first = customers.first_new_after(moment, gone, scan)
        if first is not None:
            found.append(first)
        return bool(found) or customers.failed

    wait_until(written, TIMEOUT_S, f"no new write after kill -9 of {leader}")
    trial.restart(leader)
    trial.wait_caught_up(leader)
    time.sleep(CALM_S)
    return found[0] / 1000 if found else 0.0
