"""Rows that callers of a database with several leaders insert, change and delete. Each is inserted once, under a key of
its own: so one of which a delete has taken away something must be gone for good, at every leader.
"""

from collections.abc import Iterable
from typing import Any

from quorate.core.read_levels import SESSION
from quorate.core.statements import Result, Statement
from quorate.lab.judges.history import FAIL, INFO, OK
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.workloads.ledger import ACKNOWLEDGED_LOST, TRUE_ANSWER
from quorate.lab.sim.workloads.operations import Operation, Operations

GONE = "no resurrection"
"""The judge."""
SETUP = "CREATE TABLE notes(id INTEGER PRIMARY KEY NOT NULL, text INTEGER) STRICT"
INSERT = "INSERT INTO notes VALUES (?, 0)"
CHANGE = "UPDATE notes SET text = ? WHERE id = ?"
DELETE = "DELETE FROM notes WHERE id = ?"
READ = "SELECT id FROM notes"
KEPT = 6
"""Callers change and delete the newest so many."""


class Notes:
    """What callers were told of them."""

    def __init__(self) -> None:
        self.told: dict[int, str] = {}
        """Each note that was sent, and how that ended."""
        self._touched: set[int] = set()
        """Somebody has tried to delete it."""
        self._gone: set[int] = set()
        """Somebody was told to have deleted it."""

    def next(self, operations: Operations, database: str) -> Operation:
        """What a caller does next."""
        chance = operations.rng.random()
        there = [note for note, end in self.told.items() if end == OK and note not in self._gone][-KEPT:]
        if chance < 0.3 or not there:
            return self._insert(database, operations.ledger.next_value())
        note = operations.rng.choice(there)
        if chance < 0.7:
            statement = Statement(CHANGE, ((operations.ledger.next_value(), note),))
            return Operation("notes", database, [statement], lambda _end, _results: None, writes=True, level=SESSION)
        return self._delete(database, note)

    def _insert(self, database: str, note: int) -> Operation:
        self.told[note] = INFO

        def ended(end: str, _results: Any) -> None:
            self.told[note] = end

        return Operation("notes", database, [Statement(INSERT, ((note,),))], ended, writes=True, level=SESSION)

    def _delete(self, database: str, note: int) -> Operation:
        self._touched.add(note)

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            if end == OK and results and results[0].rowcount == 1:
                self._gone.add(note)

        return Operation("notes delete", database, [Statement(DELETE, ((note,),))], ended, writes=True, level=SESSION)

    def judge(self, where: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """What a leader holds in the end. Raises Violation."""
        there = {row[0] for row in rows}
        if back := sorted(there & self._gone):
            raise Violation(GONE, f"notes {back} were deleted, and are at {where}")
        if strange := sorted(note for note in there if self.told.get(note, FAIL) == FAIL):
            raise Violation(TRUE_ANSWER, f"nobody wrote the notes {strange}, which {where} holds")
        lost = sorted(n for n, end in self.told.items() if end == OK and n not in there and n not in self._touched)
        if lost:
            raise Violation(ACKNOWLEDGED_LOST, f"notes {lost} were acknowledged, and are not at {where}")
