"""The machine's own limits: what the disk takes, and what SQLite does in one process without replication."""

import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from bench.figures import percentile, significant
from bench.results import Sample
from bench.work import Timing

PAGE = b"\xa5" * 4096
REUSED_PAGES = 256
UPDATE = "UPDATE kv SET v = ? WHERE k = ?"
SELECT = "SELECT v FROM kv WHERE k = ?"


class Stopwatch:
    """Latencies and CPU time of repeated operations in this process."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.latencies: list[float] = []
        self._began = time.perf_counter()
        self._cpu = time.process_time()

    def laps(self) -> Iterator[None]:
        """One turn per operation until the time is over."""
        last = self._began
        deadline = self._began + self.seconds
        while last < deadline:
            yield
            now = time.perf_counter()
            self.latencies.append(now - last)
            last = now

    def sample(self, each: int = 1) -> Sample:
        """`each`: operations in one lap."""
        seconds, cpu = time.perf_counter() - self._began, time.process_time() - self._cpu
        ordered = sorted(self.latencies)
        count = len(ordered) * each
        return Sample(
            per_s=round(count / seconds, 1),
            p50_ms=round(percentile(ordered, 0.5) * 1e3, 4),
            p99_ms=round(percentile(ordered, 0.99) * 1e3, 4),
            server_cpu_share=round(cpu / seconds, 3),
            server_cpu_us=significant(cpu * 1e6 / count) if count else 0.0,
        )


def fdatasync(folder: Path, timing: Timing, *, grows: bool = True) -> Sample:
    """One page written and fdatasynced, again and again, as a write-ahead log does: at the end of a file that grows,
    whose new size is part of what must reach the disk, or over and over in one that was filled before."""
    with tempfile.TemporaryFile(dir=folder) as file:
        number = file.fileno()
        os.write(number, PAGE * REUSED_PAGES)
        os.fsync(number)
        watch = Stopwatch(timing.seconds)
        for page, _ in enumerate(watch.laps()):
            os.pwrite(number, PAGE, len(PAGE) * (REUSED_PAGES + page if grows else page % REUSED_PAGES))
            os.fdatasync(number)
        return watch.sample()


@contextmanager
def plain(path: Path, rows: int, value_bytes: int) -> Iterator[apsw.Connection]:
    """Plain SQLite with the durability that Quorate gives: WAL and `synchronous=FULL`."""
    fresh = not path.exists()
    connection = apsw.Connection(str(path))
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if fresh:
            connection.execute("CREATE TABLE kv(k INTEGER PRIMARY KEY, v TEXT)")
            with connection:
                connection.executemany(
                    "INSERT INTO kv VALUES (?, ?)", ((key, "v" * value_bytes) for key in range(rows))
                )
        yield connection
    finally:
        connection.close()


def group_commit(connection: apsw.Connection, timing: Timing, rows: int, value_bytes: int, batch: int) -> Sample:
    """Updates by key, so many in each transaction."""
    rng = random.Random(1)
    filler = "w" * value_bytes
    watch = Stopwatch(timing.seconds)
    execute = connection.execute
    for number, _ in enumerate(watch.laps()):
        value = f"{number}{filler}"[:value_bytes]
        if batch == 1:
            execute(UPDATE, (value, int(rng.random() * rows)))
            continue
        execute("BEGIN IMMEDIATE")
        for _ in range(batch):
            execute(UPDATE, (value, int(rng.random() * rows)))
        execute("COMMIT")
    return watch.sample(batch)


def point_reads(connection: apsw.Connection, timing: Timing, rows: int) -> Sample:
    """SELECTs by key; rows are fetched."""
    rng = random.Random(1)
    watch = Stopwatch(timing.seconds)
    execute = connection.execute
    for _ in watch.laps():
        execute(SELECT, (int(rng.random() * rows),)).fetchall()
    return watch.sample()
