"""Scripts of transactions in the model of SQLite, as `storage.execution.transactions` runs them."""

from collections.abc import Sequence

from quorate.core.scripts import Pin, Script, Step
from quorate.core.statements import Failed, Result
from quorate.lab.sim.stores.model_tables import Segment, StatementError, Tables, run_statement
from quorate.sql.control import ROLLBACK_TO, SAVEPOINT, savepoint_of
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


def run_script(tables: Tables, script: Script, segments: list[Segment]) -> tuple[Tables, bytes, bytes]:
    """The tables behind it, its outcome, and the outcome as it is remembered: empty, unless it was committed."""
    running = _Running(tables)
    found = evaluate(script.steps, running.step)
    if not script.commit or isinstance(found, Failed):
        return tables, as_outcome(found), b""
    segments += running.tables.changes
    if script.run is not None:
        outcome = committed_by(script.run.attempt)
        return running.tables, outcome, outcome
    return (running.tables, *encode_done([]))


def read_script(tables: Tables, steps: Sequence[Step]) -> bytes:
    """The outcome of one that only reads."""
    return as_outcome(evaluate(steps, _Running(tables).step))
