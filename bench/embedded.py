"""The embedded node beside plain apsw with the same durability: one process, rounds in turn."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import quorate
from bench.raw import SELECT, UPDATE, Stopwatch, group_commit, plain, point_reads
from bench.results import APSW, QUORATE, Measure, Sample
from bench.work import Contender, Key, Timing, in_turn

BATCHES = (1, 16, 64)
COMMITS, READS = "embedded commits", "embedded reads"
FILL_ROWS = 1_000


def commits(db: "quorate.EmbeddedConnection", timing: Timing, rows: int, value_bytes: int, batch: int) -> Sample:
    """Updates by key, so many in each commit, each commit durable when the call returns."""
    rng = random.Random(1)
    filler = "w" * value_bytes
    watch = Stopwatch(timing.seconds)
    for number, _ in enumerate(watch.laps()):
        value = f"{number}{filler}"[:value_bytes]
        if batch == 1:
            db.execute(UPDATE, (value, int(rng.random() * rows)))
        else:
            db.batch([(UPDATE, (value, int(rng.random() * rows))) for _ in range(batch)])
    return watch.sample(batch)


def reads(db: "quorate.EmbeddedConnection", timing: Timing, rows: int) -> Sample:
    rng = random.Random(1)
    watch = Stopwatch(timing.seconds)
    for _ in watch.laps():
        db.execute(SELECT, (int(rng.random() * rows),)).fetchall()
    return watch.sample()


def measure(
    folder: Path, rows: int, value_bytes: int, rounds: int, timing: Timing, told: Callable[[Key, Sample], None]
) -> list[Measure]:
    """Commits with 1, 16 and 64 rows in each, and point reads; x is the rows of a commit."""
    out = []
    with plain(folder / "plain.db", rows, value_bytes) as connection, _node(folder, rows, value_bytes) as db:
        sizes: dict[str, Any] = {"rows": rows, "value_bytes": value_bytes}
        for batch in BATCHES:
            contenders: dict[Key, Contender] = {
                (COMMITS, QUORATE, "embedded", batch): partial(commits, db, **sizes, batch=batch),
                (COMMITS, APSW, "plain", batch): partial(group_commit, connection, **sizes, batch=batch),
            }
            out += in_turn(contenders, rounds, timing, told)
        contenders = {
            (READS, QUORATE, "embedded", 1): partial(reads, db, rows=rows),
            (READS, APSW, "plain", 1): partial(point_reads, connection, rows=rows),
        }
        out += in_turn(contenders, rounds, timing, told)
    return out


def _node(folder: Path, rows: int, value_bytes: int) -> "quorate.EmbeddedConnection":
    db = quorate.connect(str(folder / "embedded"))
    assert isinstance(db, quorate.EmbeddedConnection)
    db.execute("CREATE TABLE kv(k INTEGER PRIMARY KEY, v TEXT)")
    for first in range(0, rows, FILL_ROWS):
        sets = [(key, "v" * value_bytes) for key in range(first, min(rows, first + FILL_ROWS))]
        db.executemany("INSERT INTO kv VALUES (?, ?)", sets)
    return db
