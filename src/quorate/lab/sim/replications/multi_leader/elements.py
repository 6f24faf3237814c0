"""What callers do with a database of several leaders: they add elements, each with the newest that it was made upon,
and write registers that all of them write.

Every element has another name. So each that was acknowledged must be at every leader in the end; an insert that another
insert had not seen tells that one write was made at two leaders; and a read that shows an element must show those that
it was made upon.
"""

from collections.abc import Iterable
from typing import Any

from quorate.core.options import MULTI_LEADER, MultiLeaderOptions
from quorate.core.read_levels import EVENTUAL, SESSION
from quorate.core.statements import Result, Statement
from quorate.lab.judges.history import FAIL, INFO, OK
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.replications.multi_leader import notes
from quorate.lab.sim.replications.multi_leader.notes import Notes
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.ledger import ACKNOWLEDGED_LOST, EXACTLY_ONCE, TRUE_ANSWER
from quorate.lab.sim.workloads.operations import Database, Operation, Operations

CAUSAL_ORDER = "causal order"
"""The judge."""
NOTED = 0.4
"""Chance that a caller does something with notes, where there are any."""
NEWEST = 8
"""Elements that an element says it was made upon."""
SETUP = (
    "CREATE TABLE elements(element INTEGER PRIMARY KEY NOT NULL, upon TEXT) STRICT",
    "CREATE TABLE shared(key TEXT PRIMARY KEY NOT NULL, value INTEGER) STRICT",
)
ADD = (
    "INSERT INTO elements VALUES (?, (SELECT group_concat(element) FROM"  # noqa: S608 - a constant
    f" (SELECT element FROM elements ORDER BY element DESC LIMIT {NEWEST})))"
)
READ = "SELECT element, upon FROM elements"
SHARE = "UPDATE shared SET value = ? WHERE key = ?"
SHARED = "SELECT key, value FROM shared ORDER BY key"
TWICE = "SELECT key FROM quorate_conflicts WHERE \"table\" = 'elements'"
LOST = "SELECT id, class, lost, shown, state FROM quorate_conflicts"
REMOVE = "DELETE FROM shared WHERE key = ?"
PUT = "INSERT INTO shared VALUES (?2, ?1) ON CONFLICT DO UPDATE SET value = excluded.value"
LOOKS = tuple(Statement(sql) for sql in (READ, SHARED, TWICE, LOST))
"""What is asked of every leader in the end."""


class Elements(Database):
    """One such database, and what callers were told of it."""

    replication = MULTI_LEADER

    def __init__(self, name: str, dials: Dials) -> None:
        super().__init__(name, dials)
        self.replicas = dials.nodes
        self.options = {"topology": dials.topology, "leaders": dials.leaders, "forget_after": dials.forget_after}
        self.forgets = dials.forget_after != MultiLeaderOptions().forget_after
        """Who is away is not waited for. Then leaders may tell differently what became of a write."""
        self.notes = Notes() if dials.notes else None
        self.shared, self.keys = self.keys, []
        self.told: dict[int, str] = {}
        """Each element that was sent, and how that ended."""
        self.values: dict[str, set[int]] = {key: {0} for key in self.shared}
        """What each register may hold."""

    def setup(self, _operations: Operations) -> Operation:
        statements = [Statement(sql) for sql in (SETUP if self.notes is None else (*SETUP, notes.SETUP))]
        statements.append(
            Statement("INSERT INTO shared VALUES (?, 0)", tuple((key,) for key in self.shared), many=True)
        )

        def ended(end: str, _results: Any) -> None:
            self.ready = self.ready or end == OK
            self.claimed = self.ready

        return Operation("setup", self.name, statements, ended, writes=True)

    def next(self, operations: Operations, _process: int) -> Operation:
        if self.notes is not None and operations.rng.random() < NOTED:
            return self.notes.next(operations, self.name)
        chance = operations.rng.random()
        if chance < 0.5:
            return self._add(operations.ledger.next_value())
        if chance < 0.7:
            return self._share(operations)

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            if end == OK and results:
                check_causes(results[0].rows)

        level = operations.rng.choice((SESSION, EVENTUAL))
        return Operation("elements", self.name, [Statement(READ)], ended, writes=False, level=level)

    def _add(self, element: int) -> Operation:
        self.told[element] = INFO

        def ended(end: str, _results: Any) -> None:
            self.told[element] = end

        return Operation("add", self.name, [Statement(ADD, ((element,),))], ended, writes=True, level=SESSION)

    def _share(self, operations: Operations) -> Operation:
        key, value = operations.rng.choice(self.shared), operations.ledger.next_value()
        self.values[key].add(value)
        chance = operations.rng.random()
        statement = Statement(SHARE if chance < 0.7 else PUT, ((value, key),))
        if chance > 0.9:
            statement = Statement(REMOVE, ((key,),))
        return Operation("share", self.name, [statement], lambda _end, _results: None, writes=True, level=SESSION)

    def judge(self, where: str, rows: Iterable[tuple[Any, ...]], shared: Iterable[tuple[Any, ...]], twice: Any) -> None:
        """What a leader holds in the end. Raises Violation."""
        there = {row[0] for row in rows}
        check_causes(rows)
        for element, end in self.told.items():
            if end == OK and element not in there:
                raise Violation(ACKNOWLEDGED_LOST, f"element {element} was acknowledged, and is not at {where}")
            if end == FAIL and element in there:
                raise Violation(TRUE_ANSWER, f"element {element} was told to have failed, and is at {where}")
        if strange := there - self.told.keys():
            raise Violation(TRUE_ANSWER, f"nobody wrote {sorted(strange)}, which {where} holds")
        if twice:
            raise Violation(EXACTLY_ONCE, f"elements {twice} were added at two leaders")
        for key, value in shared:
            if value not in self.values[key]:
                raise Violation(TRUE_ANSWER, f"nobody wrote {value} to {key}, which {where} holds")


def check_causes(rows: Iterable[tuple[Any, ...]]) -> None:
    """Whoever shows an element shows what it was made upon. Raises Violation."""
    there = {row[0] for row in rows}
    for element, upon in rows:
        missing = {int(each) for each in upon.split(",")} - there if upon else set()
        if missing:
            raise Violation(CAUSAL_ORDER, f"{element} is shown, and not {sorted(missing)}, upon which it was made")
