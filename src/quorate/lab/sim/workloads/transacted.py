"""What transactions have seen and done, for the judges: of those that were committed, and of those that were not.

A transaction that was rolled back, or failed, has shown its caller something all the same, and the promise is about
that, too: at each answer, all that it had read was so at one moment. So for the judge its reads are a transaction that
only read, and ended with the last answer; what it wrote, and was then undone, is one that failed, and must be seen by
nobody.
"""

from collections.abc import Iterable
from typing import Any

from quorate.core.requests import Done
from quorate.core.statements import Result, Statement
from quorate.lab.judges import list_append, rw_register
from quorate.lab.judges.history import FAIL, INFO, OK
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN, lines
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.workloads.ledger import EXACTLY_ONCE

SERIALIZABILITY = "strict serializability"
OWN_WRITES = "own writes"
INVARIANT = "invariant of transactions"

ACCOUNTS, BALANCE, ON_DUTY = 3, 100, 2
TABLES = (
    "CREATE TABLE lists(key TEXT PRIMARY KEY, elements TEXT NOT NULL) STRICT",
    "CREATE TABLE cells(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    "CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0)) STRICT",
    "CREATE TABLE duty(id INTEGER PRIMARY KEY, active INTEGER NOT NULL) STRICT",
    "CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, mark INTEGER NOT NULL UNIQUE) STRICT",
    "CREATE TABLE lines(of INTEGER REFERENCES orders, place INTEGER, PRIMARY KEY(of, place)) WITHOUT ROWID",
    "INSERT INTO accounts VALUES (1, 100), (2, 100), (3, 100)",
    "INSERT INTO duty VALUES (1, 1), (2, 1)",
)
"""Made with the other tables of a database."""
DUMP = (
    Statement("SELECT key, elements FROM lists"),
    Statement("SELECT key, value FROM cells"),
    Statement("SELECT sum(balance) FROM accounts"),
    Statement("SELECT sum(active) FROM duty"),
    Statement("SELECT mark, (SELECT count(*) FROM lines WHERE of = id) FROM orders"),
)
"""What is looked at in the end, in the order in which `Transacted` checks it takes it."""

LIST, CELL, OTHER = "lists", "cells", ""
"""Whose judge a transaction's reads and writes are for."""
_WRITES = {LIST: "append", CELL: "w"}


def elements(text: str) -> list[int]:
    """The list that a row holds."""
    return [int(each) for each in text.split()]


def _rows(result: Result) -> list[Any]:
    return list(result.rows)


class Seen:
    """What one transaction has seen and done so far, as its caller knows it."""

    def __init__(self, model: str, process: int, start: int) -> None:
        self.model = model
        self.process = process
        self.start = start
        self.last = start
        """The moment of the last answer."""
        self.mark = 0
        """The order that it inserts; 0: none."""
        self._mops: list[list[Any]] = []
        self._undone: list[list[Any]] = []
        self._view: list[list[Any]] = []
        """The reads, without its own writes."""

    def wrote(self, key: str, value: int) -> None:
        self._mops.append([_WRITES[self.model], key, value])

    def place(self) -> int:
        """Where it stands, for `undo`."""
        return len(self._mops)

    def undo(self, place: int) -> None:
        """It went back to a savepoint. What it read since stays, but for what it has undone itself."""
        since = self._mops[place:]
        undone = [mop for mop in since if mop[0] != "r"]
        values = {mop[2] for mop in undone}
        reads = [["r", key, [each for each in value if each not in values]] for f, key, value in since if f == "r"]
        self._mops[place:] = reads
        self._undone += undone

    def read(self, key: str, value: Any) -> None:
        """Raises Violation when its own writes are not there."""
        own = [mop[2] for mop in self._mops if mop[0] != "r" and mop[1] == key]
        undone = {mop[2] for mop in self._undone}
        if self.model == CELL:
            if own and value != own[-1]:
                raise Violation(OWN_WRITES, f"a transaction wrote {own[-1]} to {key} and then read {value}")
            if value in undone:
                raise Violation(OWN_WRITES, f"a transaction read {value} of {key}, which it had undone")
            others = value
        else:
            others = value[: len(value) - len(own)]
            if value[len(others) :] != own:
                raise Violation(OWN_WRITES, f"a transaction appended {own} to {key} and then read {value}")
            if undone.intersection(others):
                raise Violation(OWN_WRITES, f"a transaction read {value} of {key}, some of which it had undone")
        self._mops.append(["r", key, value])
        if self.model == LIST or not own:
            self._view.append(["r", key, others])

    @property
    def all(self) -> list[list[Any]]:
        """What it read, and wrote to stay."""
        return self._mops

    @property
    def writes(self) -> bool:
        """Something it wrote is to stay."""
        return any(mop[0] != "r" for mop in self._mops)

    @property
    def undone(self) -> list[list[Any]]:
        """What it wrote and undid."""
        return self._undone

    @property
    def view(self) -> list[list[Any]]:
        """What it read of others."""
        return self._view


