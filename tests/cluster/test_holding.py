"""Transactions that hold the writer, on real nodes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.cluster.conftest import Started

import quorate
from quorate.runtime.cluster import LocalCluster


def value(db: Any) -> Any:
    return db.execute("SELECT v FROM t WHERE n = 1").fetchone()[0]


def prepare(db: Any) -> None:
    db.batch(["CREATE TABLE t(n INTEGER PRIMARY KEY, v INTEGER NOT NULL)", "INSERT INTO t VALUES (1, 10)"])


def add(tx: Any) -> None:
    found = value(tx)
    tx.execute("UPDATE t SET v = ? WHERE n = 1", (found + 1,))


def kill_leader(cluster: LocalCluster) -> None:
    reports = [report for report in map(cluster.status, cluster.names) if report is not None]
    leads = {group.leader for report in reports for group in report.groups if group.database == "main"}
    cluster.kill(next(member.name for member in reports[0].members if member.node in leads))


def test_what_begins_immediate_is_first(start: Started) -> None:
    url = start(3).url + "/main"
    with quorate.connect(url, timeout=30.0) as db, ThreadPoolExecutor(1) as other:
        prepare(db)
        with db.transaction(begin="immediate") as tx:
            assert value(tx) == 10
            waiting = other.submit(db.execute, "UPDATE t SET v = v * 2 WHERE n = 1")
            tx.execute("UPDATE t SET v = 11 WHERE n = 1")
            assert tx.execute("INSERT INTO t VALUES (2, 5) RETURNING n").fetchone() == (2,)
            assert value(db) == 10
        waiting.result()
        assert value(db) == 22
        with pytest.raises(ZeroDivisionError), db.transaction(begin="exclusive") as tx:  # noqa: PT012
            tx.execute("DELETE FROM t")
            raise ZeroDivisionError
        began = time.monotonic()
        db.execute("UPDATE t SET v = v + 1 WHERE n = 1")
        assert time.monotonic() - began < 0.4, "nobody waits for what was rolled back"
        assert value(db) == 23
        with quorate.connect(url, timeout=30.0) as closed:
            closed.execute("BEGIN IMMEDIATE")
            closed.execute("DELETE FROM t")
        began = time.monotonic()
        db.execute("UPDATE t SET v = v + 1 WHERE n = 1")
        assert time.monotonic() - began < 0.4, "nobody waits for a connection that is closed"
        assert value(db) == 24


def test_nobody_is_in_the_way_of_those_who_hold(start: Started) -> None:
    url = start(3).url + "/main"
    with quorate.connect(url, timeout=60.0) as db:
        prepare(db)
        begun = threading.Barrier(4)

        def many(_: int) -> None:
            begun.wait(30)
            for _ in range(5):
                with db.transaction(begin="immediate") as tx:
                    add(tx)

        with ThreadPoolExecutor(4) as callers:
            list(callers.map(many, range(4)))
        assert value(db) == 30


def test_what_a_deferred_transaction_does_and_one_that_is_overtaken(start: Started) -> None:
    with quorate.connect(start(3).url + "/main", timeout=60.0) as db:
        prepare(db)
        with db.transaction() as tx:
            tx.execute("CREATE TABLE rebuilt(n INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
            tx.execute("INSERT INTO rebuilt SELECT n, v FROM t")
            tx.execute("DROP TABLE t")
            tx.execute("ALTER TABLE rebuilt RENAME TO t")
            assert value(tx) == 10
        with db.transaction() as tx:
            for number in range(2, 250):
                tx.execute("INSERT INTO t VALUES (?, 0)", (number,))
        assert db.execute("SELECT count(*) FROM t").fetchone() == (249,)
        with db.transaction(begin="immediate") as tx:
            add(tx)
            db.execute("INSERT INTO t VALUES (0, 0)")  # waits until this one has been idle for too long
            assert value(tx) == 11
            add(tx)
        assert value(db) == 12


def test_a_transaction_outlives_the_leader_whose_writer_it_held(start: Started) -> None:
    cluster = start(3)
    with quorate.connect(cluster.url + "/main", timeout=60.0) as db:
        prepare(db)
        with db.transaction(begin="immediate") as tx:
            add(tx)
            kill_leader(cluster)
            assert value(tx) == 11
            add(tx)
        assert value(db) == 12
