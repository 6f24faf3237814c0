"""Real clusters for the tests in this folder: loopback, free ports, gone when the test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quorate.lab.nemesis.trial import Trial, wait_until
from quorate.runtime.cluster import LocalCluster

Started = Callable[[int], LocalCluster]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Started]:
    """`start(nodes)` gives a cluster that takes writes."""
    running: list[LocalCluster] = []

    def begin(nodes: int) -> LocalCluster:
        cluster = LocalCluster.start(nodes, tmp_path / f"cluster-{len(running)}")
        running.append(cluster)
        return cluster

    yield begin
    for cluster in running:
        cluster.stop()


@pytest.fixture
def three(start: Started) -> Trial:
    """Three nodes and what can be asked of them one by one."""
    return Trial(start(3))


def wait_level(cluster: LocalCluster, database: str = "main") -> None:
    """Wait until every node has applied all of the database's log, and all the same. Raises TrialFailed."""

    def level() -> bool:
        reports = [cluster.status(name) for name in cluster.names]
        found = [group for report in reports if report for group in report.groups if group.database == database]
        stands = {(group.applied, group.last, group.role == "damaged") for group in found}
        return len(found) == len(cluster.names) and len(stands) == 1 and found[0].applied == found[0].last

    wait_until(level, 15.0, "the replicas do not come to the same position")
