"""What versions cost: a versioned table beside a plain one, on the same connection, with the same capture.

    python -m bench.versions [--folder F] [--rows N]

CPU of this process, in microseconds for each row; rounds of both kinds in turn, and the median ratio. Nothing is sent:
what a log and a network cost is the same for both.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from quorate.storage.data.connection import open_writer
from quorate.storage.data.guard import Guard
from quorate.storage.versions.store import VersionStore

COLUMNS = "(id INTEGER PRIMARY KEY, name TEXT, body TEXT, n INTEGER NOT NULL DEFAULT 0)"
NOW = 1_800_000_000_000
BODY = "b" * 80


class Bench:
    """One replica's file; each transaction writes so many rows."""

    def __init__(self, folder: Path, name: str, batch: int = 100) -> None:
        self.batch = batch
        self.connection = open_writer(str(folder / f"{name}.db"), Guard())
        for table in ("plain", "versioned"):
            self.connection.execute(f"CREATE TABLE {table}{COLUMNS}")
        self.store = VersionStore(self.connection, 1, ahead_max_ms=1 << 40)
        self.store.create("versioned", NOW)
        self.now = NOW
        self.deltas: list[bytes] = []

    def writing(self, work: Callable[[], None]) -> None:
        self.now += 1
        with self.store.writing(self.now) as deltas:
            work()
        self.deltas += deltas

    def insert(self, table: str, first: int, rows: int) -> None:
        sql = f"INSERT INTO {table} VALUES (?, ?, ?, ?)"
        for start in range(first, first + rows, self.batch):

            def work(start: int = start) -> None:
                for number in range(start, start + self.batch):
                    self.connection.execute(sql, (number, f"name {number}", BODY, number))

            self.writing(work)

    def update(self, table: str, rows: int, seed: int) -> None:
        rng = random.Random(seed)
        sql = f"UPDATE {table} SET n = n + 1, name = ? WHERE id = ?"
        for _ in range(0, rows, self.batch):

            def work() -> None:
                for _ in range(self.batch):
                    self.connection.execute(sql, ("changed", rng.randrange(rows)))

            self.writing(work)

    def read(self, table: str, rows: int, seed: int) -> None:
        rng = random.Random(seed)
        sql = f"SELECT * FROM {table} WHERE id = ?"
        for _ in range(rows):
            self.connection.execute(sql, (rng.randrange(rows),)).fetchall()


def cpu_us(work: Callable[[], None], rows: int) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e6 / rows


def compare(folder: Path, rows: int, rounds: int) -> None:
    """Inserts, updates and reads; both kinds in each round."""
    bench = Bench(folder, "one")
    for what in ("insert", "update", "read"):
        found: dict[str, list[float]] = {"plain": [], "versioned": []}
        for number in range(rounds):
            for table in found:
                work = {
                    "insert": partial(bench.insert, table, number * rows, rows),
                    "update": partial(bench.update, table, rows, number),
                    "read": partial(bench.read, table, rows, number),
                }
                found[table].append(cpu_us(work[what], rows))
        ratio = statistics.median([one / other for one, other in zip(found["versioned"], found["plain"], strict=True)])
        plain, versioned = (statistics.median(each) for each in found.values())
        print(f"{what:8} plain {plain:6.1f} us, versioned {versioned:6.1f} us, ratio {ratio:.2f}")
    bench.connection.execute("VACUUM")
    used = {
        name: pages
        for name, pages in bench.connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
        if name in ("plain", "versioned", "quorate_rows")
    }
    for name, size in sorted(used.items()):
        print(f"disk     {name:13} {size / (rows * rounds):6.1f} bytes for each row")


def merging(folder: Path, rows: int) -> None:
    """Remote rows into an empty replica, in transactions of many rows; the same again; and updates of all of them."""
    sender, receiver = Bench(folder, "sender", 1000), Bench(folder, "receiver", 1000)
    sender.insert("versioned", 0, rows)
    inserted = list(sender.deltas)
    sender.deltas.clear()
    sender.update("versioned", rows, 1)
    for what, deltas in (("new", inserted), ("known", inserted), ("updated", sender.deltas)):
        began, cpu = time.perf_counter(), time.process_time()
        for delta in deltas:
            receiver.store.merge(delta, sender.now)
        took, used = time.perf_counter() - began, time.process_time() - cpu
        size = sum([len(each) for each in deltas])
        print(
            f"merge    {rows} {what:8} rows: {took:5.2f} s, {used:5.2f} s of CPU, {size / rows:.0f} bytes for each row"
        )
    assert sender.store.digest() == receiver.store.digest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--merged", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        compare(Path(folder), given.rows, given.rounds)
        merging(Path(folder), given.merged)


if __name__ == "__main__":
    main()
