"""Real clusters for the tests in this folder: loopback, free ports, gone when the test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quorate.lab.nemesis.trial import Trial
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
