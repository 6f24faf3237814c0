"""What simulated callers do with SQL on a database without a leader, and what they saw.

Registers are written and read, and never deleted; carts are inserted and deleted all the time; counts are added to.
Some statements break a constraint, and must leave nothing behind. The tables are changed while they are in use: columns
are added, and `extras` is dropped and made again.
"""

from typing import Any

from quorate.core.read_levels import EVENTUAL
from quorate.core.row_requests import Minted, RunRow
from quorate.core.statements import Failed, Result, Statement
from quorate.lab.judges import existence, quorum_reads
from quorate.lab.judges.existence import EXISTS, Sighting
from quorate.lab.judges.history import FAIL, FOREVER, INFO, OK
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.quorum_reads import DELETE, GONE, NONE, READ, WRITE, Access, Broken
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.replications.leaderless.database import Leaderless
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.ledger import ATOMICITY, TRUE_ANSWER
from quorate.lab.sim.workloads.operations import Operation, Operations

REGISTERS, CARTS, EXTRAS = "registers", "carts", "extras"
EXTRA = "CREATE TABLE extras(key TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL)"
SETUP = (
    "CREATE TABLE IF NOT EXISTS registers(key TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL, note TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS counts(key TEXT PRIMARY KEY NOT NULL, n INTEGER NOT NULL)",
    "INSERT INTO quorate_resolvers VALUES ('counts', 'n', 'merge:counter')",
    "CREATE TABLE IF NOT EXISTS carts(key TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS carts_value ON carts(value)",
    EXTRA.replace("TABLE", "TABLE IF NOT EXISTS"),
    "INSERT INTO counts VALUES ('c0', 0) ON CONFLICT(key) DO UPDATE SET n = n",  # as many hold it as are to
)
UPSERT = """INSERT INTO registers VALUES (?, ?, 'x')
    ON CONFLICT(key) DO UPDATE SET value = excluded.value, note = excluded.note"""
FAILING = (
    "INSERT INTO registers VALUES (?1, ?2, NULL) ON CONFLICT(key) DO UPDATE SET value = excluded.value, note = NULL",
    "UPDATE registers SET value = ?2, note = NULL WHERE key = ?1",
)
"""They break NOT NULL, or find no row."""
ADD = "UPDATE counts SET n = n + 1 WHERE key = ?"
LOOKS = tuple([
    Statement(sql)
    for sql in (
        "SELECT key, value FROM registers", "SELECT key, value FROM carts", "SELECT key, n FROM counts",
        "SELECT key, value FROM carts INDEXED BY carts_value WHERE value > 0",
    )
])  # fmt: skip
"""What is looked at in the end, on each replica."""
COLUMNS_MAX = 4
KINDS = ("register", "register", "register", "count", "count", "cart", "cart", "failing", "extra", "scan", "schema")
MAY_FAIL: dict[str, frozenset[str]] = {
    "sql insert": frozenset({"IntegrityError"}),
    "sql failing": frozenset({"IntegrityError"}),
    "sql setup": frozenset({"IntegrityError"}),
    "sql schema": frozenset({"ProgrammingError", "OperationalError"}),
    "sql extra": frozenset({"ProgrammingError", "OperationalError", "IntegrityError"}),
    "sql eventual": frozenset({"ProgrammingError", "OperationalError"}),
}
"""Kind of operation -> what its statement may fail with."""


