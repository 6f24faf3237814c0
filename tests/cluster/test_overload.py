"""A real node is asked for far more than it can do: it refuses by name, goes on leading, and is well at once."""

import asyncio
import time
from pathlib import Path

import quorate
from quorate import aio
from quorate.runtime.cluster import LocalCluster

CALLERS = 400
HEAVY = (
    "INSERT INTO t SELECT ?, count(*) FROM"
    " (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) SELECT i FROM n)"
)
"""Some ten milliseconds of work."""


async def crowd(url: str) -> tuple[int, int]:
    """How many writes were done, and how many refused, when all come at once. Anything else is raised."""
    done = refused = 0
    connections = [aio.connect(url, timeout=20.0) for _ in range(8)]

    async def call(number: int) -> None:
        nonlocal done, refused
        try:
            await connections[number % len(connections)].execute(HEAVY, (number,))
            done += 1
        except quorate.Overloaded as error:
            refused += error.again > 0

    for _ in range(2):  # the first crowd shows how long a write takes; the second is judged by it
        await asyncio.gather(*(call(done + refused + number) for number in range(CALLERS)))
    for connection in connections:
        await connection.close()
    return done, refused


def test_an_overloaded_node_refuses_and_goes_on_leading(tmp_path: Path) -> None:
    with LocalCluster.start(3, tmp_path) as cluster:
        with quorate.connect(f"{cluster.url}/main", timeout=20.0) as db:
            db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
            before = epochs(cluster)
            done, refused = asyncio.run(crowd(f"{cluster.url}/main"))
            assert refused > 0
            assert done > 0
            assert db.execute("SELECT count(*) FROM t").fetchone() == (done,), "refused means not done"
            began = time.monotonic()
            db.execute("INSERT INTO t VALUES (-1, 0)")
            assert time.monotonic() - began < 2.0
        assert epochs(cluster) == before, "an overloaded leader is not dead"


def epochs(cluster: LocalCluster) -> dict[int, int]:
    """Each group's newest epoch."""
    reports = [cluster.status(name, 5.0) for name in cluster.names]
    assert None not in reports
    groups = [group for report in reports if report is not None for group in report.groups]
    return {group.group: max(each.epoch for each in groups if each.group == group.group) for group in groups}
