"""One local cluster with the store on it: who leads, harming nodes, waiting for them, reading each replica.

Everything here is asked of single nodes, past the client library: an account must not depend on what is
being tried.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

import quorate
from quorate.core.ack_policy import AUTO
from quorate.core.read_levels import EVENTUAL
from quorate.core.requests import Answer, Done, GroupStatus, Run, WriteOutcome
from quorate.core.statements import Failed, Statement
from quorate.lab.nemesis import store
from quorate.lab.nemesis.workload import now_us
from quorate.runtime import probe
from quorate.runtime.cluster import LocalCluster

DATABASE = "store"
POLL_S = 0.02
PAGE_ROWS = 20_000
"""Rows of one answer when a replica is read; far below what a frame may carry."""

_decode = msgspec.msgpack.Decoder(WriteOutcome).decode


class TrialFailed(Exception):
    """The cluster did not do in time what it must."""


class Trial:
    """A running cluster with the store's database; `failover` says who decides that another leads."""

    def __init__(self, cluster: LocalCluster, failover: str = AUTO) -> None:
        self.cluster = cluster
        self.failover = failover

    @property
    def url(self) -> str:
        return self.cluster.url_to(DATABASE)

    def open_store(self, more: Sequence[store.Call] = ()) -> None:
        """Create the database and fill the store, and whatever else is to be there."""
        with quorate.Cluster(self.cluster.url) as cluster:
            replicas = min(3, len(self.cluster.names))
            cluster.create(DATABASE, acks="majority", replicas=replicas, failover=self.failover)
        with quorate.connect(self.url, timeout=10.0, lazy=True) as db:
            db.batch([*((sql, ()) for sql in store.SCHEMA), *store.stocking(), *more])

    # Who does what -------------------------------------------------------------------------------------

    def leader(self, timeout: float = 60.0) -> str:
        """The store's leader. Raises TrialFailed when there is none in time."""
        found: list[str] = []

        def led() -> bool:
            name = self.cluster.leader(DATABASE)
            if name is not None:
                found.append(name)
            return bool(found)

        wait_until(led, timeout, "the store has no leader")
        return found[0]

    def replica(self, name: str, timeout: float = 1.0) -> GroupStatus | None:
        """What a node says of its replica of the store; None when it does not answer or has none."""
        report = self.cluster.status(name, timeout)
        groups = report.groups if report is not None else ()
        return next((group for group in groups if group.database == DATABASE), None)

    def wait_caught_up(self, name: str, timeout: float = 30.0) -> None:
        """Wait until a node has applied all that its leader committed when this began. Raises TrialFailed."""
        target: list[int] = []

        def caught_up() -> bool:
            if not target:
                leading = self.replica(self.leader(timeout))
                if leading is None or not leading.speaks:
                    return False
                target.append(leading.committed)
            replica = self.replica(name)
            return replica is not None and replica.applied >= target[0]

        wait_until(caught_up, timeout, f"{name} has not caught up")

    def wait_level(self, timeout: float = 30.0) -> None:
        """Wait until every replica has applied the same index, and all of its log. Raises TrialFailed."""

        def level() -> bool:
            replicas = [self.replica(name) for name in self.cluster.names]
            stands = {(each.applied, each.last) if each is not None else None for each in replicas}
            return len(stands) == 1 and all(each is not None and each.applied == each.last for each in replicas)

        wait_until(level, timeout, "the replicas do not come to the same position")

    # Reading a replica ---------------------------------------------------------------------------------

    def books(self) -> list[store.Books]:
        """What each replica says of the store, read from that node itself."""
        return [store.read_books(self.reader(name)) for name in self.cluster.names]

    def reader(self, name: str) -> Callable[[str], list[tuple[Any, ...]]]:
        """A function that runs a SELECT with LIMIT ? OFFSET ? on one node's own replica, page after page."""
        address = self.cluster.place(name).address

        def query(sql: str) -> list[tuple[Any, ...]]:
            rows: list[tuple[Any, ...]] = []
            while True:
                page = ask_rows(address, sql, (PAGE_ROWS, len(rows)), self.cluster.ca)
                rows += page
                if len(page) < PAGE_ROWS:
                    return rows

        return query

    # Harm ----------------------------------------------------------------------------------------------

    def kill(self, name: str) -> tuple[int, int]:
        """`kill -9`. When it was sent, and when the process was certainly gone (microseconds)."""
        moment = now_us()
        self.cluster.kill(name, signal.SIGKILL)
        return moment, now_us()

    def pause(self, name: str) -> tuple[int, int]:
        """SIGSTOP. When it was sent, and when the process had certainly stopped (microseconds)."""
        moment = now_us()
        self.cluster.kill(name, signal.SIGSTOP)
        pid = self.cluster.place(name).pid
        wait_until(lambda: is_stopped(pid), 5.0, f"{name} does not stop")
        return moment, now_us()

    def resume(self, name: str) -> None:
        self.cluster.kill(name, signal.SIGCONT)

    def restart(self, name: str) -> None:
        self.cluster.restart(name)


def is_stopped(pid: int) -> bool:
    """Is every thread of the process stopped by a signal? Where /proc is missing: waits a moment, then yes."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.is_dir():
        time.sleep(0.05)
        return True
    states = [(tasks / task / "stat").read_text().rpartition(")")[2].split()[0] for task in os.listdir(tasks)]
    return all(state in "Tt" for state in states)


def ask_rows(
    address: str, sql: str, parameters: tuple[int, ...], ca: str = "", timeout: float = 10.0
) -> list[tuple[Any, ...]]:
    """The rows of one SELECT, from this node's own replica as it stands. Raises TrialFailed."""
    run = Run(DATABASE, (Statement(sql, (parameters,)),), level=EVENTUAL)
    answer = probe.ask(address, run, timeout, probe.believing(ca))
    if not isinstance(answer, Answer):
        raise TrialFailed(f"{address} does not answer a read: {answer}")
    outcome = _decode(answer.outcome)
    if isinstance(outcome, Failed):
        raise TrialFailed(f"{address}: {outcome.error}: {outcome.message}")
    if not isinstance(outcome, Done):
        raise TrialFailed(f"{address} answers a read with {outcome}")
    return [tuple(row) for row in outcome.results[0].rows]


def wait_until(condition: Callable[[], bool], timeout: float, otherwise: str) -> None:
    """Ask again and again. Raises TrialFailed with `otherwise` when it has not come true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TrialFailed(f"{otherwise} within {timeout:g} s")
        time.sleep(POLL_S)
