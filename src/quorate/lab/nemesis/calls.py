"""Counters and accounts: clients whose every call is recorded in Jepsen's form, for the judges and for the files.

A counter's increments carry tokens: at the end each is settled, and every replica must hold exactly as many as
happened. Transfers between accounts leave the total as it is, and no account below zero.
"""

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

from quorate import errors
from quorate.lab.judges.catalogue import Options, judge
from quorate.lab.judges.jepsen import Op, join
from quorate.lab.judges.report import Report
from quorate.lab.nemesis.store import Call
from quorate.lab.nemesis.workload import PAUSE_S, Threads, now_us

ACCOUNTS = 5
BALANCE = 100
REST_S = 0.01
"""Between two calls of a client."""
READ_SHARE = 0.3

COUNTERS_QUERY = "SELECT name, n FROM counters ORDER BY name LIMIT ? OFFSET ?"
ACCOUNTS_QUERY = "SELECT id, balance FROM accounts ORDER BY id LIMIT ? OFFSET ?"


def stocking() -> list[Call]:
    """The tables and their first rows."""
    calls: list[Call] = [
        ("CREATE TABLE counters(name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT", ()),
        ("INSERT INTO counters VALUES ('hits', 0)", ()),
        ("CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK(balance >= 0)) STRICT", ()),
    ]
    return calls + [("INSERT INTO accounts VALUES (?, ?)", (number, BALANCE)) for number in range(ACCOUNTS)]


class Recorded:
    """Clients that make one call after the other and write down how each began and ended."""

    def __init__(self, connection: Any, clients: int, seed: int, name: str) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        """Jepsen's operation maps, in the order of their happening."""
        self._name = name
        self._clients = clients
        self._seed = seed
        self._processes = 0
        self._lock = threading.Lock()
        self._threads = Threads()

    def start(self) -> None:
        for number in range(self._clients):
            self._threads.start(self._client(number), f"{self._name}-{number}")

    def stop(self) -> None:
        self._threads.stop()

    @property
    def failed(self) -> bool:
        return self._threads.failure is not None

    def operations(self) -> list[Op]:
        return join(self.events)

    def _client(self, number: int) -> Callable[[], None]:
        rng = random.Random(f"{self._seed}/{self._name}/{number}")

        def run() -> None:
            process = self._new_process()
            while not self._threads.stopping.is_set():
                if not self._one(process, rng):
                    process = self._new_process()  # one that does not know how its call ended makes no other
                self._threads.stopping.wait(REST_S)

        return run

    def _new_process(self) -> int:
        with self._lock:
            self._processes += 1
            return self._processes

    def _tell(self, process: int, kind: str, function: str, value: Any) -> None:
        with self._lock:
            event = {"process": process, "type": kind, "f": function, "value": value, "time": now_us() * 1000}
            self.events.append(event)

    def _one(self, process: int, rng: random.Random) -> bool:
        """One call. False when its end is not known."""
        raise NotImplementedError

    def _call(self, process: int, function: str, asked: Any, ask: Callable[[], Any]) -> bool:
        self._tell(process, "invoke", function, asked)
        try:
            seen = ask()
        except errors.MaybeDone as error:
            self._tell(process, "info", function, asked)
            self._unclear(error)
            return False
        except errors.IntegrityError:
            self._tell(process, "fail", function, asked)
        except errors.OperationalError:
            self._tell(process, "fail", function, asked)
            self._threads.stopping.wait(PAUSE_S)
        else:
            self._tell(process, "ok", function, seen)
        return True

    def _unclear(self, error: errors.MaybeDone) -> None:
        """A write whose answer was lost."""


class Counter(Recorded):
    """Everybody adds one to the same counter, and sometimes reads it."""

    def __init__(self, connection: Any, clients: int, seed: int) -> None:
        super().__init__(connection, clients, seed, "counter")
        self.unclear: list[errors.MaybeDone] = []
        self._settled = 0
        """How many of them were asked about."""
        self.happened = 0
        """Increments that certainly happened; final after `settle`."""

    def _one(self, process: int, rng: random.Random) -> bool:
        if rng.random() < READ_SHARE:
            return self._call(process, "read", None, self._read)
        return self._call(process, "add", 1, self._add)

    def _read(self) -> Any:
        return self.connection.execute("SELECT n FROM counters", read="linearizable").fetchone()[0]

    def _add(self) -> int:
        self.connection.execute("UPDATE counters SET n = n + 1 WHERE name = 'hits'")
        with self._lock:
            self.happened += 1
        return 1

    def _unclear(self, error: errors.MaybeDone) -> None:
        if error.token:  # reads have none
            self.unclear.append(error)

    def settle(self, patient: Any) -> None:
        """Ask, over a connection that waits long enough, what became of every increment whose answer was lost. May be
        done again and again while increments go on."""
        for error in self.unclear[self._settled :]:
            self._settled += 1
            try:  # that connection did not send it: only `seen` tells a late answer from one that was forgotten
                patient.outcome(error.token, seen=error.seen)
            except errors.Cancelled:
                continue
            with self._lock:
                self.happened += 1

    def verdict(self) -> Report:
        return judge("counter", self.operations())

    def agrees(self, replicas: Sequence[Sequence[Sequence[Any]]]) -> bool:
        """Does every replica hold each increment that happened, once?"""
        return bool(replicas) and all([list(row) for row in rows] == [["hits", self.happened]] for rows in replicas)


class Bank(Recorded):
    """Transfers between a few accounts, and reads of all of them."""

    def __init__(self, connection: Any, clients: int, seed: int) -> None:
        super().__init__(connection, clients, seed, "bank")

    def _one(self, process: int, rng: random.Random) -> bool:
        if rng.random() < READ_SHARE:
            return self._call(process, "read", None, self._read)
        source, target = rng.sample(range(ACCOUNTS), 2)
        amount = rng.randint(1, 40)
        asked = {"from": source, "to": target, "amount": amount}
        calls = [
            ("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, source)),
            ("UPDATE accounts SET balance = balance + ? WHERE id = ?", (amount, target)),
        ]

        def transfer() -> dict[str, int]:
            self.connection.batch(calls)
            return asked

        return self._call(process, "transfer", asked, transfer)

    def _read(self) -> dict[str, int]:
        rows = self.connection.execute("SELECT id, balance FROM accounts", read="linearizable").fetchall()
        return {str(number): balance for number, balance in rows}

    def verdict(self) -> Report:
        return judge("bank", self.operations(), Options(total=ACCOUNTS * BALANCE))

    def agrees(self, replicas: Sequence[Sequence[Sequence[Any]]]) -> bool:
        """Is the total what it was on every replica, and are they equal?"""
        totals = {sum(balance for _, balance in rows) for rows in replicas}
        return totals == {ACCOUNTS * BALANCE} and len({str(rows) for rows in replicas}) == 1
