"""The kinds of things that clients do, each as SQL and as what its answer means for the ledger."""

import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from quorate.core.ack_policy import MAJORITY, AckPolicy, parse
from quorate.core.options import SINGLE_LEADER
from quorate.core.read_levels import EVENTUAL, LEADER, LINEARIZABLE
from quorate.core.replication import REPLICATIONS
from quorate.core.requests import Done
from quorate.core.statements import Result, Statement
from quorate.lab.judges.history import FAIL, INFO, OK
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.ledger import ACKNOWLEDGED_LOST, ATOMICITY, LINEARIZABILITY, TRUE_ANSWER, Ledger
from quorate.lab.sim.workloads.workload import Workload

if TYPE_CHECKING:
    from quorate.lab.sim.workloads.visitors import Visit

SETUP = (
    "CREATE TABLE registers(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    "CREATE TABLE counters(key TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT",
    "CREATE TABLE pairs(side INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    "CREATE TABLE marks(id INTEGER PRIMARY KEY, note TEXT DEFAULT 'made') STRICT",
    "CREATE INDEX marks_note ON marks(note)",
    "INSERT INTO pairs VALUES (0, 0), (1, 0)",
    "CREATE TABLE journal(n INTEGER PRIMARY KEY AUTOINCREMENT, what INTEGER NOT NULL)",
    "CREATE TABLE tally(id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT",
    "INSERT INTO tally VALUES (1, 0)",
    "CREATE TRIGGER journal_counts AFTER INSERT ON journal BEGIN UPDATE tally SET n = n + 1; END",
)

READ = "SELECT value FROM registers WHERE key = ?"
WRITE = "UPDATE registers SET value = ? WHERE key = ?"
COMPARE = "UPDATE registers SET value = ? WHERE key = ? AND value = ?"
COUNT = "UPDATE counters SET n = n + 1 WHERE key = ?"
MARK = "INSERT INTO marks(id) VALUES (?)"
PAIR_WRITE = "UPDATE pairs SET value = ? WHERE side = ?"
PAIR_READ = "SELECT value FROM pairs WHERE side = ?"
JOURNAL = "INSERT INTO journal(what) VALUES (?) RETURNING n"
TALLY = "SELECT n FROM tally"
DUMP = (
    ("registers", "SELECT key, value FROM registers"),
    ("counters", "SELECT key, n FROM counters"),
    ("pairs", "SELECT side, value FROM pairs"),
    ("marks", "SELECT id, note FROM marks"),
)

MAY_FAIL = ("failing", "row insert")
"""Kinds of operations whose statements may be wrong."""

Ended = Callable[[str, Any], None]


class Operation:
    """One call: its statements, and what to do with its end (`ok` with results, `fail`, or `info`)."""

    __slots__ = (
        "body", "database", "kind", "level", "statements", "visit", "when_ended", "when_minted", "writes",
    )  # fmt: skip

    def __init__(
        self,
        kind: str,
        database: str,
        statements: list[Statement],
        when_ended: Ended,
        *,
        writes: bool,
        level: str = LINEARIZABLE,
    ) -> None:
        self.kind = kind
        self.database = database
        self.statements = tuple(statements)
        self.when_ended = when_ended
        self.writes = writes
        self.level = level
        self.visit: Visit | None = None
        """The session that it belongs to."""
        self.body: Any = None
        """What is asked instead of statements."""
        self.when_minted: Callable[[Any], None] = lambda _minted: None
        """What to do when a version is told (`core.row_requests`)."""


class Database:
    """One database, as clients think of it: what they make of it, and what they do with it."""

    replication = SINGLE_LEADER

    def __init__(self, name: str, dials: Dials) -> None:
        self.name = name
        self.keys = [f"k{number}" for number in range(dials.keys)]
        self.counters = ["c0", "c1"]
        self.loaded = ["load"] if dials.spike else []
        """Counters of others than the clients."""
        self.created = name == "main"
        self.ready = False
        """Its tables exist."""
        self.claimed = False
        """Somebody is creating it, or its tables."""
        everywhere = dials.fixed or (name != "main" and dials.acks and not dials.members_us)
        self.replicas = dials.nodes if everywhere else min(3, dials.nodes)
        self.acks = dials.fixed or MAJORITY
        """With which it is made."""
        self.rules: list[AckPolicy] = [parse(self.acks)]
        """Every ack policy that it was ever asked to have."""
        self.given_up = dials.old_copy_unseen
        """Somebody has accepted a loss, or nobody could tell that there is one."""
        self.last_seen: dict[str, int] = {}
        """A value each register had lately: compare-and-sets look for it."""
        self.options: dict[str, str] = {"acks": self.acks, "failover": dials.decides}
        """With which it is made."""

    def setup(self, operations: "Operations") -> "Operation":
        """What makes it ready to be used, once it is created."""
        return operations.setup(self)

    def next(self, operations: "Operations", process: int) -> "Operation":
        """What this process does next."""
        return operations.next(process, self)

    @property
    def judges(self) -> frozenset[str]:
        """Those that it is answerable to, whichever of its rules is in force: its replication says it."""
        of = REPLICATIONS[Database.replication]  # acks promise of a group's own log what they do with one leader
        return frozenset.intersection(*(of.promises.judges(of.options(acks=str(rule))) for rule in self.rules))

    @property
    def loose(self) -> bool:
        """It may lose what was acknowledged: then it does not promise what these two judges look at."""
        return self.given_up or not {LINEARIZABILITY, ACKNOWLEDGED_LOST} <= self.judges

    def bears(self) -> bool:
        """Whether it works with one node away."""
        many = self.replicas
        return all(rule.holders(many) < many and rule.votes(many) < many for rule in self.rules)


class Operations:
    """Makes operations by weight."""

    def __init__(
        self,
        dials: Dials,
        ledger: Ledger,
        rng: random.Random,
        now: Callable[[], int],
        workloads: tuple[Workload, ...] = (),
    ) -> None:
        self.ledger = ledger
        self.rng = rng
        self._now = now
        self._workloads = workloads
        makers: dict[Callable[[int, Database], Operation], int] = {
            self.read: dials.reads,
            self.write: dials.writes,
            self.compare: dials.compares,
            self.count: dials.counters,
            self.mark: dials.counters,
            self.pair_write: dials.pairs,
            self.pair_read: dials.pairs,
            self.failing: dials.failing,
            self.journal: dials.journals,
            self.schema: dials.schema,
            self.weak_read: dials.weak_reads,
            **{partial(each.next, self): each.weight(dials) for each in workloads},
        }
        self._makers = [maker for maker, weight in makers.items() for _ in range(weight)] or [self.read]

    def next(self, process: int, database: Database) -> Operation:
        """What this process does next."""
        return self.rng.choice(self._makers)(process, database)

    def sent(self, token: str, statements: tuple[Statement, ...]) -> None:
        """Some client sends this write, whatever its kind."""
        for each in self._workloads:
            each.sent(token, statements)

    def may_fail(self, kind: str) -> bool:
        """Statements of operations of this kind may be wrong."""
        return kind in MAY_FAIL or any(kind in each.may_fail for each in self._workloads)

    def setup(self, database: Database) -> Operation:
        """The tables and their first rows, in one write."""
        statements = [Statement(sql) for sql in (*SETUP, *(sql for each in self._workloads for sql in each.tables))]
        rows = tuple((key,) for key in database.keys)
        statements.append(Statement("INSERT INTO registers VALUES (?, 0)", rows, many=True))
        rows = tuple((key,) for key in (*database.counters, *database.loaded))
        statements.append(Statement("INSERT INTO counters VALUES (?, 0)", rows, many=True))

        def ended(end: str, _results: Any) -> None:
            database.ready = database.ready or end == OK
            database.claimed = database.ready
            if end == FAIL:
                raise Violation(TRUE_ANSWER, f"the tables of {database.name} could not be made")

        return Operation("setup", database.name, statements, ended, writes=True)

    def _judged(self, process: int, function: str, database: Database, key: str, value: Any) -> Ended:
        """Record the operation in the history; its result is made of the statement's."""
        history = self.ledger.history
        number = history.invoke(process, function, f"{database.name}.{key}", value, self._now())

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            result: Any = None
            if end == OK and not results:
                end = INFO  # it happened, but what it returned is no longer known
            if end == OK and results:
                first = results[0]
                if function == "read":
                    result = first.rows[0][0] if first.rows else None
                    database.last_seen[key] = result
                elif function == "cas":
                    result = first.rowcount == 1
                    if result:
                        database.last_seen[key] = value[1]
                else:
                    database.last_seen[key] = value
                    if first.rowcount != 1 and not database.loose:
                        raise Violation(ACKNOWLEDGED_LOST, f"the row of {database.name}.{key} is not there")
            history.end(number, end, self._now(), result)

        return ended

    def _new_value(self, database: Database, key: str) -> int:
        value = self.ledger.next_value()
        self.ledger.values.setdefault((database.name, key), {0}).add(value)
        return value

    def read(self, process: int, database: Database, key: str = "") -> Operation:
        key = key or self.rng.choice(database.keys)
        ended = self._judged(process, "read", database, key, None)
        return Operation("read", database.name, [Statement(READ, ((key,),))], ended, writes=False)

    def write(self, process: int, database: Database) -> Operation:
        key = self.rng.choice(database.keys)
        value = self._new_value(database, key)
        ended = self._judged(process, "write", database, key, value)
        return Operation("write", database.name, [Statement(WRITE, ((value, key),))], ended, writes=True)

    def compare(self, process: int, database: Database) -> Operation:
        key = self.rng.choice(database.keys)
        value = self._new_value(database, key)
        old = database.last_seen.get(key, 0)
        ended = self._judged(process, "cas", database, key, (old, value))
        return Operation("cas", database.name, [Statement(COMPARE, ((value, key, old),))], ended, writes=True)

    def count(self, _process: int, database: Database) -> Operation:
        key = self.rng.choice(database.counters)
        return Operation(
            "count", database.name, [Statement(COUNT, ((key,),))], self.counted(database, key), writes=True
        )

    def counted(self, database: Database, key: str) -> Ended:
        """What to do with the end of a write that counts one there."""
        sums = self.ledger.counter(database.name, key)
        sums.unsure += 1

        def ended(end: str, _results: Any) -> None:
            if end != INFO:
                sums.unsure -= 1
            if end == OK:
                sums.done += 1

        return ended

    def mark(self, _process: int, database: Database) -> Operation:
        """Two statements that happen together or not at all, some rows at once."""
        mark = self.ledger.next_value()
        key = self.rng.choice(database.counters)
        committed = self.counted(database, key)
        self.ledger.marks[database.name, mark] = INFO

        def ended(end: str, results: Any) -> None:
            committed(end, results)
            self.ledger.marks[database.name, mark] = end

        statements = [Statement(MARK, ((mark,),)), Statement(COUNT, ((key,),))]
        return Operation("mark", database.name, statements, ended, writes=True)

    def pair_write(self, _process: int, database: Database) -> Operation:
        value = self.ledger.next_value()
        statements = [Statement(PAIR_WRITE, ((value, 0),)), Statement(PAIR_WRITE, ((value, 1),))]
        return Operation("pair write", database.name, statements, _nothing, writes=True)

    def pair_read(self, _process: int, database: Database) -> Operation:
        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            if end == OK and results and results[0].rows != results[1].rows:
                text = f"a read of {database.name} saw two halves of a pair that differ: {results}"
                raise Violation(ATOMICITY, text)

        statements = [Statement(PAIR_READ, ((0,),)), Statement(PAIR_READ, ((1,),))]
        level = self.rng.choice((LINEARIZABLE, LEADER, EVENTUAL))
        return Operation("pair read", database.name, statements, ended, writes=False, level=level)

    def weak_read(self, _process: int, database: Database) -> Operation:
        """A read that may be old, but never of something that nobody wrote."""
        key = self.rng.choice(database.keys)

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            if end != OK or not results or not results[0].rows:
                return
            if results[0].rows[0][0] not in self.ledger.values.get((database.name, key), {0}):
                raise Violation(
                    TRUE_ANSWER, f"{database.name}.{key} held {results[0].rows[0][0]!r}, which nobody wrote"
                )

        level = self.rng.choice((LEADER, EVENTUAL))
        return Operation("weak read", database.name, [Statement(READ, ((key,),))], ended, writes=False, level=level)

    def journal(self, _process: int, database: Database) -> Operation:
        """A sequence and a trigger's count move together, on whichever leader: AUTOINCREMENT travels."""
        statements = [Statement(JOURNAL, ((self.ledger.next_value(),),)), Statement(TALLY)]
        if self.rng.random() < 0.3:
            statements.append(Statement("DELETE FROM journal"))

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            if end == OK and results and results[0].rows != results[1].rows:
                text = f"journal entry {results[0].rows} of {database.name} came when the tally was {results[1].rows}"
                raise Violation(ATOMICITY, text)

        return Operation("journal", database.name, statements, ended, writes=True)

    def schema(self, _process: int, database: Database) -> Operation:
        """The schema changes, with rows in the same write."""
        value = self.ledger.next_value()
        if self.rng.random() < 0.5:
            statements = [Statement(f"ALTER TABLE journal ADD COLUMN x{value} INTEGER DEFAULT {value}")]
        else:
            create = f"CREATE TABLE t{value}(a TEXT, b INTEGER, PRIMARY KEY(a, b)) WITHOUT ROWID"
            insert = f"INSERT INTO t{value} VALUES ('x', 1), ('y', 2)"  # noqa: S608 - a number of our own
            statements = [Statement(create), Statement(insert), Statement(f"ALTER TABLE t{value} RENAME TO u{value}")]
        statements.append(Statement(COUNT, ((database.counters[0],),)))
        committed = self.counted(database, database.counters[0])
        return Operation("schema", database.name, statements, committed, writes=True)

    def failing(self, process: int, database: Database) -> Operation:
        """A write that must fail as a whole, beside innocent ones, whatever harm its statements try."""
        key = self.rng.choice(database.keys)
        value = self._new_value(database, key)
        judged = self._judged(process, "write", database, key, value)
        harmless = Statement(WRITE, ((value, key),))
        harm = self.rng.choice(
            (
                Statement("INSERT INTO registers VALUES (?, 1)", ((key,),)),
                Statement("INSERT OR ROLLBACK INTO registers VALUES (?, 1)", ((key,),)),
                Statement("SELEC 1"),
                Statement("ROLLBACK"),
                Statement("COMMIT"),
                Statement("INSERT INTO nowhere VALUES (1)"),
                Statement(WRITE, ((value,),)),
            )
        )

        def ended(end: str, results: Any) -> None:
            if end == OK:
                raise Violation(TRUE_ANSWER, f"{harm.sql!r} was told to have succeeded")
            judged(end, results)

        return Operation("failing", database.name, [harmless, harm], ended, writes=True)


def _nothing(_end: str, _results: Any) -> None:
    return None


def tables(outcomes: Done) -> dict[str, dict[Any, Any]]:
    """The answer to DUMP, by table and key."""
    return {
        name: {row[0]: row[1] for row in result.rows} for (name, _), result in zip(DUMP, outcomes.results, strict=True)
    }
