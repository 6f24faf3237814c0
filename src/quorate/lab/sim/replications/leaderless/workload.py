"""What simulated callers do with a database without a leader, and the history of it."""

from typing import Any, cast

from quorate.core.row_requests import ADD, DELETE, INSERT, UPSERT, Minted, ReadRow, WriteRow
from quorate.core.statements import Result
from quorate.core.versions.resolvers import Resolver, Spec
from quorate.lab.judges import quorum_reads
from quorate.lab.judges.history import FAIL, FOREVER, INFO, OK
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.quorum_reads import READ, WRITE, Access
from quorate.lab.sim.replications.leaderless.database import Leaderless
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.operations import Operation, Operations

REGISTERS, COUNTERS, CARTS = "registers", "counters", "carts"
TABLES = {
    REGISTERS: Spec((Resolver.LAST_WRITE_WINS,)),
    COUNTERS: Spec((Resolver.COUNTER,)),
    CARTS: Spec((Resolver.LAST_WRITE_WINS,)),
}
"""Registers are written and read, and never deleted; carts are inserted and deleted all the time."""
REGULAR_ROWS = (quorum_reads.REGULAR, quorum_reads.ORDERED, quorum_reads.MONOTONIC)


class Rows(Leaderless):
    """One that is written and read by single rows."""

    def __init__(self, name: str, dials: Dials) -> None:
        super().__init__(name, dials)
        self.registers = [f"r{number}" for number in range(dials.keys)]
        self.carts = [f"b{number}" for number in range(dials.keys)]
        self.counts = ["c0"]
        self.accesses: list[Access] = []
        self.counted: dict[str, list[Op]] = {key: [] for key in self.counts}
        self._there: set[str] = set()
        """Counters that have been inserted."""

    # ---- what is done ------------------------------------------------------------------------------------

    def setup(self, _operations: Operations) -> Operation:
        """Insert a counter."""
        key = next(each for each in self.counts if each not in self._there)

        def ended(end: str, _results: Any) -> None:
            if end in (OK, FAIL):  # or it is there already
                self._there.add(key)
            self.ready = len(self._there) == len(self.counts)
            self.claimed = self.ready

        return self._operation("row insert", WriteRow(self.name, COUNTERS, key.encode(), INSERT, ((0, 0),)), ended)

    def next(self, operations: Operations, process: int) -> Operation:
        """Read or write a register, a counter or a cart."""
        rng = operations.rng
        table = rng.choice((REGISTERS, REGISTERS, COUNTERS, CARTS))
        reads = rng.random() < 0.5
        if table == COUNTERS:
            return self._count(rng.choice(self.counts), process, reads=reads)
        key = rng.choice(self.registers if table == REGISTERS else self.carts)
        if reads:
            return self._read(table, key)
        value = operations.ledger.next_value()
        if table == REGISTERS:
            return self._write(table, key, value, UPSERT)
        return self._write(table, key, value, rng.choice((INSERT, INSERT, DELETE)))

    def _count(self, key: str, process: int, *, reads: bool) -> Operation:
        op = Op(len(self.counted[key]), process, "read" if reads else "add", None if reads else 1, self.moment())
        self.counted[key].append(op)

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            op.end, op.stop = end, FOREVER if end == INFO else self.moment()
            if reads and end == OK and results and results[0].rows:
                op.result = results[0].rows[0][0]
            if not reads and end == OK and results and not results[0].rowcount:
                op.end = FAIL  # whoever found that there is a row has not seen it acknowledged

        if reads:
            return self._operation("counter read", ReadRow(self.name, COUNTERS, key.encode()), ended)
        return self._operation("counter add", WriteRow(self.name, COUNTERS, key.encode(), ADD, ((0, 1),)), ended)

    def _read(self, table: str, key: str) -> Operation:
        access = self._begun(READ, key, None)

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            access.end, access.stop = end, self.moment()
            if end == OK and results and results[0].rows:
                value, stamp, origin = cast(tuple[Any, int, int], results[0].rows[0])
                access.value, access.version = value, (stamp, origin)

        return self._operation("row read", ReadRow(self.name, table, key.encode()), ended)

    def _write(self, table: str, key: str, value: int, change: str) -> Operation:
        access = self._begun(quorum_reads.DELETE if change == DELETE else WRITE, key, value)

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            access.end, access.stop = end, self.moment()
            if end == OK and results and not results[0].rowcount:
                access.end = FAIL  # there was nothing to delete

        def minted(told: Minted) -> None:
            access.version = told.stamp, told.origin

        kind = {UPSERT: "row write", INSERT: "row insert", DELETE: "row delete"}[change]
        values = () if change == DELETE else ((0, value),)
        operation = self._operation(kind, WriteRow(self.name, table, key.encode(), change, values), ended)
        operation.when_minted = minted
        return operation

    def _begun(self, kind: str, key: str, value: object) -> Access:
        access = Access(kind, key, value, self.moment())
        self.accesses.append(access)
        return access

    def _operation(self, kind: str, body: WriteRow | ReadRow, ended: Any) -> Operation:
        operation = Operation(kind, self.name, [], ended, writes=isinstance(body, WriteRow))
        operation.body = body
        return operation

    # ---- what came of it ---------------------------------------------------------------------------------

    def seen_at_the_end(self, table: str, key: str, described: tuple[Any, ...] | None) -> None:
        """What a replica shows when all is over, as if it had been read."""
        if table == COUNTERS:
            op = Op(len(self.counted[key]), 0, "read", None, self.moment())
            op.end, op.stop = OK, self.moment()
            op.result = described[0] if described else None
            self.counted[key].append(op)
            return
        access = self._begun(READ, key, None)
        access.end, access.stop = OK, self.moment()
        if described is not None:
            access.value, access.version = described[0], (described[1], described[2])

    def wrong(self) -> quorum_reads.Broken | None:
        """What its judges find wrong with the registers and carts."""
        promised = self.judges
        carts = [each for each in self.accesses if each.key in self.carts]
        registers = [each for each in self.accesses if each.key in self.registers]
        found = quorum_reads.judge(registers, [name for name in REGULAR_ROWS if name in promised])
        return found or quorum_reads.judge(carts, [name for name in (quorum_reads.GONE,) if name in promised])
