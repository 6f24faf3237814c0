"""A run's databases without a leader take requests for single rows, whose tables are declared here and not by SQL."""

from collections.abc import Iterator
from contextlib import contextmanager

from quorate.core.leaderless.registered import leaderless
from quorate.core.replication import REPLICATIONS
from quorate.lab.sim.replications.leaderless.probe import PROBE
from quorate.lab.sim.replications.leaderless.workload import TABLES
from quorate.lab.sim.replications.registry import PROBES


@contextmanager
def registered() -> Iterator[None]:
    """They do until the end of the block."""
    replication = leaderless(TABLES)
    before = REPLICATIONS[replication.name]
    REPLICATIONS[replication.name], PROBES[replication.name] = replication, PROBE
    try:
        yield
    finally:
        REPLICATIONS[replication.name] = before
        del PROBES[replication.name]
