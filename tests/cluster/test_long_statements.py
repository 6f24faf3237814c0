"""Statements that take long, on real nodes: nobody else waits, and nobody is elected."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.cluster.conftest import Started
from tests.cluster.test_overload import epochs

import quorate
from quorate.runtime.cluster import LocalCluster

COUNTING = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n{}) SELECT x FROM n"
ENDLESS = f"INSERT INTO t SELECT sum(x), 0 FROM ({COUNTING.format('')})"
ROWS = 100_000
FILL = f"INSERT INTO t SELECT x, x FROM ({COUNTING.format(f' LIMIT {ROWS}')})"


class Others:
    """Somebody who writes to another database all the time."""

    def __init__(self, url: str) -> None:
        self.gaps: list[float] = []
        self.failed: list[quorate.Error] = []
        self.over = False
        self._url = url

    def go_on(self) -> None:
        with quorate.connect(f"{self._url}/other", timeout=10.0) as db:
            while not self.over:
                began = time.monotonic()
                try:
                    db.execute("INSERT INTO x VALUES (1)")
                except quorate.Error as error:
                    self.failed.append(error)
                self.gaps.append(time.monotonic() - began)


@contextmanager
def others_write(cluster: LocalCluster) -> Iterator[Others]:
    quorate.Cluster(cluster.url).create("other")
    with quorate.connect(f"{cluster.url}/other", timeout=10.0) as db:
        db.execute("CREATE TABLE x(a)")
    others = Others(cluster.url)
    thread = threading.Thread(target=others.go_on)
    thread.start()
    try:
        yield others
    finally:
        others.over = True
        thread.join()


def test_long_statements_hold_up_nobody_and_end_at_their_deadline(start: Started) -> None:
    cluster = start(3)
    with quorate.connect(f"{cluster.url}/main", timeout=60.0) as db, others_write(cluster) as others:
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        before = epochs(cluster)
        with pytest.raises(quorate.StatementTimeout):
            db.execute(ENDLESS, timeout=2.0)
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        assert db.execute(FILL).rowcount == ROWS
        assert db.execute("UPDATE t SET v = v + 1").rowcount == ROWS
        db.execute("CREATE INDEX by_v ON t(v)")
        assert db.execute("SELECT count(*) FROM t WHERE v = 2").fetchone() == (1,)
        assert epochs(cluster) == before, "nobody is elected because of a statement"
    assert not others.failed
    assert len(others.gaps) > 10
    assert max(others.gaps) < 5.0