class Transacted:
    """The account of all transactions of one database."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._moment = 0
        self._ops: dict[str, list[Op]] = {LIST: [], CELL: []}
        self._unsure: list[Seen] = []
        """Those of which nobody knows yet."""
        self._orders: dict[int, str] = {}
        """The mark of an order -> how the transaction ended that inserted it."""
        self._processes = 0

    def begin(self, model: str) -> Seen:
        """A transaction begins, in a process of its own."""
        self._processes += 1
        return Seen(model, self._processes, self.moment())

    def moment(self) -> int:
        """Now, as a number that nothing else has."""
        self._moment += 1
        return self._moment

    def end(self, seen: Seen, end: str) -> None:
        """A transaction has ended: OK, FAIL (failed or rolled back), or INFO where its caller does not know yet."""
        self._world.mark(f"transaction: {end}")
        if end == INFO:
            self._unsure.append(seen)
            return
        if seen in self._unsure:
            self._unsure.remove(seen)
        self._note(seen, end)

    def _note(self, seen: Seen, end: str) -> None:
        if seen.mark:
            self._orders[seen.mark] = end
        if seen.model not in self._ops:
            return
        op = self._add(seen, seen.all, end)
        if end == OK and not seen.writes:
            op.stop = seen.last
        if seen.undone:
            self._add(seen, seen.undone, FAIL)
        if end != OK and seen.view:
            self._add(seen, seen.view, OK).stop = seen.last
            self._world.mark("views of what did not commit")

    def _add(self, seen: Seen, mops: list[list[Any]], end: str) -> Op:
        ops = self._ops[seen.model]
        op = Op(len(ops), f"{seen.process}.{len(ops)}", "txn", mops, seen.start)
        op.end = end
        if end == OK:
            op.result = mops
        if end != INFO:
            op.stop = self.moment()
        ops.append(op)
        return op

    def _check(self, found: Done) -> None:
        """What a replica holds in the end. Raises Violation."""
        lists, cells, total, active, orders = [_rows(result) for result in found.results]
        if total != [(ACCOUNTS * BALANCE,)]:
            raise Violation(INVARIANT, f"the balances add up to {total}")
        if active[0][0] < 1:
            raise Violation(INVARIANT, "nobody is on duty")
        marks = dict(orders)
        for mark, end in self._orders.items():
            wanted = {OK: (2,), FAIL: (None,), INFO: (None, 2)}[end]
            if marks.get(mark) not in wanted:
                text = f"the order of a transaction that ended {end} has {marks.get(mark)} lines"
                raise Violation(EXACTLY_ONCE, text)
        for model, rows in ((LIST, lists), (CELL, cells)):
            seen = self.begin(model)
            for key, value in rows:
                seen.read(str(key), elements(str(value)) if model == LIST else value)
            seen.last = self.moment()
            self._note(seen, OK)

    def judge(self, found: Iterable[Done]) -> None:
        """All of them, by what they saw, and what each replica holds in the end. Raises Violation."""
        for seen in self._unsure:
            self._note(seen, INFO)
        self._unsure.clear()
        for each in found:
            self._check(each)
        for model, judge in ((LIST, list_append.judge), (CELL, rw_register.judge)):
            report = judge(self._ops[model])
            self._world.mark(f"transactions judged: {report.verdict}")
            if report.verdict == BROKEN:
                raise Violation(SERIALIZABILITY, "\n".join(lines(report)))
