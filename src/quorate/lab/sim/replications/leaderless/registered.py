"""Users cannot choose a database without a leader yet; a run can, while it lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

from quorate.core.leaderless.registered import leaderless
from quorate.core.replication import REPLICATIONS
from quorate.lab.sim.replications.leaderless.probe import PROBE
from quorate.lab.sim.replications.leaderless.workload import TABLES
from quorate.lab.sim.replications.registry import PROBES
from quorate.wire import codec


@contextmanager
def registered() -> Iterator[None]:
    """It is there until the end of the block."""
    replication = leaderless(TABLES)
    REPLICATIONS[replication.name], PROBES[replication.name] = replication, PROBE
    codec.learn_messages()
    try:
        yield
    finally:
        del REPLICATIONS[replication.name], PROBES[replication.name]
        codec.learn_messages()
