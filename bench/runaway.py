"""What statements without an end do to other databases: `python -m bench runaway`.

Some writers write one row after the other to one database of a local cluster of three. Beside them, every second,
somebody asks another database for something that does not end or is far too large, and waits as long as callers wait
who say nothing. Each such time has a quiet one before it, so that a machine that is slower for a while is so for both.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

import quorate
from bench.figures import percentile
from quorate.runtime.cluster import LocalCluster

WRITERS = 4
EVERY_S = 1.0
ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
OFFERED = {
    "a SELECT without an end": f"{ENDLESS} SELECT count(*) FROM c",
    "an INSERT without an end": f"INSERT INTO t {ENDLESS} SELECT n FROM c",
    "a SELECT of 1 GB of zeros": "SELECT zeroblob(1000000000)",
}
ALL = "all three"
LARGE_ROWS = 1_000_000
LARGE = "once, an UPDATE of a million rows"
PART_ROWS = 100_000
LONG_S = 300.0


class Phase(Struct, frozen=True):
    """What was measured while something was offered, and in the quiet time before it."""

    offered: str
    quiet_ms: tuple[float, ...]
    loaded_ms: tuple[float, ...]
    """How long each write took, in order of length."""
    epochs: int
    """How many epochs began meanwhile, in any database, at any node."""
    answers: tuple[str, ...]
    """How what was offered ended, each kind once."""

    def row(self) -> str:
        """A line of a Markdown table."""
        quiet, loaded = self.quiet_ms, self.loaded_ms
        before, after = percentile(quiet, 0.99), percentile(loaded, 0.99)
        figures = f"{percentile(quiet, 0.5):.1f} / {before:.1f} | {percentile(loaded, 0.5):.1f} / {after:.1f}"
        return f"| {self.offered} | {figures} | {after / before:.1f} | {self.epochs} | {', '.join(self.answers)} |"


HEADER = (
    "| offered every second | quiet: p50 / p99, ms | meanwhile: p50 / p99, ms | p99 ÷ quiet | new epochs "
    "| it ended with |\n|---|--:|--:|--:|--:|---|"
)


def measure(folder: Path, seconds: float, told: Callable[[str], None]) -> Iterator[Phase]:
    """One phase after the other, `seconds` quiet and as many loaded for each."""
    with ExitStack() as stack:
        cluster = stack.enter_context(LocalCluster.start(3, folder / "runaway"))
        it = stack.enter_context(quorate.Cluster(cluster.url, timeout=30.0))
        for name in ("quiet", "busy"):
            it.create(name, replicas=3)
        quiet: Any = stack.enter_context(quorate.connect(f"{cluster.url}/quiet", timeout=30.0))
        busy: Any = stack.enter_context(quorate.connect(f"{cluster.url}/busy"))
        for db in (quiet, busy):
            db.execute("CREATE TABLE t(n INTEGER)")
        for offered, texts in (*((name, (text,)) for name, text in OFFERED.items()), (ALL, tuple(OFFERED.values()))):
            told(f"{offered}: quiet")
            before = _for(quiet, seconds)
            epochs = _epochs(it)
            told(offered)
            with _Offering(busy, texts) as offering:
                time.sleep(EVERY_S)
                loaded = _for(quiet, seconds)
            yield Phase(offered, before, loaded, _epochs(it) - epochs, offering.answers)
        told(f"{LARGE}: rows, then quiet")
        for first in range(0, LARGE_ROWS, PART_ROWS):
            rows = ENDLESS.replace("SELECT 1 ", f"SELECT {first} ")
            busy.execute(f"INSERT INTO t {rows} SELECT n FROM c LIMIT {PART_ROWS}", timeout=LONG_S)
        before, epochs = _for(quiet, seconds), _epochs(it)
        told(LARGE)
        with ThreadPoolExecutor(1) as pool:
            update = pool.submit(busy.execute, "UPDATE t SET n = n + 1", timeout=LONG_S)
            loaded = _writes(quiet, update.done) + _for(quiet, seconds)  # followers apply it behind its end
        yield Phase(LARGE, before, tuple(sorted(loaded)), _epochs(it) - epochs, (f"{update.result().rowcount} rows",))


def _epochs(it: quorate.Cluster) -> int:
    """The sum of all databases' epochs, as far as the nodes know; it grows with every election."""
    highest: dict[int, int] = {}
    for report in it.status():
        for group in report.groups:
            highest[group.group] = max(highest.get(group.group, 0), group.epoch)
    return sum(highest.values())


def _for(db: Any, seconds: float) -> tuple[float, ...]:
    """How many milliseconds writes take in so many seconds, in order of length."""
    until = time.monotonic() + seconds
    return _writes(db, lambda: time.monotonic() >= until)


def _writes(db: Any, over: Callable[[], bool]) -> tuple[float, ...]:
    """The same until it is over."""

    def write(number: int) -> list[float]:
        took: list[float] = []
        while not over():
            began = time.monotonic()
            db.execute("INSERT INTO t VALUES (?)", (number,))
            took.append((time.monotonic() - began) * 1000)
        return took

    with ThreadPoolExecutor(WRITERS) as pool:
        return tuple(sorted(each for took in pool.map(write, range(WRITERS)) for each in took))


class _Offering:
    """Asks for all of it every second, and waits for the answers in threads of their own."""

    def __init__(self, db: Any, texts: tuple[str, ...]) -> None:
        self._db, self._texts = db, texts
        self._over = threading.Event()
        self._ended: set[str] = set()
        self._asking: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._offer)

    @property
    def answers(self) -> tuple[str, ...]:
        return tuple(f"`{name}`" for name in sorted(self._ended))

    def _offer(self) -> None:
        while not self._over.is_set():
            for text in self._texts:
                self._asking.append(threading.Thread(target=self._ask, args=(text,)))
                self._asking[-1].start()
            self._over.wait(EVERY_S)

    def _ask(self, text: str) -> None:
        try:
            self._db.execute(text)
            self._ended.add("a result")
        except quorate.Error as error:
            self._ended.add(type(error).__name__)

    def __enter__(self) -> "_Offering":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with suppress(RuntimeError):
            self._thread.join()
            for thread in self._asking:
                thread.join()