class Carts(Leaderless):
    """One that is asked by SQL."""

    may_fail = MAY_FAIL

    def __init__(self, name: str, dials: Dials) -> None:
        super().__init__(name, dials)
        self.strict = self.chosen.quorums(self.replicas).strict
        self._many = dials.keys
        self.accesses: dict[str, list[Access]] = {table: [] for table in (REGISTERS, CARTS, EXTRAS)}
        self.counted: list[Op] = []
        self.sightings: list[Sighting] = []
        self.schema = 0
        """The last change of the schema that anybody was told of."""
        self._steps = 0
        """Of `SETUP`, those that are done."""
        self._columns = 0
        self._eventual: list[tuple[str, int, int]] = []
        """Table, value and end of what was read at that level."""
        self._scanned: set[int] = set()
        """Beginnings of reads of whole tables, which are not promised to be monotonic."""

    # ---- what is done ------------------------------------------------------------------------------------

    def setup(self, _operations: Operations) -> Operation:
        """Make the next of its tables, or the row of the counter."""

        def ended(end: str, results: Any) -> None:
            if end == OK or (end == FAIL and isinstance(results, Failed)):  # it is there already
                self._steps += 1
                self._learn(results)
            self.ready = self._steps == len(SETUP)
            self.claimed = self.ready

        return self._operation("sql setup", SETUP[self._steps], (), ended)

    def _learn(self, results: Any) -> None:
        if isinstance(results, int):
            self.schema = max(self.schema, results)

    def next(self, operations: Operations, _process: int) -> Operation:
        """Read or write something."""
        rng = operations.rng
        kind = rng.choice(KINDS)
        key = f"{kind[0]}{rng.randrange(self._many)}"
        reads = rng.random() < 0.5
        if kind == "count":
            return self._count(reads=reads, returning=rng.random() < 0.3)
        if kind == "schema":
            return self._change(rng.randrange(4))
        if kind == "scan":
            return self._scan(rng.choice((REGISTERS, CARTS)), key, eventual=reads)
        value = operations.ledger.next_value()
        if kind == "failing":
            key = f"r{rng.randrange(self._many)}"
            return self._write(REGISTERS, "sql failing", rng.choice(FAILING), key, value)
        if reads:
            return self._read({"r": REGISTERS, "c": CARTS, "e": EXTRAS}[key[0]], key)
        if kind == "register":
            return self._write(REGISTERS, "sql write", UPSERT, key, value)
        table, name = (CARTS, "sql insert") if kind == "cart" else (EXTRAS, "sql extra")
        if table == CARTS and rng.random() < 0.4:
            return self._write(CARTS, "sql delete", "DELETE FROM carts WHERE key = ?", key, None)
        return self._write(table, name, f"INSERT INTO {table}(key, value) VALUES (?, ?)", key, value)  # noqa: S608

    def _count(self, *, reads: bool, returning: bool) -> Operation:
        op = Op(len(self.counted), 1, "read" if reads else "add", None if reads else 1, self.moment())
        self.counted.append(op)

        def ended(end: str, results: Any) -> None:
            op.end, op.stop = end, FOREVER if end == INFO else self.moment()
            if end != OK:
                return
            if not results[0].rows if reads else results[0].rowcount < 1:
                if self.strict:
                    raise Violation(EXISTS, "the row of a counter that nobody has deleted is not there")
                op.end = FAIL
                return
            if reads:
                op.result = results[0].rows[0][0]
            elif returning and self.strict:
                seen = Op(len(self.counted), 1, "read", None, op.start)
                seen.end, seen.stop, seen.result = OK, op.stop, results[0].rows[0][0]
                self.counted.append(seen)

        if reads:
            return self._operation("sql read", "SELECT n FROM counts WHERE key = ?", ("c0",), ended)
        sql = f"{ADD} RETURNING n" if returning else ADD
        return self._operation("sql add", sql, ("c0",), ended)

    def _read(self, table: str, key: str) -> Operation:
        access = self._begun(table, READ, key, None)

        def ended(end: str, results: Any) -> None:
            access.end, access.stop = end, self.moment()
            if end == OK:
                self._found(table, access, results[0].rows)

        kind = "sql extra" if table == EXTRAS else "sql read"
        return self._operation(kind, f"SELECT value FROM {table} WHERE key = ?", (key,), ended)  # noqa: S608

    def _found(self, table: str, access: Access, rows: Any) -> None:
        access.value = rows[0][0] if rows else None
        if table == CARTS:
            self.sightings.append(Sighting(access.key, bool(rows), access.start, access.stop))

    def _scan(self, table: str, key: str, *, eventual: bool) -> Operation:
        """Read one key without saying so to the planner: all rows are gathered, or read where they are."""
        access = self._begun(table, READ, key, None)
        self._scanned.add(access.start)

        def ended(end: str, results: Any) -> None:
            access.end, access.stop = end, self.moment()
            if eventual and end == OK:
                access.end = FAIL  # it may be as old as it likes
                self._eventual += [(table, row[0], access.stop) for row in results[0].rows]
            elif end == OK:
                self._found(table, access, results[0].rows)

        sql = f"SELECT value FROM {table} WHERE key || '' = ?"  # noqa: S608
        level = EVENTUAL if eventual else ""
        return self._operation("sql eventual" if eventual else "sql scan", sql, (key,), ended, level)

    def _write(self, table: str, kind: str, sql: str, key: str, value: int | None) -> Operation:
        access = self._begun(table, WRITE if value is not None else DELETE, key, value)

        def ended(end: str, results: Any) -> None:
            access.end, access.stop = end, FOREVER if end == INFO else self.moment()
            changed = end == OK and results[0].rowcount > 0
            if kind == "sql failing" and changed:
                raise Violation(TRUE_ANSWER, f"{sql} breaks a constraint, and was done")
            if end == OK and not changed:
                access.end = FAIL
                if table == CARTS:
                    self.sightings.append(Sighting(key, there=False, start=access.start, stop=access.stop))
            if table == CARTS and isinstance(results, Failed) and results.error == "IntegrityError":
                self.sightings.append(Sighting(key, there=True, start=access.start, stop=access.stop))
            if kind == "sql insert" and changed:  # it has found that there is none
                self.sightings.append(Sighting(key, there=False, start=access.start, stop=access.stop))

        def minted(told: Minted) -> None:
            access.version = told.stamp, told.origin

        operation = self._operation(kind, sql, (key,) if value is None else (key, value), ended)
        operation.when_minted = minted
        return operation

    def _change(self, which: int) -> Operation:
        """Add a column, or drop the table or make it."""
        if which == 0 and self._columns < COLUMNS_MAX:
            self._columns += 1
            sql = f"ALTER TABLE carts ADD COLUMN c{self._columns} TEXT DEFAULT 'none'"
            return self._operation("sql schema", sql, (), lambda _end, results: self._learn(results))
        if which == 1:
            drops = [self._begun(EXTRAS, DELETE, f"e{number}", None) for number in range(self._many)]

            def ended(end: str, results: Any) -> None:
                self._learn(results)
                for access in drops:
                    access.end, access.stop = end, FOREVER if end == INFO else self.moment()

            return self._operation("sql schema", "DROP TABLE extras", (), ended)
        return self._operation("sql schema", EXTRA, (), lambda _end, results: self._learn(results))

    def _begun(self, table: str, kind: str, key: str, value: object) -> Access:
        access = Access(kind, key, value, self.moment())
        self.accesses[table].append(access)
        return access

    def _operation(self, kind: str, sql: str, values: tuple[Any, ...], ended: Any, level: str = "") -> Operation:
        operation = Operation(kind, self.name, [], ended, writes=False)
        statement = Statement(sql, (values,))
        operation.body = RunRow(self.name, statement, level=level, schema=self.schema)
        return operation

    # ---- what came of it ---------------------------------------------------------------------------------

    def look(self, results: tuple[Result, ...]) -> None:
        """What a replica shows when all is over, as if it had been read."""
        tables: list[dict[Any, Any]] = [{row[0]: row[1] for row in result.rows} for result in results]
        registers, carts, counts, by_index = tables
        if carts != by_index:
            raise Violation(TRUE_ANSWER, f"an index of carts shows {by_index}, and the table {carts}")
        for table, rows in ((REGISTERS, registers), (CARTS, carts)):
            for key in dict.fromkeys(each.key for each in self.accesses[table]):
                access = self._begun(table, READ, key, None)
                access.end, access.stop = OK, self.moment()
                self._found(table, access, [(rows[key],)] if key in rows else [])
        op = Op(len(self.counted), 0, "read", None, self.moment())
        op.end, op.stop, op.result = OK, self.moment(), counts.get("c0", 0)
        self.counted.append(op)

    def wrong(self) -> Broken | None:
        """What its judges find wrong with what was read."""
        promised = self.judges
        for table, accesses in self.accesses.items():
            self._complete(table, accesses)
        registers = self.accesses[REGISTERS]
        found = quorum_reads.judge(registers, [name for name in _REGULAR if name in promised])
        if quorum_reads.MONOTONIC in promised:
            by_key = [each for each in registers if each.start not in self._scanned]
            found = found or quorum_reads.judge(by_key, [quorum_reads.MONOTONIC])
        for table in (CARTS, EXTRAS):
            found = found or quorum_reads.judge(self.accesses[table], [name for name in (GONE,) if name in promised])
        if found is None and self.strict:
            found = existence.judge(self.accesses[CARTS], self.sightings)
        return found

    def _complete(self, table: str, accesses: list[Access]) -> None:
        """Give reads the versions of what they have read: SQL shows none. Raises Violation."""
        written = {each.value: each for each in accesses if each.kind == WRITE}
        seen = [(each.value, each.stop) for each in accesses if each.kind == READ and each.end == OK]
        seen += [(value, stop) for where, value, stop in self._eventual if where == table]
        for value, stop in seen:
            write = written.get(value)
            if value is not None and (write is None or write.end == FAIL or write.start > stop):
                raise Violation(ATOMICITY, f"{table} shows {value}, which {write} had not written")
        for each in accesses:
            if each.kind == READ and each.end == OK and each.value is not None:
                each.version = written[each.value].version
                if each.version == NONE:
                    each.end = FAIL  # nobody was told that version


_REGULAR = (quorum_reads.REGULAR, quorum_reads.ORDERED)
