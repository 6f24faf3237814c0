"""Bulk loads, and what a follower pays for an entry, beside plain SQLite: `python -m bench bulk`.

Loads: the same rows by `executemany`, so many in each commit, into plain apsw (WAL, `synchronous=FULL`), an embedded
folder, and a cluster of three. Followers: one client updates one row after the other on a cluster of three; what each
follower's process has used of the processor, divided by the entries, less what an idle one uses; beside it what plain
apsw uses for one such update in a commit of its own.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

import quorate
from bench import procs
from bench.figures import median
from bench.raw import UPDATE, plain
from bench.system_quorate import TABLE, QuorateSystem

INSERT = "INSERT INTO kv VALUES (?, ?)"
BATCH = 1_000
VALUE = "v" * 100
IDLE_S = 2.0


class Row(Struct, frozen=True):
    """One line: the median over the rounds, in the unit that `what` names."""

    what: str
    figures: dict[str, float]
    """By system."""

    def line(self) -> str:
        """Of a Markdown table."""
        base = self.figures["plain apsw"]
        cells = [f"{value:,.1f} ({value / base:.2f})" for value in self.figures.values()]
        return f"| {self.what} | {' | '.join(cells)} |"


LOADS = "| load | plain apsw | embedded | cluster of three |\n|---|--:|--:|--:|"
FOLLOWERS = "| update | plain apsw | a follower | the leader |\n|---|--:|--:|--:|"


def batches(rows: int, first: int) -> Iterator[list[tuple[int, str]]]:
    """The rows of each commit."""
    for start in range(first, first + rows, BATCH):
        yield [(key, VALUE) for key in range(start, min(start + BATCH, first + rows))]


def timed(rows: int, first: int, load: Callable[[list[tuple[int, str]]], Any]) -> float:
    """Rows a second."""
    began = time.perf_counter()
    for some in batches(rows, first):
        load(some)
    return rows / (time.perf_counter() - began)


def loads(folder: Path, system: QuorateSystem, rows: int, rounds: int) -> Row:
    """Rows a second of each, in turn."""
    found: dict[str, list[float]] = {"plain apsw": [], "embedded": [], "cluster of three": []}
    with (
        plain(folder / "plain.db", 0, 1) as connection,
        quorate.connect(folder / "embedded") as db,
        quorate.connect(f"{system.cluster.url}/main", timeout=60) as cluster,
    ):
        db.execute(TABLE)
        cluster.execute(TABLE)

        def in_one_commit(some: list[tuple[int, str]]) -> None:
            with connection:
                connection.executemany(INSERT, some)

        for number in range(rounds):
            first = number * rows
            found["plain apsw"].append(timed(rows, first, in_one_commit))
            found["embedded"].append(timed(rows, first, lambda some: db.executemany(INSERT, some)))
            found["cluster of three"].append(timed(rows, first, lambda some: cluster.executemany(INSERT, some)))
    figures = {name: median(values) for name, values in found.items()}
    return Row(f"rows/s, {BATCH:,} rows in each commit", figures)


def followers(folder: Path, system: QuorateSystem, updates: int, rounds: int) -> Row:
    """Processor time of each for an update, in microseconds. Needs the tables that `loads` has filled."""
    leader = system.leader()
    pids = {place.address: place.pid for place in map(system.cluster.place, system.cluster.names)}
    others = [pid for address, pid in pids.items() if address != leader]
    found: dict[str, list[float]] = {"plain apsw": [], "a follower": [], "the leader": []}
    with (
        plain(folder / "plain.db", 0, 1) as connection,
        quorate.connect(f"{system.cluster.url}/main", timeout=60) as cluster,
    ):
        for _ in range(rounds):
            cpu = time.process_time()
            for key in range(updates):
                connection.execute(UPDATE, (f"{key}", key))
            found["plain apsw"].append((time.process_time() - cpu) / updates * 1e6)
            idle = [_cpu_for(pid, IDLE_S) for pid in (others[0], pids[leader])]
            before = [procs.cpu_s([others[0]]), procs.cpu_s([pids[leader]])]
            began = time.perf_counter()
            for key in range(updates):
                cluster.execute(UPDATE, (f"{key}", key))
            took = time.perf_counter() - began
            after = [procs.cpu_s([others[0]]), procs.cpu_s([pids[leader]])]
            net = [end - start - rate * took for start, end, rate in zip(before, after, idle, strict=True)]
            found["a follower"].append(net[0] / updates * 1e6)
            found["the leader"].append(net[1] / updates * 1e6)
    figures = {name: median(values) for name, values in found.items()}
    return Row("processor µs for an update by key, one at a time", figures)


def _cpu_for(pid: int, seconds: float) -> float:
    """The share of a core that an idle process uses."""
    before = procs.cpu_s([pid])
    time.sleep(seconds)
    return (procs.cpu_s([pid]) - before) / seconds
