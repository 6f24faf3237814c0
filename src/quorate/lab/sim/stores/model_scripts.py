"""Scripts of transactions in the model of SQLite, as `storage.execution.transactions` runs them."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from quorate.core.requests import Write
from quorate.core.scripts import Evaluated, Pin, Script, Step
from quorate.core.statements import Failed, Result
from quorate.lab.sim.stores.model_tables import Segment, StatementError, Tables, run_statement
from quorate.sql.control import ROLLBACK_TO, SAVEPOINT, savepoint_of
from quorate.storage.execution.holding import ENDED
from quorate.storage.execution.running import NOTHING
from quorate.storage.execution.runs import committed_by
from quorate.storage.execution.scripts import Savepoints, as_outcome, evaluate
from quorate.storage.failures import RefusedError
from quorate.storage.rows.payload import encode_done


class _Running:
    """One script, on the tables as it has made them so far."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables.fork()
        self._names = Savepoints()
        self._saved: list[Tables] = []

    def step(self, step: Step) -> tuple[Result | Failed, Pin | None]:
        """See `storage.execution.scripts.evaluate`."""
        found = savepoint_of(step.sql)
        try:
            if found is not None:
                self._savepoint(*found)
                return NOTHING, step.pin
            after = self._fork()
            gave = run_statement(after, step.statement)
        except StatementError as error:
            return error.at(0), step.pin
        except RefusedError as error:
            return error.failed, step.pin
        self.tables = after
        return gave, step.pin

    def _fork(self) -> Tables:
        fork = self.tables.fork()
        fork.changes, fork.last_rowid = self.tables.changes.copy(), self.tables.last_rowid
        return fork

    def _savepoint(self, word: str, name: str) -> None:
        depth = self._names.do(word, name)
        if word == SAVEPOINT:
            self._saved.append(self.tables)
        elif word == ROLLBACK_TO:
            del self._saved[depth + 1 :]
            self.tables = self._saved[depth]
        else:
            del self._saved[depth:]


class Held(Struct):
    """A transaction that holds the writer."""

    ticket: str
    running: Any


def goes_on(requests: Sequence[Write], held: Held) -> bool:
    """Whether this batch is the next request of a transaction that holds the writer."""
    first = requests[0]
    return type(first) is Script and first.hold is not None and first.hold.ticket == held.ticket


def run_script(
    tables: Tables, script: Script, segments: list[Segment], held: Held | None
) -> tuple[Tables, bytes, bytes, Held | None]:
    """The tables behind it, its outcome, and the outcome as it is remembered: empty, unless it was committed; and what
    is held then."""
    hold = script.hold
    if hold is not None and hold.ticket and held is None and not script.commit:
        return tables, ENDED, b"", None
    running = _Running(tables) if held is None else held.running
    found: Evaluated | Failed = Evaluated((), (), (), ())
    if held is None or not script.commit:
        found = evaluate(script.steps, running.step)
    if isinstance(found, Failed):
        return tables, as_outcome(found), b"", None
    if not script.commit and hold is not None:
        outcome = as_outcome(structs.replace(found, ticket=hold.next))
        return tables, outcome, b"", Held(hold.next, running)
    if not script.commit:
        return tables, as_outcome(found), b"", None
    segments += running.tables.changes
    if script.run is not None:
        outcome = committed_by(script.run.attempt)
        return running.tables, outcome, outcome, None
    return (running.tables, *encode_done([]), None)


def read_script(tables: Tables, steps: Sequence[Step]) -> bytes:
    """The outcome of one that only reads."""
    return as_outcome(evaluate(steps, _Running(tables).step))
