"""Customers who order without pause, and watchers who read: threads around shared connections.

Everything that a caller was told is kept, with its times, so that it can be held against the replicas.
Times are microseconds of the monotonic clock.
"""

import random
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from msgspec import Struct

from quorate import errors
from quorate.lab.nemesis.store import PLACED_QUERY, make_order, order_calls

PAUSE_S = 0.02
"""How long a customer rests after being told that the cluster is not to be reached."""


def now_us() -> int:
    return time.monotonic_ns() // 1000


class Told(Struct, frozen=True):
    """One order and what its customer was told of it."""

    reference: str
    begun_us: int
    ended_us: int


class Threads:
    """A group of threads that run until they are told to stop; the first failure is raised at the end."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, run: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=self._guarded, args=(run,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - kept, and raised by stop()
            if self.failure is None:
                self.failure = error
            self.stopping.set()

    def stop(self) -> None:
        """Tell all to stop, wait for them, and raise what any of them failed with."""
        self.stopping.set()
        for thread in self._threads:
            thread.join()
        if self.failure is not None:
            raise self.failure


class Customers:
    """Customers who each place one order after the other, through one shared connection."""

    def __init__(self, connection: Any, count: int, seed: int, prefix: str = "order") -> None:
        self.connection = connection
        self.acknowledged: list[Told] = []
        self.sold_out: list[str] = []
        """Refused by the CHECK on the stock: an answer, and a lawful one."""
        self.not_done: list[str] = []
        """No leader in time, too much waiting: certainly did not happen."""
        self.unclear: list[str] = []
        self._settled = 0
        """How many of them were asked about."""
        """Tokens whose answer was lost."""
        self.newest_begun_us = 0
        self._threads = Threads()
        self._count = count
        self._seed = seed
        self._prefix = prefix

    def start(self) -> None:
        for number in range(self._count):
            self._threads.start(self._shopper(number), f"customer-{number}")

    def stop(self) -> None:
        self._threads.stop()

    @property
    def failed(self) -> bool:
        return self._threads.failure is not None

    def _shopper(self, number: int) -> Callable[[], None]:
        rng = random.Random(f"{self._seed}/{number}")

        def shop() -> None:
            placed = 0
            while not self._threads.stopping.is_set():
                placed += 1
                self._place(f"{self._prefix}-{number}-{placed}", rng)

        return shop

    def _place(self, reference: str, rng: random.Random) -> None:
        calls = order_calls(make_order(reference, rng))
        begun = now_us()
        try:
            self.connection.batch(calls, token=reference)
        except errors.IntegrityError:
            self.sold_out.append(reference)
        except errors.MaybeDone as error:
            self.unclear.append(error.token)
        except errors.OperationalError:
            self.not_done.append(reference)
            self._threads.stopping.wait(PAUSE_S)
        else:
            self.acknowledged.append(Told(reference, begun, now_us()))

    def settle(self) -> None:
        """Ask what became of every order whose answer was lost; the answers are final. May be done again and again
        while orders go on: a database does not remember its writes for ever."""
        for token in self.unclear[self._settled :]:
            self._settled += 1
            try:
                self.connection.outcome(token)
            except errors.Cancelled:
                self.not_done.append(token)
            except errors.IntegrityError:
                self.sold_out.append(token)
            else:
                self.acknowledged.append(Told(token, 0, now_us()))

    def first_new_after(self, moment_us: int, gone_us: int, scan: int) -> int | None:
        """The time of the first acknowledgement, after `moment_us`, of an order begun after `gone_us`.

        `scan` is how many acknowledgements there were before; the earlier ones need not be looked at.
        """
        ends = [told.ended_us for told in self.acknowledged[scan:] if told.begun_us >= gone_us]
        return min(ends) - moment_us if ends else None

    def answered_between(self, scan: int, begun_us: int, ended_us: int) -> list[int]:
        """When orders were acknowledged in this time, in order; `scan` as in `first_new_after`."""
        return sorted(told.ended_us for told in self.acknowledged[scan:] if begun_us <= told.ended_us <= ended_us)

    def silence_ms(self, scan: int, begun_us: int, ended_us: int) -> float:
        """The longest time without an acknowledged order between these moments."""
        moments = [begun_us, *self.answered_between(scan, begun_us, ended_us), ended_us]
        return max(later - sooner for sooner, later in pairwise(moments)) / 1000


class Watchers:
    """Readers who poll the newest order's number at `linearizable`, and notice when time runs backwards.

    A read must not be smaller than any read that had ended before it began, nor than the number of orders
    that had been acknowledged before it began.
    """

    def __init__(self, connection: Any, customers: Customers, count: int) -> None:
        self.connection = connection
        self.customers = customers
        self.reads = 0
        self.failed_reads = 0
        self.went_back: list[str] = []
        self._floor = 0
        self._lock = threading.Lock()
        self._threads = Threads()
        self._count = count

    def start(self) -> None:
        for number in range(self._count):
            self._threads.start(self._watch, f"watcher-{number}")

    def stop(self) -> None:
        self._threads.stop()

    @property
    def failed(self) -> bool:
        return self._threads.failure is not None

    def _watch(self) -> None:
        while not self._threads.stopping.is_set():
            self.look()

    def look(self) -> None:
        """One read, held against what was known before it began."""
        with self._lock:
            floor = max(self._floor, len(self.customers.acknowledged))
        try:
            seen = self.connection.execute(PLACED_QUERY, read="linearizable").fetchone()[0]
        except errors.OperationalError:
            self.failed_reads += 1
            self._threads.stopping.wait(PAUSE_S)
            return
        with self._lock:
            self.reads += 1
            if seen < floor:
                self.went_back.append(f"read {seen} after {floor}")
            self._floor = max(self._floor, seen)
