"""Clients who write and read a few rows, and a history of what they were told, for the judge.

Every written value is different, so that the judge can decide any length of history.
"""

import random
import threading
from collections.abc import Callable
from typing import Any

from quorate import errors
from quorate.lab.judges import history as histories
from quorate.lab.judges.linearizability import Verdict, judge
from quorate.lab.judges.models import Register
from quorate.lab.nemesis.workload import PAUSE_S, Threads, now_us

SCHEMA = "CREATE TABLE registers(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT"
KEYS = ("a", "b", "c")
INITIAL = 0
CLIENTS = 4
REST_S = 0.005
"""Between two operations of a client: the registers are there to be judged, not to be fast."""

READ = "SELECT value FROM registers WHERE key = ?"
WRITE = "UPDATE registers SET value = ? WHERE key = ?"


def stocking() -> list[tuple[str, tuple[Any, ...]]]:
    """The statements that make the registers."""
    calls: list[tuple[str, tuple[Any, ...]]] = [(SCHEMA, ())]
    return calls + [("INSERT INTO registers VALUES (?, ?)", (key, INITIAL)) for key in KEYS]


class Registers:
    """The clients and their history."""

    def __init__(self, connection: Any, seed: int) -> None:
        self.connection = connection
        self.history = histories.History()
        self._lock = threading.Lock()
        self._threads = Threads()
        self._seed = seed

    def start(self) -> None:
        for number in range(CLIENTS):
            self._threads.start(self._client(number), f"register-{number}")

    def stop(self) -> None:
        self._threads.stop()

    @property
    def failed(self) -> bool:
        return self._threads.failure is not None

    def verdict(self) -> Verdict:
        """Is what the clients saw linearizable?"""
        return judge(self.history, Register(INITIAL))

    def _client(self, number: int) -> Callable[[], None]:
        rng = random.Random(f"{self._seed}/register/{number}")

        def run() -> None:
            operation = 0
            while not self._threads.stopping.is_set():
                operation += 1
                key = rng.choice(KEYS)
                if rng.random() < 0.5:
                    self._write(number, key, operation * CLIENTS + number + 1)
                else:
                    self._read(number, key)
                self._threads.stopping.wait(REST_S)

        return run

    def _write(self, process: int, key: str, value: int) -> None:
        begun = self._invoke(process, "write", key, value)
        try:
            self.connection.execute(WRITE, (value, key))
        except errors.MaybeDone:
            self._end(begun, histories.INFO)
        except errors.OperationalError:
            self._end(begun, histories.FAIL)
            self._threads.stopping.wait(PAUSE_S)
        else:
            self._end(begun, histories.OK)

    def _read(self, process: int, key: str) -> None:
        begun = self._invoke(process, "read", key, None)
        try:
            row = self.connection.execute(READ, (key,), read="linearizable").fetchone()
        except errors.OperationalError:
            self._end(begun, histories.FAIL)
            self._threads.stopping.wait(PAUSE_S)
        else:
            self._end(begun, histories.OK, row[0])

    def _invoke(self, process: int, function: str, key: str, value: Any) -> int:
        with self._lock:
            return self.history.invoke(process, function, key, value, now_us())

    def _end(self, number: int, end: str, result: Any = None) -> None:
        with self._lock:
            self.history.end(number, end, now_us(), result)
